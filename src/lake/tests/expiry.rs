//! Snapshots expire when nobody needs them, and never under a reader who would not notice.

use datafusion::prelude::SessionContext;
use huiliu_lake::{Lake, SnapshotCatalog};

use crate::backend::{Backend, on_both};
use crate::oracle::through_datafusion;
use crate::upkeep::{compact_all, expect_steps, expire, files_on_disk, later, strict};
use crate::world::{commit_step, expected, open};

on_both!(
    what_a_state_needs_is_kept_and_the_rest_goes_with_its_files,
    a_reader_of_this_process_keeps_its_snapshot,
    a_reader_of_another_process_is_told_and_never_served_less,
    a_pin_keeps_a_snapshot_until_it_ends,
    the_young_the_newest_and_those_of_a_run_in_progress_are_kept,
);

async fn filled(backend: &Backend) -> (Lake, Vec<i64>) {
    let lake = open(backend).await;
    let mut snapshots = Vec::new();
    for seq in 1..=4 {
        snapshots.push(commit_step(&lake, seq).await.unwrap());
    }
    compact_all(&lake).await;
    (lake, snapshots)
}

async fn rows_of_a(catalog: &SnapshotCatalog) -> Result<usize, String> {
    let schema = catalog.schema("current").ok_or("no schema")?;
    let table = schema.table("a").await.map_err(|e| e.to_string())?.ok_or("no table")?;
    let context = SessionContext::new();
    context.register_table("a", table).unwrap();
    let frame = context.sql("select * from a").await.map_err(|e| e.to_string())?;
    frame.count().await.map_err(|e| e.find_root().to_string())
}

async fn what_a_state_needs_is_kept_and_the_rest_goes_with_its_files(backend: Backend) {
    let (lake, snapshots) = filled(&backend).await;
    let before = files_on_disk(&lake);
    let due = lake.expirable(&strict()).await.unwrap();
    assert!(due.contains(&snapshots[0]) && due.contains(&snapshots[2]));
    assert!(!due.contains(&snapshots[3]), "the stream's state is of this snapshot");
    let expiry = expire(&lake, &due).await.unwrap();
    assert_eq!(expiry.snapshots, due);
    assert!(expiry.files > 0 && expiry.bytes > 0);
    assert_eq!(files_on_disk(&lake), before, "readers that have begun still find their files");
    let error = lake.at(Some(snapshots[0])).await.unwrap_err();
    assert_eq!(error.code(), "E-SNAPSHOT-GONE");
    assert_eq!(lake.remove_forgotten(later()).await.unwrap(), expiry.files);
    assert_eq!(files_on_disk(&lake) as u64, before as u64 - expiry.files);
    assert_eq!(lake.removable(later()).await.unwrap(), 0);
    lake.verify().await.unwrap().check().unwrap();
    assert_eq!(through_datafusion(&lake, None).await, expected(4));
    lake.store().close().await;
    expect_steps(&backend, Some(snapshots[3]), 4).await;
    expect_steps(&backend, None, 4).await;
}

async fn a_reader_of_this_process_keeps_its_snapshot(backend: Backend) {
    let (lake, snapshots) = filled(&backend).await;
    let reader = lake.at(Some(snapshots[1])).await.unwrap();
    let due = lake.expirable(&strict()).await.unwrap();
    assert!(!due.contains(&snapshots[1]) && due.contains(&snapshots[0]));
    expire(&lake, &due).await.unwrap();
    lake.remove_forgotten(later()).await.unwrap();
    assert_eq!(rows_of_a(&reader).await, Ok(150));
    drop(reader);
    assert!(lake.expirable(&strict()).await.unwrap().contains(&snapshots[1]));
}

async fn a_reader_of_another_process_is_told_and_never_served_less(backend: Backend) {
    let (lake, snapshots) = filled(&backend).await;
    let other = open(&backend).await;
    let reader = other.at(Some(snapshots[1])).await.unwrap();
    assert_eq!(rows_of_a(&reader).await, Ok(150));
    let due = lake.expirable(&strict()).await.unwrap();
    expire(&lake, &due).await.unwrap();
    let error = rows_of_a(&reader).await.unwrap_err();
    assert!(error.contains(&format!("snapshot {} has expired", snapshots[1])), "{error}");
}

async fn a_pin_keeps_a_snapshot_until_it_ends(backend: Backend) {
    let (lake, snapshots) = filled(&backend).await;
    let store = lake.store();
    store.pin(snapshots[0], "seal 1", None).await.unwrap();
    store.pin(snapshots[1], "reader", Some(later())).await.unwrap();
    store.pin(snapshots[2], "reader", Some(strict().now)).await.unwrap();
    let due = lake.expirable(&strict()).await.unwrap();
    assert!(!due.contains(&snapshots[0]) && !due.contains(&snapshots[1]));
    assert!(due.contains(&snapshots[2]), "its pin has run out");
    // One that is pinned between the look and the expiry is kept as well.
    store.pin(snapshots[2], "late", None).await.unwrap();
    let expiry = expire(&lake, &due).await.unwrap();
    assert!(!expiry.snapshots.contains(&snapshots[2]));
    store.unpin(snapshots[0], "seal 1").await.unwrap();
    assert!(lake.expirable(&strict()).await.unwrap().contains(&snapshots[0]));
    let error = store.pin(9999, "nobody", None).await.unwrap_err();
    assert_eq!(error.code(), "E-SNAPSHOT-GONE");
}

async fn the_young_the_newest_and_those_of_a_run_in_progress_are_kept(backend: Backend) {
    let (lake, _) = filled(&backend).await;
    let young = huiliu_lake::ExpiryRules {
        keep_since: strict().now - chrono::TimeDelta::days(1),
        ..strict()
    };
    assert!(lake.expirable(&young).await.unwrap().is_empty());
    let many = huiliu_lake::ExpiryRules { keep_snapshots: 1000, ..strict() };
    assert!(lake.expirable(&many).await.unwrap().is_empty());
    assert!(!lake.expirable(&strict()).await.unwrap().is_empty());
    let began = "2018-12-13T00:00:00.000Z";
    let run = lake.store().start_run(None, "*", "somebody", began).await.unwrap();
    assert!(lake.expirable(&strict()).await.unwrap().is_empty());
    let own = huiliu_lake::ExpiryRules { own_run: Some(run), ..strict() };
    assert!(!lake.expirable(&own).await.unwrap().is_empty());
}
