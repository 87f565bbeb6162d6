//! The provincial platform as a client meets it.

use std::collections::BTreeSet;
use std::time::Duration;

use huiliu_city::{RunningCity, credentials, night, start};
use serde_json::{Value, json};
use sqlx::Row;

use crate::City;
use crate::http::{Answer, get, post, send};

/// A client that comes back when it is told to, and otherwise does what it is told.
struct Client<'c> {
    running: &'c RunningCity,
    token: String,
}

impl<'c> Client<'c> {
    async fn new(city: &City, running: &'c RunningCity) -> Self {
        let keys = credentials(&city.dir()).unwrap();
        let body =
            json!({ "appKey": keys.province_app_key, "appSecret": keys.province_app_secret });
        let answer = post(&running.province_url, "/api/token", ("x", "y"), &body).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (200, Some("0")));
        assert_eq!(answer.body["data"]["expiresIn"], 1800);
        Self { running, token: answer.body["data"]["token"].as_str().unwrap().to_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        let header = ("x-access-token", self.token.as_str());
        let answer = get(&self.running.province_url, path, header).await;
        if answer.status == 429 {
            get(&self.running.province_url, path, header).await
        } else {
            answer
        }
    }

    async fn push(&self, records: &[Value]) -> Answer {
        let header = ("x-access-token", self.token.as_str());
        let body = json!({ "records": records });
        let path = "/api/cases/push";
        let answer = post(&self.running.province_url, path, header, &body).await;
        if answer.status == 429 {
            post(&self.running.province_url, path, header, &body).await
        } else {
            answer
        }
    }

    async fn all(&self, parameters: &str) -> (u64, Vec<Value>) {
        let mut records = Vec::new();
        for page in 1.. {
            let answer = self.get(&format!("/api/cases?page={page}&size=900{parameters}")).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let list = answer.body["data"]["list"].as_array().unwrap();
            if list.is_empty() {
                return (answer.body["data"]["total"].as_u64().unwrap(), records);
            }
            records.extend(list.iter().cloned());
        }
        unreachable!("pages end")
    }
}

fn records(range: std::ops::Range<u32>) -> Vec<Value> {
    range
        .map(|number| {
            json!({
                "requestId": format!("request-{number:06}"),
                "projectNo": format!("34050020181213{number:06}"),
                "applicantName": "测试",
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_every_record_once_in_order_and_since_a_time() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let client = Client::new(&city, &running).await;
    let (total, all) = client.all("").await;
    assert_eq!(city.truth["rows"]["province.cases"].as_u64(), Some(total));
    assert_eq!(all.len() as u64, total);
    let order = |record: &Value| {
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        (text("updateTime"), text("recordId"))
    };
    assert!(all.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])));
    let since = order(&all[all.len() / 2]).0;
    let (newer_total, newer) = client.all(&format!("&updatedSince={since}")).await;
    let expected: Vec<&Value> = all.iter().filter(|record| order(record).0 >= since).collect();
    assert_eq!(newer_total as usize, expected.len());
    assert_eq!(newer.iter().collect::<Vec<_>>(), expected);
    let (none, _) = client.all("&updatedSince=2018-12-13 18:00:00").await;
    assert_eq!(none, 0);
    assert!(all.iter().any(|record| record["resultType"].is_null()));
    assert!(all.iter().all(|record| record["dataVersion"].is_u64()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_nonsense_are_refused_in_json() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let url = &running.province_url;
    let wrong = json!({ "appKey": "a", "appSecret": "b" });
    let answer = post(url, "/api/token", ("x", "y"), &wrong).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (401, Some("401")));
    for path in ["/api/cases", "/api/cases/push?requestId=a"] {
        let answer = get(url, path, ("x-access-token", "guess")).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (401, Some("401")));
    }
    let client = Client::new(&city, &running).await;
    for path in [
        "/api/cases?page=0",
        "/api/cases?size=2001",
        "/api/cases?size=x",
        "/api/cases?page=99999999999999999999",
        "/api/cases?updatedSince=yesterday",
        "/api/cases?updatedSince=2018-1-1 00:00:00",
        "/api/cases/push",
    ] {
        let answer = client.get(path).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("400")), "{path}");
    }
    let header = ("x-access-token", client.token.as_str());
    for body in ["", "{", "[]", "{\"records\":7}", "{\"records\":[{}]}", "{\"records\":[7]}"] {
        let answer = send(url, "POST", "/api/cases/push", header, body).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("400")), "{body}");
    }
    let health = get(url, "/api/health", ("x", "y")).await;
    assert_eq!((health.status, health.body["code"].as_str()), (200, Some("0")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seventh_request_after_the_start_is_told_to_wait() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    for number in 1..=20 {
        let answer = get(&running.province_url, "/api/cases", ("x", "y")).await;
        let expected = if number == 7 { 429 } else { 401 };
        assert_eq!(answer.status, expected, "request {number}");
        assert_eq!(answer.head.to_lowercase().contains("retry-after: 1"), number == 7);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_stored_once_and_answered_the_same_again() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let client = Client::new(&city, &running).await;
    let sent = records(0..2000);
    let first = client.push(&sent).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let verdicts = first.body["data"].as_array().unwrap();
    assert_eq!(verdicts.len(), 2000);
    for (record, verdict) in sent.iter().zip(verdicts) {
        assert_eq!(record["requestId"], verdict["requestId"]);
    }
    let rejected: BTreeSet<&str> = verdicts
        .iter()
        .filter(|verdict| verdict["result"] == "rejected")
        .map(|verdict| verdict["requestId"].as_str().unwrap())
        .collect();
    assert!((30..=95).contains(&rejected.len()), "{}", rejected.len());
    let again = client.push(&sent[..700]).await;
    assert_eq!(again.body["data"].as_array().unwrap()[..], verdicts[..700]);

    let id = rejected.first().unwrap();
    let known = client.get(&format!("/api/cases/push?requestId={id},never-sent")).await;
    let known = known.body["data"].as_array().unwrap();
    assert_eq!((&known[0]["result"], &known[1]["result"]), (&json!("rejected"), &json!("unknown")));
    assert!(known[0]["code"].as_str().unwrap().starts_with('E'));

    let mut connection = city.open("province.db").await;
    let row = sqlx::query(
        "select count(*), sum(times_sent), sum(result = 'rejected'), min(first_received_at) \
         from received",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (2000, 2700));
    assert_eq!(row.get::<i64, _>(2), i64::try_from(rejected.len()).unwrap());
    assert!(row.get::<&str, _>(3).starts_with("2018-12-13 18:0"));
    let (total, _) = client.all("&updatedSince=2018-12-13 00:00:00").await;
    assert!(total < 2000, "pushed cases are not given out");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_by_day_is_listed_after_the_night() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let client = Client::new(&city, &running).await;
    let number = "34050020181213999001";
    let case = json!({
        "requestId": "n1", "projectNo": number, "taskCode": "t", "taskName": "事项",
        "orgCode": "o", "orgName": "某局", "applicantName": "甲", "applicantType": "1",
        "certType": "111", "certNo": "1", "acceptDate": "2018-12-12 10:00:00",
        "resultType": "0", "resultDate": "2018-12-13 10:00:00", "divisionCode": "340500000000",
    });
    let pushed = client.push(&[case]).await;
    assert_eq!(pushed.body["data"][0]["result"], "accepted", "{}", pushed.body);
    let mut database = city.open("province.db").await;
    let known = sqlx::query("select item_id from items order by seq limit 3");
    let known = known.fetch_all(&mut database).await.unwrap();
    let mut ids: Vec<String> = known.iter().map(|row| row.get(0)).collect();
    ids.push("new-item".to_owned());
    let item = |id: &String| {
        json!({ "requestId": format!("of {id}"), "itemId": id, "taskCode": "t", "taskName": "事项",
                "taskVersion": "9", "taskState": "3", "orgCode": "o" })
    };
    let items = json!({ "records": ids.iter().map(item).collect::<Vec<Value>>() });
    let header = ("x-access-token", client.token.as_str());
    let pushed = post(&running.province_url, "/api/items/push", header, &items).await;
    let verdicts = pushed.body["data"].as_array().unwrap();
    let accepted = verdicts.iter().filter(|verdict| verdict["result"] == "accepted").count();
    assert!(accepted > 0, "{}", pushed.body);
    let (none, _) = client.all("&updatedSince=2018-12-13 18:00:00").await;
    assert_eq!(none, 0, "by day nothing is listed");

    let brought = night(&city.dir()).await.unwrap();
    assert_eq!(brought.taken_in, 1 + accepted as u64);
    let (one, cases) = client.all("&updatedSince=2018-12-13 18:00:00").await;
    assert_eq!((one, cases.len()), (1, 1));
    assert_eq!((&cases[0]["projectNo"], &cases[0]["dataVersion"]), (&json!(number), &json!(1)));
    assert_eq!(cases[0]["updateTime"], "2018-12-14 02:00:00");
    let listed = client.get("/api/items?size=100&updatedSince=2018-12-14 00:00:00").await;
    let data = &listed.body["data"];
    assert_eq!(data["total"].as_u64(), Some(accepted as u64), "{data}");
    for item in data["list"].as_array().unwrap() {
        assert_eq!((&item["taskVersion"], &item["taskState"]), (&json!(9), &json!("3")), "{item}");
        assert!(ids.iter().any(|id| item["itemId"] == id.as_str()), "{item}");
    }
    let gaps = "select max(seq) - count(*) from items";
    assert_eq!(city.number("province.db", gaps).await, 0, "pages are ranges of the numbers");
    assert_eq!(night(&city.dir()).await.unwrap().taken_in, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_pushes_are_stored_and_then_answered_late_only_once() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let client = Client::new(&city, &running).await;
    let mut stalled = Vec::new();
    for number in 0..200 {
        let record = records(number..number + 1);
        let push = tokio::time::timeout(Duration::from_secs(2), client.push(&record)).await;
        if push.is_err() {
            let id = record[0]["requestId"].as_str().unwrap().to_owned();
            let known = client.get(&format!("/api/cases/push?requestId={id}")).await;
            assert_ne!(known.body["data"][0]["result"], "unknown", "stored before the stall");
            stalled.push(record);
        }
        if stalled.len() == 2 {
            break;
        }
    }
    assert!(!stalled.is_empty());
    for record in &stalled {
        let again = tokio::time::timeout(Duration::from_secs(2), client.push(record)).await;
        assert_eq!(again.unwrap().status, 200, "known ids are answered at once");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_stay_the_same_while_they_are_free() {
    let city = City::new(1, 0.02).await;
    let first = start(&city.dir()).await.unwrap();
    let urls = (first.province_url.clone(), first.investment_url.clone());
    let second = start(&city.dir()).await.unwrap();
    assert_ne!(second.province_url, urls.0);
    second.stop().await;
    first.stop().await;
    let third = start(&city.dir()).await.unwrap();
    assert_ne!(third.province_url, third.investment_url);
    let again = (third.province_url.clone(), third.investment_url.clone());
    third.stop().await;
    let fourth = start(&city.dir()).await.unwrap();
    assert_eq!((fourth.province_url.clone(), fourth.investment_url.clone()), again);
    fourth.stop().await;
}
