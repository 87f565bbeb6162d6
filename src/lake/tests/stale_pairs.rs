//! Every ordered pair of things that can happen to a table, the second one prepared before the
//! first one was committed: the outcome is that of one after the other, or a clean conflict after
//! which the second one is prepared again.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use huiliu_lake::{Commit, Compaction, CompactionPolicy, FileWriter, Lake, TableChange};
use huiliu_sdk::{Ops, Result};
use huiliu_store::StreamState;

use crate::backend::{Backend, on_both};
use crate::oracle::{through_datafusion, through_duckdb};
use crate::upkeep::{commit_compaction, expire, stage_compaction, strict};
use crate::world::{commit_step, expected, open, rows, stage};

const STEPS: i64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Append,
    Upsert,
    Replace,
    Delete,
    Compaction,
    Expiry,
}

const ACTIONS: [Action; 6] = [
    Action::Append,
    Action::Upsert,
    Action::Replace,
    Action::Delete,
    Action::Compaction,
    Action::Expiry,
];

/// An action that looked at the table and has not been committed.
enum Prepared {
    Writer(Vec<TableChange>, StreamState),
    Compaction(Option<Compaction>),
    Expiry(Vec<i64>),
}

async fn prepare(lake: &Lake, action: Action, version: i64) -> Prepared {
    let batches: Vec<(RecordBatch, Ops)> = match action {
        Action::Append => vec![(rows(1000, 1100, version), Ops::Upsert)],
        Action::Upsert => vec![(rows(200, 260, version), Ops::Upsert)],
        Action::Delete => vec![(rows(220, 240, 0), Ops::Delete)],
        Action::Replace => {
            let table = lake.table("current", "a").await.unwrap().unwrap();
            let mut change = TableChange::new(table.clone());
            change.replace = true;
            let mut writer = FileWriter::create(&table).unwrap();
            writer.write(&rows(0, 30, version)).unwrap();
            change.added.push((writer.finish().unwrap(), None));
            return Prepared::Writer(vec![change], next_state(lake).await);
        }
        Action::Compaction => {
            let everything = CompactionPolicy::everything();
            let staged = stage_compaction(lake, "current.a", everything).await.unwrap();
            return Prepared::Compaction(staged);
        }
        Action::Expiry => return Prepared::Expiry(lake.expirable(&strict()).await.unwrap()),
    };
    let staged = stage(lake, "a", version, &batches).await.unwrap();
    Prepared::Writer(staged.changes, next_state(lake).await)
}

async fn next_state(lake: &Lake) -> StreamState {
    let mut state = lake.store().stream_state("test", "both").await.unwrap().unwrap();
    state.seq += 1;
    state
}

async fn commit(lake: &Lake, prepared: Prepared) -> Result<()> {
    match prepared {
        Prepared::Writer(changes, mut state) => {
            let mut tx = lake.store().begin().await?;
            let commit = Commit { changes, ..Commit::default() };
            state.snapshot_id = commit.write(&mut tx).await?;
            tx.advance_state(&state).await?;
            tx.commit().await
        }
        Prepared::Compaction(None) => Ok(()),
        Prepared::Compaction(Some(staged)) => match commit_compaction(lake, &staged).await {
            Ok(_) => Ok(()),
            Err(error) => {
                staged.discard();
                Err(error)
            }
        },
        Prepared::Expiry(due) => expire(lake, &due).await.map(|_| ()),
    }
}

/// The content after `action`.
fn apply(content: &mut BTreeMap<i64, i64>, action: Action, version: i64) {
    let range = match action {
        Action::Append => 1000..1100,
        Action::Upsert => 200..260,
        Action::Replace => {
            content.clear();
            0..30
        }
        Action::Delete => {
            content.retain(|id, _| !(220..240).contains(id));
            return;
        }
        Action::Compaction | Action::Expiry => return,
    };
    content.extend(range.map(|id| (id, id * 10 + version)));
}

on_both!(every_ordered_pair_is_serial_or_a_clean_conflict);

async fn every_ordered_pair_is_serial_or_a_clean_conflict(kind: Backend) {
    let is_postgres = kind.schema().is_some();
    let mut start = BTreeMap::new();
    for seq in 1..=STEPS {
        start.extend((seq * 50..seq * 50 + 100).map(|id| (id, id * 10 + seq)));
    }
    let (rows, sum, _) = expected(STEPS)[0];
    assert_eq!((start.len() as i64, start.values().sum::<i64>()), (rows, sum));
    let mut conflicts = 0;
    for first in ACTIONS {
        for second in ACTIONS {
            let backend = if is_postgres { Backend::postgres() } else { Backend::sqlite() };
            let lake = open(&backend).await;
            for seq in 1..=STEPS {
                commit_step(&lake, seq).await.unwrap();
            }
            let stale = prepare(&lake, second, 8).await;
            let fresh = prepare(&lake, first, 7).await;
            commit(&lake, fresh).await.unwrap();
            if let Err(error) = commit(&lake, stale).await {
                let clean = ["E-LAKE-CONFLICT", "E-SEQ"].contains(&error.code());
                assert!(clean, "{first:?}, {second:?}: {error}");
                conflicts += 1;
                let again = prepare(&lake, second, 8).await;
                commit(&lake, again).await.unwrap();
            }
            let mut content = start.clone();
            apply(&mut content, first, 7);
            apply(&mut content, second, 8);
            let wanted = (content.len() as i64, content.values().sum::<i64>());
            let (rows, sum, _) = through_datafusion(&lake, None).await[0];
            assert_eq!((rows, sum), wanted, "{first:?}, then {second:?}");
            lake.verify().await.unwrap().check().unwrap();
            lake.store().close().await;
            if [first, second].contains(&Action::Compaction) {
                let seen = through_duckdb(&backend, None)[0];
                assert_eq!(seen, wanted, "{first:?}, then {second:?}, by DuckDB");
            }
        }
    }
    assert!(conflicts >= 16, "writers among themselves, and compactions, were to conflict");
}
