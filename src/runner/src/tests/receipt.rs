//! What became of records after they were sent: receipts that come later, what people decide, and
//! whether all of it adds up.

use std::sync::atomic::Ordering;

use arrow::record_batch::RecordBatch;
use huiliu_sdk::Outcome;
use huiliu_store::StepRow;

use super::script::{Answer, batch, ints, items, read_of, texts};
use super::world::World;
use crate::{Decision, Deed, RunReport};

const MODEL: &str = "/* +++\nkind = \"table\"\ndescription = \"待报\"\nkey = [\"id\"]\n+++ */\n\
    select id, name from current.s_t\n";

/// A hub with three records to push, and what the push says beside.
fn world(push: &str, streams: &str) -> World {
    let world = World::new("");
    configure(&world, "live", push, streams);
    world.put("pipelines/models/standard/p.sql", MODEL);
    world.stage.script("t", vec![read_of(items(1..4, "a"))]);
    world
}

fn configure(world: &World, stage: &str, push: &str, streams: &str) {
    let push = format!(
        "key = [\"id\"]\n{streams}\n\n[[pushes]]\nname = \"p\"\nfrom = \"standard.p\"\n\
         key = [\"id\"]\n{push}\n"
    );
    world.configure_system(&format!("stage = \"{stage}\""), &push);
}

fn push(report: &RunReport) -> StepRow {
    report.steps.iter().find(|step| step.node == "push.s.p").unwrap().clone()
}

fn counts(report: &RunReport) -> Vec<(&str, i64)> {
    report.outbox.iter().map(|count| (count.state.as_str(), count.records)).collect()
}

fn writes(world: &World) -> Vec<usize> {
    world.stage.written.lock().unwrap().iter().map(Vec::len).collect()
}

fn flags(flags: [&'static str; 3]) -> RecordBatch {
    let words = flags.map(|flag| if flag == "2" { "no such item" } else { "" });
    batch(vec![("id", ints(1..4)), ("flag", texts(flags)), ("words", texts(words))])
}

const DAYS: &str = "select sent, accepted, rejected, waiting, unknown, missing from ops.push_days";

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_taken_over_waits_for_its_receipt_and_is_not_sent_again() {
    let receipts = "receipts = { from = \"current.s_r\", result = \"flag\", accepted = [\"1\"], \
                    rejected = [\"2\"], message = \"words\" }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"id\"]");
    // The flags of an earlier push of the same keys are no receipts of this one.
    world.stage.script("r", vec![read_of(flags(["1", "1", "1"]))]);
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("delivered", 3)], 0));
    assert_eq!((push(&report).balance.read, push(&report).balance.unchanged), (3, 3));
    assert_eq!(world.query(DAYS).await, ["3|0|0|3|0|0"]);

    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("delivered", 3)]);
    world.stage.script("r", vec![read_of(flags(["0", "2", "0"]))]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("delivered", 2), ("rejected", 1)]);
    world.stage.script("r", vec![read_of(flags(["1", "2", "0"]))]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 1), ("delivered", 1), ("rejected", 1)]);
    let balance = push(&report).balance;
    assert_eq!((balance.read, balance.written, balance.filtered), (1, 1, 0));
    assert_eq!(world.query(DAYS).await, ["3|1|1|1|0|0"]);
    assert_eq!(writes(&world), [3], "a record was sent again");

    let hub = world.hub().await;
    let refused = hub.sent_records("s.p", Some("rejected"), 9).await.unwrap();
    assert_eq!(refused[0].message.as_deref(), Some("no such item"));
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_came_before_a_record_was_sent_once_more_counts() {
    let receipts = "receipts = { from = \"current.s_r\", result = \"flag\", accepted = [\"1\"] }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"id\"]");
    world.stage.is_repeatable.store(true, Ordering::Relaxed);
    world.stage.script("r", vec![read_of(flags(["0", "0", "0"]))]);
    for _ in 0..3 {
        world.stage.answers.lock().unwrap().push_back(Answer::Outcomes(vec![Outcome::Unknown; 3]));
    }
    assert_eq!(counts(&world.run(&[]).await), [("waiting", 3)]);
    // They had arrived, and their receipts are read before they are sent again.
    world.stage.script("r", vec![read_of(flags(["1", "1", "1"]))]);
    assert_eq!(counts(&world.run(&[]).await), [("delivered", 3)]);
    assert_eq!(counts(&world.run(&[]).await), [("accepted", 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_neither_there_nor_waits_is_noticed() {
    let world = world("", "");
    assert_eq!(world.run(&[]).await.exit_code, 0);
    assert_eq!(world.query(DAYS).await, ["3|3|0|0|0|0"]);
    let hub = world.hub().await;
    let sql = "delete from huiliu_outbox where outbox_id = 2";
    assert_eq!(hub.lake().store().run("take a record away", sql, vec![]).await.unwrap(), 1);
    assert_eq!(hub.check_all_sent().await.unwrap_err().code(), "E-PUSH-BALANCE");
    hub.close().await;
    let report = world.run(&[]).await;
    assert_eq!(push(&report).code.as_deref(), Some("E-PUSH-BALANCE"));
    let message = push(&report).message.unwrap();
    let says = "sent 3, but accepted 2 + rejected 0 + waiting 0 + unknown 0";
    assert!(message.contains(says), "{message}");
    assert_ne!(report.exit_code, 0);
    assert_eq!(world.query(DAYS).await, ["3|2|0|0|0|1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_a_system_that_went_back_to_trial() {
    let world = world("", "");
    world.stage.answers.lock().unwrap().push_back(Answer::Refused);
    assert_eq!(counts(&world.run(&[]).await), [("waiting", 3)]);
    configure(&world, "trial", "", "");
    let report = world.run(&[]).await;
    assert_eq!(
        (push(&report).state.as_str(), counts(&report)),
        ("unchanged", vec![("waiting", 3)])
    );
    assert_eq!(writes(&world), [3]);
    configure(&world, "live", "", "");
    assert_eq!(counts(&world.run(&[]).await), [("accepted", 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_record_by_record_and_it_is_noted() {
    let world = world("", "");
    world.stage.answers.lock().unwrap().push_back(Answer::Outcomes(vec![Outcome::Unknown; 3]));
    assert_eq!(counts(&world.run(&[]).await), [("unknown", 3)]);
    let hub = world.hub().await;
    let records = hub.sent_records("s.p", Some("unknown"), 9).await.unwrap();
    let ids: Vec<i64> = records.iter().map(|record| record.outbox_id).collect();
    let deed = Deed { who: "王芳", reason: "电话核实" };
    let decide = async |id: i64, decision| {
        hub.decide_records("s.p", &[id], decision, &deed).await.map(|decided| decided.len())
    };
    assert_eq!(decide(ids[0], Decision::Arrived).await.unwrap(), 1);
    assert_eq!(decide(ids[1], Decision::Dropped).await.unwrap(), 1);
    assert_eq!(decide(ids[2], Decision::Again).await.unwrap(), 1);
    let error = decide(ids[0], Decision::Again).await.unwrap_err();
    assert_eq!(error.code(), "E-PUSH-DECIDED");
    let audit = hub.lake().store().audit().await.unwrap();
    assert_eq!(audit.len(), 3);
    assert!(audit.iter().all(|row| row.action == "push decide" && row.reason == "电话核实"));
    hub.verify_audit(None).await.unwrap();
    hub.close().await;
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 2), ("rejected", 1)], 0));
    assert_eq!(writes(&world), [3, 1]);
}
