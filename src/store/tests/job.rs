//! Jobs: an occurrence is made once, begun by one hub, ended under its lease.

use huiliu_store::{
    Admission, Begin, End, Lease, NewOccurrence, Occurrence, OccurrenceState, Store,
};

use crate::backend::{Backend, on_both};

const NOW: &str = "2018-12-13T00:00:00.000Z";
const HOUR_MS: i64 = 3_600_000;

on_both!(
    an_occurrence_is_made_and_begun_once,
    what_overlaps_waits_or_is_left_out_as_the_job_says,
    a_hub_that_was_overtaken_ends_nothing,
    a_job_that_ends_its_process_is_parked,
    an_attempt_that_did_not_begin_does_not_count,
    what_a_dead_process_left_is_ended_unless_somebody_runs_it,
    a_database_of_before_has_its_jobs,
);

fn at(time: &str) -> Occurrence {
    let scheduled_at = format!("2018-12-13T{time}:00Z");
    Occurrence { job: "nightly".into(), scheduled_at }
}

fn new(time: &str, admission: Admission) -> NewOccurrence {
    NewOccurrence { occurrence: at(time), missed: 0, admission }
}

async fn add(store: &Store, time: &str, admission: Admission) -> Vec<OccurrenceState> {
    let added = store.add_occurrences(&[new(time, admission)], NOW).await.unwrap();
    added.into_iter().map(|(_, state)| state).collect()
}

async fn begin(store: &Store, time: &str, holder: &str, hold_ms: i64) -> Begin {
    store.begin_occurrence(&at(time), holder, hold_ms, 3, NOW).await.unwrap()
}

async fn begun(store: &Store, time: &str, holder: &str, hold_ms: i64) -> Lease {
    match begin(store, time, holder, hold_ms).await {
        Begin::Begun { lease, .. } => lease,
        other => panic!("{other:?}"),
    }
}

async fn state(store: &Store, time: &str) -> String {
    let rows = store.occurrences(Some("nightly"), 100).await.unwrap();
    rows.into_iter().find(|row| row.occurrence == at(time)).unwrap().state
}

async fn an_occurrence_is_made_and_begun_once(backend: Backend) {
    let store = backend.store().await;
    let mut makers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        makers.spawn(async move { add(&store, "01:00", Admission::Skip).await.len() });
    }
    assert_eq!(makers.join_all().await.into_iter().sum::<usize>(), 1);
    let lease = begun(&store, "01:00", "process 1", HOUR_MS).await;
    assert_eq!(begin(&store, "01:00", "process 2", HOUR_MS).await, Begin::Busy);
    let end = End { run_id: Some(7), exit_code: Some(0), ..End::default() };
    let done = OccurrenceState::Done;
    store.end_occurrence(&at("01:00"), &lease, done, &end, NOW).await.unwrap();
    assert_eq!(begin(&store, "01:00", "process 2", HOUR_MS).await, Begin::Gone);
    let again = store.end_occurrence(&at("01:00"), &lease, done, &end, NOW).await;
    assert!(again.is_ok() || again.unwrap_err().code() == "E-LEASE-LOST");
    let last = store.last_result("nightly").await.unwrap().unwrap();
    assert_eq!((last.state.as_str(), last.run_id, last.attempts), ("done", Some(7), 1));
    let jobs = store.jobs().await.unwrap();
    assert_eq!(jobs[0].last_at.as_deref(), Some("2018-12-13T01:00:00Z"));
    assert!(store.open_occurrences().await.unwrap().is_empty());
    assert_eq!(store.forget_occurrences("2018-12-14").await.unwrap(), 1);
}

async fn what_overlaps_waits_or_is_left_out_as_the_job_says(backend: Backend) {
    use OccurrenceState::{Queued, Skipped};
    let store = backend.store().await;
    assert_eq!(add(&store, "01:00", Admission::Skip).await, [Queued]);
    let lease = begun(&store, "01:00", "process 1", HOUR_MS).await;
    assert_eq!(add(&store, "02:00", Admission::Skip).await, [Skipped]);
    assert_eq!(add(&store, "03:00", Admission::QueueOne).await, [Queued]);
    assert_eq!(add(&store, "04:00", Admission::QueueOne).await, [Skipped]);
    assert_eq!(add(&store, "05:00", Admission::QueueAll).await, [Queued]);
    assert!(!store.open_occurrences().await.unwrap()[0].stop);
    assert!(!store.ask_for_job("nightly", NOW).await.unwrap(), "it runs already");
    store
        .end_occurrence(&at("01:00"), &lease, OccurrenceState::Done, &End::default(), NOW)
        .await
        .unwrap();
    for time in ["03:00", "05:00"] {
        let lease = begun(&store, time, "process 1", HOUR_MS).await;
        let end = End::default();
        store.end_occurrence(&at(time), &lease, OccurrenceState::Done, &end, NOW).await.unwrap();
    }
    assert_eq!(add(&store, "06:00", Admission::Kill).await, [Queued]);
    begun(&store, "06:00", "process 1", HOUR_MS).await;
    assert_eq!(add(&store, "07:00", Admission::Kill).await, [Queued]);
    let open = store.open_occurrences().await.unwrap();
    let stops: Vec<bool> = open.iter().map(|row| row.stop).collect();
    assert_eq!(stops, [true, false]);
}

async fn a_hub_that_was_overtaken_ends_nothing(backend: Backend) {
    let store = backend.store().await;
    add(&store, "01:00", Admission::Skip).await;
    // A lease that runs out at once, as that of a hub that stands still.
    let slow = begun(&store, "01:00", "process 1", 0).await;
    let quick = begun(&store, "01:00", "process 2", HOUR_MS).await;
    assert!(quick.epoch > slow.epoch);
    let (failed, done) = (OccurrenceState::Failed, OccurrenceState::Done);
    let end = End::default();
    let error = store.end_occurrence(&at("01:00"), &slow, failed, &end, NOW).await.unwrap_err();
    assert_eq!((error.code(), state(&store, "01:00").await.as_str()), ("E-LEASE-LOST", "running"));
    store.end_occurrence(&at("01:00"), &quick, done, &end, NOW).await.unwrap();
    assert_eq!(state(&store, "01:00").await, "done");
    assert_eq!(store.jobs().await.unwrap()[0].deaths, 0);
}

async fn a_job_that_ends_its_process_is_parked(backend: Backend) {
    let store = backend.store().await;
    add(&store, "01:00", Admission::Skip).await;
    for attempt in 1..=3 {
        match begin(&store, "01:00", "process 1", 0).await {
            Begin::Begun { attempt: counted, .. } => assert_eq!(counted, attempt),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(begin(&store, "01:00", "process 1", 0).await, Begin::Parked { deaths: 3 });
    assert_eq!(state(&store, "01:00").await, "parked");
    assert_eq!(add(&store, "02:00", Admission::Skip).await, [OccurrenceState::Parked]);
    let mut tx = store.begin().await.unwrap();
    assert!(tx.unpark_job("nightly").await.unwrap());
    assert!(!tx.unpark_job("nightly").await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(add(&store, "03:00", Admission::Skip).await, [OccurrenceState::Queued]);
    begun(&store, "03:00", "process 1", 0).await;
}

async fn an_attempt_that_did_not_begin_does_not_count(backend: Backend) {
    let store = backend.store().await;
    add(&store, "01:00", Admission::Skip).await;
    for _ in 0..5 {
        let lease = begun(&store, "01:00", "process 1", HOUR_MS).await;
        let end = End { did_not_begin: true, ..End::default() };
        let queued = OccurrenceState::Queued;
        store.end_occurrence(&at("01:00"), &lease, queued, &end, NOW).await.unwrap();
    }
    assert_eq!(store.jobs().await.unwrap()[0].deaths, 0);
    match begin(&store, "01:00", "process 1", HOUR_MS).await {
        Begin::Begun { attempt, .. } => assert_eq!(attempt, 1),
        other => panic!("{other:?}"),
    }
}

async fn what_a_dead_process_left_is_ended_unless_somebody_runs_it(backend: Backend) {
    let store = backend.store().await;
    let end = async |time: &str| {
        let state = OccurrenceState::Cancelled;
        let ended = store.end_dead_occurrence(&at(time), "process 2", HOUR_MS, state, NOW).await;
        ended.unwrap()
    };
    add(&store, "01:00", Admission::Skip).await;
    assert!(!end("01:00").await, "it waits");
    begun(&store, "01:00", "process 1", HOUR_MS).await;
    assert!(!end("01:00").await, "it runs");
    // The lease of a process that is gone has run out.
    store.end_job_leases().await.unwrap();
    assert!(end("01:00").await);
    assert_eq!(state(&store, "01:00").await, "cancelled");
    assert!(!end("01:00").await);
    add(&store, "02:00", Admission::Skip).await;
    begun(&store, "02:00", "process 3", HOUR_MS).await;
    assert_eq!(store.jobs().await.unwrap()[0].deaths, 2, "the first one died");
}

async fn a_database_of_before_has_its_jobs(backend: Backend) {
    let store = backend.store().await;
    for column in [
        "state",
        "attempts",
        "missed",
        "stop",
        "not_before",
        "exit_code",
        "code",
        "message",
        "holder",
        "queued_at",
        "started_at",
        "finished_at",
        "epoch",
    ] {
        // The index names the state.
        store.run("undo", "drop index if exists huiliu_occurrence_open", vec![]).await.unwrap();
        let sql = format!("alter table huiliu_occurrence drop column {column}");
        store.run("undo", huiliu_store::AssertSqlSafe(sql), vec![]).await.unwrap();
    }
    let old = "insert into huiliu_occurrence (job, scheduled_at) values
               ('nightly', '2018-12-12T01:00:00Z'), ('nightly', '2018-12-13T01:00:00Z')";
    store.run("fill", old, vec![]).await.unwrap();
    store.close().await;
    let store = backend.store().await;
    let last = store.last_occurrence("nightly", "2018-12-14T00:00:00Z").await.unwrap();
    assert_eq!(last.as_deref(), Some("2018-12-13T01:00:00Z"));
    let before = store.last_occurrence("nightly", "2018-12-13T01:00:00Z").await.unwrap();
    assert_eq!(before.as_deref(), Some("2018-12-12T01:00:00Z"));
    assert_eq!(state(&store, "01:00").await, "done");
}
