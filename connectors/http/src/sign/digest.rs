//! Digests, keyed digests and signatures, by the crates of RustCrypto.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use sm2::dsa::signature::Signer;
use sm2::dsa::{Signature, SigningKey};
use sm3::Sm3;

use crate::config::Algorithm;

/// What computes signatures, with its key.
#[derive(Clone)]
pub(crate) enum Digester {
    /// A digest without key.
    Plain(fn(&[u8]) -> Vec<u8>),
    /// A digest with a key.
    Keyed(fn(&[u8], &[u8]) -> Option<Vec<u8>>, Vec<u8>),
    /// SM2.
    Sm2(Box<SigningKey>),
}

impl Digester {
    /// A digester of `key`, which digests without key ignore; nothing if the key does not fit.
    pub(crate) fn new(algorithm: Algorithm, key: &[u8], user: &str) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Md5 => Self::Plain(plain::<Md5>),
            Algorithm::Sha1 => Self::Plain(plain::<Sha1>),
            Algorithm::Sha256 => Self::Plain(plain::<Sha256>),
            Algorithm::Sm3 => Self::Plain(plain::<Sm3>),
            Algorithm::HmacMd5 => Self::Keyed(keyed::<Hmac<Md5>>, key.to_vec()),
            Algorithm::HmacSha1 => Self::Keyed(keyed::<Hmac<Sha1>>, key.to_vec()),
            Algorithm::HmacSha256 => Self::Keyed(keyed::<Hmac<Sha256>>, key.to_vec()),
            Algorithm::HmacSm3 => Self::Keyed(keyed::<Hmac<Sm3>>, key.to_vec()),
            Algorithm::Sm2 => Self::Sm2(Box::new(SigningKey::from_slice(user, key).ok()?)),
        })
    }

    /// The signature of `text`.
    pub(crate) fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Plain(digest) => Some(digest(text)),
            Self::Keyed(digest, key) => digest(key, text),
            Self::Sm2(key) => {
                let signature: Signature = key.try_sign(text).ok()?;
                Some(signature.to_bytes().to_vec())
            }
        }
    }
}

fn plain<D: Digest>(text: &[u8]) -> Vec<u8> {
    D::digest(text).to_vec()
}

fn keyed<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mac = <M as Mac>::new_from_slice(key).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use sm2::dsa::signature::Verifier;

    use super::*;
    use crate::config::{KeyForm, TextForm};
    use crate::sign::text_form;

    fn hex(algorithm: Algorithm, key: &str, text: &str) -> String {
        let digester = Digester::new(algorithm, key.as_bytes(), "").unwrap();
        text_form::write(&digester.sign(text.as_bytes()).unwrap(), TextForm::Hex)
    }

    #[test]
    fn digests_are_those_of_the_published_vectors() {
        let mut checked = 0;
        for line in include_str!("../../tests/crypto_vectors.csv").lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let algorithm = match cells[0] {
                "SM3" => Algorithm::Sm3,
                "HMAC-SM3" => Algorithm::HmacSm3,
                _ => continue,
            };
            let key = text_form::key(cells[1], KeyForm::Hex).unwrap();
            let digester = Digester::new(algorithm, &key, "").unwrap();
            let signed = digester.sign(cells[2].as_bytes()).unwrap();
            assert_eq!(text_form::write(&signed, TextForm::Hex), cells[4], "{line}");
            checked += 1;
        }
        assert_eq!(checked, 2);
        // RFC 1321, FIPS 180-4, RFC 2202 and RFC 4231.
        assert_eq!(hex(Algorithm::Md5, "", "abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(Algorithm::Sha1, "", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(Algorithm::Sha256, "", "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let text = "what do ya want for nothing?";
        assert_eq!(hex(Algorithm::HmacMd5, "Jefe", text), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(
            hex(Algorithm::HmacSha1, "Jefe", text),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert_eq!(
            hex(Algorithm::HmacSha256, "Jefe", text),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn an_sm2_signature_has_64_bytes_and_verifies_under_its_user_only() {
        // The private key of GB/T 32918.5, annex A.
        let text = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
        let key = text_form::key(text, KeyForm::Hex).unwrap();
        let user = "1234567812345678";
        let digester = Digester::new(Algorithm::Sm2, &key, user).unwrap();
        let signed = digester.sign(b"message digest").unwrap();
        assert_eq!(signed.len(), 64);
        let signature = Signature::from_slice(&signed).unwrap();
        let verifying = |user| SigningKey::from_slice(user, &key).unwrap().verifying_key().clone();
        assert!(verifying(user).verify(b"message digest", &signature).is_ok());
        assert!(verifying(user).verify(b"message digests", &signature).is_err());
        assert!(verifying("other").verify(b"message digest", &signature).is_err());
        // The signature of the standard's own example, for the key's public point.
        let published = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3\
                         b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";
        let published = text_form::read(published, TextForm::Hex).unwrap();
        let published = Signature::from_slice(&published).unwrap();
        assert!(verifying(user).verify(b"message digest", &published).is_ok());
        assert!(Digester::new(Algorithm::Sm2, b"short", user).is_none());
    }
}
