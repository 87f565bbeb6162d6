//! Encryption at rest of the originals that may hold personal data (AES-256-GCM).

use aes_gcm::aead::rand_core::RngCore;
use aes_gcm::aead::{Aead, KeyInit, OsRng};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use huiliu_sdk::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

const NONCE_BYTES: usize = 12;
/// Enough that two of a city's records never get the same.
const PSEUDONYM_BYTES: usize = 16;

/// The key that seals quarantined originals and outbox payloads, and makes pseudonyms.
#[derive(Clone)]
pub struct SealKey {
    cipher: Aes256Gcm,
    /// Derived from the key, so that no pseudonym tells anything of the cipher's own.
    pseudonyms: Hmac<Sha256>,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// A key of 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Config, "E-KEY", "the encryption key is not 32 bytes long")
                .hint("make one with `huiliu init`, or point HUILIU_KEY_FILE at the right file")
        };
        let cipher = Aes256Gcm::new_from_slice(bytes).map_err(|_| wrong())?;
        let derived = Sha256::new().chain_update(b"huiliu pseudonyms").chain_update(bytes);
        let pseudonyms =
            <Hmac<Sha256> as Mac>::new_from_slice(&derived.finalize()).map_err(|_| wrong())?;
        Ok(Self { cipher, pseudonyms })
    }

    /// What stands for `plain` where it must not be told: equal for equal texts, and not to be
    /// undone without the key.
    pub fn pseudonym(&self, plain: &str) -> String {
        let code = self.pseudonyms.clone().chain_update(plain.as_bytes()).finalize().into_bytes();
        code.iter().take(PSEUDONYM_BYTES).map(|byte| format!("{byte:02x}")).collect()
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
            .cipher
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
        self.cipher.decrypt(Nonce::from_slice(nonce), body).map_err(|_| wrong_key())
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
        assert_eq!(key.pseudonym("张三"), key.pseudonym("张三"));
        assert_ne!(key.pseudonym("张三"), key.pseudonym("李四"));
        assert_ne!(key.pseudonym("张三"), other.pseudonym("张三"));
    }
}
