//! Two tables, deletes and a state row in one transaction; the process dies by SIGKILL at every
//! step, and afterwards either all of the commit is there or nothing of it.

use std::path::Path;
use std::process::Command;

use huiliu_lake::Lake;

use crate::backend::{Backend, address, on_both};
use crate::oracle::{through_datafusion, through_duckdb};
use crate::world::{commit_step, expected, open};

/// Every numbered step of the commit path, with whether the commit is there afterwards.
const STEPS: [(&str, bool); 8] = [
    ("lake::staged", false),
    ("test::begun", false),
    ("lake::synced", false),
    ("lake::files", false),
    ("lake::table", false),
    ("lake::snapshot", false),
    ("test::state", false),
    ("test::committed", true),
];

on_both!(a_killed_commit_is_whole_or_absent, both_readers_agree_on_every_snapshot);

async fn check(backend: &Backend, steps: i64) {
    let lake = open(backend).await;
    let state = lake.store().stream_state("test", "both").await.unwrap();
    assert_eq!(state.map_or(0, |state| state.seq), steps, "the state row belongs to the commit");
    assert_eq!(through_datafusion(&lake, None).await, expected(steps));
    lake.store().close().await;
    assert_eq!(through_duckdb(backend, None), current(&expected(steps)));
}

/// Rows and sums without those of history.
fn current(content: &[(i64, i64, i64)]) -> Vec<(i64, i64)> {
    content.iter().map(|(rows, sum, _)| (*rows, *sum)).collect()
}

async fn a_killed_commit_is_whole_or_absent(first: Backend) {
    let is_postgres = first.schema().is_some();
    if let Ok(point) = std::env::var("HUILIU_TEST_DIE_AT") {
        die_at(&point).await;
    }
    for (point, survives) in STEPS {
        let backend = if is_postgres { Backend::postgres() } else { Backend::sqlite() };
        let lake = open(&backend).await;
        commit_step(&lake, 1).await.unwrap();
        lake.store().close().await;
        let kind = if is_postgres { "postgres" } else { "sqlite" };
        let name = format!("commit_survives_kill::a_killed_commit_is_whole_or_absent::{kind}");
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name])
            .env("HUILIU_TEST_DIE_AT", point)
            .env("HUILIU_TEST_DATA", backend.data())
            .env("HUILIU_TEST_SCHEMA", backend.schema().unwrap_or_default())
            .output()
            .unwrap();
        assert!(
            !status.status.success() && status.status.code().is_none(),
            "at {point} the child was to die by a signal: {}",
            String::from_utf8_lossy(&status.stdout)
        );
        check(&backend, if survives { 2 } else { 1 }).await;
        // The next commit works whatever the dead one left behind.
        let lake = open(&backend).await;
        let done = if survives { 2 } else { 1 };
        commit_step(&lake, done + 1).await.unwrap();
        lake.store().close().await;
        check(&backend, done + 1).await;
    }
}

/// In the child: do the second step and die at `point`.
async fn die_at(point: &str) -> ! {
    let data = std::env::var("HUILIU_TEST_DATA").unwrap();
    let schema = std::env::var("HUILIU_TEST_SCHEMA").unwrap();
    let address = address(Some(&*schema).filter(|schema| !schema.is_empty()));
    let lake = Lake::open_with(Path::new(&data), &address).await.unwrap();
    fail::cfg_callback(point, || {
        let pid = std::process::id().to_string();
        let status = Command::new("kill").args(["-9", &pid]).status();
        unreachable!("kill -9 returned {status:?}");
    })
    .unwrap();
    let result = commit_step(&lake, 2).await;
    panic!("the child lived past {point}: {result:?}");
}

async fn both_readers_agree_on_every_snapshot(backend: Backend) {
    let lake = open(&backend).await;
    let mut snapshots = Vec::new();
    for seq in 1..=4 {
        snapshots.push(commit_step(&lake, seq).await.unwrap());
    }
    for (seq, snapshot) in (1..).zip(&snapshots) {
        assert_eq!(through_datafusion(&lake, Some(*snapshot)).await, expected(seq));
    }
    lake.store().close().await;
    for (seq, snapshot) in (1..).zip(&snapshots) {
        assert_eq!(through_duckdb(&backend, Some(*snapshot)), current(&expected(seq)));
    }
}
