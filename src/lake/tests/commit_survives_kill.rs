//! Two tables, deletes and a state row in one transaction; the process dies by SIGKILL at every
//! step, and afterwards either all of the commit is there or nothing of it.

use std::path::Path;
use std::process::Command;

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

async fn check(data: &Path, steps: i64) {
    let lake = open(data).await;
    let state = lake.store().stream_state("test", "both").await.unwrap();
    assert_eq!(state.map_or(0, |state| state.seq), steps, "the state row belongs to the commit");
    assert_eq!(through_datafusion(&lake, None).await, expected(steps));
    lake.store().close().await;
    assert_eq!(through_duckdb(data, None), current(&expected(steps)));
}

/// Rows and sums without those of history.
fn current(content: &[(i64, i64, i64)]) -> Vec<(i64, i64)> {
    content.iter().map(|(rows, sum, _)| (*rows, *sum)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_commit_is_whole_or_absent() {
    if let Ok(point) = std::env::var("HUILIU_TEST_DIE_AT") {
        die_at(&point).await;
    }
    for (point, survives) in STEPS {
        let folder = tempfile::tempdir().unwrap();
        let lake = open(folder.path()).await;
        commit_step(&lake, 1).await.unwrap();
        lake.store().close().await;
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "commit_survives_kill::a_killed_commit_is_whole_or_absent"])
            .env("HUILIU_TEST_DIE_AT", point)
            .env("HUILIU_TEST_DATA", folder.path())
            .output()
            .unwrap();
        assert!(
            !status.status.success() && status.status.code().is_none(),
            "at {point} the child was to die by a signal: {}",
            String::from_utf8_lossy(&status.stdout)
        );
        check(folder.path(), if survives { 2 } else { 1 }).await;
        // The next commit works whatever the dead one left behind.
        let lake = open(folder.path()).await;
        let done = if survives { 2 } else { 1 };
        commit_step(&lake, done + 1).await.unwrap();
        lake.store().close().await;
        check(folder.path(), done + 1).await;
    }
}

/// In the child: do the second step and die at `point`.
async fn die_at(point: &str) -> ! {
    let data = std::env::var("HUILIU_TEST_DATA").unwrap();
    let lake = open(Path::new(&data)).await;
    fail::cfg_callback(point, || {
        let pid = std::process::id().to_string();
        let status = Command::new("kill").args(["-9", &pid]).status();
        unreachable!("kill -9 returned {status:?}");
    })
    .unwrap();
    let result = commit_step(&lake, 2).await;
    panic!("the child lived past {point}: {result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_readers_agree_on_every_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let mut snapshots = Vec::new();
    for seq in 1..=4 {
        snapshots.push(commit_step(&lake, seq).await.unwrap());
    }
    for (seq, snapshot) in (1..).zip(&snapshots) {
        assert_eq!(through_datafusion(&lake, Some(*snapshot)).await, expected(seq));
    }
    lake.store().close().await;
    for (seq, snapshot) in (1..).zip(&snapshots) {
        assert_eq!(through_duckdb(folder.path(), Some(*snapshot)), current(&expected(seq)));
    }
}
