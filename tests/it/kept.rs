//! What is issued once and for all: rows that stay when nothing gives them any more, and what they
//! said first.

use serde_json::Value;

use crate::hub::{Hub, step};
use crate::office::Office;

const CARDS: &str = "path = \"office.db\"\n\n[[streams]]\nname = \"late\"\ntable = \"late\"\n\
    key = [\"case_no\"]\nread = \"full\"\ndeletes = \"key_scan\"\n\
    guard = { delete_percent = 100 }\n";

const HEAD: &str = "kind = \"table\"\ndescription = \"发出的牌\"\nkey = [\"case_no\"]\n";
const SELECT: &str = "select case_no, days, found_on from current.office_late";

fn write(hub: &Hub, model: &str, head: &str) {
    let folder = hub.project().join("pipelines/models/standard");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("/* +++\n{head}+++ */\n{SELECT}\n");
    std::fs::write(folder.join(format!("{model}.sql")), text).unwrap();
}

/// The cards of a table: case, days, when it was found.
fn cards(hub: &Hub, table: &str) -> Vec<String> {
    let rows = hub.query(&format!("select * from standard.{table} order by case_no"));
    let text = |row: &Value, name: &str| row[name].to_string().replace('"', "");
    let line = |row: &Value| ["case_no", "days", "found_on"].map(|name| text(row, name)).join(" ");
    rows.iter().map(line).collect()
}

#[tokio::test]
async fn a_card_stays_when_its_case_no_longer_gives_it_and_keeps_the_day_it_was_found() {
    let office = Office::new("sqlite", CARDS);
    let hub = &office.hub;
    write(hub, "cards", &format!("{HEAD}keep = true\nfirst = [\"found_on\"]\n"));
    write(hub, "moving", &format!("{HEAD}keep = true\n"));
    write(hub, "plain", HEAD);
    office
        .edit(
            "create table late (case_no text primary key, days integer, found_on date);
             insert into late values ('A', 1, '2018-12-04'), ('B', 2, '2018-12-05'), ('D', 1, null);",
        )
        .await;
    hub.run(&["run"]).expect(0);
    let first = ["A 1 2018-12-04", "B 2 2018-12-05", "D 1 null"];
    for table in ["cards", "moving", "plain"] {
        assert_eq!(cards(hub, table), first, "{table}");
    }

    // B was finished in time after all, A is later still, D has a day now.
    office
        .edit(
            "delete from late where case_no = 'B';
             update late set days = 3, found_on = '2018-12-06' where case_no = 'A';
             update late set found_on = '2018-12-07' where case_no = 'D'",
        )
        .await;
    hub.run(&["run"]).expect(0);
    assert_eq!(cards(hub, "cards"), ["A 3 2018-12-04", "B 2 2018-12-05", "D 1 2018-12-07"]);
    assert_eq!(cards(hub, "moving"), ["A 3 2018-12-06", "B 2 2018-12-05", "D 1 2018-12-07"]);
    assert_eq!(cards(hub, "plain"), ["A 3 2018-12-06", "D 1 2018-12-07"]);

    // B comes again: what it says now, and when that was found first.
    office.edit("insert into late values ('B', 9, '2018-12-20'), ('C', 1, '2018-12-20')").await;
    hub.run(&["run"]).expect(0);
    let now = ["A 3 2018-12-04", "B 9 2018-12-05", "C 1 2018-12-20", "D 1 2018-12-07"];
    assert_eq!(cards(hub, "cards"), now);
    assert_eq!(cards(hub, "moving")[1], "B 9 2018-12-20");

    // Nothing is new, so nothing is built.
    let still = hub.run_json(&["run"]).expect(0).json();
    assert_eq!(step(&still, "models", "standard.cards")["state"], "unchanged");
    assert_eq!(cards(hub, "cards"), now);
}

#[tokio::test]
async fn what_keeps_first_values_says_of_which_columns_and_keeps_rows() {
    let office = Office::new("sqlite", CARDS);
    let hub = &office.hub;
    write(hub, "cards", &format!("{HEAD}first = [\"found_on\"]\n"));
    office.edit("create table late (case_no text primary key, days integer, found_on date)").await;
    office.edit("insert into late values ('A', 1, '2018-12-04')").await;
    let said = hub.run(&["check"]).expect(2).said();
    assert!(said.contains("`first` is of rows that are kept"), "{said}");

    write(hub, "cards", &format!("{HEAD}keep = true\n"));
    hub.run(&["run"]).expect(0);
    write(hub, "cards", &format!("{HEAD}keep = true\nfirst = [\"found\"]\n"));
    office.edit("update late set days = 2").await;
    let report = hub.run_json(&["run"]).json();
    let built = step(&report, "models", "standard.cards");
    assert_eq!((&built["state"], &built["code"]), (&"failed".into(), &"E-MODEL-KEY".into()));
    assert!(built["message"].as_str().unwrap().contains("found"), "{built}");
    assert_eq!(cards(hub, "cards"), ["A 1 2018-12-04"], "the last good table stays");
}
