//! Where chance comes from: one generator per purpose, so that no table depends on another.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The generator of one purpose in the city of `seed`.
pub(crate) fn generator(seed: u64, purpose: &str) -> StdRng {
    StdRng::from_seed(digest(seed, purpose))
}

/// Lower-case hexadecimal digits that only `seed` and `purpose` decide.
pub(crate) fn hex(seed: u64, purpose: &str, len: usize) -> String {
    let mut text = hex_of(&digest(seed, purpose));
    text.truncate(len);
    text
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// A well-mixed number of a text, the same in every process.
pub(crate) fn hash(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest[..8].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// One of `choices`.
pub(crate) fn pick<'a, T: ?Sized>(rng: &mut StdRng, choices: &[&'a T]) -> &'a T {
    choices[rng.random_range(0..choices.len())]
}

/// True with the probability `share`.
pub(crate) fn chance(rng: &mut StdRng, share: f64) -> bool {
    rng.random::<f64>() < share
}

/// A row's id in the form of a GUID: a serial number first, so that the index grows in order.
pub(crate) fn guid(rng: &mut StdRng, serial: u64) -> String {
    let tail: u128 = rng.random();
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        serial,
        (tail >> 112) & 0xffff,
        (tail >> 96) & 0xffff,
        (tail >> 80) & 0xffff,
        tail & 0xffff_ffff_ffff
    )
}

fn digest(seed: u64, purpose: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"huiliu-city|");
    hasher.update(seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.finalize().into()
}
