//! Connections and requests, shared by all who use the database.

use std::time::Duration;

use crate::backend::{Backend, on_both};

on_both!(
    connections_are_counted_kept_and_given_back,
    requests_are_evenly_apart,
    deaths_are_counted
);

const HOUR_MS: i64 = 3_600_000;

async fn connections_are_counted_kept_and_given_back(backend: Backend) {
    let store = backend.store().await;
    let first = store.take_slot("city", 2, "run of 1", HOUR_MS).await.unwrap().unwrap();
    let second = store.take_slot("city", 2, "preview of 2", HOUR_MS).await.unwrap().unwrap();
    assert_eq!((first.number, second.number), (0, 1));
    let holders = store.take_slot("city", 2, "run of 3", HOUR_MS).await.unwrap().unwrap_err();
    assert_eq!(holders, "run of 1, preview of 2");
    assert!(store.take_slot("other", 1, "run of 3", HOUR_MS).await.unwrap().is_ok());
    assert!(store.renew_slot(&first, HOUR_MS).await.unwrap());
    // Only holders of this kind, however their names go on.
    store.end_slots("run of ").await.unwrap();
    assert!(!store.renew_slot(&first, HOUR_MS).await.unwrap());
    assert!(store.renew_slot(&second, 0).await.unwrap());
    let third = store.take_slot("city", 1, "run of 4", HOUR_MS).await.unwrap().unwrap();
    assert_eq!(third.number, 0, "what ran out is free");
    store.release_slot(&third).await.unwrap();
    assert!(store.take_slot("city", 1, "run of 5", HOUR_MS).await.unwrap().is_ok());
}

async fn requests_are_evenly_apart(backend: Backend) {
    let store = backend.store().await;
    assert_eq!(store.take_turn("city", 1).await.unwrap(), Duration::ZERO);
    let wait = store.take_turn("city", 1).await.unwrap();
    assert!(wait > Duration::from_secs(30) && wait <= Duration::from_mins(1), "{wait:?}");
    assert_eq!(store.take_turn("other", 1).await.unwrap(), Duration::ZERO);
}

async fn deaths_are_counted(backend: Backend) {
    let store = backend.store().await;
    let now = "2018-12-13T00:00:00.000Z";
    assert_eq!(store.attempts("city", "cases").await.unwrap(), 0);
    for run in 1..=2 {
        store.begin_attempt("city", "cases", run, now).await.unwrap();
    }
    assert_eq!(store.attempts("city", "cases").await.unwrap(), 2);
    store.end_attempt("city", "cases").await.unwrap();
    assert_eq!(store.attempts("city", "cases").await.unwrap(), 0);
}
