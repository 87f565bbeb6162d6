//! Tables that are written as a whole.

use super::script::{Play, checkpoint, end, items, read_of, rows, schema};
use super::world::{World, step};

const REPLACE: &str = "write = \"replace\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_or_is_not_complete_leaves_the_old_rows() {
    let world = World::new(REPLACE);
    world.good_read(read_of(items(0..20, "a"))).await;
    let other = items(0..30, "b");
    let begun = vec![schema(other.schema()), rows(other.clone()), checkpoint(1)];
    let mut broken = begun.clone();
    broken.extend([rows(items(30..40, "b")), Play::Break]);
    assert_eq!(world.read(broken).await.code.as_deref(), Some("E-CONNECT"));
    let mut short = begun;
    short.push(end(false));
    assert_eq!(world.read(short).await.code.as_deref(), Some("E-INCOMPLETE"));
    assert_eq!(world.query("select name, count(*) from current.s_t group by name").await, ["a|20"]);
    world.good_read(read_of(other)).await;
    assert_eq!(world.query("select name, count(*) from current.s_t group by name").await, ["b|30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_set_empties_the_table() {
    let world = World::new(REPLACE);
    world.good_read(read_of(items(0..10, "a"))).await;
    world.good_read(vec![checkpoint(2), end(true)]).await;
    assert_eq!(world.count().await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_would_shrink_stops_and_shows_its_plan() {
    for write in ["replace", "snapshot"] {
        let world = World::new(&format!("write = \"{write}\""));
        world.good_read(read_of(items(0..100, "a"))).await;
        let before = world.count().await;
        world.stage.script("t", vec![read_of(items(0..69, "b"))]);
        let report = world.run(&[]).await;
        assert_eq!((step(&report).code.as_deref(), report.exit_code), (Some("E-SHRINK"), 5));
        assert_eq!(world.count().await, before);
        let plan = &report.plans[0];
        assert_eq!((plan.kind, plan.rows_before, plan.rows_after), ("shrink", 100, 69));
        assert_eq!(world.run(&[&plan.hash]).await.exit_code, 0, "{write}");
        world.configure(&format!("write = \"{write}\"\nguard = {{ shrink_percent = 90 }}"));
        world.good_read(read_of(items(0..7, "b"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_set_again_makes_no_snapshot() {
    let world = World::new(REPLACE);
    world.good_read(read_of(items(0..20, "a"))).await;
    let step = world.good_read(read_of(items(0..20, "a"))).await;
    assert_eq!((step.state.as_str(), step.balance.unchanged), ("unchanged", 20));
    assert_eq!(step.snapshot_id, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_balance_balances() {
    for write in ["append", "upsert", "replace", "snapshot", "scd2"] {
        let world = World::new(&format!("key = [\"id\"]\nwrite = \"{write}\""));
        for name in ["a", "b"] {
            let balance = world.good_read(read_of(items(0..20, name))).await.balance;
            assert_eq!(balance.read, 20, "{write}");
            balance.check().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_broke_off_and_was_resumed_is_made_good_by_the_next_one() {
    let world = World::new("key = [\"id\"]\ndeletes = \"key_scan\"");
    // So many rows are committed at the checkpoint, before the read breaks off.
    let (some, rest) = (items(0..1_100_000, "a"), items(1_100_000..1_200_000, "a"));
    let columns = schema(some.schema());
    let broken = vec![columns.clone(), rows(some), checkpoint(1), Play::Break];
    let resumed = vec![columns.clone(), rows(rest), checkpoint(2), end(false)];
    world.stage.script("t", vec![broken, resumed]);
    let step = step(&world.run(&[]).await);
    assert_eq!((step.state.as_str(), step.balance.written), ("succeeded", 1_200_000));
    // The source may have changed behind the place where it went on, so nothing was deleted.
    assert!(step.message.unwrap().contains("did not see all rows"));
    let whole = vec![
        columns,
        rows(items(10..20, "changed meanwhile")),
        rows(items(20..1_200_000, "a")),
        checkpoint(3),
        end(true),
    ];
    let step = world.good_read(whole).await;
    assert_eq!((step.balance.written, step.balance.deleted), (10, 10));
    assert_eq!(world.count().await, "1199990");
}
