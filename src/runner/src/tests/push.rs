//! Records of which nobody knows whether they arrived.

use huiliu_sdk::Outcome;
use huiliu_store::StepRow;

use super::script::{Answer, items, read_of};
use super::world::World;
use crate::RunReport;

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
    world.stage.is_repeatable.store(true, std::sync::atomic::Ordering::Relaxed);
    answer(&world, vec![Outcome::Accepted, Outcome::Unknown, Outcome::Accepted]);
    let report = world.run(&[]).await;
    assert_eq!((push(&report).balance.written, report.exit_code), (3, 0));
    let written = world.stage.written.lock().unwrap();
    assert_eq!(written[1], [written[0][1].clone()]);
}
