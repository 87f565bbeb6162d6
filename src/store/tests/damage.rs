//! A damaged file of SQLite opens at a durable transaction or says that it is damaged.

use std::path::Path;

use huiliu_store::{ModelRow, Store};

use crate::record::state;

const COMMITS: i64 = 20;
const TRIES: u64 = 200;

/// Numbers that are spread and the same in every run.
fn spread(index: u64, below: usize) -> usize {
    let mixed = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed >> 20) % u64::try_from(below).unwrap()).unwrap()
}

/// The files of a store in the middle of its work: the database and its write-ahead log.
async fn files() -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("huiliu.db");
    let store = Store::open(&file, folder.path()).await.unwrap();
    store.close().await;
    let store = Store::open(&file, folder.path()).await.unwrap();
    for seq in 1..=COMMITS {
        let mut tx = store.begin().await.unwrap();
        tx.advance_state(&state(seq)).await.unwrap();
        tx.put_model(&ModelRow {
            name: "standard.cases".into(),
            fingerprint: "f".repeat(2000),
            snapshot_id: seq * 10,
            row_count: seq,
            run_id: 1,
            built_at: String::new(),
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
    let log = std::fs::read(folder.path().join("huiliu.db-wal")).unwrap();
    let database = std::fs::read(&file).unwrap();
    store.close().await;
    (database, log)
}

/// Opens what is left and says up to which commit it holds; both halves of a commit agree.
async fn reopened(folder: &Path, database: &[u8], log: &[u8]) -> huiliu_sdk::Result<i64> {
    let file = folder.join("huiliu.db");
    drop(std::fs::remove_file(folder.join("huiliu.db-shm")));
    std::fs::write(&file, database).unwrap();
    std::fs::write(folder.join("huiliu.db-wal"), log).unwrap();
    let store = Store::open(&file, folder).await?;
    let read = async {
        let state = store.stream_state("city", "cases").await?;
        let models = store.models().await?;
        Ok::<_, huiliu_sdk::Error>((state, models))
    }
    .await;
    store.close().await;
    let (found, models) = read?;
    let seq = found.as_ref().map_or(0, |found| found.seq);
    assert_eq!(models.first().map_or(0, |model| model.row_count), seq, "half a commit");
    if let Some(found) = found {
        assert_eq!(found.checkpoint, state(seq).checkpoint);
    }
    Ok(seq)
}

#[tokio::test]
async fn a_cut_log_opens_at_the_last_durable_transaction() {
    let (database, log) = files().await;
    let folder = tempfile::tempdir().unwrap();
    let whole = reopened(folder.path(), &database, &log).await.unwrap();
    assert_eq!(whole, COMMITS);
    let mut cuts: Vec<usize> = (0..TRIES).map(|index| spread(index, log.len())).collect();
    cuts.sort_unstable();
    let mut last = 0;
    let mut seen = std::collections::BTreeSet::new();
    for cut in cuts {
        let seq = reopened(folder.path(), &database, &log[..cut]).await.unwrap();
        assert!((last..=COMMITS).contains(&seq), "a longer log holds less: {last}, {seq}");
        last = seq;
        seen.insert(seq);
    }
    assert!(seen.len() > 10, "the cuts met only {seen:?}");
}

#[tokio::test]
async fn a_flipped_byte_of_the_log_ends_it_there() {
    let (database, log) = files().await;
    let folder = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for index in 0..TRIES {
        let mut damaged = log.clone();
        damaged[spread(index, log.len())] ^= 0x55;
        seen.insert(reopened(folder.path(), &database, &damaged).await.unwrap());
    }
    assert!(seen.len() > 10, "the flips met only {seen:?}");
}

#[tokio::test]
async fn a_database_without_room_takes_the_next_transaction_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("huiliu.db"), folder.path()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.run("limit its size", "pragma max_page_count = 1", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    let filled = async {
        let mut tx = store.begin().await?;
        for seq in 0..500 {
            let name = format!("standard.{seq}");
            let (fingerprint, built_at) = ("f".repeat(4000), String::new());
            let (snapshot_id, row_count, run_id) = (1, 1, 1);
            tx.put_model(&ModelRow { name, fingerprint, snapshot_id, row_count, run_id, built_at })
                .await?;
        }
        tx.commit().await
    };
    assert_eq!(filled.await.unwrap_err().code(), "E-DISK-FULL");
    for seq in 1..=3 {
        let mut tx = store.begin().await.unwrap();
        tx.advance_state(&state(seq)).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert!(store.models().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_page_is_reported_as_damage() {
    const PAGE: usize = 4096;
    let (database, _) = files().await;
    let folder = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for page in 0..database.len() / PAGE {
        let mut damaged = database.clone();
        // The head of the page: its kind, its number of cells and where they are.
        let start = if page == 0 { 100 } else { page * PAGE };
        damaged[start..start + 8].fill(0xee);
        match reopened(folder.path(), &damaged, &[]).await {
            Ok(seq) => assert_eq!(seq, 0),
            Err(error) => {
                assert_eq!(error.code(), "E-STORE-CORRUPT", "page {page}: {error:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > database.len() / PAGE / 2, "only {refused} damaged pages were noticed");
}
