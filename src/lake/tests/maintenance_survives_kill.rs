//! The process dies by SIGKILL at every step of a compaction and of an expiry; afterwards the
//! content is what it was, and maintenance goes on.

use std::path::Path;
use std::process::Command;

use huiliu_lake::{CompactionPolicy, Lake};

use crate::backend::{Backend, address, on_both};
use crate::oracle::through_datafusion;
use crate::upkeep::{
    commit_compaction, compact_all, expect_steps, expire, files_on_disk, later, stage_compaction,
    strict,
};
use crate::world::{commit_step, expected, open};

const STEPS: i64 = 4;

/// Every numbered step.
const POINTS: [&str; 9] = [
    "maintain::rewritten",
    "lake::synced",
    "lake::files",
    "lake::table",
    "lake::snapshot",
    "test::compacted",
    "maintain::forgotten",
    "maintain::scheduled",
    "maintain::removed",
];

async fn maintain(lake: Lake) {
    let everything = CompactionPolicy::everything();
    let staged = stage_compaction(&lake, "current.a", everything).await.unwrap();
    if let Some(staged) = staged {
        commit_compaction(&lake, &staged).await.unwrap();
        fail::fail_point!("test::compacted");
    }
    let due = lake.expirable(&strict()).await.unwrap();
    expire(&lake, &due).await.unwrap();
    lake.remove_forgotten(later()).await.unwrap();
    lake.store().close().await;
}

/// In the child: die at `point`.
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
    maintain(lake).await;
    panic!("the child lived past {point}");
}

on_both!(killed_maintenance_changes_no_content_and_can_be_done_again);

async fn killed_maintenance_changes_no_content_and_can_be_done_again(first: Backend) {
    let is_postgres = first.schema().is_some();
    if let Ok(point) = std::env::var("HUILIU_TEST_DIE_AT") {
        die_at(&point).await;
    }
    for point in POINTS {
        let backend = if is_postgres { Backend::postgres() } else { Backend::sqlite() };
        let lake = open(&backend).await;
        for seq in 1..=STEPS {
            commit_step(&lake, seq).await.unwrap();
        }
        lake.store().close().await;
        let kind = if is_postgres { "postgres" } else { "sqlite" };
        let test = "maintenance_survives_kill::\
                    killed_maintenance_changes_no_content_and_can_be_done_again";
        let name = format!("{test}::{kind}");
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name])
            .env("HUILIU_TEST_DIE_AT", point)
            .env("HUILIU_TEST_DATA", backend.data())
            .env("HUILIU_TEST_SCHEMA", backend.schema().unwrap_or_default())
            .output()
            .unwrap();
        assert!(
            !ended.status.success() && ended.status.code().is_none(),
            "at {point} the child was to die by a signal: {}",
            String::from_utf8_lossy(&ended.stdout)
        );
        expect_steps(&backend, None, STEPS).await;
        let lake = open(&backend).await;
        lake.verify().await.unwrap().check().unwrap();
        compact_all(&lake).await;
        let due = lake.expirable(&strict()).await.unwrap();
        expire(&lake, &due).await.unwrap();
        lake.remove_forgotten(later()).await.unwrap();
        for folder in lake.folders().unwrap() {
            let orphans = lake.orphans(&folder, strict().now).await.unwrap();
            lake.remove(&orphans).unwrap();
        }
        let whole = lake.verify().await.unwrap();
        whole.check().unwrap();
        assert_eq!(files_on_disk(&lake) as u64, whole.files, "after {point} a file is left");
        assert_eq!(through_datafusion(&lake, None).await, expected(STEPS), "after {point}");
        lake.store().close().await;
    }
}
