//! What a push brought to a system that is read as well comes back as what it is.

use huiliu_sdk::Outcome;
use huiliu_store::StepRow;

use super::script::{Answer, batch, ints, items, read_of, texts};
use super::world::{World, step};
use crate::RunReport;

/// The push tells the system that all are called `b`.
const MODEL: &str = "/* +++\nkind = \"table\"\ndescription = \"更正\"\nkey = [\"id\"]\n+++ */\n\
    select id, 'b' as name from current.s_t\n";

fn world(echo: &str) -> World {
    let world = World::new("");
    let stream = format!(
        "key = [\"id\"]\necho = {echo}\n\n\
         [[pushes]]\nname = \"p\"\nfrom = \"standard.p\"\nkey = [\"id\"]"
    );
    world.configure_system("stage = \"live\"", &stream);
    world.put("pipelines/models/standard/p.sql", MODEL);
    world.stage.script("t", vec![read_of(items(1..4, "a"))]);
    world
}

fn names(names: [&'static str; 3]) -> Vec<super::script::Play> {
    read_of(batch(vec![("id", ints(1..4)), ("name", texts(names))]))
}

fn parts(step: &StepRow) -> (u64, u64, u64, u64) {
    step.balance.check().unwrap();
    let balance = step.balance;
    (balance.read, balance.written, balance.unchanged, balance.echoed)
}

fn counts(report: &RunReport) -> Vec<(&str, i64)> {
    report.outbox.iter().map(|count| (count.state.as_str(), count.records)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_comes_back_as_an_echo_and_what_the_system_changed_does_not() {
    let world = world("{ pushes = [\"p\"] }");
    assert_eq!(parts(&step(&world.run(&[]).await)), (3, 3, 0, 0));
    world.stage.script("t", vec![names(["b", "c", "b"])]);
    let report = world.run(&[]).await;
    assert_eq!(parts(&step(&report)), (3, 1, 0, 2));
    // The lake has what the system has, and nothing is pushed on because of it.
    let rows = world.query("select id, name from current.s_t order by id").await;
    assert_eq!(rows, ["1|b", "2|c", "3|b"]);
    assert_eq!(counts(&report), [("accepted", 3)]);
    assert_eq!(world.stage.written.lock().unwrap().len(), 1);
    // A later change of the same rows is the system's own, even back to what was pushed.
    world.stage.script("t", vec![names(["d", "b", "b"])]);
    assert_eq!(parts(&step(&world.run(&[]).await)), (3, 1, 1, 1));
    world.stage.script("t", vec![names(["b", "b", "b"])]);
    assert_eq!(parts(&step(&world.run(&[]).await)), (3, 1, 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_back_is_known_to_have_arrived() {
    let world = world("{ pushes = [\"p\"] }");
    world.stage.answers.lock().unwrap().push_back(Answer::Outcomes(vec![Outcome::Unknown; 3]));
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("unknown", 3)], 5));
    world.stage.script("t", vec![names(["b", "a", "b"])]);
    let report = world.run(&[]).await;
    assert_eq!(counts(&report), [("accepted", 2), ("unknown", 1)]);
    assert_eq!(report.exit_code, 5, "one is still unknown");
    world.stage.script("t", vec![names(["b", "b", "b"])]);
    let report = world.run(&[]).await;
    assert_eq!((counts(&report), report.exit_code), (vec![("accepted", 3)], 0));
    assert_eq!(world.stage.written.lock().unwrap().len(), 1, "a record was sent again");
    let hub = world.hub().await;
    let records = hub.sent_records("s.p", None, 9).await.unwrap();
    assert_eq!(records[0].message.as_deref(), Some("read back from s.t in run 2"));
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_bear_our_mark_are_left_out_and_counted() {
    let world = world("{ mark = { name = \"huiliu\" } }");
    world.stage.script("t", vec![names(["a", "huiliu", "a"])]);
    assert_eq!(parts(&step(&world.run(&[]).await)), (3, 2, 0, 1));
    assert_eq!(world.count().await, "2");
    assert_eq!(parts(&step(&world.run(&[]).await)), (3, 0, 2, 1));
}
