//! Random secrets, their hashes, and comparing without telling how much is alike.

use aes_gcm::aead::OsRng;
use aes_gcm::aead::rand_core::RngCore;
use sha2::{Digest, Sha256};

/// 256 bits, beyond any search.
const BYTES: usize = 32;

/// A new secret: 64 hexadecimal digits.
pub(crate) fn random_hex() -> String {
    let mut bytes = [0_u8; BYTES];
    OsRng.fill_bytes(&mut bytes);
    to_hex(&bytes)
}

/// `length` random hexadecimal digits, for names that must not meet.
pub(crate) fn random_id(length: usize) -> String {
    random_hex().chars().take(length).collect()
}

/// What is kept of a random secret. It needs no salt and no slowness: nobody guesses 256 bits.
pub(crate) fn fingerprint(secret: &str) -> String {
    to_hex(&Sha256::digest(secret.as_bytes()))
}

/// Whether two texts are the same, in a time that tells only their lengths.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0_u8, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ_and_compare() {
        let secret = random_hex();
        assert_eq!(secret.len(), 64);
        assert_ne!(secret, random_hex());
        assert!(is_same(b"abc", b"abc"));
        for other in [&b"abd"[..], b"ab", b"abcd", b""] {
            assert!(!is_same(b"abc", other));
        }
        assert_eq!(from_hex(&to_hex(b"\x00\xff\x10")).unwrap(), b"\x00\xff\x10");
        assert_eq!((from_hex("abc"), from_hex("zz"), from_hex("汇流")), (None, None, None));
    }
}
