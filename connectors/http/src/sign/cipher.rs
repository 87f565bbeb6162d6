//! Block ciphers with PKCS #7 padding, by the crates of RustCrypto.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use huiliu_sdk::ConfigErrors;
use sm4::Sm4;

use crate::config::{CipherAlgorithm, CipherOptions, Mode};
use crate::faults::under;
use crate::sign::text_form;

/// Bytes of a block.
const BLOCK: usize = 16;

#[derive(Clone, Copy)]
enum Block {
    Sm4,
    Aes128,
    Aes192,
    Aes256,
}

/// A cipher with its key. Not `Debug`, because it holds the key.
#[derive(Clone)]
pub(crate) struct Cipher {
    block: Block,
    mode: Mode,
    key: Vec<u8>,
    iv: Vec<u8>,
}

/// Calls `$operation` with the cipher's type, which is known only when it runs.
macro_rules! by_block {
    ($cipher:expr, $operation:ident, $data:expr) => {
        match $cipher.block {
            Block::Sm4 => $operation::<Sm4>($cipher, $data),
            Block::Aes128 => $operation::<Aes128>($cipher, $data),
            Block::Aes192 => $operation::<Aes192>($cipher, $data),
            Block::Aes256 => $operation::<Aes256>($cipher, $data),
        }
    };
}

impl Cipher {
    /// Checks the options, and that key and first block have the lengths they must have.
    pub(crate) fn new(
        options: &CipherOptions,
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let key = text_form::key(&options.key.0, options.key_form);
        let block = match (options.algorithm, key.as_ref().map(Vec::len)) {
            (CipherAlgorithm::Sm4, Some(16)) => Some(Block::Sm4),
            (CipherAlgorithm::Aes, Some(16)) => Some(Block::Aes128),
            (CipherAlgorithm::Aes, Some(24)) => Some(Block::Aes192),
            (CipherAlgorithm::Aes, Some(32)) => Some(Block::Aes256),
            _ => None,
        };
        if block.is_none() {
            errors.push_with_hint(
                under(at, "key"),
                "is no key for this cipher",
                "sm4 takes 16 bytes, aes 16, 24 or 32: check key_form",
            );
        }
        let iv = options.iv.as_ref().and_then(|iv| text_form::key(&iv.0, options.key_form));
        let iv = iv.filter(|iv| iv.len() == BLOCK);
        if options.mode == Mode::Cbc && iv.is_none() {
            errors.push(under(at, "iv"), "is no block of 16 bytes, which cbc begins with");
        }
        let iv = iv.unwrap_or_default();
        Some(Self { block: block?, mode: options.mode, key: key?, iv })
    }

    /// `plain` encrypted; there is always a result, because key and first block were checked.
    pub(crate) fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        by_block!(self, encrypt, plain)
    }

    /// What was encrypted; nothing if it was encrypted otherwise or cut.
    pub(crate) fn decrypt(&self, data: &[u8]) -> Option<Vec<u8>> {
        by_block!(self, decrypt, data)
    }
}

fn encrypt<B>(cipher: &Cipher, plain: &[u8]) -> Option<Vec<u8>>
where
    B: KeyInit + BlockEncryptMut + aes::cipher::BlockCipher,
{
    Some(match cipher.mode {
        Mode::Ecb => ecb::Encryptor::<B>::new_from_slice(&cipher.key)
            .ok()?
            .encrypt_padded_vec_mut::<Pkcs7>(plain),
        Mode::Cbc => cbc::Encryptor::<B>::new_from_slices(&cipher.key, &cipher.iv)
            .ok()?
            .encrypt_padded_vec_mut::<Pkcs7>(plain),
    })
}

fn decrypt<B>(cipher: &Cipher, data: &[u8]) -> Option<Vec<u8>>
where
    B: KeyInit + BlockDecryptMut + aes::cipher::BlockCipher,
{
    match cipher.mode {
        Mode::Ecb => ecb::Decryptor::<B>::new_from_slice(&cipher.key)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(data)
            .ok(),
        Mode::Cbc => cbc::Decryptor::<B>::new_from_slices(&cipher.key, &cipher.iv)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(data)
            .ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KeyForm, Secret, TextForm};

    fn cipher(algorithm: CipherAlgorithm, mode: Mode, key: &str, iv: Option<&str>) -> Cipher {
        let (key, iv) = (Secret(key.into()), iv.map(|iv| Secret(iv.into())));
        let options = CipherOptions { algorithm, mode, key, iv, key_form: KeyForm::Hex };
        Cipher::new(&options, "", &mut ConfigErrors::default()).unwrap()
    }

    #[test]
    fn the_first_block_of_sm4_is_that_of_the_published_vector() {
        let line = include_str!("../../tests/crypto_vectors.csv")
            .lines()
            .find(|line| line.starts_with("SM4-ECB-nopad"))
            .unwrap();
        let cells: Vec<&str> = line.split(',').collect();
        let sm4 = cipher(CipherAlgorithm::Sm4, Mode::Ecb, cells[1], None);
        let plain = text_form::read(cells[2], TextForm::Hex).unwrap();
        let encrypted = sm4.encrypt(&plain).unwrap();
        // The vector has no padding: a full block, then one of padding alone.
        assert_eq!(text_form::write(&encrypted[..16], TextForm::Hex), cells[4]);
        assert_eq!(encrypted.len(), 32);
        assert_eq!(sm4.decrypt(&encrypted), Some(plain));
        assert_eq!(sm4.decrypt(&encrypted[..16]), None);
    }

    #[test]
    fn aes_is_that_of_nist_in_both_modes() {
        // SP 800-38A, F.1.1 and F.2.1.
        let key = "2b7e151628aed2a6abf7158809cf4f3c";
        let plain = text_form::read("6bc1bee22e409f96e93d7e117393172a", TextForm::Hex).unwrap();
        let ecb = cipher(CipherAlgorithm::Aes, Mode::Ecb, key, None);
        let first = text_form::write(&ecb.encrypt(&plain).unwrap()[..16], TextForm::Hex);
        assert_eq!(first, "3ad77bb40d7a3660a89ecaf32466ef97");
        let iv = Some("000102030405060708090a0b0c0d0e0f");
        let cbc = cipher(CipherAlgorithm::Aes, Mode::Cbc, key, iv);
        let encrypted = cbc.encrypt(&plain).unwrap();
        let first = text_form::write(&encrypted[..16], TextForm::Hex);
        assert_eq!(first, "7649abac8119b246cee98e9b12e9197d");
        assert_eq!(cbc.decrypt(&encrypted), Some(plain));
        assert_ne!(ecb.decrypt(&encrypted), cbc.decrypt(&encrypted));
    }
}
