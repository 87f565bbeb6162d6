//! Compaction changes files and no content.

use arrow::array::{Array, StringArray};
use huiliu_lake::{Commit, CompactionPolicy, Lake};
use huiliu_sdk::Ops;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::backend::{Backend, on_both};
use crate::oracle::{moved_through_duckdb, through_datafusion};
use crate::upkeep::{
    commit_compaction, compact_all, expect_steps, files_on_disk, stage_compaction,
};
use crate::world::{commit_step, expected, open, rows, stage};

on_both!(
    both_readers_see_the_same_before_and_after_at_every_snapshot,
    upserts_and_deletes_go_on_over_compacted_files,
    rows_keep_their_order_and_full_files_are_rolled,
    a_sum_that_differs_commits_nothing_and_leaves_no_file,
    a_compaction_told_to_stop_leaves_no_file,
    a_compaction_that_was_overtaken_is_refused_and_its_files_go,
);

const STEPS: i64 = 6;

async fn filled(backend: &Backend) -> (Lake, Vec<i64>) {
    let lake = open(backend).await;
    let mut snapshots = Vec::new();
    for seq in 1..=STEPS {
        snapshots.push(commit_step(&lake, seq).await.unwrap());
    }
    (lake, snapshots)
}

async fn live(lake: &Lake, table: &str) -> huiliu_lake::TableFiles {
    lake.live_files(Some(table)).await.unwrap().pop().unwrap()
}

async fn both_readers_see_the_same_before_and_after_at_every_snapshot(backend: Backend) {
    let (lake, snapshots) = filled(&backend).await;
    let versions = lake.table_versions().await.unwrap();
    assert!(live(&lake, "current.a").await.files.len() > 1);
    compact_all(&lake).await;
    for table in ["current.a", "current.b", "history.a", "history.b"] {
        let files = live(&lake, table).await.files;
        assert_eq!(files.len(), 1, "{table}");
        assert!(files[0].deletes.is_none(), "{table}");
    }
    let after = lake.table_versions().await.unwrap();
    for table in ["current.a", "current.b", "history.a", "history.b"] {
        assert_eq!(after[table], versions[table], "{table} has no other content than before");
    }
    lake.verify().await.unwrap().check().unwrap();
    lake.store().close().await;
    expect_steps(&backend, None, STEPS).await;
    let history: Vec<i64> = expected(STEPS).iter().map(|(_, _, history)| *history).collect();
    assert_eq!(moved_through_duckdb(&backend), history);
    for (step, snapshot) in (1..).zip(snapshots) {
        expect_steps(&backend, Some(snapshot), step).await;
    }
}

async fn upserts_and_deletes_go_on_over_compacted_files(backend: Backend) {
    let lake = open(&backend).await;
    for seq in 1..=STEPS {
        commit_step(&lake, seq).await.unwrap();
        if seq % 2 == 0 {
            compact_all(&lake).await;
        }
    }
    assert_eq!(through_datafusion(&lake, None).await, expected(STEPS));
    lake.store().close().await;
    expect_steps(&backend, None, STEPS).await;
}

async fn rows_keep_their_order_and_full_files_are_rolled(backend: Backend) {
    let (lake, _) = filled(&backend).await;
    let before = live(&lake, "current.a").await;
    let mut wanted = Vec::new();
    for file in &before.files {
        let deleted = match &file.deletes {
            None => Vec::new(),
            Some((_, path)) => positions(path),
        };
        for (row, id) in (0_i64..).zip(ids(&file.path)) {
            if !deleted.contains(&row) {
                wanted.push(id);
            }
        }
    }
    let policy = CompactionPolicy { full_rows: 128, ..CompactionPolicy::everything() };
    let staged = stage_compaction(&lake, "current.a", policy).await.unwrap().unwrap();
    assert_eq!(staged.report.kept, wanted.len() as u64);
    commit_compaction(&lake, &staged).await.unwrap();
    let after = live(&lake, "current.a").await;
    assert!(after.files.len() > 1);
    let found: Vec<String> = after.files.iter().flat_map(|file| ids(&file.path)).collect();
    assert_eq!(found, wanted);
    let size = |path| i64::try_from(std::fs::metadata(path).unwrap().len()).unwrap();
    assert!(after.files.iter().all(|file| size(&file.path) == file.facts.bytes));
}

fn column(path: &std::path::Path, name: &str) -> Vec<arrow::array::ArrayRef> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap().column_by_name(name).unwrap().clone()).collect()
}

fn ids(path: &std::path::Path) -> Vec<String> {
    let mut ids = Vec::new();
    for array in column(path, "id") {
        let array = array.as_any().downcast_ref::<StringArray>().unwrap().clone();
        ids.extend((0..array.len()).map(|row| array.value(row).to_owned()));
    }
    ids
}

fn positions(path: &std::path::Path) -> Vec<i64> {
    let arrays = column(path, "pos");
    let values = arrays.iter().flat_map(|array| {
        array.as_any().downcast_ref::<arrow::array::Int64Array>().unwrap().values().to_vec()
    });
    values.collect()
}

async fn a_sum_that_differs_commits_nothing_and_leaves_no_file(backend: Backend) {
    let (lake, _) = filled(&backend).await;
    let (files, snapshot) = (files_on_disk(&lake), lake.latest_snapshot().await.unwrap());
    fail::cfg("maintain::sum", "return").unwrap();
    let everything = CompactionPolicy::everything();
    let error = stage_compaction(&lake, "current.a", everything).await.unwrap_err();
    fail::remove("maintain::sum");
    assert_eq!(error.code(), "E-MAINTAIN-SUM");
    assert_eq!(files_on_disk(&lake), files);
    assert_eq!(lake.latest_snapshot().await.unwrap(), snapshot);
}

async fn a_compaction_told_to_stop_leaves_no_file(backend: Backend) {
    let (lake, _) = filled(&backend).await;
    let files = files_on_disk(&lake);
    let table = live(&lake, "current.b").await;
    let policy = CompactionPolicy::everything();
    let plan = policy.plan(&table.facts()).unwrap();
    let tables = huiliu_lake::CompactionTables {
        table: lake.table("current", "b").await.unwrap().unwrap(),
        history: lake.table("history", "b").await.unwrap(),
        key: vec!["id".to_owned()],
    };
    let stop = || Err(huiliu_sdk::Error::cancelled());
    let ended = huiliu_lake::Compaction::write(&lake, &tables, &table.files, &plan, &policy, &stop);
    assert_eq!(ended.unwrap_err().kind(), huiliu_sdk::ErrorKind::Cancelled);
    assert_eq!(files_on_disk(&lake), files);
}

async fn a_compaction_that_was_overtaken_is_refused_and_its_files_go(backend: Backend) {
    let (lake, _) = filled(&backend).await;
    let everything = CompactionPolicy::everything();
    let staged = stage_compaction(&lake, "current.a", everything).await.unwrap().unwrap();
    let changed = stage(&lake, "a", 9, &[(rows(300, 320, 9), Ops::Upsert)]).await.unwrap();
    let mut tx = lake.store().begin().await.unwrap();
    Commit { changes: changed.changes, ..Commit::default() }.write(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let files = files_on_disk(&lake);
    let error = commit_compaction(&lake, &staged).await.unwrap_err();
    assert_eq!(error.code(), "E-LAKE-CONFLICT");
    staged.discard();
    assert!(files_on_disk(&lake) < files);
    lake.verify().await.unwrap().check().unwrap();
}
