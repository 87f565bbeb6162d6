//! State, runs, outbox, quarantine, models and occurrences.

use huiliu_sdk::{Checkpoint, Scope, StreamId};
use huiliu_store::{
    Balance, ModelRow, OutboxRow, OutboxState, QuarantinedRow, RunState, SealKey, StepRow, Store,
    StreamState, VerdictRow, args,
};

use crate::backend::{Backend, on_both};

on_both!(
    state_moves_without_gaps,
    what_is_dropped_is_undone,
    an_outbox_record_is_queued_once_and_settled,
    a_quarantined_row_is_replaced_and_opens_with_its_key,
    runs_and_steps_are_kept_as_they_end,
    the_last_build_of_a_model_is_kept,
    what_audits_found_is_kept_for_each_run,
    values_come_back_as_they_went,
    a_store_is_opened_again_as_it_was,
);

const NOW: &str = "2018-12-13T00:00:00.000Z";

pub(crate) fn state(seq: i64) -> StreamState {
    StreamState {
        system: "city".into(),
        stream: "cases".into(),
        seq,
        table_id: 7,
        snapshot_id: seq * 10,
        checkpoint: Some(Checkpoint {
            scope: Scope::Stream(StreamId::new("cases")),
            version: 1,
            state: serde_json::json!({ "after": format!("第{seq}页\u{0}") }),
        }),
        run_id: 1,
        updated_at: NOW.into(),
    }
}

async fn advance(store: &Store, next: &StreamState) -> huiliu_sdk::Result<()> {
    let mut tx = store.begin().await?;
    tx.advance_state(next).await?;
    tx.commit().await
}

async fn state_moves_without_gaps(backend: Backend) {
    let store = backend.store().await;
    assert!(store.stream_state("city", "cases").await.unwrap().is_none());
    for seq in 1..=3 {
        advance(&store, &state(seq)).await.unwrap();
    }
    for wrong in [2, 3, 5] {
        assert_eq!(advance(&store, &state(wrong)).await.unwrap_err().code(), "E-SEQ");
    }
    let anew = StreamState { table_id: 8, ..state(4) };
    assert_eq!(advance(&store, &anew).await.unwrap_err().code(), "E-TABLE-ID");
    let stored = store.stream_state("city", "cases").await.unwrap().unwrap();
    assert_eq!((stored.seq, stored.snapshot_id), (3, 30));
    assert_eq!(stored.checkpoint, state(3).checkpoint);
}

async fn what_is_dropped_is_undone(backend: Backend) {
    let store = backend.store().await;
    let mut tx = store.begin().await.unwrap();
    tx.advance_state(&state(1)).await.unwrap();
    drop(tx);
    assert!(store.stream_states().await.unwrap().is_empty());
    advance(&store, &state(1)).await.unwrap();
}

fn record(key: &str, attempt: u8) -> OutboxRow {
    OutboxRow {
        outbox_id: 0,
        record_key: key.into(),
        record_hash: format!("hash {attempt}"),
        idempotency_key: format!("{key} {attempt}"),
        payload: vec![0, 255, attempt],
        attempts: 0,
    }
}

async fn an_outbox_record_is_queued_once_and_settled(backend: Backend) {
    let store = backend.store().await;
    let mut tx = store.begin().await.unwrap();
    for (key, attempt, is_new) in [("A", 1, true), ("A", 1, false), ("A", 2, true), ("B", 1, true)]
    {
        let queued = tx.enqueue(1, "province", "cases", &record(key, attempt), NOW).await.unwrap();
        assert_eq!(queued, is_new, "{key} {attempt}");
    }
    tx.commit().await.unwrap();
    let waiting = store.waiting("province", "cases", 0, 2).await.unwrap();
    assert_eq!(waiting.iter().map(|row| &*row.record_key).collect::<Vec<_>>(), ["A", "A"]);
    assert_eq!(waiting[1].payload, [0, 255, 2]);
    let rest = store.waiting("province", "cases", waiting[1].outbox_id, 9).await.unwrap();
    assert_eq!(rest.len(), 1);
    let mut tx = store.begin().await.unwrap();
    tx.count_attempts(&[waiting[0].outbox_id, rest[0].outbox_id]).await.unwrap();
    tx.settle(waiting[0].outbox_id, OutboxState::Accepted, None, None, NOW).await.unwrap();
    tx.settle(rest[0].outbox_id, OutboxState::Rejected, Some("E-X"), Some("no"), NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let counts: Vec<_> = store
        .outbox_counts()
        .await
        .unwrap()
        .into_iter()
        .map(|count| (count.state, count.records, count.attempts))
        .collect();
    let expected = [("accepted", 1, 1), ("rejected", 1, 1), ("waiting", 1, 0)];
    assert_eq!(counts, expected.map(|(state, rows, tries)| (state.to_owned(), rows, tries)));
}

async fn a_quarantined_row_is_replaced_and_opens_with_its_key(backend: Backend) {
    let store = backend.store().await;
    let key = SealKey::new(&SealKey::generate()).unwrap();
    let row = |reason: &str, raw: &str| QuarantinedRow {
        origin: "cases.csv".into(),
        position: 12,
        code: "E-CELL".into(),
        reason: reason.into(),
        sealed: key.seal(raw.as_bytes()).unwrap(),
    };
    for (run, reason, raw) in [(1, "no date", "张三"), (2, "no number", "李四")] {
        let mut tx = store.begin().await.unwrap();
        tx.put_quarantine(run, "city", "cases", &[row(reason, raw)], NOW).await.unwrap();
        tx.commit().await.unwrap();
    }
    let rows = store.quarantine().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].run_id, rows[0].position, &*rows[0].reason), (2, 12, "no number"));
    let id = rows[0].quarantine_id;
    let original = store.quarantined_original(id, &key).await.unwrap().unwrap();
    assert_eq!(original, "李四".as_bytes());
    assert!(store.quarantined_original(id + 1, &key).await.unwrap().is_none());
}

pub(crate) fn step(run_id: i64, node: &str, state: RunState) -> StepRow {
    StepRow {
        run_id,
        node: node.into(),
        kind: "stream".into(),
        state: state.as_str().into(),
        balance: Balance { read: 3, written: 2, unchanged: 1, ..Balance::default() },
        snapshot_id: None,
        code: None,
        message: None,
        hint: None,
        started_at: NOW.into(),
        finished_at: None,
    }
}

async fn runs_and_steps_are_kept_as_they_end(backend: Backend) {
    let store = backend.store().await;
    let first = store.start_run(None, "+", "process 1", NOW).await.unwrap();
    let second = store.start_run(Some("nightly"), "city", "process 1", NOW).await.unwrap();
    assert_eq!(second, first + 1);
    for (run, node, state) in [
        (first, "b", RunState::Running),
        (first, "a", RunState::Running),
        (first, "b", RunState::Succeeded),
        (second, "a", RunState::Running),
    ] {
        let mut tx = store.begin().await.unwrap();
        tx.put_step(&step(run, node, state)).await.unwrap();
        tx.commit().await.unwrap();
    }
    store.finish_run(first, RunState::Succeeded, 0, NOW).await.unwrap();
    assert_eq!(store.close_abandoned_runs(NOW).await.unwrap(), 1);
    let runs = store.runs(9).await.unwrap();
    let states: Vec<_> = runs.iter().map(|run| (run.run_id, &*run.state, run.exit_code)).collect();
    assert_eq!(states, [(second, "failed", Some(3)), (first, "succeeded", Some(0))]);
    assert_eq!(runs[0].job.as_deref(), Some("nightly"));
    let steps = store.steps(Some(first)).await.unwrap();
    assert_eq!(steps.iter().map(|step| &*step.node).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((steps[1].state.as_str(), steps[1].balance.read), ("succeeded", 3));
    let all = store.steps(None).await.unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all[2].code.as_deref(), Some("E-ABANDONED"));
}

async fn the_last_build_of_a_model_is_kept(backend: Backend) {
    let store = backend.store().await;
    for run in 1..=2 {
        let mut tx = store.begin().await.unwrap();
        for name in ["standard.Z", "standard.a"] {
            tx.put_model(&ModelRow {
                name: name.into(),
                fingerprint: format!("f{run}"),
                snapshot_id: run,
                row_count: 1 << 40,
                run_id: run,
                built_at: NOW.into(),
            })
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
    }
    let models = store.models().await.unwrap();
    let found: Vec<_> = models.iter().map(|m| (&*m.name, &*m.fingerprint, m.row_count)).collect();
    assert_eq!(found, [("standard.Z", "f2", 1 << 40), ("standard.a", "f2", 1 << 40)]);
}

async fn what_audits_found_is_kept_for_each_run(backend: Backend) {
    let store = backend.store().await;
    let verdict = |audit: &str, run_id: i64| VerdictRow {
        audit: audit.into(),
        run_id,
        severity: "block".into(),
        fingerprint: format!("f{run_id}"),
        row_count: run_id << 40,
        examples: r#"[{"code":"甲"}]"#.into(),
        found_at: NOW.into(),
    };
    for (audit, run) in [("audits.a", 1), ("audits.b", 1), ("audits.a", 3)] {
        let mut tx = store.begin().await.unwrap();
        tx.put_verdict(&verdict(audit, run)).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(store.last_verdict("audits.a").await.unwrap(), Some(verdict("audits.a", 3)));
    assert_eq!(store.last_verdict("audits.c").await.unwrap(), None);
    let found = store.verdicts().await.unwrap();
    assert_eq!(found, [verdict("audits.a", 3), verdict("audits.a", 1), verdict("audits.b", 1)]);
}

async fn values_come_back_as_they_went(backend: Backend) {
    let store = backend.store().await;
    let mut tx = store.begin().await.unwrap();
    let now = tx.now().await.unwrap();
    tx.run(
        "test",
        "insert into ducklake_snapshot (snapshot_id, snapshot_time) values (9, ?)",
        args![now],
    )
    .await
    .unwrap();
    let sql = "select snapshot_time, '?', ?, true from ducklake_snapshot where snapshot_time = ?";
    let row = tx.one("test", sql, args!["'?'", now]).await.unwrap().unwrap();
    assert_eq!(row.get::<chrono::DateTime<chrono::Utc>>(0).unwrap(), now);
    assert_eq!(row.get::<String>(1).unwrap(), "?");
    assert_eq!(row.get::<String>(2).unwrap(), "'?'");
    assert!(row.get::<bool>(3).unwrap());
    assert_eq!(row.get::<i64>(1).unwrap_err().code(), "E-STORE-CORRUPT");
}

async fn a_store_is_opened_again_as_it_was(backend: Backend) {
    let store = backend.store().await;
    advance(&store, &state(1)).await.unwrap();
    store.close().await;
    let store = backend.store().await;
    assert_eq!(store.stream_state("city", "cases").await.unwrap().unwrap().seq, 1);
}
