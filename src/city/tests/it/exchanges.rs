//! The systems that take and give by turns: what their files say by plain SQL, what their services
//! say to a raw socket.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use huiliu_city::{RunningCity, credentials, start};
use huiliu_sdk::{Clock, SystemClock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Row};

use crate::City;
use crate::http::{Answer, get, post, send};

async fn texts(city: &City, file: &str, sql: &str) -> BTreeSet<String> {
    let mut connection = city.open(file).await;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn planted(city: &City, name: &str) -> BTreeSet<String> {
    city.keys_of("planted", name).into_iter().collect()
}

fn url(running: &RunningCity, name: &str) -> String {
    let urls = running.by_name();
    urls.iter().find(|(known, _)| *known == name).unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_between_the_systems_is_in_their_files() {
    for (seed, scale) in [(1, 0.02), (42, 0.05)] {
        println!("seed {seed}, scale {scale}");
        let city = City::new(seed, scale).await;
        for (file, name, sql) in [
            ("ems.db", "ems_returned", "select waybill_no from traces where trace_code = '90'"),
            (
                "ems.db",
                "ems_stuck",
                "select waybill_no from traces group by waybill_no having max(trace_code) = '10'",
            ),
            (
                "parallel.db",
                "parallel_not_sent",
                "select xmdm from spgl_xmjbxxb where sjsczt = '-1' and sbyy <> ''",
            ),
            (
                "parallel.db",
                "parallel_unknown_project",
                "select spsxslbm from spgl_xmspsxblxxb where xmdm not in \
                 (select xmdm from spgl_xmjbxxb)",
            ),
            (
                "parallel.db",
                "parallel_without_opinion",
                "select spsxslbm from spgl_xmspsxblxxb where blzt = '办结' and spsxslbm not in \
                 (select spsxslbm from spgl_xmspsxblxxxxb)",
            ),
            (
                "micro.db",
                "micro_lost",
                "select apply_no from applications where project_no is null",
            ),
        ] {
            assert_eq!(texts(&city, file, sql).await, planted(&city, name), "{name}");
        }
        let delivered =
            city.number("ems.db", "select count(*) from traces where trace_code = '80'").await;
        assert_eq!(delivered, city.true_number("/figures/delivered_ratio/numerator"));
        // Nobody gets two cards of one colour, and a red one is never before a yellow one.
        let twice = "select project_no from alerts group by project_no, level having count(*) > 1";
        assert!(texts(&city, "supervision.db", twice).await.is_empty());
        let files = std::fs::read_dir(city.dir().join("vertical_4")).unwrap();
        let names: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert!(names.iter().any(|name| name.ends_with("Q4.xml")), "{names:?}");
        let data = names.iter().filter(|name| name.ends_with(".xml")).count();
        assert_eq!(data * 2, names.len(), "each file has its control file");
    }
}

/// A form for the express, signed over its sorted fields.
fn form(key: &str, secret: &str, fields: &[(&str, &str)]) -> String {
    let mut fields: Vec<(&str, &str)> = fields.to_vec();
    fields.push(("app_key", key));
    fields.sort_unstable();
    let text: String = fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let sign = BASE64_STANDARD.encode(Sha256::digest(format!("{text}{secret}")));
    fields.push(("sign", &sign));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let coded = |text: &str| -> String {
        text.bytes()
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", coded(value))).collect();
    pairs.join("&")
}

async fn express(running: &RunningCity, form: &str) -> Answer {
    send(&url(running, "ems"), "POST", "/gateway", ("x", "y"), form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_express_takes_signed_orders_once_and_tells_refusals_in_the_body() {
    let city = City::new(3, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let keys = credentials(&city.dir()).unwrap();
    let now = SystemClock.now().timestamp().to_string();
    let orders: Vec<Value> = (0..200)
        .map(
            |n| json!({ "txLogisticID": format!("T{n}"), "orderNo": format!("3405002018{n:010}") }),
        )
        .collect();
    let info = json!(orders).to_string();
    let fields = [
        ("method", "ems.inland.order.create"),
        ("format", "json"),
        ("version", "V0.1"),
        ("timestamp", now.as_str()),
        ("gotInfo", info.as_str()),
    ];
    let wrong = express(&running, &form(&keys.ems_key, "guess", &fields)).await;
    assert_eq!((wrong.status, wrong.body["success"].as_str()), (200, Some("F")));
    let right = form(&keys.ems_key, &keys.ems_secret, &fields);
    let first = express(&running, &right).await;
    assert_eq!(first.body["success"], "T", "{}", first.body);
    let said = |answer: &Answer| answer.body["list"].as_array().unwrap().clone();
    let refused = said(&first).iter().filter(|order| order["success"] == "F").count();
    assert!((1..20).contains(&refused), "{refused} of 200");
    assert_eq!(said(&express(&running, &right).await), said(&first));
    let sent = "select count(*) from pushed where push = 'orders' and times_sent = 2";
    assert_eq!(city.number("ems.db", sent).await, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_know_their_users_and_no_others() {
    let city = City::new(3, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let keys = credentials(&city.dir()).unwrap();
    let basic = |user: &str, password: &str| {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
    };

    let supervision = url(&running, "supervision");
    let known = basic(&keys.supervision_user, &keys.supervision_password);
    let alerts = get(&supervision, "/jc/alerts?rows=2000", ("authorization", &known)).await;
    let issued = city.truth["rows"]["supervision.alerts"].as_u64();
    assert_eq!(alerts.body["total"].as_u64(), issued);
    let cases = json!({ "cases": [{ "msgId": "m1", "projectNo": "p1" }, { "msgId": "m2" }] });
    let stranger = basic(&keys.supervision_user, "guess");
    for path in ["/jc/alerts", "/jc/cases", "/jc/states"] {
        let method = if path == "/jc/cases" { "POST" } else { "GET" };
        let header = ("authorization", stranger.as_str());
        let answer = send(&supervision, method, path, header, &cases.to_string()).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    let acks = post(&supervision, "/jc/cases", ("authorization", &known), &cases).await;
    assert_eq!(acks.body["acks"][0]["ack"], "P", "{}", acks.body);
    assert_eq!(acks.body["acks"][1]["ack"], "N", "a case without a number is refused");

    let micro = url(&running, "micro");
    let client = basic(&keys.micro_client, &keys.micro_secret);
    let grant = "grant_type=client_credentials";
    let stranger = basic(&keys.micro_client, "guess");
    let header = ("authorization", stranger.as_str());
    assert_eq!(send(&micro, "POST", "/oauth2/token", header, grant).await.status, 401);
    let header = ("authorization", client.as_str());
    let token = send(&micro, "POST", "/oauth2/token", header, grant).await;
    let bearer = format!("Bearer {}", token.body["access_token"].as_str().unwrap());
    let visits = get(&micro, "/wx/visits?size=1000", ("authorization", &bearer)).await;
    assert_eq!(visits.body["total"].as_u64(), city.truth["rows"]["micro.visits"].as_u64());
    assert_eq!(get(&micro, "/wx/visits", ("authorization", "Bearer guess")).await.status, 401);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_to_be_published_are_acknowledged_when_they_are_whole() {
    let city = City::new(3, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let folder = city.dir().join("publish");
    let data = "key,value\nitems_total,1\n";
    std::fs::write(folder.join("figures_1.csv"), data).unwrap();
    std::fs::write(folder.join("waiting.csv"), data).unwrap();
    std::fs::write(folder.join("short.csv"), &data[..14]).unwrap();
    let control = format!("rows=1\nsha256={:x}\n", Sha256::digest(data));
    std::fs::write(folder.join("short.ctl"), &control).unwrap();
    std::fs::write(folder.join("figures_1.ctl"), &control).unwrap();
    let began = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let ack = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    while ack("figures_1.csv.ack").is_empty() || ack("short.csv.ack").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody acknowledges");
        looks.tick().await;
    }
    assert!(ack("figures_1.csv.ack").starts_with("result=accepted\nrows=1\n"));
    assert!(ack("short.csv.ack").starts_with("result=rejected\n"));
    running.stop().await;
    assert!(!folder.join("waiting.csv.ack").exists(), "it has no control file");
}
