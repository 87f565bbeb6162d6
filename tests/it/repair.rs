//! Repairs: planned, applied by hash, confirmed by the next read, and taken back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hub::{Done, Hub};
use crate::lake;
use crate::office::execute;
use crate::world::World;

const PLAN: [&str; 7] = ["--output", "json", "reconcile", "repair", "plan", "--system", "province"];

fn json(world: &World, arguments: &[&str]) -> Done {
    world.run(&[&["--output", "json"], arguments].concat())
}

/// The states of the province's mismatches by key and field.
fn mismatches(world: &World) -> BTreeMap<(String, String), String> {
    let arguments = ["reconcile", "ledger", "--all", "--system", "province", "--rule", "mismatch"];
    let all = json(world, &[&arguments[..], &["--limit", "100000"]].concat()).expect(0).json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = all["differences"].as_array().unwrap();
    rows.iter()
        .map(|row| ((text(row, "entity_key"), text(row, "field")), text(row, "state")))
        .collect()
}

/// The keys whose mismatches are all in `state`.
fn keys_in(states: &BTreeMap<(String, String), String>, state: &str) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = states.keys().map(|(key, _)| key.clone()).collect();
    for ((key, _), found) in states {
        if found != state {
            keys.remove(key);
        }
    }
    keys
}

fn keys(records: &Value) -> BTreeSet<String> {
    let records = records.as_array().unwrap();
    records.iter().map(|record| record["key"].as_str().unwrap().to_owned()).collect()
}

/// What became of the records of a push, by key.
fn outcomes(world: &World, push: &str) -> BTreeMap<String, String> {
    let shown = json(world, &["push", "show", push, "--limit", "100000"]).expect(0).json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let records = shown["records"].as_array().unwrap();
    records.iter().map(|row| (text(row, "record_key"), text(row, "state"))).collect()
}

/// The newest record of a case at the province: its version, what it says.
async fn at_province(hub: &Hub, key: &str) -> (i64, String) {
    let mut database = lake::sqlite(&hub.city().join("province.db")).await;
    let sql = "select data_version, coalesce(result_type, '-') || ' ' || accept_date from cases \
               where project_no = ? order by data_version desc limit 1";
    sqlx::query_as(sql).bind(key).fetch_one(&mut database).await.unwrap()
}

fn refused(done: &Done, code: &str) {
    assert!(done.err.contains(code), "{code}: {}", done.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_is_applied_as_it_was_shown_confirmed_by_the_next_read_and_taken_back() {
    let world = World::new(61).await;
    world.run(&["run"]).expect(0);
    let open = mismatches(&world);
    assert!(open.len() > 5 && open.values().all(|state| state == "open"), "{open:?}");

    // Every mismatch of the province is in the plan or left out with a reason.
    let plan = world.run(&PLAN).expect(0).json();
    let hash = plan["hash"].as_str().unwrap().to_owned();
    let records = plan["records"].as_array().unwrap();
    let planned: usize = records.iter().map(|r| r["differences"].as_array().unwrap().len()).sum();
    let left = plan["left_out"].as_array().unwrap();
    let left_of = |rule: &str| -> u64 {
        let of_rule = left.iter().filter(|left| left["rule"] == rule);
        of_rule.map(|left| left["differences"].as_u64().unwrap()).sum()
    };
    assert_eq!(planned as u64 + left_of("mismatch"), open.len() as u64, "{left:?}");
    assert!(
        left_of("missing_in_province") == 0 || left.iter().any(|l| l["why"] == "sent_by_itself")
    );
    for record in records {
        assert_eq!(
            (&record["push"], &record["action"]),
            (&"province.corrections".into(), &"update".into())
        );
        assert!(!record["changes"].as_array().unwrap().is_empty(), "{record}");
        for row in record["differences"].as_array().unwrap() {
            assert_ne!(row["before"], row["after"], "{row}");
            assert!(row["trusted"].is_string(), "{row}");
        }
    }
    assert_eq!(world.run(&PLAN).expect(0).json()["hash"], hash.as_str(), "looking changes nothing");

    let before: BTreeMap<String, (i64, String)> = {
        let mut before = BTreeMap::new();
        for key in keys(&plan["records"]) {
            before.insert(key.clone(), at_province(&world.hub, &key).await);
        }
        before
    };
    let unknown = world.run(&["reconcile", "repair", "apply", "000000000000", "--reason", "更正"]);
    refused(&unknown.expect(2), "E-REPAIR");
    let silent = world.run(&["reconcile", "repair", "apply", &hash, "--reason", " "]);
    refused(&silent.expect(2), "E-REASON");
    let apply = ["reconcile", "repair", "apply", &hash, "--reason", "与部门核实"];
    let applied = json(&world, &apply).expect(0).json();
    assert_eq!(applied["repair"]["queued"].as_u64().unwrap(), records.len() as u64, "{applied}");
    let outcomes = outcomes(&world, "province.corrections");
    assert_eq!(outcomes.keys().cloned().collect::<BTreeSet<_>>(), keys(&plan["records"]));
    let accepted: BTreeSet<String> = outcomes
        .iter()
        .filter(|(_, state)| *state == "accepted")
        .map(|(key, _)| key.clone())
        .collect();
    assert!(accepted.len() > 3, "{outcomes:?}");
    assert_eq!(
        keys_in(&mismatches(&world), "fixed"),
        accepted,
        "accepted is fixed, until it is read"
    );
    refused(&world.run(&apply).expect(5), "E-REPAIR-APPLIED");

    // The next read brings what was pushed, as an echo, and the systems agree.
    let read = json(&world, &["run"]).expect(0).json();
    let streams = read["streams"].as_array().unwrap();
    let province = streams.iter().find(|step| step["node"] == "province.cases").unwrap();
    assert_eq!(province["echoed"].as_u64().unwrap(), accepted.len() as u64, "{province}");
    assert_eq!(province["written"], 0, "{province}");
    assert_eq!(keys_in(&mismatches(&world), "closed"), accepted);
    let one = accepted.first().unwrap();
    let told = json(&world, &["reconcile", "explain", one]).expect(0).json();
    let events = told["events"].as_array().unwrap().iter();
    let to: Vec<&str> = events.map(|event| event["to_state"].as_str().unwrap()).collect();
    assert!(to.ends_with(&["fixed", "closed"]), "{told}");
    for key in &accepted {
        let (version, now) = at_province(&world.hub, key).await;
        assert_eq!(version, before[key].0 + 1, "{key}");
        assert_ne!(now, before[key].1, "{key}");
    }

    // Somebody else changes one of them, which is not overwritten; the others go back.
    let changed = accepted.last().unwrap();
    let sql = format!(
        "insert into cases select (select max(seq) + 1 from cases), 'P34X', project_no, task_code, \
         task_name, org_code, org_name, '另一人', applicant_type, cert_type, cert_no, mobile, \
         accept_date, promise_date, result_type, result_date, data_version + 1, division_code, \
         update_time from cases where project_no = '{changed}' order by data_version desc limit 1"
    );
    execute(&world.hub.city().join("province.db"), &sql).await;
    world.run(&["run", "+reconciled.cases"]).expect(0);
    let undo = ["reconcile", "repair", "undo", &hash, "--reason", "核实有误"];
    let undone = json(&world, &undo).expect(1).json();
    let repair = &undone["repair"];
    assert_eq!(repair["queued"].as_u64().unwrap(), accepted.len() as u64 - 1, "{repair}");
    let why: BTreeMap<&str, &str> = repair["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| (refused["key"].as_str().unwrap(), refused["why"].as_str().unwrap()))
        .collect();
    assert_eq!(why[changed.as_str()], "changed", "{why:?}");
    assert!(why.iter().all(|(key, why)| *key == changed || *why == "refused"), "{why:?}");
    for key in accepted.iter().filter(|key| *key != changed) {
        assert_eq!(at_province(&world.hub, key).await, (before[key].0 + 2, before[key].1.clone()));
    }
    assert_ne!(at_province(&world.hub, changed).await.1, before[changed].1);
    // What was mended is a difference again, as the next read says.
    world.run(&["run"]).expect(0);
    let states = mismatches(&world);
    let mut reopened = accepted.clone();
    reopened.remove(changed);
    assert!(reopened.is_subset(&keys_in(&states, "open")), "{states:?}");
    refused(&world.run(&undo).expect(5), "E-REPAIR-UNDO");

    let listed = json(&world, &["reconcile", "repair", "list"]).expect(0).json();
    let status = &listed["repairs"][0];
    assert_eq!((&status["hash"], &status["reason"]), (&hash.as_str().into(), &"与部门核实".into()));
    assert_eq!(status["undone"].as_u64().unwrap(), reopened.len() as u64, "{status}");
    world.run(&["audit", "verify"]).expect(0);
    let audit = world.run(&["audit", "list"]).expect(0).out;
    assert!(audit.contains("reconcile repair apply") && audit.contains("reconcile repair undo"));
    json(&world, &["push", "list"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_no_longer_the_present_one_sends_nothing_nor_does_one_to_a_system_on_trial()
{
    let world = World::new(62).await;
    world.run(&["run"]).expect(0);
    let plan = world.run(&PLAN).expect(0).json();
    let hash = plan["hash"].as_str().unwrap().to_owned();
    let key = plan["records"][0]["key"].as_str().unwrap().to_owned();
    world.run(&["reconcile", "explain", &key, "--reason", "已电话核实,无误"]).expect(0);
    let apply = ["reconcile", "repair", "apply", &hash, "--reason", "更正"];
    refused(&world.run(&apply).expect(5), "E-REPAIR-STALE");
    let again = world.run(&PLAN).expect(0).json();
    assert!(!keys(&again["records"]).contains(&key), "what is explained is as it should be");
    let hash = again["hash"].as_str().unwrap().to_owned();
    world.hub.edit("config/systems/province.toml", "stage = \"live\"", "stage = \"trial\"");
    let trial = world.run(&PLAN).expect(0).json();
    assert_eq!((&trial["hash"], &trial["count"]), (&Value::Null, &0.into()));
    assert!(trial["left_out"].as_array().unwrap().iter().any(|left| left["why"] == "not_live"));
    let apply = ["reconcile", "repair", "apply", &hash, "--reason", "更正"];
    refused(&world.run(&apply).expect(5), "E-REPAIR-STALE");
    assert!(outcomes(&world, "province.corrections").is_empty());
    let unknown = world.run(&["reconcile", "repair", "plan", "--system", "provinz"]).expect(2);
    refused(&unknown, "there are: city, province, department");
}
