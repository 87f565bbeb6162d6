//! The portal, the app and the platform of enterprises as clients meet them.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use huiliu_city::{RunningCity, credentials, start};
use huiliu_sdk::{Clock, SystemClock};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::City;
use crate::http::{Answer, get, post};

/// An address under the portal with the given parameters, signed as its manual says.
fn signed(city: &City, path: &str, parameters: &[(&str, &str)], nonce: &str, time: i64) -> String {
    let keys = credentials(&city.dir()).unwrap();
    let time = time.to_string();
    let mut sorted: BTreeMap<&str, &str> = parameters.iter().copied().collect();
    sorted.extend([("appid", keys.portal_app_id.as_str()), ("nonce", nonce), ("timestamp", &time)]);
    let text: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = text.join("&");
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.portal_app_secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let sign: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{path}?{text}&sign={sign}")
}

fn now() -> i64 {
    SystemClock.now().timestamp()
}

async fn ask(running: &RunningCity, path: &str) -> Answer {
    get(&running.portal_url, path, ("x", "y")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_gives_every_account_once_to_those_who_sign() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let mut seen = BTreeMap::new();
    for page in 1.. {
        let number = page.to_string();
        let parameters = [("pageNo", number.as_str()), ("pageSize", "900")];
        let nonce = format!("page-{page}");
        let path = signed(&city, "/portal/accounts", &parameters, &nonce, now());
        let answer = ask(&running, &path).await;
        assert_eq!((answer.status, &answer.body["code"]), (200, &json!(200)), "{}", answer.body);
        assert_eq!(answer.body["data"]["count"], city.truth["rows"]["portal.accounts"]);
        let rows = answer.body["data"]["rows"].as_array().unwrap();
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let id = row["accountId"].as_str().unwrap().to_owned();
            let updated = row["updateTime"].as_str().unwrap().to_owned();
            assert_eq!(row["cancelTime"].is_null(), row["status"] == "1");
            assert!(seen.insert(id, updated).is_none(), "twice: {row}");
        }
    }
    assert_eq!(seen.len() as u64, city.truth["rows"]["portal.accounts"].as_u64().unwrap());
    let mut times: Vec<&String> = seen.values().collect();
    times.sort_unstable();
    let since = times[times.len() / 2].clone();
    let parameters = [("updatedSince", since.as_str()), ("pageSize", "1")];
    let path = signed(&city, "/portal/accounts", &parameters, "since", now());
    let newer = times.iter().filter(|time| ***time >= since).count();
    assert_eq!(ask(&running, &path).await.body["data"]["count"], json!(newer));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_refuses_what_is_not_signed_or_too_old_or_repeated() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let good = signed(&city, "/portal/visits", &[("pageSize", "5")], "n1", now());
    assert_eq!(ask(&running, &good).await.status, 200);
    let other = signed(&city, "/portal/visits", &[("pageSize", "5")], "n2", now());
    let old = signed(&city, "/portal/visits", &[("pageSize", "5")], "n3", now() - 600);
    let changed = other.replace("pageSize=5", "pageSize=6");
    for (path, words) in [
        (good.as_str(), "nonce"),
        (changed.as_str(), "sign"),
        (old.as_str(), "timestamp"),
        ("/portal/visits", "appid"),
    ] {
        let answer = ask(&running, path).await;
        assert_eq!((answer.status, &answer.body["code"]), (401, &json!("401")), "{path}");
        assert!(answer.body["message"].as_str().unwrap().contains(words), "{}", answer.body);
    }
    // What was refused for another reason has used up nothing.
    assert_eq!(ask(&running, &other).await.status, 200);
    running.stop().await;
}

async fn pages(base: &str, path: &str, header: (&str, &str), list: &str) -> Vec<Value> {
    let answer = get(base, path, header).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.pointer(list).unwrap().as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_and_the_platform_of_enterprises_give_their_lists_to_those_they_know() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let keys = credentials(&city.dir()).unwrap();
    let bearer = format!("Bearer {}", keys.app_token);
    let known = ("authorization", bearer.as_str());
    let stranger = ("authorization", "Bearer guess");
    assert_eq!(get(&running.app_url, "/v1/activity", stranger).await.status, 401);
    let all = pages(&running.app_url, "/v1/activity?limit=500", known, "/items").await;
    assert_eq!(all.len(), 16 * 12);
    let rest = pages(&running.app_url, "/v1/activity?limit=500&offset=190", known, "/items").await;
    assert_eq!(rest, all[190..]);

    let url = &running.enterprise_url;
    let wrong = json!({ "client": keys.enterprise_client, "secret": "guess" });
    assert_eq!(post(url, "/qykb/token", ("x", "y"), &wrong).await.status, 401);
    let right = json!({ "client": keys.enterprise_client, "secret": keys.enterprise_secret });
    let answer = post(url, "/qykb/token", ("x", "y"), &right).await;
    let token = answer.body["token"].as_str().unwrap();
    assert_eq!(get(url, "/qykb/steps", ("x", "y")).await.status, 401);
    let steps = format!("/qykb/steps?size=1000&access_token={token}");
    let steps = pages(url, &steps, ("x", "y"), "/data/list").await;
    let bundles = format!("/qykb/bundles?size=1000&access_token={token}");
    let bundles = pages(url, &bundles, ("x", "y"), "/data/list").await;
    assert_eq!(steps.len(), bundles.len() * 4);
    running.stop().await;
}
