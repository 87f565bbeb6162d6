//! A read of many files is one read: rows meet earlier ones whose file is full as they meet those
//! in memory. The same chunks go into table `a` with files of 64 rows and into `b` with one file.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use huiliu_lake::{KeySet, Lake, MergePlan};
use huiliu_sdk::{Op, Ops, WriteMode};
use huiliu_store::Balance;

use crate::backend::Backend;
use crate::oracle::{through_datafusion, through_duckdb};
use crate::world::{commit, open, positions, schema, start, upsert_plan};

const SEED: u64 = 20_181_213;
const KEYS: u64 = 400;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % limit
    }
}

/// A chunk of rows with few keys and fewer contents; one in ten is a delete, if there are deletes.
fn chunk(random: &mut Random, with_deletes: bool) -> (RecordBatch, Ops) {
    let count = usize::try_from(1 + random.below(90)).unwrap();
    let (mut ids, mut names, mut amounts, mut ops) = (vec![], vec![], vec![], vec![]);
    for _ in 0..count {
        let (id, version) = (random.below(KEYS), random.below(4));
        ids.push(format!("K{id:05}"));
        names.push(format!("办件{}", id % 37));
        amounts.push(i64::try_from(version).unwrap());
        let deletes = with_deletes && random.below(10) == 0;
        ops.push(if deletes { Op::Delete } else { Op::Upsert });
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(ids)),
        Arc::new(StringArray::from(names)),
        Arc::new(Int64Array::from(amounts)),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema()), columns).unwrap();
    (batch, if with_deletes { Ops::PerRow(ops) } else { Ops::Upsert })
}

/// One read in one commit.
async fn read(
    lake: &Lake,
    table: &str,
    seq: i64,
    plan: MergePlan,
    chunks: &[(RecordBatch, Ops)],
) -> Balance {
    let sweeps = plan.seen.is_some();
    let mut merge = start(lake, table, seq, plan).await.unwrap();
    for (batch, ops) in chunks {
        merge.merge(batch, ops, &positions(batch)).unwrap();
    }
    if sweeps {
        merge.sweep().unwrap();
    }
    commit(lake, merge.finish().unwrap()).await
}

async fn files(lake: &Lake, table: &str) -> usize {
    let table = lake.table("current", table).await.unwrap().unwrap();
    lake.data_files(&table).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_mode_gives_the_same_in_many_files_as_in_one() {
    println!("seed {SEED}");
    let mut random = Random(SEED);
    let keys = |lake: &Lake| Some(Arc::new(Mutex::new(KeySet::new(lake.root().join("spill")))));
    let mode = |mode| MergePlan { mode, ..upsert_plan() };
    let plans = [
        ("upsert", upsert_plan(), true, false),
        ("cursor", MergePlan { cursor: Some("amount".into()), ..upsert_plan() }, true, false),
        ("version", MergePlan { version: Some("amount".into()), ..upsert_plan() }, true, false),
        ("group", MergePlan { group: vec!["name".into()], ..upsert_plan() }, true, false),
        ("sweep", upsert_plan(), true, true),
        ("scd2", mode(WriteMode::Scd2), true, false),
        ("scd2 and sweep", mode(WriteMode::Scd2), false, true),
        ("replace", mode(WriteMode::Replace), false, false),
        (
            "snapshot",
            MergePlan { taken_on: Some(17_878), ..mode(WriteMode::Snapshot) },
            false,
            false,
        ),
        ("append", mode(WriteMode::Append), false, false),
    ];
    for (name, plan, with_deletes, sweeps) in plans {
        let backend = Backend::sqlite();
        let lake = open(&backend).await;
        for seq in 1..=4 {
            let length = 16 + random.below(16);
            let chunks: Vec<_> = (0..length).map(|_| chunk(&mut random, with_deletes)).collect();
            let mut balances = Vec::new();
            for (table, file_rows) in [("a", Some(64)), ("b", None)] {
                let seen = if sweeps { keys(&lake) } else { None };
                let plan = MergePlan { file_rows, seen, ..plan.clone() };
                balances.push(read(&lake, table, seq, plan, &chunks).await);
            }
            assert_eq!(balances[0], balances[1], "{name}, read {seq}");
            let tables = through_datafusion(&lake, None).await;
            assert_eq!(tables[0], tables[1], "{name}, read {seq}");
            assert!(balances[0].read > 0 && tables[0].0 > 0, "{name}, read {seq}");
        }
        assert!(files(&lake, "a").await >= files(&lake, "b").await + 2, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_in_many_files_that_brings_what_is_there_changes_nothing() {
    let backend = Backend::sqlite();
    let lake = open(&backend).await;
    let mut random = Random(SEED);
    let plan = MergePlan { mode: WriteMode::Replace, file_rows: Some(64), ..upsert_plan() };
    // Of two rows of a key in one chunk the older one goes to history, which is a change.
    let distinct = |(batch, ops): (RecordBatch, Ops)| (batch.slice(0, 1), ops);
    let chunks: Vec<_> = (0..900).map(|_| distinct(chunk(&mut random, false))).collect();
    let first = read(&lake, "a", 1, plan.clone(), &chunks).await;
    assert!(files(&lake, "a").await > 3);
    assert!(first.deduplicated > 100, "{first:?}");
    // The oracles ask for both tables.
    read(&lake, "b", 1, upsert_plan(), &chunks[..1]).await;
    let snapshot = lake.latest_snapshot().await.unwrap();
    let again = read(&lake, "a", 2, plan, &chunks).await;
    assert_eq!((again.written, again.unchanged), (0, first.written + first.unchanged));
    assert_eq!(lake.latest_snapshot().await.unwrap(), snapshot, "the same rows change nothing");
    let expected = through_datafusion(&lake, None).await[0];
    assert_eq!(through_duckdb(&backend, None)[0], (expected.0, expected.1));
}
