//! Files that are not what the catalog says, and files that it does not know.

use std::path::PathBuf;

use chrono::TimeDelta;
use huiliu_lake::Lake;
use huiliu_sdk::Ops;

use crate::backend::{Backend, on_both};
use crate::oracle::through_datafusion;
use crate::upkeep::{compact_all, files_on_disk, strict};
use crate::world::{commit_step, expected, open, rows, stage};

on_both!(
    missing_truncated_and_replaced_files_are_named,
    a_file_of_the_same_size_and_other_rows_is_found_by_its_bounds,
    files_of_a_killed_run_are_removed_after_their_grace_and_no_others,
);

async fn filled(backend: &Backend) -> Lake {
    let lake = open(backend).await;
    for seq in 1..=3 {
        commit_step(&lake, seq).await.unwrap();
    }
    lake
}

async fn first_file(lake: &Lake, table: &str) -> PathBuf {
    lake.live_files(Some(table)).await.unwrap()[0].files[0].path.clone()
}

async fn missing_truncated_and_replaced_files_are_named(backend: Backend) {
    let lake = filled(&backend).await;
    let whole = lake.verify().await.unwrap();
    assert!(whole.torn.is_empty() && whole.files > 10 && whole.bytes > 1000);
    lake.verify_sizes().await.unwrap().check().unwrap();

    let path = first_file(&lake, "current.a").await;
    let content = std::fs::read(&path).unwrap();
    let fault = async |quick: bool| {
        let found = match quick {
            true => lake.verify_sizes().await.unwrap(),
            false => lake.verify().await.unwrap(),
        };
        assert_eq!(found.torn.len(), 1, "{:?}", found.torn);
        assert_eq!((found.torn[0].table.as_str(), &found.torn[0].file), ("current.a", &path));
        let error = found.check().unwrap_err();
        assert_eq!(error.code(), "E-LAKE-TORN");
        let said = error.to_string();
        assert!(said.contains("current.a") && said.contains("snapshot"), "{said}");
        found.torn[0].fault.clone()
    };
    std::fs::remove_file(&path).unwrap();
    assert_eq!(fault(true).await, "is not there");
    assert_eq!(fault(false).await, "is not there");
    std::fs::write(&path, &content[..content.len() / 2]).unwrap();
    assert!(fault(true).await.contains("bytes instead of"));
    let mut damaged = content.clone();
    let end = damaged.len();
    damaged[end - 6..].fill(0);
    std::fs::write(&path, &damaged).unwrap();
    assert_eq!(fault(false).await, "has no readable footer");
    std::fs::write(&path, &content).unwrap();
    lake.verify().await.unwrap().check().unwrap();
}

async fn a_file_of_the_same_size_and_other_rows_is_found_by_its_bounds(backend: Backend) {
    let lake = filled(&backend).await;
    let path = first_file(&lake, "current.a").await;
    let other = first_file(&lake, "current.b").await;
    std::fs::copy(&other, &path).unwrap();
    // As if whoever replaced it had made its size fit.
    let size = i64::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    lake.store()
        .run(
            "replace a file",
            "update ducklake_data_file set file_size_bytes = ? where path = ?",
            huiliu_store::args![size, name],
        )
        .await
        .unwrap();
    lake.verify_sizes().await.unwrap().check().unwrap();
    let found = lake.verify().await.unwrap();
    // The first chunk of both tables has the same source rows and other hashes or positions.
    let equal = std::fs::read(&path).unwrap() == std::fs::read(&other).unwrap();
    assert!(equal);
    if let Some(torn) = found.torn.first() {
        assert!(torn.fault.contains("other values in column") || torn.fault.contains("rows"));
    }
    let third = lake.live_files(Some("current.a")).await.unwrap()[0].files[2].path.clone();
    std::fs::copy(&third, &path).unwrap();
    let size = i64::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    lake.store()
        .run(
            "replace a file",
            "update ducklake_data_file set file_size_bytes = ? where path = ?",
            huiliu_store::args![size, name],
        )
        .await
        .unwrap();
    let found = lake.verify().await.unwrap();
    assert_eq!(found.torn.len(), 1);
    assert!(found.torn[0].fault.contains("other values in column"), "{}", found.torn[0].fault);
}

async fn files_of_a_killed_run_are_removed_after_their_grace_and_no_others(backend: Backend) {
    let lake = filled(&backend).await;
    compact_all(&lake).await;
    let before = files_on_disk(&lake);
    // Staged and never committed, as a killed process leaves it.
    let staged = stage(&lake, "a", 9, &[(rows(0, 500, 9), Ops::Upsert)]).await.unwrap();
    let left = files_on_disk(&lake) - before;
    assert!(left > 0);
    drop(staged);
    let mut found = Vec::new();
    for folder in lake.folders().unwrap() {
        let now = strict().now;
        assert!(lake.orphans(&folder, now - TimeDelta::hours(1)).await.unwrap().is_empty());
        found.extend(lake.orphans(&folder, now).await.unwrap());
    }
    assert_eq!(found.len(), left);
    assert!(lake.remove(&found).unwrap() > 0);
    assert_eq!(files_on_disk(&lake), before);
    lake.verify().await.unwrap().check().unwrap();
    assert_eq!(through_datafusion(&lake, None).await, expected(3));
}
