//! Forms as browsers and programs send them.

use std::collections::BTreeMap;

/// The fields of `application/x-www-form-urlencoded`; of a field that comes twice the last value.
pub(super) fn fields(form: &str) -> BTreeMap<String, String> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().unwrap_or(0), digit().unwrap_or(0));
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(0));
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_spaces_and_characters_come_through() {
        let fields = fields("a=1+2%2B3&info=%5B%7B%22n%22%3A%22%E5%BC%A0%22%7D%5D&b=");
        assert_eq!(fields["a"], "1 2+3");
        assert_eq!(fields["info"], "[{\"n\":\"张\"}]");
        assert_eq!(fields["b"], "");
    }
}
