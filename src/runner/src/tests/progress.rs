//! How far a stream's state goes when its read, or another stream's, breaks off.

use super::script::{Play, batch, checkpoint, end, ints, items, read_of, rows, schema};
use super::world::{World, step};

/// Rows after which a checkpoint is committed.
const COMMIT: i64 = 1 << 20;

fn numbers(from: i64, to: i64) -> Play {
    rows(batch(vec![("id", ints(from..to))]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_breaks_off_keeps_what_it_committed_and_goes_on_there() {
    let world = World::new("write = \"append\"");

    let columns = || schema(batch(vec![("id", ints([1]))]).schema());
    let first = vec![
        columns(),
        numbers(0, COMMIT),
        checkpoint(1),
        numbers(COMMIT, COMMIT + 100),
        checkpoint(2),
        numbers(COMMIT + 100, COMMIT + 150),
        Play::Break,
    ];
    let rest = vec![columns(), numbers(COMMIT, COMMIT + 200), checkpoint(3), end(true)];
    world.stage.script("t", vec![first, rest]);
    let report = world.run(&[]).await;
    // The second try is part of the same step, whose balance has both.
    let total = u64::try_from(COMMIT + 200).unwrap();
    assert_eq!((step(&report).balance.read, step(&report).balance.written), (total, total));
    let acknowledged: Vec<_> =
        world.stage.acknowledged.lock().unwrap().iter().map(|c| c.state["at"].clone()).collect();
    assert_eq!(acknowledged, [1, 3]);
    let found = world.query("select count(*), count(distinct id), max(id) from current.s_t").await;
    assert_eq!(found, [format!("{total}|{total}|{}", total - 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_moved_by_the_commit_of_another() {
    let world = World::new("write = \"append\"\n\n[[streams]]\nname = \"u\"\nwrite = \"append\"");
    world.stage.script("t", vec![read_of(items(0..10, "a"))]);
    let half = items(0..5, "a");
    world
        .stage
        .script("u", vec![vec![schema(half.schema()), rows(half), checkpoint(1), Play::Panic]]);
    let report = world.run(&[]).await;
    assert_eq!((step(&report).state.as_str(), report.exit_code), ("succeeded", 4));
    let hub = world.hub().await;
    let states = hub.lake().store().stream_states().await.unwrap();
    hub.close().await;
    assert_eq!(states.iter().map(|state| &*state.stream).collect::<Vec<_>>(), ["t"]);
    world.stage.script("u", vec![read_of(items(0..5, "a"))]);
    world.stage.script("t", vec![vec![checkpoint(1), end(true)]]);
    assert_eq!(world.run(&[]).await.exit_code, 0);
    assert_eq!(world.query("select count(*) from current.s_u").await, ["5"]);
    assert_eq!(world.count().await, "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_computed_from_two_streams_waits_until_both_are_in() {
    let world = World::new("key = [\"id\"]\n\n[[streams]]\nname = \"u\"\nkey = [\"id\"]");
    let model = "/* +++\nkind = \"table\"\ndescription = \"两表\"\nkey = [\"id\"]\n+++ */\n\
        select t.id, t.name as one, u.name as other \
        from current.s_t t join current.s_u u on u.id = t.id\n";
    world.put("pipelines/models/standard/both.sql", model);
    world.stage.script("t", vec![read_of(items(0..3, "old"))]);
    world.stage.script("u", vec![read_of(items(0..3, "old"))]);
    assert_eq!(world.run(&[]).await.exit_code, 0);
    // The source changed both in one transaction, and only one of them was committed here.
    world.stage.script("t", vec![read_of(items(0..3, "new"))]);
    let half = items(0..3, "new");
    world.stage.script("u", vec![vec![schema(half.schema()), rows(half), Play::Panic]]);
    let report = world.run(&[]).await;
    let model = report.steps.iter().find(|step| step.node == "standard.both").unwrap();
    assert_eq!((model.state.as_str(), model.code.as_deref()), ("blocked", Some("E-BLOCKED")));
    assert_eq!(world.query("select distinct name from current.s_t").await, ["new"]);
    assert_eq!(world.query("select distinct one, other from standard.both").await, ["old|old"]);
    world.stage.script("u", vec![read_of(items(0..3, "new"))]);
    assert_eq!(world.run(&[]).await.exit_code, 0);
    assert_eq!(world.query("select distinct one, other from standard.both").await, ["new|new"]);
}
