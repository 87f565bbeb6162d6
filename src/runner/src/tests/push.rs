//! Records of which nobody knows whether they arrived.

use std::sync::atomic::Ordering;

use huiliu_sdk::Outcome;
use huiliu_store::{OutboxRow, OutboxState, RepairItem, StepRow};

use super::script::{Answer, items, read_of};
use super::world::World;
use crate::models::Outgoing;
use crate::repair::{Image, ReadyRepair};
use crate::{Hub, RepairOrder, RunReport};

const MODEL: &str = "/* +++\nkind = \"table\"\ndescription = \"待报\"\nkey = [\"id\"]\n+++ */\n\
    select id, name from current.s_t\n";

/// A hub that has three records to push to a target that cannot tell repeated ones.
fn world() -> World {
    let world = World::new("");
    let push = "key = [\"id\"]\n\n[[pushes]]\nname = \"p\"\nfrom = \"standard.p\"\nkey = [\"id\"]";
    world.configure_system("stage = \"live\"", push);
    world.put("pipelines/models/standard/p.sql", MODEL);
    world.stage.script("t", vec![read_of(items(1..4, "a"))]);
    world
}

fn answer(world: &World, outcomes: Vec<Outcome>) {
    world.stage.answers.lock().unwrap().push_back(Answer::Outcomes(outcomes));
}

fn push(report: &RunReport) -> StepRow {
    report.steps.iter().find(|step| step.node == "push.s.p").unwrap().clone()
}

fn counts(report: &RunReport) -> Vec<(&str, i64)> {
    report.outbox.iter().map(|count| (count.state.as_str(), count.records)).collect()
}

/// How many records each write had.
fn writes(world: &World) -> Vec<usize> {
    world.stage.written.lock().unwrap().iter().map(Vec::len).collect()
}

fn hash(report: &RunReport, kind: &str) -> String {
    report.plans.iter().find(|plan| plan.kind == kind).unwrap().hash.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_answer_was_lost_is_not_sent_again_until_somebody_decides() {
    let world = world();
    answer(&world, vec![Outcome::Accepted, Outcome::Unknown, Outcome::Unknown]);
    for _ in 0..2 {
        let report = world.run(&[]).await;
        let step = push(&report);
        assert_eq!((step.code.as_deref(), report.exit_code), (Some("E-PUSH-UNKNOWN"), 5));
        assert_eq!(counts(&report), [("accepted", 1), ("unknown", 2)]);
        let hint = step.hint.unwrap();
        for kind in ["push_again", "push_done"] {
            assert!(hint.contains(&hash(&report, kind)), "{hint}");
        }
        assert_eq!(writes(&world), [3], "it was sent again");
    }
    let again = hash(&world.run(&[]).await, "push_again");
    let report = world.run(&[&again]).await;
    assert_eq!((push(&report).state.as_str(), report.exit_code), ("succeeded", 0));
    assert_eq!((push(&report).balance.read, push(&report).balance.written), (2, 2));
    assert_eq!(counts(&report), [("accepted", 3)]);
    assert_eq!(writes(&world), [3, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_found_at_the_target_counts_as_accepted() {
    let world = world();
    answer(&world, vec![Outcome::Unknown; 3]);
    let done = hash(&world.run(&[]).await, "push_done");
    let report = world.run(&[&done]).await;
    assert_eq!((push(&report).state.as_str(), report.exit_code), ("unchanged", 0));
    assert_eq!(counts(&report), [("accepted", 3)]);
    assert_eq!(writes(&world), [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_can_be_asked_is_asked() {
    let world = world();
    answer(&world, vec![Outcome::Unknown; 3]);
    let refused = Outcome::Rejected { code: "D07".into(), message: "no".into() };
    world.stage.known.lock().unwrap().push_back(vec![Outcome::Accepted, refused, Outcome::Unknown]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 1), ("rejected", 1), ("unknown", 1)]);
    let step = push(&report);
    let balance = step.balance;
    assert_eq!((balance.read, balance.written, balance.filtered, balance.unchanged), (3, 1, 1, 1));
    assert!(step.message.unwrap().contains("whether 1 records arrived"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_dead_process_had_sent_are_not_sent_again() {
    let world = world();
    world.stage.answers.lock().unwrap().push_back(Answer::Refused);
    let report = world.run(&[]).await;
    // The target has refused all of them, so they wait as if they had never been sent.
    assert_eq!(
        (push(&report).code.as_deref(), counts(&report)),
        (Some("E-AUTH"), vec![("waiting", 3)])
    );
    let hub = world.hub().await;
    let store = hub.lake().store();
    let rows = store.waiting("s", "p", 0, 9).await.unwrap();
    assert!(rows.iter().all(|row| row.attempts == 0));
    // As after a kill between the send and its answer.
    let mut tx = store.begin().await.unwrap();
    tx.count_attempts(&[rows[0].outbox_id]).await.unwrap();
    tx.commit().await.unwrap();
    hub.close().await;
    let report = world.run(&[]).await;
    assert_eq!(push(&report).code.as_deref(), Some("E-PUSH-UNKNOWN"));
    assert_eq!(counts(&report), [("accepted", 2), ("unknown", 1)]);
    assert_eq!(writes(&world), [3, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_record_of_a_key_waits_for_the_one_before_it() {
    let world = world();
    answer(&world, vec![Outcome::Unknown, Outcome::Accepted, Outcome::Accepted]);
    let done = hash(&world.run(&[]).await, "push_done");
    world.stage.script("t", vec![read_of(items(1..4, "b"))]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 4), ("unknown", 1), ("waiting", 1)]);
    let report = world.run(&[&done]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 6)], 0));
    assert_eq!(writes(&world), [3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_tells_apart_is_sent_again_under_its_key() {
    let world = world();
    world.stage.is_repeatable.store(true, Ordering::Relaxed);
    answer(&world, vec![Outcome::Accepted, Outcome::Unknown, Outcome::Accepted]);
    let report = world.run(&[]).await;
    assert_eq!((push(&report).balance.written, report.exit_code), (3, 0));
    let written = world.stage.written.lock().unwrap();
    assert_eq!(written[1], [written[0][1].clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_record_never_overtakes_one_that_is_sent_again() {
    let world = world();
    world.stage.is_repeatable.store(true, Ordering::Relaxed);
    let lost = || vec![Outcome::Unknown];
    answer(&world, vec![Outcome::Unknown, Outcome::Accepted, Outcome::Accepted]);
    answer(&world, lost());
    answer(&world, lost());
    assert_eq!(counts(&world.run(&[]).await), [("accepted", 2), ("waiting", 1)]);
    // Both records of the first key wait now; the older is lost once more and sent before the newer.
    world.stage.script("t", vec![read_of(items(1..4, "b"))]);
    answer(&world, lost());
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 6)], 0));
    assert_eq!(writes(&world), [3, 1, 1, 1, 2, 1, 1]);
    let written = world.stage.written.lock().unwrap();
    assert_eq!(written[5], [written[0][0].clone()], "the older one");
    assert!(written[..6].iter().flatten().all(|key| *key != written[6][0]), "the newer one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_does_not_have_yet_is_not_sent_again_in_the_same_run() {
    let world = world();
    answer(&world, vec![Outcome::Unknown, Outcome::Accepted, Outcome::Accepted]);
    for _ in 0..2 {
        world.stage.known.lock().unwrap().push_back(vec![Outcome::Unsent]);
    }
    // The request whose answer was lost may be at work yet.
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 2), ("waiting", 1)]);
    assert_eq!(writes(&world), [3]);
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 3)], 0));
    assert_eq!(writes(&world), [3, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_asked_now_is_asked_by_the_next_run() {
    let world = world();
    world.stage.is_deaf.store(true, Ordering::Relaxed);
    answer(&world, vec![Outcome::Accepted, Outcome::Unknown, Outcome::Unknown]);
    for _ in 0..2 {
        let report = world.run(&[]).await;
        assert_eq!(push(&report).code.as_deref(), Some("E-CONNECT"));
        assert_eq!(counts(&report), [("accepted", 1), ("waiting", 2)]);
    }
    world.stage.is_deaf.store(false, Ordering::Relaxed);
    let refused = Outcome::Rejected { code: "D07".into(), message: "no".into() };
    world.stage.known.lock().unwrap().push_back(vec![Outcome::Accepted, refused]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 2), ("rejected", 1)]);
    assert_eq!(writes(&world), [3], "what may have arrived was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_returns_to_what_it_was_is_sent_again() {
    let world = world();
    for (name, accepted) in [("a", 3), ("b", 6), ("a", 9), ("b", 12), ("b", 12)] {
        world.stage.script("t", vec![read_of(items(1..4, name))]);
        assert_eq!(counts(&world.run(&[]).await), [("accepted", accepted)], "{name}");
    }
    let hub = world.hub().await;
    hub.check_all_sent().await.unwrap();
    hub.close().await;
    let mut keys: Vec<String> = world.stage.written.lock().unwrap().concat();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 12, "each is a record of its own");
}

/// A push of corrections, and what it takes to take one back.
fn correcting() -> (World, RepairOrder) {
    let world = World::new("");
    let push = "key = [\"id\"]\n\n[[pushes]]\nname = \"p\"\nfrom = \"standard.p\"\n\
                before = \"standard.p\"\nkey = [\"id\"]";
    world.configure_system("stage = \"live\"", push);
    world.put("pipelines/models/standard/p.sql", MODEL);
    world.stage.script("t", vec![read_of(items(1..4, "a"))]);
    let (who, reason) = ("王芳".to_owned(), "核实有误".to_owned());
    (world, RepairOrder { hash: "abc".into(), undo: true, who, reason })
}

fn image(name: &str) -> Image {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), Some(value.to_owned()));
    Image([("id", "1"), ("name", name)].into_iter().map(pair).collect())
}

/// A record of the key 1 that brought `after`, as part of the repair `hash`.
async fn repaired(hub: &Hub, hash: &str, before: &str, after: &str) -> RepairItem {
    let (store, now) = (hub.lake().store(), hub.now());
    let sent = Outgoing::of("s", "p", &["id".into()], image(after).record()).unwrap();
    let row =
        OutboxRow { idempotency_key: format!("sent by {hash}"), ..sent.row(&hub.key).unwrap() };
    let item = RepairItem {
        hash: hash.into(),
        item: 1,
        reconciliation: "case".into(),
        system: "s".into(),
        push: "p".into(),
        record_key: "1".into(),
        differences: "[]".into(),
        before_hash: Some(image(before).hash()),
        before_image: Some(hub.key.seal(&image(before).to_json().unwrap()).unwrap()),
        after_hash: image(after).hash(),
        sent_key: row.idempotency_key.clone(),
        undo_key: None,
    };
    let mut tx = store.begin().await.unwrap();
    tx.put_repair_plan(hash, "{}", &now).await.unwrap();
    assert!(tx.apply_repair(hash, "王芳", "核实", &now).await.unwrap());
    assert!(tx.enqueue(1, "s", "p", &row, &now).await.unwrap());
    tx.count_dispatch(1, "s", "p", 1, &now).await.unwrap();
    tx.put_repair_item(&item).await.unwrap();
    tx.commit().await.unwrap();
    settle_last(hub, OutboxState::Accepted).await;
    item
}

/// What the target said to the newest record.
async fn settle_last(hub: &Hub, state: OutboxState) {
    let last = hub.sent_records("s.p", None, 99).await.unwrap().pop().unwrap();
    let mut tx = hub.lake().store().begin().await.unwrap();
    tx.settle(last.outbox_id, state, None, None, &hub.now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_whose_undo_was_refused_is_taken_back_by_another_record() {
    let (world, order) = correcting();
    let hub = world.hub().await;
    let item = repaired(&hub, "abc", "b", "a").await;
    let mut run = 1;
    for records in [2, 3] {
        let items = hub.lake().store().repair_items("abc").await.unwrap();
        run += 1;
        let done = hub.queue_repair(run, &order, ReadyRepair::Undo(items, Vec::new())).await;
        assert_eq!(done.unwrap().queued, 1);
        assert_eq!(hub.sent_records("s.p", None, 99).await.unwrap().len(), records);
        hub.check_all_sent().await.unwrap();
        settle_last(&hub, OutboxState::Rejected).await;
    }
    // What cannot be queued is no undo: the record of the first one is there already.
    let again = hub.queue_repair(9, &order, ReadyRepair::Undo(vec![item], Vec::new())).await;
    assert_eq!(again.unwrap_err().code(), "E-INTERNAL");
    hub.check_all_sent().await.unwrap();
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_is_not_taken_back_over_a_newer_one_that_was_not_read_yet() {
    let (world, order) = correcting();
    world.run(&[]).await;
    let hub = world.hub().await;
    repaired(&hub, "abc", "b", "a").await;
    let undo = async |hub: &Hub| {
        let items = hub.lake().store().repair_items("abc").await.unwrap();
        assert!(items[0].undo_key.is_none());
        hub.ready_repair(&order).await.map(|ready| matches!(ready, ReadyRepair::Undo(..)))
    };
    assert!(undo(&hub).await.unwrap());
    // The lake has what the first one sent, and the target what the second did.
    repaired(&hub, "def", "a", "c").await;
    assert_eq!(undo(&hub).await.unwrap_err().code(), "E-REPAIR-UNDO");
    // Taken back, it left what the first one sent.
    repaired(&hub, "ghi", "c", "a").await;
    assert!(undo(&hub).await.unwrap());
    hub.close().await;
}
