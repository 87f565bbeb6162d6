//! A second factor: codes of an authenticator app beside the password.

use chrono::TimeDelta;
use futures::future::join_all;
use hmac::{Hmac, Mac};
use huiliu_sdk::Clock;
use serde_json::{Value, json};
use sha1::Sha1;

use crate::site::{Answer, Site};
use crate::world::{PASSWORD, by};

/// How long a code is the present one, in seconds.
const STEP: i64 = 30;

/// The secret in the address that an app was given.
fn secret(uri: &str) -> Vec<u8> {
    let (_, rest) = uri.split_once("secret=").unwrap();
    let (mut bits, mut count, mut secret) = (0_u32, 0, Vec::new());
    for letter in rest.split('&').next().unwrap().bytes() {
        let value = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
        bits = ((bits << 5) | u32::from(value)) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            secret.push(u8::try_from((bits >> count) & 0xff).unwrap());
        }
    }
    secret
}

/// The code that an app shows at a time.
fn shown(uri: &str, seconds: i64) -> String {
    let mac = <Hmac<Sha1> as Mac>::new_from_slice(&secret(uri)).unwrap();
    let digest = mac.chain_update((seconds / STEP).to_be_bytes()).finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A code that the app does not show about now.
fn wrong(uri: &str, now: i64) -> String {
    let near = [now - STEP, now, now + STEP].map(|time| shown(uri, time));
    (0..4).map(|code| format!("{code:06}")).find(|code| !near.contains(code)).unwrap()
}

async fn log_in(site: &Site, code: &Value) -> Answer {
    let body = json!({ "user": "operator", "password": PASSWORD, "code": code });
    site.json("POST", "/api/v1/login", &[], &body).await
}

fn now(site: &Site) -> i64 {
    site.world.clock.now().timestamp()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_and_opens_once() {
    let site = Site::open().await;
    let accounts = &site.world.accounts;
    let before = site.login("operator").await;
    let uri = accounts.add_second_factor("operator", &by()).await.unwrap();
    assert!(uri.starts_with("otpauth://totp/") && secret(&uri).len() == 20, "{uri}");
    let asked = site.send("GET", "/api/v1/me", &before.headers(), "").await;
    assert_eq!(asked.status, 401, "sessions that came without a code end");

    let wrong = wrong(&uri, now(&site));
    for code in [Value::Null, "".into(), wrong.into()] {
        let answer = log_in(&site, &code).await;
        assert_eq!((answer.status, answer.code()), (401, "E-SIGN-IN".into()), "{code}");
    }
    let code = Value::from(shown(&uri, now(&site)));
    let both = join_all([log_in(&site, &code), log_in(&site, &code)]).await;
    let mut statuses: Vec<u16> = both.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "one code opens once");
    let earlier = Value::from(shown(&uri, now(&site) - STEP));
    assert_eq!(log_in(&site, &earlier).await.code(), "E-SIGN-IN", "nor does an earlier one");

    site.world.clock.advance(TimeDelta::seconds(STEP));
    let shown = shown(&uri, now(&site));
    let (start, end) = shown.split_at(3);
    let form = format!("name=operator&password={PASSWORD}&code={start}+{end}");
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = site.send("POST", "/login", &kind, &form).await;
    assert_eq!((answer.status, answer.header("set-cookie").is_some()), (303, true));
    let again = site.send("POST", "/login", &kind, &form).await;
    assert_eq!((again.status, again.header("set-cookie").is_some()), (401, false));
    site.login("admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_codes_is_slow() {
    let site = Site::open().await;
    let uri = site.world.accounts.add_second_factor("operator", &by()).await.unwrap();
    let wrong = Value::from(wrong(&uri, now(&site)));
    for _ in 0..5 {
        assert_eq!(log_in(&site, &wrong).await.code(), "E-SIGN-IN");
    }
    let right = Value::from(shown(&uri, now(&site)));
    assert_eq!(log_in(&site, &right).await.code(), "E-SIGN-IN-SLOW");
    site.world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(log_in(&site, &right).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_lifts_a_second_factor_and_it_is_in_the_audit() {
    let site = Site::open().await;
    let accounts = &site.world.accounts;
    let lost = accounts.add_second_factor("operator", &by()).await.unwrap();
    let uri = accounts.add_second_factor("operator", &by()).await.unwrap();
    assert!(accounts.user("operator").await.unwrap().second_factor);
    let old = Value::from(shown(&lost, now(&site)));
    if old != shown(&uri, now(&site)).as_str() {
        assert_eq!(log_in(&site, &old).await.code(), "E-SIGN-IN", "the first one is replaced");
    }
    let admin = site.login("admin").await;
    let path = "/api/v1/users/operator/second-factor/reset";
    let reason = json!({ "reason": "lost the phone" });
    let answer = site.json("POST", path, &admin.headers(), &reason).await;
    assert_eq!((answer.status, &answer.json()["second_factor"]), (200, &json!(false)));
    site.login("operator").await;
    let answer = site.json("POST", path, &admin.headers(), &reason).await;
    assert_eq!((answer.status, answer.code()), (404, "E-SECOND-FACTOR".into()));

    accounts.add_second_factor("operator", &by()).await.unwrap();
    let headers = [("Cookie", admin.cookie.as_str())];
    let page = site.send("GET", "/users/operator", &headers, "").await;
    assert!(page.body.contains("/users/operator/second-factor"), "{}", page.body);
    let form = format!("csrf={}", admin.csrf);
    let headers = [headers[0], ("Content-Type", "application/x-www-form-urlencoded")];
    let sent = site.send("POST", "/users/operator/second-factor", &headers, &form).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    site.login("operator").await;

    accounts.add_second_factor("admin", &by()).await.unwrap();
    assert_eq!(site.send("GET", "/api/v1/me", &admin.headers(), "").await.status, 401);
    let rows = accounts.store().audit().await.unwrap();
    let noted: Vec<_> = rows.iter().filter(|row| row.action == "user totp").collect();
    assert_eq!(noted.len(), 6, "each change is noted");
    assert_eq!(noted[2].reason, "lost the phone");
    let all = format!("{rows:?}");
    let letters = uri.split(['=', '&']).nth(1).unwrap();
    assert!(!all.contains(letters) && !all.contains("otpauth"), "no secret is written down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_opens_for_its_owner_only() {
    let site = Site::open().await;
    let accounts = &site.world.accounts;
    let uri = accounts.add_second_factor("operator", &by()).await.unwrap();
    let kept = accounts.store().second_factor("operator").await.unwrap().unwrap();
    let hex: String = secret(&uri).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!kept.secret.contains(&hex), "it is sealed");
    // Somebody who may write the database puts it in the place of another's.
    let mut tx = accounts.store().begin().await.unwrap();
    tx.put_second_factor("admin", &kept.secret).await.unwrap();
    tx.commit().await.unwrap();
    let code = shown(&uri, now(&site));
    let refused = accounts.login("admin", PASSWORD, &code, "local").await;
    assert_eq!(refused.err().unwrap().kind(), huiliu_sdk::ErrorKind::Internal);
    accounts.login("operator", PASSWORD, &code, "local").await.unwrap();
}
