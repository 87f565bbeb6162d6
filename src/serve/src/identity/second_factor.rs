//! A second factor beside the password: the codes of an authenticator app (TOTP, RFC 6238), six
//! digits of HMAC-SHA-1 for each half minute, which is what such apps know. Each opens once.

use aes_gcm::aead::OsRng;
use aes_gcm::aead::rand_core::RngCore;
use form_urlencoded::byte_serialize;
use hmac::{Hmac, Mac};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{SecondFactorRow, UserRow};
use serde_json::json;
use sha1::Sha1;

use super::account::{changeable, user};
use super::secret::{from_hex, is_same, to_hex};
use super::{Accounts, By};
use crate::data::User;

/// As long as what HMAC-SHA-1 gives, as RFC 4226 asks for.
const SECRET_BYTES: usize = 20;
/// For how many seconds a code is the present one. Those before and after it count too, because
/// clocks differ and people are slow.
const STEP: i64 = 30;
/// Codes have six digits.
const CODES: u32 = 1_000_000;

/// What a login brought beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// Nothing was asked for.
    NotAsked,
    /// The code of this step of time.
    Of(i64),
    /// None, a wrong one, or one that was used.
    Wrong,
}

impl Accounts {
    /// Asks a user for codes from now on, in the place of earlier ones, and gives the address that an
    /// app makes them from; nobody is told it again. The user's sessions end.
    pub async fn add_second_factor(&self, name: &str, by: &By) -> Result<String> {
        let mut secret = [0_u8; SECRET_BYTES];
        OsRng.fill_bytes(&mut secret);
        // With its owner, so that nobody can put one in another's place.
        let sealed = self.key().seal(&[&secret[..], name.as_bytes()].concat())?;
        let mut tx = self.store().begin().await?;
        let row = changeable(&mut tx, name, by).await?;
        tx.put_second_factor(name, &to_hex(&sealed)).await?;
        tx.end_logins(name, "").await?;
        let before = json!({ "second_factor": row.second_factor });
        let noted = (Some(before), Some(json!({ "second_factor": true })));
        self.note_in(&mut tx, by, "user totp", name, noted).await?;
        tx.commit().await?;
        Ok(uri(&self.inner.office, name, &secret))
    }

    /// Asks a user for no more codes, as when the phone is lost. The user's sessions end.
    pub async fn remove_second_factor(&self, name: &str, by: &By) -> Result<User> {
        let mut tx = self.store().begin().await?;
        let row = changeable(&mut tx, name, by).await?;
        if !tx.remove_second_factor(name).await? {
            let message = format!("the user `{name}` has no second factor");
            return Err(Error::new(ErrorKind::NotFound, "E-SECOND-FACTOR", message)
                .hint("`huiliu user list` shows who has one"));
        }
        tx.end_logins(name, "").await?;
        let (before, after) = (json!({ "second_factor": true }), json!({ "second_factor": false }));
        self.note_in(&mut tx, by, "user totp", name, (Some(before), Some(after))).await?;
        tx.commit().await?;
        user(&UserRow { second_factor: false, ..row })
    }

    /// What `text` is for a user of whom codes are asked as `row` says.
    pub(super) fn code(
        &self,
        name: &str,
        row: Option<&SecondFactorRow>,
        text: &str,
    ) -> Result<Code> {
        let Some(row) = row else { return Ok(Code::NotAsked) };
        let unreadable = || Error::internal("a second factor is not readable");
        let plain = self.key().open(&from_hex(&row.secret).ok_or_else(unreadable)?)?;
        let (secret, owner) = plain.split_at_checked(SECRET_BYTES).ok_or_else(unreadable)?;
        if owner != name.as_bytes() {
            return Err(unreadable());
        }
        let now = self.clock_now().timestamp().div_euclid(STEP);
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        Ok(match step_of(secret, &digits, now).filter(|step| *step > row.last_step) {
            Some(step) => Code::Of(step),
            None => Code::Wrong,
        })
    }

    /// Uses a code; whether its login may go on. Of two that come with one code at once, one may.
    pub(super) async fn use_code(&self, name: &str, code: Code) -> Result<bool> {
        match code {
            Code::NotAsked => Ok(true),
            Code::Of(step) => self.store().take_step(name, step).await,
            Code::Wrong => Ok(false),
        }
    }
}

/// The step of time of which `digits` are the code, around `now`.
fn step_of(secret: &[u8], digits: &str, now: i64) -> Option<i64> {
    let mut found = None;
    for step in [now - 1, now, now + 1] {
        let code = code_of(secret, step);
        if code.is_some_and(|code| is_same(code.as_bytes(), digits.as_bytes())) {
            found = Some(step);
        }
    }
    found
}

/// The code of a step of time.
fn code_of(secret: &[u8], step: i64) -> Option<String> {
    let mac = <Hmac<Sha1> as Mac>::new_from_slice(secret).ok()?;
    let digest = mac.chain_update(step.to_be_bytes()).finalize().into_bytes();
    let at = usize::from(*digest.last()? & 0x0f);
    let bytes: [u8; 4] = digest.get(at..at + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(bytes) & 0x7fff_ffff) % CODES))
}

/// What apps read, mostly as a picture that another program makes of it.
fn uri(office: &str, name: &str, secret: &[u8]) -> String {
    let part = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let (office, name, secret) = (part(office), part(name), base32(secret));
    format!(
        "otpauth://totp/{office}:{name}?secret={secret}&issuer={office}&algorithm=SHA1&digits=6\
         &period={STEP}"
    )
}

/// Base32 of RFC 4648, for lengths that need no padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let bits = group.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        text.extend((0..8).rev().map(|place| {
            let letter = LETTERS[((bits >> (5 * place)) & 31) as usize];
            char::from(letter)
        }));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_of(SECRET, time / STEP).unwrap(), code, "{time}");
        }
    }

    #[test]
    fn one_step_before_and_after_counts_and_no_other() {
        let now = 1_234_567_890 / STEP;
        let found = |step| step_of(SECRET, &code_of(SECRET, step).unwrap(), now);
        for step in [now - 1, now, now + 1] {
            assert_eq!(found(step), Some(step));
        }
        assert_eq!((found(now - 2), found(now + 2)), (None, None));
        for wrong in ["", "00592", "0059244", "005925"] {
            assert_eq!(step_of(SECRET, wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn apps_read_the_address() {
        assert_eq!(
            uri("江城 数据局", "zhang.wei", SECRET),
            "otpauth://totp/%E6%B1%9F%E5%9F%8E%20%E6%95%B0%E6%8D%AE%E5%B1%80:zhang.wei\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=%E6%B1%9F%E5%9F%8E%20%E6%95%B0%E6%8D%AE%E5%B1%80&algorithm=SHA1&digits=6&period=30"
        );
    }
}
