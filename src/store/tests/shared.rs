//! Two hubs on one Postgres.

use std::time::{Duration, Instant};

use huiliu_store::{RunState, Store};

use crate::backend::{Backend, server};
use crate::record::step;

const NOW: &str = "2018-12-13T00:00:00.000Z";
const HOUR_MS: i64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_living_hub_keeps_its_leases_and_runs_and_a_dead_one_does_not() {
    let backend = Backend::postgres();
    let (first, second) = (backend.store().await, backend.store().await);
    // The same name, as two machines may give to their processes.
    let lease = first.take_lease("city.cases", "process 1", HOUR_MS).await.unwrap();
    let run = first.start_run(None, "+", "process 1", NOW).await.unwrap();
    let mut tx = first.begin().await.unwrap();
    tx.put_step(&step(run, "a", RunState::Running)).await.unwrap();
    tx.commit().await.unwrap();

    second.end_leases().await.unwrap();
    assert_eq!(second.close_abandoned_runs(NOW).await.unwrap(), 0);
    assert_eq!(second.steps(None).await.unwrap()[0].state, "running");
    let error = second.take_lease("city.cases", "process 1", HOUR_MS).await.unwrap_err();
    assert_eq!(error.code(), "E-LEASE-BUSY");
    first.renew_lease(&lease, HOUR_MS).await.unwrap();

    first.close().await;
    // The server notices the closed connection when it next looks.
    let began = Instant::now();
    while second.close_abandoned_runs(NOW).await.unwrap() == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "the dead hub is still taken for living"
        );
        tokio::task::yield_now().await;
    }
    second.end_leases().await.unwrap();
    let taken = second.take_lease("city.cases", "process 2", HOUR_MS).await.unwrap();
    assert_eq!(taken.epoch, lease.epoch + 1);
    assert_eq!(second.steps(None).await.unwrap()[0].code.as_deref(), Some("E-ABANDONED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starting_hub_takes_no_connection_from_one_that_lives() {
    let backend = Backend::postgres();
    let (first, second) = (backend.store().await, backend.store().await);
    // The same name, as two machines may give to their processes.
    let holder = "run of process 1";
    let slot = first.take_slot("city", 1, holder, HOUR_MS).await.unwrap().unwrap();
    second.end_slots("run of ").await.unwrap();
    assert_eq!(second.take_slot("city", 1, holder, HOUR_MS).await.unwrap().unwrap_err(), holder);
    assert!(first.renew_slot(&slot, HOUR_MS).await.unwrap());
    // What was taken for something else, and what an own run left.
    let preview = second.take_slot("land", 1, "preview of process 1", HOUR_MS).await.unwrap();
    second.take_slot("province", 1, holder, HOUR_MS).await.unwrap().unwrap();
    second.end_slots("run of ").await.unwrap();
    assert!(second.renew_slot(&preview.unwrap(), HOUR_MS).await.unwrap());
    assert!(second.take_slot("province", 1, holder, HOUR_MS).await.unwrap().is_ok());

    first.close().await;
    // The server notices the closed connection when it next looks.
    let began = Instant::now();
    loop {
        second.end_slots("run of ").await.unwrap();
        if second.take_slot("city", 1, holder, HOUR_MS).await.unwrap().is_ok() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "a dead hub still has its connection");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_belongs_to_one_folder() {
    let backend = Backend::postgres();
    let store = backend.store().await;
    let other = tempfile::tempdir().unwrap();
    let file = other.path().join("huiliu.db");
    let error = Store::open_at(&backend.address(), &file, other.path()).await.unwrap_err();
    assert_eq!(error.code(), "E-STORE-FOLDER");
    store.close().await;
    backend.store().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_server_are_told_by_kind_and_tell_no_secret() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("{}_is_not_there", server());
    for (url, code) in [
        (format!("postgresql://hub:hunter2@{closed}/hub"), "E-STORE-IO"),
        (missing, "E-STORE-OPEN"),
    ] {
        let address = huiliu_store::PostgresAddress::new(&url, "huiliu").unwrap();
        let error = Store::open_postgres(&address, folder.path()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
