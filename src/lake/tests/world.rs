//! A small lake with two tables and a state row, and what every test does to it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_lake::{Commit, Lake, Merge, MergePlan, MergeResult, Positions, RowStamp};
use huiliu_sdk::{Checkpoint, Ops, Result, Scope, StreamId, WriteMode};
use huiliu_store::{Balance, StreamState};

use crate::backend::Backend;

pub(crate) fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("amount", DataType::Int64, true),
    ])
}

/// Rows `from..to`, whose content depends on `version`.
pub(crate) fn rows(from: i64, to: i64, version: i64) -> RecordBatch {
    let ids: ArrayRef =
        Arc::new(StringArray::from_iter_values((from..to).map(|id| format!("K{id:05}"))));
    let names: ArrayRef =
        Arc::new(StringArray::from_iter_values((from..to).map(|id| format!("姓名{id}v{version}"))));
    let amounts: ArrayRef =
        Arc::new(Int64Array::from_iter_values((from..to).map(|id| id * 10 + version)));
    RecordBatch::try_new(Arc::new(schema()), vec![ids, names, amounts]).unwrap()
}

pub(crate) fn positions(batch: &RecordBatch) -> Positions {
    let mut positions = Positions::new();
    positions.push("test".into(), (0..batch.num_rows() as u64).collect());
    positions
}

/// Upserts by `id`.
pub(crate) fn upsert_plan() -> MergePlan {
    MergePlan { mode: WriteMode::Upsert, key: vec!["id".to_owned()], ..MergePlan::default() }
}

/// A merge into `current.<table>`.
pub(crate) async fn start(lake: &Lake, table: &str, seq: i64, plan: MergePlan) -> Result<Merge> {
    let (current, history) = Merge::table_schemas(&schema(), plan.mode);
    let mut tx = lake.store().begin().await?;
    let current = lake.ensure_table(&mut tx, "current", table, &current).await?;
    let history = lake.ensure_table(&mut tx, "history", table, &history).await?;
    tx.commit().await?;
    let stamp = RowStamp { run: seq, seq, received_at: 1_544_688_000_000_000 + seq };
    Merge::start(lake, current, history, &schema(), plan, stamp).await
}

/// Merges `batches` into `current.<table>` without committing.
pub(crate) async fn stage(
    lake: &Lake,
    table: &str,
    seq: i64,
    batches: &[(RecordBatch, Ops)],
) -> Result<MergeResult> {
    let mut merge = start(lake, table, seq, upsert_plan()).await?;
    for (batch, ops) in batches {
        merge.merge(batch, ops, &positions(batch))?;
    }
    merge.finish()
}

/// Commits what a merge wants, and says what became of its rows.
pub(crate) async fn commit(lake: &Lake, result: MergeResult) -> Balance {
    let commit = Commit { changes: result.changes, ..Commit::default() };
    if !commit.is_empty() {
        let mut tx = lake.store().begin().await.unwrap();
        commit.write(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    result.balance
}

/// One commit over tables `a` and `b` and a state row: step `seq` of the history that all tests
/// share.
pub(crate) async fn commit_step(lake: &Lake, seq: i64) -> Result<i64> {
    let a = stage(lake, "a", seq, &[(rows(seq * 50, seq * 50 + 100, seq), Ops::Upsert)]).await?;
    let gone = rows(seq * 50 + 10, seq * 50 + 20, 0);
    let b = stage(
        lake,
        "b",
        seq,
        &[(rows(seq * 50, seq * 50 + 100, seq), Ops::Upsert), (gone, Ops::Delete)],
    )
    .await?;
    let table_id = a.changes[0].table.table_id;
    let mut changes = a.changes;
    changes.extend(b.changes);
    let commit = Commit { changes, author: "test".into(), message: format!("step {seq}") };
    let mut tx = lake.store().begin().await?;
    fail::fail_point!("test::begun");
    let snapshot = commit.write(&mut tx).await?;
    tx.advance_state(&StreamState {
        system: "test".into(),
        stream: "both".into(),
        seq,
        table_id,
        snapshot_id: snapshot,
        checkpoint: Some(Checkpoint {
            scope: Scope::Stream(StreamId::new("both")),
            version: 1,
            state: serde_json::json!({ "step": seq }),
        }),
        run_id: seq,
        updated_at: "2018-12-13T00:00:00Z".into(),
    })
    .await?;
    fail::fail_point!("test::state");
    tx.commit().await?;
    fail::fail_point!("test::committed");
    Ok(snapshot)
}

/// What a lake with `steps` steps must hold: per table, row count, sum of amounts, history rows.
pub(crate) fn expected(steps: i64) -> Vec<(i64, i64, i64)> {
    use std::collections::BTreeMap;
    let mut a: BTreeMap<i64, i64> = BTreeMap::new();
    let mut b: BTreeMap<i64, i64> = BTreeMap::new();
    let (mut history_a, mut history_b) = (0, 0);
    for seq in 1..=steps {
        for id in seq * 50..seq * 50 + 100 {
            history_a += i64::from(a.insert(id, id * 10 + seq).is_some());
            history_b += i64::from(b.insert(id, id * 10 + seq).is_some());
        }
        for id in seq * 50 + 10..seq * 50 + 20 {
            history_b += i64::from(b.remove(&id).is_some());
        }
    }
    let count = |rows: &BTreeMap<i64, i64>| i64::try_from(rows.len()).unwrap();
    vec![(count(&a), a.values().sum(), history_a), (count(&b), b.values().sum(), history_b)]
}

pub(crate) async fn open(backend: &Backend) -> Lake {
    Lake::open_with(backend.data(), &backend.address()).await.unwrap()
}
