//! What each write mode, deletes, cases and versions do with the rows of a read.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use huiliu_lake::{KeySet, Lake, MergePlan, Positions};
use huiliu_sdk::{Ops, WriteMode};
use huiliu_store::Balance;

use crate::backend::{Backend, on_both};
use crate::oracle::{count, through_datafusion};
use crate::world::{commit, open, positions, rows, schema, start, upsert_plan};

on_both!(
    replace_makes_the_table_what_was_read_and_an_empty_set_empties_it,
    append_adds_rows_even_when_they_are_there,
    append_by_a_cursor_adds_no_row_that_comes_again,
    snapshots_keep_each_day_and_a_second_read_of_a_day_replaces_the_first,
    periods_of_validity_close_when_a_row_changes_or_goes,
    rows_whose_keys_are_gone_are_deleted_over_several_commits_of_one_read,
    a_case_that_comes_again_comes_whole,
    an_older_case_that_comes_late_deletes_nothing,
    an_older_delete_that_comes_late_deletes_nothing,
    an_older_version_goes_straight_to_history,
    a_floating_point_key_is_refused,
);

/// Reads `batches` as a whole by `plan`.
async fn read(lake: &Lake, seq: i64, plan: MergePlan, batches: &[RecordBatch]) -> Balance {
    let sweeps = plan.seen.is_some();
    let mut merge = start(lake, "a", seq, plan).await.unwrap();
    for batch in batches {
        merge.merge(batch, &Ops::Upsert, &positions(batch)).unwrap();
    }
    if sweeps {
        merge.sweep().unwrap();
    }
    commit(lake, merge.finish().unwrap()).await
}

fn plan(mode: WriteMode) -> MergePlan {
    MergePlan { mode, ..upsert_plan() }
}

/// Sum of amounts of rows `from..to` in `version`.
fn amounts(from: i64, to: i64, version: i64) -> i64 {
    (from..to).map(|id| id * 10 + version).sum()
}

async fn replace_makes_the_table_what_was_read_and_an_empty_set_empties_it(backend: Backend) {
    let lake = open(&backend).await;
    let first = read(&lake, 1, plan(WriteMode::Replace), &[rows(0, 100, 1)]).await;
    assert_eq!((first.read, first.written), (100, 100));
    let snapshot = lake.latest_snapshot().await.unwrap();
    let parts = [rows(50, 100, 1), rows(0, 50, 1)];
    let same = read(&lake, 2, plan(WriteMode::Replace), &parts).await;
    assert_eq!((same.written, same.unchanged), (0, 100));
    assert_eq!(lake.latest_snapshot().await.unwrap(), snapshot, "the same rows change nothing");
    read(&lake, 3, plan(WriteMode::Replace), &[rows(90, 120, 2)]).await;
    assert_eq!(through_datafusion(&lake, None).await[0], (30, amounts(90, 120, 2), 0));
    read(&lake, 4, plan(WriteMode::Replace), &[]).await;
    assert_eq!(through_datafusion(&lake, None).await[0], (0, 0, 0));
}

async fn append_adds_rows_even_when_they_are_there(backend: Backend) {
    let lake = open(&backend).await;
    for seq in 1..=2 {
        let balance = read(&lake, seq, plan(WriteMode::Append), &[rows(0, 10, 1)]).await;
        assert_eq!((balance.read, balance.written), (10, 10));
    }
    assert_eq!(through_datafusion(&lake, None).await[0], (20, 2 * amounts(0, 10, 1), 0));
}

async fn append_by_a_cursor_adds_no_row_that_comes_again(backend: Backend) {
    let lake = open(&backend).await;
    let plan = || MergePlan { cursor: Some("amount".into()), ..plan(WriteMode::Append) };
    let first = read(&lake, 1, plan(), &[rows(0, 100, 1)]).await;
    assert_eq!((first.written, first.unchanged), (100, 0));
    // The overlap comes again, one row of it with other values.
    let changed = rows(95, 96, 2);
    let second = read(&lake, 2, plan(), &[rows(90, 105, 1), changed]).await;
    assert_eq!((second.read, second.written, second.unchanged), (16, 6, 10));
    // Of equal rows as many are new as there are more of; those of one read are all kept.
    let twice = [rows(200, 202, 1), rows(200, 202, 1)];
    assert_eq!(read(&lake, 3, plan(), &twice).await.written, 4);
    let thrice = [rows(200, 202, 1), rows(200, 202, 1), rows(200, 202, 1)];
    let balance = read(&lake, 4, plan(), &thrice).await;
    assert_eq!((balance.written, balance.unchanged), (2, 4));
    // Rows without a cursor come with every read.
    let none = |names: &[&str]| {
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values(names.iter()));
        let empty: ArrayRef = Arc::new(Int64Array::from(vec![None; names.len()]));
        RecordBatch::try_new(Arc::new(schema()), vec![ids.clone(), ids, empty]).unwrap()
    };
    assert_eq!(read(&lake, 5, plan(), &[none(&["x", "y"])]).await.written, 2);
    let balance = read(&lake, 6, plan(), &[none(&["y", "z", "x"])]).await;
    assert_eq!((balance.written, balance.unchanged), (1, 2));
    let count = count(&lake, "select count(*) from a_current").await;
    assert_eq!(count, 100 + 6 + 6 + 3);
}

async fn snapshots_keep_each_day_and_a_second_read_of_a_day_replaces_the_first(backend: Backend) {
    let lake = open(&backend).await;
    let on = |day| MergePlan { taken_on: Some(day), ..plan(WriteMode::Snapshot) };
    read(&lake, 1, on(17_878), &[rows(0, 10, 1)]).await;
    read(&lake, 2, on(17_879), &[rows(0, 12, 1)]).await;
    let again = read(&lake, 3, on(17_879), &[rows(0, 12, 1)]).await;
    assert_eq!((again.written, again.unchanged), (0, 12));
    read(&lake, 4, on(17_879), &[rows(0, 8, 2)]).await;
    let expected = amounts(0, 10, 1) + amounts(0, 8, 2);
    assert_eq!(through_datafusion(&lake, None).await[0], (18, expected, 0));
    let first = count(&lake, "select count(*) from a_current where _snapshot = date '2018-12-13'");
    assert_eq!(first.await, 10);
}

async fn periods_of_validity_close_when_a_row_changes_or_goes(backend: Backend) {
    let lake = open(&backend).await;
    let keys = || Some(Arc::new(Mutex::new(KeySet::new(lake.root().join("spill")))));
    let scd2 = || MergePlan { seen: keys(), ..plan(WriteMode::Scd2) };
    read(&lake, 1, scd2(), &[rows(0, 10, 1)]).await;
    let second = read(&lake, 2, scd2(), &[rows(0, 5, 2), rows(5, 9, 1)]).await;
    assert_eq!((second.written, second.unchanged, second.deleted), (5, 4, 1));
    let third = read(&lake, 3, scd2(), &[rows(0, 5, 2), rows(5, 9, 1)]).await;
    assert_eq!((third.written, third.unchanged, third.deleted), (0, 9, 0));
    let open_rows = "select count(*) from a_current where _valid_to is null";
    let closed = "select count(*) from a_current where _valid_to > _valid_from";
    assert_eq!(count(&lake, open_rows).await, 9);
    assert_eq!(count(&lake, closed).await, 6);
    assert_eq!(count(&lake, "select count(*) from a_history").await, 0);
}

async fn rows_whose_keys_are_gone_are_deleted_over_several_commits_of_one_read(backend: Backend) {
    let lake = open(&backend).await;
    read(&lake, 1, upsert_plan(), &[rows(0, 100, 1)]).await;
    let seen = Arc::new(Mutex::new(KeySet::new(lake.root().join("spill"))));
    let sweeping = || MergePlan { seen: Some(Arc::clone(&seen)), ..upsert_plan() };
    let mut first = start(&lake, "a", 2, sweeping()).await.unwrap();
    first.merge(&rows(0, 40, 1), &Ops::Upsert, &positions(&rows(0, 40, 1))).unwrap();
    commit(&lake, first.finish().unwrap()).await;
    let mut last = start(&lake, "a", 3, sweeping()).await.unwrap();
    assert_eq!(last.live_rows(), 100);
    last.merge(&rows(100, 110, 1), &Ops::Upsert, &positions(&rows(100, 110, 1))).unwrap();
    last.keys(&rows(40, 90, 1)).unwrap();
    assert_eq!(last.sweep().unwrap(), 10);
    let balance = commit(&lake, last.finish().unwrap()).await;
    assert_eq!((balance.written, balance.deleted), (10, 10));
    let expected = amounts(0, 90, 1) + amounts(100, 110, 1);
    assert_eq!(through_datafusion(&lake, None).await[0], (100, expected, 10));
}

/// Steps of a case, which rows of one name form.
fn case(from: i64, to: i64, amount: i64) -> RecordBatch {
    let ids: ArrayRef =
        Arc::new(StringArray::from_iter_values((from..to).map(|id| format!("K{id:05}"))));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((from..to).map(|_| "办件甲")));
    let amounts: ArrayRef = Arc::new(Int64Array::from_iter_values((from..to).map(|_| amount)));
    RecordBatch::try_new(Arc::new(schema()), vec![ids, names, amounts]).unwrap()
}

async fn an_older_case_that_comes_late_deletes_nothing(backend: Backend) {
    let lake = open(&backend).await;
    let versioned = || MergePlan {
        group: vec!["name".into()],
        version: Some("amount".into()),
        ..upsert_plan()
    };
    read(&lake, 1, versioned(), &[case(0, 10, 7)]).await;
    let late = read(&lake, 2, versioned(), &[case(2, 5, 3)]).await;
    assert_eq!((late.written, late.deduplicated, late.deleted), (0, 3, 0));
    assert_eq!(through_datafusion(&lake, None).await[0].0, 10);
    // A newer one comes whole.
    let newer = read(&lake, 3, versioned(), &[case(2, 5, 9)]).await;
    assert_eq!((newer.written, newer.deleted), (3, 7));
}

async fn an_older_delete_that_comes_late_deletes_nothing(backend: Backend) {
    let lake = open(&backend).await;
    let versioned = || MergePlan { version: Some("amount".into()), ..upsert_plan() };
    let delete = async |seq, batches: &[(RecordBatch, Ops)]| {
        let mut merge = start(&lake, "a", seq, versioned()).await.unwrap();
        for (batch, ops) in batches {
            merge.merge(batch, ops, &positions(batch)).unwrap();
        }
        commit(&lake, merge.finish().unwrap()).await
    };
    read(&lake, 1, versioned(), &[rows(0, 10, 5)]).await;
    let late = delete(2, &[(rows(0, 10, 3), Ops::Delete)]).await;
    assert_eq!((late.read, late.deleted), (0, 0));
    // Nor does it where the newer row came earlier in the same read.
    let staged = delete(3, &[(rows(10, 20, 5), Ops::Upsert), (rows(10, 20, 3), Ops::Delete)]).await;
    assert_eq!((staged.written, staged.deleted), (10, 0));
    assert_eq!(through_datafusion(&lake, None).await[0].0, 20);
    let newer = delete(4, &[(rows(0, 20, 6), Ops::Delete)]).await;
    assert_eq!((newer.read, newer.deleted), (0, 20));
}

async fn a_case_that_comes_again_comes_whole(backend: Backend) {
    let lake = open(&backend).await;
    // Version 1 has ten steps of the case, version 2 only three.
    let whole = || MergePlan { group: vec!["name".into()], ..upsert_plan() };
    read(&lake, 1, whole(), &[case(0, 10, 1), rows(50, 60, 1)]).await;
    let again = read(&lake, 2, whole(), &[case(2, 5, 7)]).await;
    assert_eq!((again.written, again.deleted), (3, 7));
    let expected = 3 * 7 + amounts(50, 60, 1);
    assert_eq!(through_datafusion(&lake, None).await[0], (13, expected, 10));
}

async fn an_older_version_goes_straight_to_history(backend: Backend) {
    let lake = open(&backend).await;
    let versioned = || MergePlan { version: Some("amount".into()), ..upsert_plan() };
    read(&lake, 1, versioned(), &[rows(0, 10, 5)]).await;
    let late = read(&lake, 2, versioned(), &[rows(0, 10, 3)]).await;
    assert_eq!((late.written, late.deduplicated), (0, 10));
    // Within one read the greatest version wins too, whatever the order.
    let mixed = read(&lake, 3, versioned(), &[rows(0, 10, 9), rows(0, 10, 7)]).await;
    assert_eq!((mixed.written, mixed.deduplicated), (10, 10));
    assert_eq!(through_datafusion(&lake, None).await[0], (10, amounts(0, 10, 9), 30));
}

async fn a_floating_point_key_is_refused(backend: Backend) {
    let lake = open(&backend).await;
    let batch =
        RecordBatch::try_from_iter([("f", Arc::new(Float64Array::from(vec![1.0])) as ArrayRef)])
            .unwrap();
    let (current, history) = huiliu_lake::Merge::table_schemas(&batch.schema(), WriteMode::Upsert);
    let mut tx = lake.store().begin().await.unwrap();
    let current = lake.ensure_table(&mut tx, "current", "f", &current).await.unwrap();
    let history = lake.ensure_table(&mut tx, "history", "f", &history).await.unwrap();
    tx.commit().await.unwrap();
    let plan = MergePlan { key: vec!["f".into()], ..upsert_plan() };
    let stamp = huiliu_lake::RowStamp { run: 1, seq: 1, received_at: 0 };
    let refused =
        huiliu_lake::Merge::start(&lake, current, history, &batch.schema(), plan, stamp).await;
    assert_eq!(refused.err().unwrap().code(), "E-KEY-TYPE");
}

#[test]
fn positions_know_the_origin_of_each_row() {
    let mut places = Positions::new();
    places.push("a.csv".into(), vec![7, 8]);
    places.push("b.csv".into(), vec![1]);
    assert_eq!(places.get(1), Some(("a.csv", 8)));
    assert_eq!(places.get(2), Some(("b.csv", 1)));
    assert_eq!(places.get(3), None);
}
