//! Encryption at rest of the originals that may hold personal data (AES-256-GCM).

use aes_gcm::aead::rand_core::RngCore;
use aes_gcm::aead::{Aead, KeyInit, OsRng};
use aes_gcm::{Aes256Gcm, Nonce};
use huiliu_sdk::{Error, ErrorKind, Result};

const NONCE_BYTES: usize = 12;

/// The key that seals quarantined originals and outbox payloads.
#[derive(Clone)]
pub struct SealKey(Aes256Gcm);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// A key of 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let cipher = Aes256Gcm::new_from_slice(bytes).map_err(|_| {
            Error::new(ErrorKind::Config, "E-KEY", "the encryption key is not 32 bytes long")
                .hint("make one with `huiliu init`, or point HUILIU_KEY_FILE at the right file")
        })?;
        Ok(Self(cipher))
    }

    /// Fresh random bytes for a new key.
    pub fn generate() -> [u8; 32] {
        let mut bytes = [0; 32];
        OsRng.fill_bytes(&mut bytes);
        bytes
    }

    /// Encrypts `plain` under a fresh nonce.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        OsRng.fill_bytes(&mut nonce);
        let sealed = self
            .0
            .encrypt(Nonce::from_slice(&nonce), plain)
            .map_err(|_| Error::internal("a value could not be encrypted"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts what [`SealKey::seal`] made.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let wrong_key = || {
            Error::new(ErrorKind::Auth, "E-KEY", "a stored value does not open with this key")
                .hint("point HUILIU_KEY_FILE at the key this data folder was made with")
        };
        let (nonce, body) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(wrong_key)?;
        self.0.decrypt(Nonce::from_slice(nonce), body).map_err(|_| wrong_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key() {
        let key = SealKey::new(&SealKey::generate()).unwrap();
        let sealed = key.seal("张三".as_bytes()).unwrap();
        assert_eq!(key.open(&sealed).unwrap(), "张三".as_bytes());
        let other = SealKey::new(&SealKey::generate()).unwrap();
        assert_eq!(other.open(&sealed).unwrap_err().code(), "E-KEY");
        assert!(SealKey::new(b"short").is_err());
    }
}
