//! Reconciliation: what was planted is found, nothing else is, and differences live as they should.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hub::{Hub, step};
use crate::office::Office;

fn planted(truth: &Value, list: &str, name: &str) -> BTreeSet<String> {
    let keys = truth[list][name]["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// Keys in the ledger by rule, field and system.
fn ledger(hub: &Hub) -> BTreeMap<(String, String, String), BTreeSet<String>> {
    let report = hub.run_json(&["reconcile", "ledger", "--limit", "1000000"]).expect(0).json();
    let mut found: BTreeMap<(String, String, String), BTreeSet<String>> = BTreeMap::new();
    for row in report["differences"].as_array().unwrap() {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let kind = (text("rule"), text("field"), text("system"));
        assert!(found.entry(kind).or_default().insert(text("entity_key")), "twice: {row}");
        assert!(!text("owner").is_empty(), "nobody answers for {row}");
        assert_eq!(row["age_workdays"], 0, "{row}");
        assert!(["open", "fixed"].contains(&row["state"].as_str().unwrap()), "{row}");
    }
    found
}

/// Every difference that was planted is in the ledger, and nothing else is.
pub(crate) fn check_ledger(hub: &Hub, report: &Value) {
    let truth = hub.truth();
    let of_class = |class: &str| planted(&truth, "classes", class);
    let set = |name: &str| planted(&truth, "sets", name);
    let expected = [
        (("missing_in_city", "", "city"), of_class("missing_in_city")),
        (("missing_in_province", "", "province"), of_class("missing_in_province")),
        (("missing_in_department", "", "department"), of_class("missing_in_department")),
        (("duplicate_key", "", "city"), set("duplicate_in_city")),
        (("duplicate_key", "", "province"), set("duplicate_in_province")),
        (("mismatch", "accept_time", "province"), set("accept_time_conflict_in_province")),
        (("unkeyed", "", "department"), of_class("outside_platform")),
    ];
    let mut found = ledger(hub);
    for ((rule, field, system), planted) in expected {
        let kind = (rule.to_owned(), field.to_owned(), system.to_owned());
        assert_eq!(found.remove(&kind).unwrap_or_default(), planted, "{kind:?}");
    }
    // The department is trusted most, so its own deviation shows in the others.
    let mut status = BTreeMap::new();
    for ((rule, field, system), keys) in found {
        assert_eq!((rule.as_str(), field.as_str()), ("mismatch", "status"), "{system}: {keys:?}");
        status.insert(system, keys);
    }
    let by_department = set("status_conflict_in_department");
    let by_province = set("status_conflict_in_province");
    assert_eq!(status.remove("city").unwrap_or_default(), by_department);
    let both: BTreeSet<String> = by_department.union(&by_province).cloned().collect();
    assert_eq!(status.remove("province").unwrap_or_default(), both);
    assert!(status.is_empty(), "{status:?}");

    let show = hub.run_json(&["reconcile", "show"]).expect(0).json();
    for class in ["matched", "pending", "mismatch", "duplicate_key"] {
        assert_eq!(show["classes"][class], truth["classes"][class]["count"], "{class}");
    }
    assert_eq!(show["classes"]["unkeyed"], truth["classes"]["outside_platform"]["count"]);
    assert_eq!(show["unknown_codes"].as_array().unwrap().len(), 0, "{show}");
    let push = step(report, "pushes", "push.province.cases");
    assert_eq!(show["states"]["fixed"], push["accepted"], "{show}");
}

#[test]
fn a_hundred_changed_rows_make_a_hundred_keys_be_looked_at() {
    let hub = Hub::shipped();
    let first = hub.prepared(7);
    let all = step(&first, "reconciliations", "reconciled.cases")["read"].as_u64().unwrap();
    hub.run_json(&["demo", "change", "--rows", "100"]).expect(0);
    let second = hub.demo(7);
    let step = step(&second, "reconciliations", "reconciled.cases");
    // The changed rows were received by another run, which the golden rows say.
    assert_eq!((&step["written"], &step["read"]), (&100.into(), &all.into()), "{step}");
    let message = step["message"].as_str().unwrap();
    let pending = hub.query("select count(*) as n from reconciled.cases where class = 'pending'");
    let looked = 100 + pending[0]["n"].as_u64().unwrap();
    assert!(message.contains(&format!("{looked} looked at")), "{message}, {looked}");
    let written = hub.query("select city_run from reconciled.cases where city_run <> 1");
    assert_eq!(written.len(), 100);

    let moved = hub.query("select project_no from reconciled.cases where city_run <> 1 limit 1");
    let key = moved[0]["project_no"].as_str().unwrap();
    let trace = hub.run_json(&["trace", key]).expect(0).json();
    let entries = trace["entries"].as_array().unwrap();
    let of = |of: &str| entries.iter().filter(|entry| entry["of"] == of).count();
    assert_eq!(of("city_cases.accepted"), 2, "both versions: {trace}");
    assert_eq!((of("province.cases"), of("reconciled.cases")), (1, 1), "{trace}");
    let times: Vec<&str> = entries.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(trace.to_string().contains("****"), "personal data is masked");
}

const STREAMS: &str = "path = \"office.db\"\n\n\
    [[streams]]\nname = \"here\"\ntable = \"here\"\nkey = [\"id\"]\nread = \"full\"\n\
    deletes = \"key_scan\"\nguard = { delete_percent = 100 }\n\n\
    [[streams]]\nname = \"there\"\ntable = \"there\"\nkey = [\"id\"]\nread = \"full\"\n\
    deletes = \"key_scan\"\nguard = { delete_percent = 100 }\n";

const RECONCILE: &str = r#"
version = 1
entity = "case"
title = "办件"
key = ["no"]
[systems.here]
table = "current.office_here"
owner = "窗口"
[systems.there]
table = "current.office_there"
owner = "省里"
[fields.state]
compare = "exact"
[warn]
mismatch = 0
"#;

async fn office() -> Office {
    let office = Office::new("sqlite", STREAMS);
    let folder = office.hub.project().join("pipelines/reconcile");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("case.toml"), RECONCILE).unwrap();
    office
        .edit(
            "create table here (id text, no text, state text);
             create table there (id text, no text, state text);
             insert into here values ('1', 'A', '50'), ('2', 'B', '50'), ('3', 'C', '30');
             insert into there values ('1', 'A', '50'), ('2', 'B', '51'), ('3', 'C', '30');",
        )
        .await;
    office
}

fn states(hub: &Hub) -> Vec<(String, String, String)> {
    let report = hub.run_json(&["reconcile", "ledger", "--all"]).expect(0).json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = report["differences"].as_array().unwrap();
    let mut states: Vec<(String, String, String)> = rows
        .iter()
        .map(|row| (text(row, "entity_key"), text(row, "rule"), text(row, "state")))
        .collect();
    states.sort();
    states
}

fn one(key: &str, rule: &str, state: &str) -> (String, String, String) {
    (key.to_owned(), rule.to_owned(), state.to_owned())
}

#[tokio::test]
async fn a_difference_lives_from_open_to_closed_and_comes_back() {
    let office = office().await;
    let hub = &office.hub;
    // One mismatch is more than the warn level allows, and stays a finding while nothing moves.
    hub.run(&["run"]).expect(1);
    let still = hub.run_json(&["run"]).expect(1).json();
    assert_eq!(step(&still, "reconciliations", "reconciled.cases")["state"], "unchanged");
    assert_eq!(states(hub), [one("B", "mismatch", "open")]);

    let unexplained = hub.run(&["reconcile", "explain", "B", "--reason", " "]).expect(2);
    assert!(unexplained.err.contains("E-REASON"), "{}", unexplained.err);
    let unknown = hub.run(&["reconcile", "explain", "X"]).expect(2);
    assert!(unknown.err.contains("E-RECONCILE-KEY"), "{}", unknown.err);
    hub.run(&["reconcile", "explain", "B", "--field", "state", "--reason", "转省里办理"]).expect(0);
    assert_eq!(states(hub), [one("B", "mismatch", "explained")]);
    let repairs = hub.query("select * from reconciled.case_repairs");
    assert!(repairs.is_empty(), "what is explained needs no repair: {repairs:?}");
    assert!(hub.run(&["audit", "list"]).expect(0).out.contains("reconcile explain"));

    // The same values on both sides: the explanation holds. Other values: it was not of them.
    office.edit("insert into here values ('4', 'D', '30')").await;
    hub.run(&["run"]).expect(1);
    assert_eq!(
        states(hub),
        [one("B", "mismatch", "explained"), one("D", "missing_in_there", "open")]
    );
    office.edit("update there set state = '52' where no = 'B'").await;
    hub.run(&["run"]).expect(1);
    assert_eq!(states(hub)[0], one("B", "mismatch", "open"));
    let repairs = hub.query("select * from reconciled.case_repairs order by entity_key");
    let repair = |row: &Value| {
        ["entity_key", "system", "action", "found", "expected"]
            .map(|name| row[name].as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(repair(&repairs[0]), ["B", "there", "update", "52", "50"]);
    assert_eq!(repair(&repairs[1]), ["D", "there", "insert", "-", "-"]);

    office
        .edit(
            "update there set state = '50' where no = 'B';
             insert into there values ('4', 'D', '30'), ('5', 'D', '30')",
        )
        .await;
    hub.run(&["run"]).expect(0);
    assert_eq!(
        states(hub),
        [
            one("B", "mismatch", "closed"),
            one("D", "duplicate_key", "open"),
            one("D", "missing_in_there", "closed")
        ]
    );
    office
        .edit("update here set state = '53' where no = 'B'; delete from there where id = '5'")
        .await;
    hub.run(&["run"]).expect(1);
    let explained = hub.run_json(&["reconcile", "explain", "B"]).expect(0).json();
    assert_eq!(explained["class"], "mismatch");
    assert_eq!(explained["fields"][0]["values"]["there"], "50");
    assert_eq!(explained["differences"][0]["reopened"], 1);
    let events = explained["events"].as_array().unwrap();
    let to: Vec<&str> = events.iter().map(|event| event["to_state"].as_str().unwrap()).collect();
    assert_eq!(to, ["open", "explained", "open", "closed", "open"]);
    assert_eq!(events[1]["reason"], "转省里办理");

    // A key that nobody has any more is no difference.
    office.edit("delete from here where no = 'B'; delete from there where no = 'B'").await;
    hub.run(&["run"]).expect(0);
    assert!(states(hub).iter().all(|(_, _, state)| state == "closed"), "{:?}", states(hub));
    let golden = hub.query("select no from reconciled.cases order by no");
    assert_eq!(golden.len(), 3, "{golden:?}");
}

#[tokio::test]
async fn another_rule_looks_at_all_keys_again_and_an_edited_file_says_what_is_wrong() {
    let office = office().await;
    let hub = &office.hub;
    hub.run(&["run"]).expect(1);
    hub.edit("pipelines/reconcile/case.toml", "compare = \"exact\"", "compare = \"none\"");
    hub.run(&["run"]).expect(0);
    assert_eq!(states(hub), [one("B", "mismatch", "closed")]);

    hub.edit("pipelines/reconcile/case.toml", "[fields.state]", "[fields.stat]");
    let report = hub.run_json(&["run"]).expect(4).json();
    let failed = step(&report, "reconciliations", "reconciled.cases");
    assert_eq!(failed["code"], "E-RECONCILE-COLUMN", "{failed}");
    assert!(failed["hint"].as_str().unwrap().contains("`state`"), "{failed}");

    hub.edit("pipelines/reconcile/case.toml", "[systems.there]", "[systems.there]\nlagg = \"2h\"");
    let said = hub.run(&["--lang", "zh", "check"]).expect(2).err;
    let line = hub.line_of("pipelines/reconcile/case.toml", "lagg");
    assert!(said.contains(&format!("case.toml:{line}:1: 未知的键 `lagg`")), "{said}");
    assert!(said.contains("是否应为 `lag`？"), "{said}");
}
