//! Signatures of requests, version 4.

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// What a signature is made of.
pub(super) struct Signing<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// The path of the address, encoded as it is sent.
    pub(super) path: &'a str,
    /// The query, encoded by [`encode`] and in the order of its names.
    pub(super) query: &'a str,
    /// The digest of the body in hexadecimal digits.
    pub(super) body: &'a str,
    pub(super) at: DateTime<Utc>,
    pub(super) region: &'a str,
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
}

impl Signing<'_> {
    /// The moment as the request has to name it.
    pub(super) fn date(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    /// The value of `Authorization`. Headers other than those that are signed can be added.
    pub(super) fn authorization(&self) -> String {
        let (date, day) = (self.date(), self.at.format("%Y%m%d").to_string());
        let (headers, body) = ("host;x-amz-content-sha256;x-amz-date", self.body);
        let request = format!(
            "{}\n{}\n{}\nhost:{}\nx-amz-content-sha256:{body}\nx-amz-date:{date}\n\n{headers}\n{body}",
            self.method, self.path, self.query, self.host
        );
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let request = digest(request.as_bytes());
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
        let start = format!("AWS4{}", self.secret_key).into_bytes();
        let steps = [day.as_str(), self.region, "s3", "aws4_request", &text];
        let signature = hex(&steps.iter().fold(start, |key, step| keyed(&key, step.as_bytes())));
        let credential = format!("{}/{scope}", self.access_key);
        format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={headers}, Signature={signature}"
        )
    }
}

/// The SHA-256 of `bytes` in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Text as it stands in an address; `kept` are characters that stay beside the plain ones.
pub(super) fn encode(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || kept.contains(c) {
            encoded.push(c);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of this kind can have any length, so nothing is left out.
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(key);
    mac.map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    /// The examples of the protocol's own documentation ("Signature Calculations for the
    /// Authorization Header"), with its keys: listing by `max-keys` and `prefix`.
    #[test]
    fn the_example_of_the_documentation_is_signed_as_it_says() {
        let signing = Signing {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/",
            query: "max-keys=2&prefix=J",
            body: &digest(b""),
            at: Utc.with_ymd_and_hms(2013, 5, 24, 0, 0, 0).unwrap(),
            region: "us-east-1",
            access_key: "AKIAIOSFODNN7EXAMPLE",
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        };
        assert!(signing.authorization().ends_with(
            "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        ));
    }

    #[test]
    fn what_is_no_plain_character_is_encoded() {
        assert_eq!(encode("办件 a+b/c", "/"), "%E5%8A%9E%E4%BB%B6%20a%2Bb/c");
        assert_eq!(encode("a/b=~", ""), "a%2Fb%3D~");
    }
}
