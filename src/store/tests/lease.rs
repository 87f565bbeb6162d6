//! Who may write, by the database's clock and by epoch.

use huiliu_sdk::ErrorKind;

use crate::backend::{Backend, on_both};

on_both!(
    one_holder_at_a_time,
    a_lease_that_ran_out_is_taken_and_fences_its_holder,
    ended_leases_are_free
);

const HOUR_MS: i64 = 3_600_000;

async fn one_holder_at_a_time(backend: Backend) {
    let store = backend.store().await;
    let first = store.take_lease("city.cases", "a", HOUR_MS).await.unwrap();
    assert_eq!(first.epoch, 1);
    let error = store.take_lease("city.cases", "b", HOUR_MS).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("E-LEASE-BUSY", ErrorKind::Conflict));
    let hint = error.hint_text().unwrap();
    let left = hint.rsplit("runs out in ").next().and_then(|rest| rest.strip_suffix(" s"));
    let left: i64 = left.unwrap().parse().unwrap();
    assert!((3540..=3600).contains(&left), "{hint}");
    assert_eq!(store.take_lease("city.items", "b", HOUR_MS).await.unwrap().epoch, 1);
    store.release_lease(&first).await.unwrap();
    assert_eq!(store.take_lease("city.cases", "b", HOUR_MS).await.unwrap().epoch, 2);
}

async fn a_lease_that_ran_out_is_taken_and_fences_its_holder(backend: Backend) {
    let store = backend.store().await;
    let slow = store.take_lease("city.cases", "a", 0).await.unwrap();
    let next = store.take_lease("city.cases", "b", HOUR_MS).await.unwrap();
    assert_eq!(next.epoch, slow.epoch + 1);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.check_lease(&slow).await.unwrap_err().code(), "E-LEASE-LOST");
    tx.check_lease(&next).await.unwrap();
    drop(tx);
    assert_eq!(store.renew_lease(&slow, HOUR_MS).await.unwrap_err().code(), "E-LEASE-LOST");
    store.renew_lease(&next, HOUR_MS).await.unwrap();
    // What the slow one gives back late is no longer its own.
    store.release_lease(&slow).await.unwrap();
    assert_eq!(store.take_lease("city.cases", "c", 1).await.unwrap_err().code(), "E-LEASE-BUSY");
}

async fn ended_leases_are_free(backend: Backend) {
    let store = backend.store().await;
    let old = store.take_lease("city.cases", "a", HOUR_MS).await.unwrap();
    store.end_leases().await.unwrap();
    let new = store.take_lease("city.cases", "b", HOUR_MS).await.unwrap();
    assert_eq!(new.epoch, old.epoch + 1);
}
