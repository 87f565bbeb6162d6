//! Encryption at rest of the originals that may hold personal data (AES-256-GCM).

use aes_gcm::aead::rand_core::RngCore;
use aes_gcm::aead::{Aead, KeyInit, OsRng};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use huiliu_core::identifier::certificate;
use huiliu_sdk::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use sm3::Sm3;

const NONCE_BYTES: usize = 12;
/// Enough that two of a city's records never get the same.
const PSEUDONYM_BYTES: usize = 16;

/// The key that seals quarantined originals and outbox payloads, and makes pseudonyms.
#[derive(Clone)]
pub struct SealKey {
    cipher: Aes256Gcm,
    /// Derived from the key, so that no pseudonym tells anything of the cipher's own.
    pseudonyms: Hmac<Sha256>,
    /// Derived from the key too, and from no other's bytes.
    persons: Hmac<Sm3>,
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
        let derived = Sha256::new().chain_update(b"huiliu person pseudonyms").chain_update(bytes);
        let persons =
            <Hmac<Sm3> as Mac>::new_from_slice(&derived.finalize()).map_err(|_| wrong())?;
        Ok(Self { cipher, pseudonyms, persons })
    }

    /// What stands for `plain` where it must not be told: equal for equal texts, and not to be
    /// undone without the key.
    pub fn pseudonym(&self, plain: &str) -> String {
        let code = self.pseudonyms.clone().chain_update(plain.as_bytes()).finalize().into_bytes();
        code.iter().take(PSEUDONYM_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What stands for the number of a person's certificate: 64 hexadecimal digits, equal for one
    /// number however it is written. HMAC-SM3 over `kind:number` as [`certificate`] gives them.
    pub fn person_pseudonym(&self, number: &str) -> String {
        let (kind, number) = certificate(number);
        hex_of(self.persons.clone().chain_update(format!("{kind}:{number}").as_bytes()))
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

fn hex_of(mac: Hmac<Sm3>) -> String {
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASKS: &str = include_str!("../../../tests/fixtures/masking_rules.csv");

    #[test]
    fn pseudonyms_of_persons_are_those_of_the_rule_and_join_however_a_number_is_written() {
        let vector = <Hmac<Sm3> as Mac>::new_from_slice(b"key").unwrap().chain_update(b"abc");
        // As OpenSSL 3 computes it.
        let known = "28e63256e7c5a087b1f073265dc53092163f7b82729735d06f28f10af9d52393";
        assert_eq!(hex_of(vector), known);

        let rule = MASKS.lines().find(|line| line.starts_with("证件散列")).unwrap();
        assert!(rule.contains("HMAC-SM3(key, type") && rule.contains("64 hex digits"), "{rule}");
        let (kind, number) = ("111", "340503198001010018");
        assert!(rule.contains(&format!(",{kind}:{number},")), "{rule}");
        let derived = Sha256::new()
            .chain_update(b"huiliu person pseudonyms")
            .chain_update([7_u8; 32])
            .finalize();
        let expected = <Hmac<Sm3> as Mac>::new_from_slice(&derived).unwrap();
        let expected = hex_of(expected.chain_update(format!("{kind}:{number}").as_bytes()));
        // Computed apart, by OpenSSL.
        assert_eq!(expected, "0048711821833356e5186b5a2604f5fc169f9bd9d55af576f0c078bda8865103");

        let key = SealKey::new(&[7; 32]).unwrap();
        for written in [
            number,
            " 340503198001010018 ",
            "３４０５０３１９８００１０１００１８",
            "340503800101001",
        ] {
            assert_eq!(key.person_pseudonym(written), expected, "{written}");
        }
        assert_ne!(key.person_pseudonym("340503199002020026"), expected);
        let other = SealKey::new(&[8; 32]).unwrap();
        assert_ne!(other.person_pseudonym(number), expected);
        let lower = key.person_pseudonym("11010519491231002x");
        assert_eq!(lower, key.person_pseudonym("11010519491231002X"));
    }

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
