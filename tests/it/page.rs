//! The daily page through the program: it says what the other commands say, whatever happened.

use std::path::Path;

use serde_json::Value;

use crate::hub::{Hub, step};

/// The page in a file, which must be a page of its own.
fn page(file: &Path) -> String {
    let html = String::from_utf8(std::fs::read(file).unwrap()).unwrap();
    assert!(html.starts_with("<!DOCTYPE html><html lang=\"zh-CN\">"), "{html}");
    for outside in ["http:", "https:", "src=", "url(", "<script", "<link", "@import"] {
        assert!(!html.contains(outside), "the page has {outside}");
    }
    let beside = std::fs::read_dir(file.parent().unwrap()).unwrap();
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    assert_eq!(beside.filter(|e| hidden(&e.as_ref().unwrap().file_name())).count(), 0);
    html
}

/// Where `html` goes on after `text`, which it must have.
#[track_caller]
fn after<'a>(html: &'a str, text: &str) -> &'a str {
    html.split_once(text).unwrap_or_else(|| panic!("the page has no `{text}`")).1
}

/// The cells of numbers in the row of a stream.
fn cells(html: &str, node: &str) -> Vec<u64> {
    let row = after(after(html, "id=\"balances\""), &format!("role=\"rowheader\">{node}<"));
    let row = row.split("</tr>").next().unwrap();
    let numbers = row.split("data-label=").skip(1).map(|cell| after(cell, ">"));
    numbers.map(|cell| cell.split('<').next().unwrap().parse().unwrap()).collect()
}

fn attention(hub: &Hub) -> Vec<Value> {
    let report = hub.run_json(&["report", "daily"]).expect(0).json();
    report["attention"].as_array().unwrap().clone()
}

#[test]
fn a_run_writes_a_page_with_the_figures_and_balances_that_the_program_shows() {
    let hub = Hub::shipped();
    hub.prepared(7);
    let html = page(&hub.data().join("reports/daily.html"));
    let figures = hub.run_json(&["metric", "show"]).expect(0).json();
    let figures = figures["figures"].as_array().unwrap();
    assert!(figures.len() > 8);
    for figure in figures {
        let card = after(&html, &format!("<h3>{}</h3>", figure["title"].as_str().unwrap()));
        let card = card.split("</article>").next().unwrap();
        let value = figure["value"].as_str().unwrap();
        assert!(card.contains(&format!("<data value=\"{value}\">{value}</data>")), "{card}");
        if let Some(denominator) = figure["denominator"].as_i64() {
            let parts = format!("{} / {denominator}", figure["numerator"]);
            assert!(card.contains(&parts), "{parts} in {card}");
        }
    }
    let shown = hub.run_json(&["runs", "show", "1"]).expect(0).json();
    let mut streams = 0;
    for step in shown["steps"].as_array().unwrap().iter().filter(|s| s["kind"] == "stream") {
        let columns =
            ["read", "written", "unchanged", "deduplicated", "filtered", "quarantined", "deleted"];
        let balance = columns.map(|column| step[column].as_u64().unwrap());
        assert_eq!(cells(&html, step["node"].as_str().unwrap()), balance, "{step}");
        streams += 1;
    }
    assert!(streams > 8, "{shown}");
    // The ledger's open differences are on the page, whoever has to look after them.
    let ledger = hub.run_json(&["reconcile", "ledger", "--state", "open"]).expect(0).json();
    let said = hub.run_json(&["report", "daily"]).expect(0).json();
    let of_owner = |owner: &Value| -> u64 {
        owner["open"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum()
    };
    let owners = said["page"]["differences"][0]["owners"].as_array().unwrap();
    assert_eq!(Some(owners.iter().map(of_owner).sum()), ledger["count"].as_u64());
    // No applicant is on it.
    for name in hub.query("select distinct applyer_name as name from current.city_cases_accepted") {
        let name = name["name"].as_str().unwrap();
        assert!(name.chars().count() < 3 || !html.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_page_says_how_figures_moved_since_the_day_before() {
    let hub = Hub::edited();
    hub.prepared(7);
    let total = |hub: &Hub| {
        let shown = hub.run_json(&["metric", "show", "consistent_ratio"]).expect(0).json();
        shown["figures"][0].clone()
    };
    let before = total(&hub);
    // What was done so far was done a day ago.
    let mut database = crate::lake::sqlite(&hub.database()).await;
    for moved in [
        "update ducklake_snapshot set snapshot_time =
           strftime('%Y-%m-%d %H:%M:%f+00', substr(snapshot_time, 1, 23), '-1 day')",
        "update huiliu_run set started_at = strftime('%Y-%m-%dT%H:%M:%fZ', started_at, '-1 day')",
        "update huiliu_step set finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', finished_at, '-1 day')",
    ] {
        sqlx::query(moved).execute(&mut database).await.unwrap();
    }
    drop(database);
    hub.run(&["demo", "change", "--rows", "60"]).expect(0);
    // The rows just edited were accepted on another day than the province was told.
    let mut city = crate::lake::sqlite(&hub.city().join("operation.db")).await;
    let moved = "update up_pro_accept set accept_date = '2017-12-25 10:00:00'
                 where update_time = (select max(update_time) from up_pro_accept)";
    sqlx::query(moved).execute(&mut city).await.unwrap();
    drop(city);
    // Those cases are no longer of the year that the report counts, which the demo says.
    hub.run(&["demo", "--scale", "0.05", "--seed", "7"]).expect(1);
    let after = total(&hub);
    assert_ne!(before["numerator"], after["numerator"], "nothing moved");
    let said = hub.run_json(&["report", "daily"]).expect(0).json();
    let figures = said["page"]["figures"].as_array().unwrap();
    let shown = figures.iter().find(|figure| figure["key"] == "consistent_ratio").unwrap();
    let trend: Vec<&Value> =
        shown["trend"].as_array().unwrap().iter().map(|p| &p["text"]).collect();
    assert_eq!(trend, [&before["value"], &after["value"]]);
    assert_eq!(shown["change"]["before"], before["value"]);
    let explained = hub.run_json(&[
        "metric",
        "explain",
        "consistent_ratio",
        "--from",
        &before["snapshot"].to_string(),
    ]);
    let change = explained.expect(0).json()["change"].as_str().unwrap().to_owned();
    assert_eq!(shown["change"]["size"], change.trim_start_matches('-'), "{shown}");
    let sign = if change.starts_with('-') { -1 } else { 1 };
    assert_eq!(shown["change"]["sign"], sign);
}

#[test]
fn a_run_that_went_wrong_writes_a_page_that_says_so() {
    let hub = Hub::edited();
    hub.prepared(7);
    // The demo's endpoints are down by now, and nobody waits for them.
    hub.edit("config/hub.toml", "parallel = 4", "parallel = 4\nretries = 0");
    let report = hub.run_json(&["run"]).expect(4).json();
    assert_eq!(step(&report, "reports", "reports.daily")["state"], "succeeded");
    assert_eq!(step(&report, "streams", "province.cases")["state"], "failed");
    let html = page(&hub.data().join("reports/daily.html"));
    let top = html.split("<main>").next().unwrap();
    assert!(top.contains("部分成功") && top.contains("件事需要人处理"), "{top}");
    assert!(top.contains("<code>province.cases</code> 失败："), "{top}");
    assert!(top.contains("因上游失败没有运行"), "{top}");
    assert!(after(&html, "role=\"rowheader\">province.cases<").contains("✕ 失败"));
    assert!(attention(&hub).iter().any(|item| item["node"] == "province.cases"));
}

#[test]
fn a_page_that_cannot_be_written_fails_its_step_and_leaves_the_old_one() {
    let hub = Hub::edited();
    hub.prepared(7);
    let file = hub.data().join("reports/daily.html");
    let before = std::fs::read(&file).unwrap();
    hub.edit("config/hub.toml", "\"reports/daily.html\"", "\"huiliu.db/daily.html\"");
    let said = hub.run(&["run", "reports.daily"]).expect(3).said();
    assert!(said.contains("E-REPORT"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    hub.edit("config/hub.toml", "\"huiliu.db/daily.html\"", "\"reports/{date}.html\"");
    hub.run(&["run", "reports.daily"]).expect(0);
    let names = std::fs::read_dir(file.parent().unwrap()).unwrap();
    let names: Vec<String> =
        names.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    let is_day = |name: &&String| name.len() == "2018-12-13.html".len();
    assert_eq!((names.len(), names.iter().filter(is_day).count()), (2, 1), "{names:?}");
    let out = hub.data().join("by/hand.html");
    hub.run(&["report", "daily", "--out", out.to_str().unwrap()]).expect(0);
    assert!(page(&out).contains("数据日报"));
    assert!(hub.run(&["report", "daily"]).expect(0).out.starts_with("<!DOCTYPE html>"));
}
