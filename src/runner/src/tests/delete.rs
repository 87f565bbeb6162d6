//! Rows that are gone from the source.

use arrow::array::BooleanArray;
use huiliu_sdk::original;
use std::sync::Arc;

use super::script::{
    Play, batch, checkpoint, end, ints, items, keys, read_of, rejected, rows, rows_with, schema,
    texts,
};
use super::world::{World, step};

const SCAN: &str = "key = [\"id\"]\ndeletes = \"key_scan\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_read_deletes_what_it_did_not_see_and_an_incomplete_one_nothing() {
    let world = World::new(SCAN);
    world.good_read(read_of(items(0..100, "a"))).await;
    let some = items(0..90, "a");
    let plays = vec![schema(some.schema()), rows(some.clone()), checkpoint(2), end(false)];
    let step = world.good_read(plays).await;
    assert!(step.message.unwrap().contains("did not see all rows"));
    assert_eq!(world.count().await, "100");
    let step = world.good_read(read_of(some)).await;
    assert_eq!((step.balance.deleted, step.balance.unchanged, step.message), (10, 90, None));
    assert_eq!(world.count().await, "90");
    assert_eq!(world.query("select count(*) from history.s_t").await, ["10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_set_aside_is_not_taken_for_deleted() {
    let world = World::new(SCAN);
    world.good_read(read_of(items(0..20, "a"))).await;
    let mut plays = read_of(items(0..18, "a"));
    plays[1] = rows_with(items(0..18, "a"), vec![rejected(19, "18")]);
    assert_eq!(world.good_read(plays.clone()).await.balance.deleted, 1);
    assert_eq!(world.query("select max(id) from current.s_t").await, ["18"]);
    // A row whose key nobody can read might be any.
    let mut unknown = rejected(18, "17");
    unknown.raw = original([]);
    plays[1] = rows_with(items(0..17, "a"), vec![unknown]);
    let step = world.good_read(plays).await;
    assert_eq!(step.balance.deleted, 0);
    assert!(step.message.unwrap().contains("keys of 1 rows"));
    assert_eq!(world.count().await, "19");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deletes_stop_before_the_commit_and_pass_when_accepted() {
    let world = World::new(SCAN);
    world.good_read(read_of(items(0..100, "a"))).await;
    world.stage.script("t", vec![read_of(items(0..79, "a"))]);
    let report = world.run(&[]).await;
    let stopped = step(&report);
    assert_eq!((stopped.code.as_deref(), report.exit_code), (Some("E-MASS-DELETE"), 5));
    assert_eq!(world.count().await, "100");
    let plan = &report.plans[0];
    assert_eq!((plan.rows_before, plan.rows_after, plan.deleted), (100, 79, 21));
    assert!(stopped.hint.unwrap().contains(&plan.hash));
    assert_eq!(world.run(&[]).await.plans, report.plans);
    let report = world.run(&[&plan.hash]).await;
    assert_eq!((report.exit_code, step(&report).balance.deleted), (0, 21));
    assert_eq!(world.count().await, "79");
    // The same numbers on another table are another plan.
    world.good_read(read_of(items(0..100, "a"))).await;
    world.stage.script("t", vec![read_of(items(0..79, "a"))]);
    assert_eq!(world.run(&[&plan.hash]).await.exit_code, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_incremental_read_delete_what_they_lack() {
    let world = World::new(&format!("{SCAN}\nread = \"incremental\"\ncursor = \"id\""));
    world.good_read(read_of(items(0..20, "a"))).await;
    let new = items(20..22, "a");
    let all = || keys(batch(vec![("id", ints((0..22).filter(|id| *id != 7)))]));
    let columns = schema(new.schema());
    let plays = vec![columns.clone(), rows(new), all(), checkpoint(2), end(false)];
    assert_eq!(world.good_read(plays).await.balance.deleted, 1);
    assert_eq!(world.count().await, "21");
    assert_eq!(world.query("select id from current.s_t where id = 7").await, [""; 0]);
    // Without keys nothing is known to be gone.
    let step = world.good_read(vec![columns, checkpoint(2), end(false)]).await;
    assert!(step.message.is_some());
    assert_eq!(world.count().await, "21");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_the_source_marks_as_deleted_are_deleted() {
    let settings = "key = [\"id\"]\ndeletes = \"soft\"\ndeleted = \"gone\"";
    let world = World::new(settings);
    let marked = |marks: Vec<bool>| {
        let ids = ints(0..i64::try_from(marks.len()).unwrap());
        batch(vec![("id", ids), ("gone", Arc::new(BooleanArray::from(marks)))])
    };
    world.good_read(read_of(marked(vec![false, false, true]))).await;
    assert_eq!(world.count().await, "2");
    let balance = world.good_read(read_of(marked(vec![true, false, true]))).await.balance;
    assert_eq!((balance.deleted, balance.unchanged), (1, 1));
    assert_eq!(world.query("select id from current.s_t").await, ["1"]);
    let text = batch(vec![("id", ints([1])), ("gone", texts(["Y"]))]);
    let world = World::new(settings);
    assert_eq!(world.read(read_of(text)).await.code.as_deref(), Some("E-DELETED-TYPE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_source_deletes_all_only_when_accepted() {
    let world = World::new(SCAN);
    world.good_read(read_of(items(0..30, "a"))).await;
    let empty: Vec<Play> = vec![checkpoint(2), end(true)];
    world.stage.script("t", vec![empty]);
    let report = world.run(&[]).await;
    assert_eq!(step(&report).code.as_deref(), Some("E-MASS-DELETE"));
    assert_eq!(world.run(&[&report.plans[0].hash]).await.exit_code, 0);
    assert_eq!(world.count().await, "0");
}
