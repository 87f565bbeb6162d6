//! The night of the systems, as those meet it who push to them by day.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use huiliu_city::{Night, RunningCity, credentials, night, start};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use crate::City;
use crate::http::{Answer, get, post, send};

const NOTHING: Night = Night { taken_in: 0, answered: 0, cards: 0 };

fn url(running: &RunningCity, name: &str) -> String {
    let urls = running.by_name();
    urls.iter().find(|(known, _)| *known == name).unwrap().1.to_owned()
}

fn words(answer: &Answer, list: &str, name: &str) -> Vec<String> {
    let list = answer.body.pointer(list).and_then(Value::as_array).unwrap();
    list.iter().map(|entry| entry[name].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn supervision_gives_each_message_its_state_and_a_broken_promise_its_card() {
    let city = City::new(3, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let keys = credentials(&city.dir()).unwrap();
    let user = format!("{}:{}", keys.supervision_user, keys.supervision_password);
    let basic = format!("Basic {}", BASE64_STANDARD.encode(user));
    let header = ("authorization", basic.as_str());
    let platform = url(&running, "supervision");
    let total = |answer: &Answer| answer.body["total"].as_i64().unwrap();
    let known = city.true_number("/rows/supervision.states");
    let issued = city.true_number("/rows/supervision.alerts");
    let late = |message: &str, number: &str, card: &str| {
        json!({ "msgId": message, "projectNo": number, "promiseTime": "2018-12-10 17:30:00",
                "resultTime": "", "card": card })
    };
    let cases = json!({ "cases": [
        late("m1", "p1", "黄牌"), late("m2", "p1", "红牌"), late("m3", "p2", ""),
        late("m4", "p125", "红牌"), late("m5", "", "红牌"),
    ] });
    let acks = post(&platform, "/jc/cases", header, &cases).await;
    assert_eq!(words(&acks, "/acks", "ack"), ["P", "P", "P", "P", "N"]);
    let states = get(&platform, "/jc/states?rows=2000", header).await;
    assert_eq!(total(&states), known, "by day nothing is said");

    let expected = Night { taken_in: 0, answered: 4, cards: 2 };
    assert_eq!(night(&city.dir()).await.unwrap(), expected);
    let since = "/jc/states?rows=2000&updatedSince=2018-12-14 00:00:00";
    let states = get(&platform, since, header).await;
    assert_eq!(words(&states, "/rows", "msgId"), ["m1", "m2", "m3", "m4"]);
    assert_eq!(words(&states, "/rows", "state"), ["Y", "Y", "Y", "N"]);
    assert_eq!(words(&states, "/rows", "errorCode"), ["-", "-", "-", "JC03"]);
    let alerts = get(&platform, &format!("/jc/alerts?rows=2000&start={issued}"), header).await;
    assert_eq!(words(&alerts, "/rows", "level"), ["黄牌", "红牌"]);
    assert_eq!(total(&alerts), issued + 2);

    // The same messages and a further one about a case that has its card.
    post(&platform, "/jc/cases", header, &cases).await;
    assert_eq!(night(&city.dir()).await.unwrap(), NOTHING);
    let again = json!({ "cases": [late("m6", "p1", "黄牌")] });
    post(&platform, "/jc/cases", header, &again).await;
    let expected = Night { answered: 1, ..NOTHING };
    assert_eq!(night(&city.dir()).await.unwrap(), expected);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_investment_platform_takes_results_in_and_lists_those_it_refuses() {
    let city = City::new(3, 0.05).await;
    let running = start(&city.dir()).await.unwrap();
    let key = credentials(&city.dir()).unwrap().investment_api_key;
    let header = ("ApiKey", key.as_str());
    let mut database = city.open("investment.db").await;
    let mut approval = async |sql: &'static str| -> String {
        sqlx::query(sql).fetch_one(&mut database).await.unwrap().get(0)
    };
    let open = approval(
        "select approval_id from approvals where update_time >= '2018-07-01' order by seq limit 1",
    )
    .await;
    let closed = approval(
        "select approval_id from approvals where update_time < '2018-07-01' order by seq limit 1",
    )
    .await;
    let result =
        |id: &str, approval: &str| json!({ "seqId": id, "approvalId": approval, "state": "办结" });
    let results =
        json!({ "results": [result("s1", &open), result("s2", &closed), result("s3", "")] });
    let taken = post(&running.investment_url, "/invest/results", header, &results).await;
    assert_eq!(words(&taken, "/data/result/list", "code"), ["200", "200", "5001"]);
    let refused =
        async || get(&running.investment_url, "/invest/refused?pageSize=500", header).await;
    let before = city.true_number("/rows/investment.refused");
    assert_eq!(refused().await.body["data"]["result"]["total"].as_i64(), Some(before));

    let expected = Night { taken_in: 1, answered: 1, cards: 0 };
    assert_eq!(night(&city.dir()).await.unwrap(), expected);
    let list = refused().await;
    assert_eq!(list.body["data"]["result"]["total"].as_i64(), Some(before + 1));
    let last = list.body["data"]["result"]["list"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["approvalId"], &last["seqId"], &last["code"]),
        (&closed.into(), &"s2".into(), &"5002".into())
    );
    let states = "select count(*) from approvals where state = '办结' \
                  and update_time = '2018-12-14 02:00:00'";
    assert_eq!(city.number("investment.db", states).await, 1);
    assert_eq!(night(&city.dir()).await.unwrap(), NOTHING);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_shows_interfaces_as_they_were_described() {
    let city = City::new(3, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    let bearer = format!("Bearer {}", credentials(&city.dir()).unwrap().app_token);
    let header = ("authorization", bearer.as_str());
    let app = url(&running, "app");
    let described = |request: &str, id: &str, version: &str| {
        json!({ "requestId": request, "interfaceId": id, "version": version,
                "interfaceName": "新名", "provider": "新单位" })
    };
    let body = json!({ "interfaces": [
        described("r1", "WST34050002", "1"), described("r2", "WST34059999", "1"),
    ] });
    let acks = send(&app, "PUT", "/v1/interfaces", header, &body.to_string()).await;
    assert_eq!(words(&acks, "/acks", "ack"), ["accepted", "accepted"]);
    let shown = async || {
        let list = get(&app, "/v1/interfaces?limit=500", header).await;
        let items = list.body["items"].as_array().unwrap().clone();
        let ours = items.into_iter().filter(|item| item["provider"] == "新单位");
        ours.map(|item| item["interfaceId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(shown().await.is_empty(), "by day nothing changes");
    let expected = Night { taken_in: 2, ..NOTHING };
    assert_eq!(night(&city.dir()).await.unwrap(), expected);
    assert_eq!(shown().await, ["WST34050002", "WST34059999"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_in_parallel_marks_each_state_that_was_written_into_its_table() {
    let city = City::new(3, 0.02).await;
    // By what they are behind: accepted, one of them after the city has finished it.
    let planted = city.keys_of("planted", "parallel_state");
    assert_eq!(planted.len(), 2);
    let options = SqliteConnectOptions::new().filename(city.dir().join("parallel.db"));
    let mut front = options.connect().await.unwrap();
    let columns = "xmdm, spjdxh, spsxslbm, blzt, bjsj, blyj";
    let finish = "(select max(slsj) from spgl_xmspsxblxxb where spsxslbm in ('PLANTED'))";
    let finish = finish.replace("PLANTED", &planted.join("', '"));
    // Each ends a second before the later of the two has begun, so one of them before it began.
    let states = format!(
        "insert into spgl_xmspsxblxxb_sb ({columns}) \
         select xmdm, spjdxh, spsxslbm, '办结', datetime({finish}, '-1 second'), '市平台办结' \
         from spgl_xmspsxblxxb where blzt = '受理' and spsxslbm in ('{}')",
        planted.join("', '")
    );
    for sql in [
        states,
        format!(
            "insert into spgl_xmspsxblxxb_sb ({columns}) values \
        ('x', '1', 'nobody', '办结', '2018-12-01 09:00:00', '市平台办结')"
        ),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut front).await.unwrap();
    }
    let opinions = "select count(*) from spgl_xmspsxblxxxxb";
    let before = city.number("parallel.db", opinions).await;

    let expected = Night { taken_in: 1, answered: 3, cards: 0 };
    assert_eq!(night(&city.dir()).await.unwrap(), expected);
    let of = async |condition: &str| -> Vec<String> {
        let sql = format!(
            "select sjsczt || sbyy from spgl_xmspsxblxxb_sb \
             where spsxslbm {condition} order by sjsczt desc"
        );
        let mut connection = city.open("parallel.db").await;
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let both = format!("in ('{}')", planted.join("', '"));
    assert_eq!(of(&both).await, ["1", "-1办结时间早于受理时间"]);
    assert_eq!(of("= 'nobody'").await, ["-1没有这个审批事项办件"]);
    let changed = "select count(*) from spgl_xmspsxblxxb \
                   where blzt = '办结' and gxsj = '2018-12-14 02:00:00'";
    assert_eq!(city.number("parallel.db", changed).await, 1);
    assert_eq!(city.number("parallel.db", opinions).await, before + 1);
    assert_eq!(night(&city.dir()).await.unwrap(), NOTHING);
}
