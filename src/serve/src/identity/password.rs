//! Passwords as they are kept: argon2id, slow to guess, checked on few threads at a time.

use std::sync::Arc;

use aes_gcm::aead::OsRng;
use aes_gcm::aead::rand_core::RngCore;
use argon2::{Algorithm, Argon2, Params, Version};
use huiliu_sdk::{Error, Result};
use tokio::sync::Semaphore;

use super::secret::{from_hex, is_same, to_hex};

/// Memory in KiB, passes, lanes: what OWASP asks of argon2id at least.
const COST: (u32, u32, u32) = (19_456, 2, 1);
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Passwords that are hashed at once; others wait, so that logins cannot take all memory and cores.
const AT_ONCE: usize = 2;
const PREFIX: &str = "argon2id$m=19456,t=2,p=1";

/// Hashes and checks passwords.
#[derive(Clone)]
pub(super) struct Hasher {
    places: Arc<Semaphore>,
    /// What the password of a user who does not exist is compared with.
    nobody: Arc<str>,
}

impl Hasher {
    pub(super) fn new() -> Result<Self> {
        let nobody = hash(&super::secret::random_hex())?;
        Ok(Self { places: Arc::new(Semaphore::new(AT_ONCE)), nobody: nobody.into() })
    }

    /// The password as it is kept.
    pub(super) async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.compute(move || hash(&password)).await?
    }

    /// Whether `password` is the kept one. It takes as long when there is no user to compare with.
    pub(super) async fn is_right(&self, password: &str, kept: Option<&str>) -> Result<bool> {
        let is_known = kept.is_some();
        let kept = kept.unwrap_or(&self.nobody).to_owned();
        let password = password.to_owned();
        let is_same = self.compute(move || check(&password, &kept)).await??;
        Ok(is_same && is_known)
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|e| Error::internal("the hub is closing").cause(e))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|e| Error::internal("a password could not be hashed").cause(e))
    }
}

fn digest(password: &str, salt: &[u8]) -> Result<[u8; HASH_BYTES]> {
    let failed = |_| Error::internal("a password could not be hashed");
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).map_err(failed)?;
    let mut out = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut out)
        .map_err(failed)?;
    Ok(out)
}

fn hash(password: &str) -> Result<String> {
    let mut salt = [0_u8; SALT_BYTES];
    OsRng.fill_bytes(&mut salt);
    Ok(format!("{PREFIX}${}${}", to_hex(&salt), to_hex(&digest(password, &salt)?)))
}

fn check(password: &str, kept: &str) -> Result<bool> {
    let parts = kept.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('$'));
    let Some((salt, kept)) = parts.and_then(|rest| rest.split_once('$')) else {
        return Err(Error::internal("a stored password is not readable"));
    };
    let salt = from_hex(salt).ok_or_else(|| Error::internal("a stored password has no salt"))?;
    Ok(is_same(to_hex(&digest(password, &salt)?).as_bytes(), kept.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_no_other() {
        let hasher = Hasher::new().unwrap();
        let kept = hasher.hash("tide-Lantern-orbit-42").await.unwrap();
        assert!(kept.starts_with("argon2id$m=19456,t=2,p=1$"));
        assert_ne!(kept, hasher.hash("tide-Lantern-orbit-42").await.unwrap(), "the salt differs");
        assert!(hasher.is_right("tide-Lantern-orbit-42", Some(&kept)).await.unwrap());
        assert!(!hasher.is_right("tide-Lantern-orbit-43", Some(&kept)).await.unwrap());
        assert!(!hasher.is_right("tide-Lantern-orbit-42", None).await.unwrap());
    }
}
