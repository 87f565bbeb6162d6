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
async fn a_record_whose_receipt_came_is_not_sent_once_more() {
    let receipts = "receipts = { from = \"current.s_r\", result = \"flag\", accepted = [\"1\"] }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"id\"]");
    world.stage.is_repeatable.store(true, Ordering::Relaxed);
    world.stage.script("r", vec![read_of(flags(["0", "0", "0"]))]);
    for _ in 0..3 {
        world.stage.answers.lock().unwrap().push_back(Answer::Outcomes(vec![Outcome::Unknown; 3]));
    }
    assert_eq!(counts(&world.run(&[]).await), [("waiting", 3)]);
    let before = writes(&world).len();
    // They had arrived, and of two the receipts are read before they are sent again.
    world.stage.script("r", vec![read_of(flags(["1", "1", "0"]))]);
    assert_eq!(counts(&world.run(&[]).await), [("accepted", 2), ("delivered", 1)]);
    assert_eq!(writes(&world)[before..], [1]);
    world.stage.script("r", vec![read_of(flags(["1", "1", "1"]))]);
    assert_eq!(counts(&world.run(&[]).await), [("accepted", 3)]);
}

/// What a target says of messages: by which id, the state, a code and words.
fn states(rows: &[(&str, &str, &str, &str)]) -> RecordBatch {
    batch(vec![
        ("msg", texts(rows.iter().map(|row| row.0))),
        ("state", texts(rows.iter().map(|row| row.1))),
        ("code", texts(rows.iter().map(|row| row.2))),
        ("words", texts(rows.iter().map(|row| row.3))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_names_the_message_is_matched_by_its_id() {
    let receipts = "receipts = { from = \"current.s_r\", id = \"msg\", result = \"state\", \
                    accepted = [\"Y\"], rejected = [\"N\"], code = \"code\", message = \"words\" }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"msg\"]");
    world.stage.script("r", vec![read_of(states(&[("1", "N", "", "of somebody else")]))]);
    assert_eq!(counts(&world.run(&[]).await), [("delivered", 3)]);
    let hub = world.hub().await;
    let sent = hub.sent_records("s.p", None, 9).await.unwrap();
    hub.close().await;
    let id = |key: &str| {
        let record = sent.iter().find(|record| record.record_key == key).unwrap();
        record.idempotency_key.as_str()
    };
    let told = [(id("3"), "Y", "", ""), (id("1"), "N", "JC03", "not ours"), (id("2"), "P", "", "")];
    world.stage.script("r", vec![read_of(states(&told))]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 1), ("delivered", 1), ("rejected", 1)]);
    let hub = world.hub().await;
    let refused = hub.sent_records("s.p", Some("rejected"), 9).await.unwrap();
    assert_eq!(refused[0].record_key, "1");
    assert_eq!(
        (refused[0].code.as_deref(), refused[0].message.as_deref()),
        (Some("JC03"), Some("not ours"))
    );
    assert_eq!(hub.sent_records("s.p", Some("accepted"), 9).await.unwrap()[0].record_key, "3");
    hub.close().await;
    world.stage.script("r", vec![read_of(states(&[(id("2"), "Y", "", "")]))]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 2), ("rejected", 1)]);
    assert_eq!(world.query(DAYS).await, ["3|2|1|0|0|0"]);
    assert_eq!(writes(&world), [3]);
}

/// A file of receipts as it is read: record, file that it answers, result, reason.
fn file(rows: &[(&str, &str, &str, &str)]) -> RecordBatch {
    batch(vec![
        ("no", texts(rows.iter().map(|row| row.0))),
        ("answers", texts(rows.iter().map(|row| row.1))),
        ("result", texts(rows.iter().map(|row| row.2))),
        ("reason", texts(rows.iter().map(|row| row.3))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_receipts_is_matched_by_a_key_of_its_own_and_not_by_an_older_one() {
    let receipts = "receipts = { from = \"current.s_r\", key = [\"no\"], result = \"result\", \
                    accepted = [\"已公示\"], rejected = [\"退回\"], message = \"reason\" }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"no\"]");
    let old =
        file(&[("1", "f0", "已公示", ""), ("2", "f0", "退回", "旧"), ("9", "f0", "退回", "")]);
    world.stage.script("r", vec![read_of(old)]);
    for _ in 0..2 {
        assert_eq!(counts(&world.run(&[]).await), [("delivered", 3)], "they are of another file");
    }
    let new = file(&[("1", "f1", "已公示", ""), ("2", "f1", "退回", "未成年人")]);
    world.stage.script("r", vec![read_of(new)]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 1), ("delivered", 1), ("rejected", 1)]);
    let hub = world.hub().await;
    let refused = hub.sent_records("s.p", Some("rejected"), 9).await.unwrap();
    assert_eq!(
        (refused[0].record_key.as_str(), refused[0].message.as_deref()),
        ("2", Some("未成年人"))
    );
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_list_of_refusals_every_row_is_one_and_what_is_not_there_waits() {
    let receipts = "receipts = { from = \"current.s_r\", code = \"code\", message = \"words\" }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"id\"]");
    let refused = |ids: Vec<i64>| {
        let count = ids.len();
        batch(vec![
            ("id", ints(ids)),
            ("code", texts(vec!["5002"; count])),
            ("words", texts(vec!["closed"; count])),
        ])
    };
    // That of the first key is of an earlier record.
    world.stage.script("r", vec![read_of(refused(vec![1, 9]))]);
    assert_eq!(counts(&world.run(&[]).await), [("delivered", 3)]);
    world.stage.script("r", vec![read_of(refused(vec![1, 9, 2]))]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("delivered", 2), ("rejected", 1)]);
    assert_eq!((push(&report).balance.written, push(&report).balance.filtered), (0, 1));
    let hub = world.hub().await;
    let rejected = hub.sent_records("s.p", Some("rejected"), 9).await.unwrap();
    assert_eq!((rejected[0].record_key.as_str(), rejected[0].code.as_deref()), ("2", Some("5002")));
    hub.close().await;
    assert_eq!(world.query(DAYS).await, ["3|0|1|2|0|0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_unknown_outcome_is_looked_up_among_the_receipts_and_not_sent_again() {
    let receipts = "receipts = { from = \"current.s_r\", result = \"flag\", accepted = [\"1\"], \
                    rejected = [\"2\"], message = \"words\" }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"id\"]");
    world.stage.script("r", vec![read_of(flags(["0", "0", "0"]))]);
    let lost = vec![Outcome::Accepted, Outcome::Unknown, Outcome::Unknown];
    world.stage.answers.lock().unwrap().push_back(Answer::Outcomes(lost));
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("delivered", 1), ("unknown", 2)]);
    assert_eq!((push(&report).code.as_deref(), report.exit_code), (Some("E-PUSH-UNKNOWN"), 5));
    world.stage.script("r", vec![read_of(flags(["1", "1", "0"]))]);
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 2), ("unknown", 1)], 5));
    world.stage.script("r", vec![read_of(flags(["1", "1", "2"]))]);
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 2), ("rejected", 1)], 0));
    assert_eq!(writes(&world), [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_had_sent_is_settled_by_its_receipt() {
    let receipts = "receipts = { from = \"current.s_r\", result = \"flag\", accepted = [\"1\"] }";
    let world = world(receipts, "[[streams]]\nname = \"r\"\nkey = [\"id\"]");
    world.stage.script("r", vec![read_of(flags(["0", "0", "0"]))]);
    world.stage.answers.lock().unwrap().push_back(Answer::Refused);
    assert_eq!(counts(&world.run(&[]).await), [("waiting", 3)]);
    let hub = world.hub().await;
    let store = hub.lake().store();
    let rows = store.waiting("s", "p", 0, 9).await.unwrap();
    let first = rows.iter().find(|row| row.record_key == "1").unwrap();
    // As after a kill between the send and its answer.
    let mut tx = store.begin().await.unwrap();
    tx.count_attempts(&[first.outbox_id]).await.unwrap();
    tx.commit().await.unwrap();
    hub.close().await;
    world.stage.script("r", vec![read_of(flags(["1", "0", "0"]))]);
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 1), ("delivered", 2)], 0));
    assert_eq!(writes(&world), [3, 2]);
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
