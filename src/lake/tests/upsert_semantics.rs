//! What an upsert does with new, equal, changed, repeated, deleted and keyless rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use huiliu_lake::{Commit, Lake};
use huiliu_sdk::Ops;
use huiliu_store::Balance;

use crate::backend::{Backend, on_both};
use crate::oracle::through_datafusion;
use crate::world::{commit, open, rows, schema, stage};

on_both!(
    equal_rows_are_not_written_again,
    a_key_repeated_within_and_across_chunks_keeps_its_last_row,
    deleting_twice_and_deleting_the_unknown_change_nothing_more,
    rows_without_a_key_are_handed_back,
    a_second_writer_from_the_same_base_is_refused,
);

async fn upsert(lake: &Lake, seq: i64, batches: &[(RecordBatch, Ops)]) -> Balance {
    commit(lake, stage(lake, "a", seq, batches).await.unwrap()).await
}

async fn equal_rows_are_not_written_again(backend: Backend) {
    let lake = open(&backend).await;
    let first = upsert(&lake, 1, &[(rows(0, 100, 1), Ops::Upsert)]).await;
    assert_eq!((first.read, first.written), (100, 100));
    let snapshot = lake.latest_snapshot().await.unwrap();
    let again = upsert(&lake, 2, &[(rows(0, 100, 1), Ops::Upsert)]).await;
    assert_eq!((again.read, again.written, again.unchanged), (100, 0, 100));
    assert_eq!(lake.latest_snapshot().await.unwrap(), snapshot, "nothing new makes no snapshot");
}

async fn a_key_repeated_within_and_across_chunks_keeps_its_last_row(backend: Backend) {
    let lake = open(&backend).await;
    let twice =
        arrow::compute::concat_batches(&Arc::new(schema()), &[rows(0, 10, 1), rows(5, 10, 2)])
            .unwrap();
    let balance = upsert(&lake, 1, &[(twice, Ops::Upsert), (rows(0, 3, 3), Ops::Upsert)]).await;
    assert_eq!((balance.read, balance.written, balance.deduplicated), (18, 10, 8));
    let sums: i64 = (0..3).map(|id| id * 10 + 3).sum::<i64>()
        + (3..5).map(|id| id * 10 + 1).sum::<i64>()
        + (5..10).map(|id| id * 10 + 2).sum::<i64>();
    // Five rows lost inside the chunk and three to the later chunk; all are in history.
    assert_eq!(through_datafusion(&lake, None).await[0], (10, sums, 8));
}

async fn deleting_twice_and_deleting_the_unknown_change_nothing_more(backend: Backend) {
    let lake = open(&backend).await;
    upsert(&lake, 1, &[(rows(0, 10, 1), Ops::Upsert)]).await;
    let first = upsert(&lake, 2, &[(rows(8, 12, 0), Ops::Delete)]).await;
    assert_eq!((first.read, first.deleted), (0, 2));
    let second = upsert(&lake, 3, &[(rows(8, 12, 0), Ops::Delete)]).await;
    assert_eq!(second.deleted, 0);
    assert_eq!(through_datafusion(&lake, None).await[0].0, 8);
}

async fn rows_without_a_key_are_handed_back(backend: Backend) {
    let lake = open(&backend).await;
    let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("A"), None]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["甲", "乙"]));
    let amounts: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_new(Arc::new(schema()), vec![ids, names, amounts]).unwrap();
    let balance = upsert(&lake, 1, &[(batch, Ops::Upsert)]).await;
    assert_eq!((balance.read, balance.written, balance.quarantined), (2, 1, 1));
}

async fn a_second_writer_from_the_same_base_is_refused(backend: Backend) {
    let lake = open(&backend).await;
    upsert(&lake, 1, &[(rows(0, 10, 1), Ops::Upsert)]).await;
    let slow = stage(&lake, "a", 2, &[(rows(0, 10, 2), Ops::Upsert)]).await.unwrap();
    upsert(&lake, 2, &[(rows(0, 10, 3), Ops::Upsert)]).await;
    let commit = Commit { changes: slow.changes, ..Commit::default() };
    let mut tx = lake.store().begin().await.unwrap();
    let error = commit.write(&mut tx).await.unwrap_err();
    assert_eq!(error.code(), "E-LAKE-CONFLICT");
}
