//! The investment platform as a client meets it.

use std::collections::BTreeSet;

use huiliu_city::{RunningCity, credentials, start};
use serde_json::Value;

use crate::City;
use crate::http::{Answer, get};

async fn ask(running: &RunningCity, city: &City, path: &str) -> Answer {
    let key = credentials(&city.dir()).unwrap().investment_api_key;
    get(&running.investment_url, path, ("ApiKey", &key)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_come_by_page_and_approvals_by_cursor() {
    let city = City::new(1, 0.05).await;
    let running = start(&city.dir()).await.unwrap();
    let mut states = std::collections::BTreeMap::<String, u64>::new();
    for page in 1..=4 {
        let path = format!("/invest/projects?seqId=S1&pageNo={page}&pageSize=10");
        let answer = ask(&running, &city, &path).await;
        assert_eq!(answer.body["code"], "200");
        assert_eq!(answer.body["data"]["code"], "200");
        let result = &answer.body["data"]["result"];
        assert_eq!((&result["code"], &result["total"]), (&Value::from("200"), &Value::from(31)));
        for project in result["list"].as_array().unwrap() {
            let status = project["status"].as_str().unwrap();
            let code = project["projectCode"].as_str().unwrap();
            match status {
                "00" => assert_eq!(code, "审核中"),
                "98" => assert_eq!(code, "驳回"),
                "97" => assert_eq!(code, "作废"),
                _ => {
                    // Of the grammar of the time, or of the later one.
                    let is_one = code.starts_with("2018-3405") || code.starts_with("2011-3405");
                    assert!(status == "99" && code.len() == 24 && is_one, "{code}");
                }
            }
            *states.entry(status.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(serde_json::to_value(&states).unwrap(), city.truth["investment"]);

    let mut numbers = BTreeSet::new();
    let mut cursor = String::new();
    let mut count = 0;
    loop {
        let path = format!("/invest/approvals?cursor={cursor}&limit=7");
        let answer = ask(&running, &city, &path).await;
        let result = &answer.body["data"]["result"];
        for approval in result["list"].as_array().unwrap() {
            numbers.insert(approval["projectNo"].as_str().unwrap().to_owned());
            count += 1;
        }
        match result["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(city.truth["rows"]["investment.approvals"].as_u64(), Some(count));
    assert_eq!(numbers.len() as u64, count);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_in_the_body_and_bad_parameters_are_refused() {
    let city = City::new(1, 0.02).await;
    let running = start(&city.dir()).await.unwrap();
    for path in ["/invest/projects", "/invest/approvals", "/invest/refused"] {
        let answer = get(&running.investment_url, path, ("ApiKey", "guess")).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (200, Some("401")));
    }
    for path in [
        "/invest/projects?pageNo=0",
        "/invest/projects?pageSize=many",
        "/invest/projects?pageSize=501",
        "/invest/refused?pageNo=0",
        "/invest/approvals?cursor=guess",
        "/invest/approvals?cursor=c%F0%9F%98%80",
        "/invest/approvals?limit=-1",
    ] {
        let answer = ask(&running, &city, path).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("400")), "{path}");
    }
    assert_eq!(ask(&running, &city, "/nowhere").await.status, 404);
    running.stop().await;
}
