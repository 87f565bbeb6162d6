//! What is kept of records that were sent: repairs, how many were handed over, what came back.

use huiliu_store::{LoadRow, OutboxRow, OutboxState, RepairItem, Store};

use crate::backend::{Backend, on_both};

on_both!(
    a_repair_is_applied_once_and_knows_how_its_records_stand,
    what_was_handed_over_is_counted_apart_from_the_records,
    a_load_that_arrived_is_accepted_and_one_in_doubt_is_unknown,
    a_record_comes_back_once_and_is_known_to_have_arrived,
    a_record_that_waits_for_its_receipt_is_not_ended_by_its_echo,
    a_receipt_is_looked_for_wherever_a_record_may_have_arrived,
    only_the_last_record_of_a_key_that_was_sent_may_come_back,
    the_newest_record_of_a_key_is_the_last_that_was_not_refused,
);

const NOW: &str = "2018-12-13T02:00:00.000Z";
const NEXT_DAY: &str = "2018-12-14T02:00:00.000Z";

async fn queue(store: &Store, key: &str, now: &str) -> i64 {
    let mut tx = store.begin().await.unwrap();
    let row = OutboxRow {
        outbox_id: 0,
        record_key: key.into(),
        record_hash: "h".into(),
        idempotency_key: format!("key of {key}"),
        payload: vec![1, 2],
        attempts: 0,
    };
    assert!(tx.enqueue(1, "province", "cases", &row, now).await.unwrap());
    tx.count_dispatch(1, "province", "cases", 1, now).await.unwrap();
    tx.commit().await.unwrap();
    let records = store.sent_records("province", "cases", None, 99).await.unwrap();
    records.iter().find(|record| record.record_key == key).unwrap().outbox_id
}

/// A further record of a key.
async fn queue_again(store: &Store, key: &str, number: u8) -> i64 {
    let mut tx = store.begin().await.unwrap();
    let row = OutboxRow {
        outbox_id: 0,
        record_key: key.into(),
        record_hash: format!("h{number}"),
        idempotency_key: format!("key {number} of {key}"),
        payload: vec![number],
        attempts: 0,
    };
    assert!(tx.enqueue(1, "province", "cases", &row, NOW).await.unwrap());
    tx.commit().await.unwrap();
    let records = store.sent_records("province", "cases", None, 99).await.unwrap();
    records.last().unwrap().outbox_id
}

async fn settle(store: &Store, id: i64, state: OutboxState) {
    let mut tx = store.begin().await.unwrap();
    tx.count_attempts(&[id]).await.unwrap();
    tx.settle(id, state, None, None, NOW).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_repair_is_applied_once_and_knows_how_its_records_stand(backend: Backend) {
    let store = backend.store().await;
    let id = queue(&store, "A", NOW).await;
    let item = RepairItem {
        hash: "abc".into(),
        item: 1,
        reconciliation: "case".into(),
        system: "province".into(),
        push: "cases".into(),
        record_key: "A".into(),
        differences: "[]".into(),
        before_hash: Some("b".into()),
        before_image: Some(vec![7, 8]),
        after_hash: "a".into(),
        sent_key: "key of A".into(),
        undo_key: None,
    };
    let mut tx = store.begin().await.unwrap();
    tx.put_repair_plan("abc", "{}", NOW).await.unwrap();
    tx.put_repair_plan("abc", "{\"key\":\"A\"}", NEXT_DAY).await.unwrap();
    assert!(tx.apply_repair("abc", "王芳", "核实", NOW).await.unwrap());
    assert!(!tx.apply_repair("abc", "李明", "再来", NOW).await.unwrap());
    tx.put_repair_plan("abc", "{}", NEXT_DAY).await.unwrap();
    tx.put_repair_item(&item).await.unwrap();
    tx.commit().await.unwrap();
    let repair = store.repair("abc").await.unwrap().unwrap();
    assert_eq!(
        repair.scope, "{\"key\":\"A\"}",
        "the last one that was planned, until it is applied"
    );
    assert_eq!((repair.planned_at.as_str(), repair.applied_by.as_deref()), (NOW, Some("王芳")));
    assert_eq!(store.repairs().await.unwrap(), [repair]);
    assert!(store.repair("abd").await.unwrap().is_none());
    let kept = store.repair_items("abc").await.unwrap();
    assert_eq!((kept[0].before_image.as_deref(), kept[0].item), (Some([7, 8].as_slice()), 1));

    settle(&store, id, OutboxState::Accepted).await;
    let mut tx = store.begin().await.unwrap();
    tx.undo_repair_item("abc", 1, "key of B").await.unwrap();
    tx.commit().await.unwrap();
    let back = queue(&store, "B", NOW).await;
    settle(&store, back, OutboxState::Unknown).await;
    let through = store.repairs_through("province", "cases").await.unwrap();
    let (item, sent, undone) = &through[0];
    assert_eq!((item.record_key.as_str(), sent.state.as_str()), ("A", "accepted"));
    assert_eq!(undone.as_ref().unwrap().state, "unknown");
    assert_eq!(store.repair_records("abc").await.unwrap().len(), 1);
    assert!(store.repairs_through("province", "other").await.unwrap().is_empty());
}

async fn what_was_handed_over_is_counted_apart_from_the_records(backend: Backend) {
    let store = backend.store().await;
    for key in ["A", "B"] {
        queue(&store, key, NOW).await;
    }
    let refused = queue(&store, "C", NOW).await;
    let open = queue(&store, "D", NEXT_DAY).await;
    settle(&store, refused, OutboxState::Rejected).await;
    settle(&store, open, OutboxState::Delivered).await;
    let day = |at: &str| at[..10].to_owned();
    let days = store.push_days(None, day).await.unwrap();
    assert_eq!(store.push_days(Some(("province", "cases")), day).await.unwrap(), days);
    assert!(store.push_days(Some(("province", "other")), day).await.unwrap().is_empty());
    let sums: Vec<_> =
        days.iter().map(|d| (&*d.day, d.sent, d.rejected, d.waiting, d.missing())).collect();
    assert_eq!(sums, [("2018-12-13", 3, 1, 2, 0), ("2018-12-14", 1, 0, 1, 0)]);
    store
        .run("lose a record", "delete from huiliu_outbox where record_key = 'A'", vec![])
        .await
        .unwrap();
    let days = store.push_days(None, day).await.unwrap();
    assert_eq!((days[0].missing(), days[1].missing()), (1, 0));
    // A database that is opened again is not made to fit.
    store.close().await;
    let days = backend.store().await.push_days(None, day).await.unwrap();
    assert_eq!(days[0].missing(), 1);
}

async fn a_load_that_arrived_is_accepted_and_one_in_doubt_is_unknown(backend: Backend) {
    let store = backend.store().await;
    let load = |rows: i64, at: &str| LoadRow {
        system: "publish".into(),
        push: "figures".into(),
        version: 1,
        snapshot_id: 1,
        rows,
        run_id: 1,
        at: at.into(),
    };
    let (arrived, lost) = (load(55, NOW), load(56, NEXT_DAY));
    let mut tx = store.begin().await.unwrap();
    tx.put_load(&arrived).await.unwrap();
    tx.count_load(&arrived, 55).await.unwrap();
    tx.put_open_load(&lost).await.unwrap();
    tx.commit().await.unwrap();
    let day = |at: &str| at[..10].to_owned();
    let days = store.push_days(Some(("publish", "figures")), day).await.unwrap();
    let sums: Vec<_> =
        days.iter().map(|d| (&*d.day, d.sent, d.accepted, d.unknown, d.missing())).collect();
    assert_eq!(sums, [("2018-12-13", 55, 55, 0, 0), ("2018-12-14", 56, 0, 56, 0)]);
    assert_eq!(store.push_days(None, day).await.unwrap(), days);
    let mut tx = store.begin().await.unwrap();
    tx.put_load(&lost).await.unwrap();
    tx.count_load(&lost, 56).await.unwrap();
    tx.commit().await.unwrap();
    let days = store.push_days(None, day).await.unwrap();
    assert_eq!((days[1].accepted, days[1].unknown, days[1].missing()), (56, 0, 0));
}

async fn a_record_comes_back_once_and_is_known_to_have_arrived(backend: Backend) {
    let store = backend.store().await;
    let id = queue(&store, "A", NOW).await;
    assert!(store.unseen("province", "cases").await.unwrap().is_empty(), "it was not sent yet");
    settle(&store, id, OutboxState::Unknown).await;
    let unseen = store.unseen("province", "cases").await.unwrap();
    assert_eq!((unseen[0].outbox_id, unseen[0].record_key.as_str()), (id, "A"));
    assert_eq!(store.payloads(&[id]).await.unwrap(), [(id, vec![1, 2])]);
    for run in [4, 5] {
        let mut tx = store.begin().await.unwrap();
        tx.note_echoes("province", "list", run, &[(id, false)], NOW).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert!(store.unseen("province", "cases").await.unwrap().is_empty());
    let records = store.sent_records("province", "cases", Some("accepted"), 9).await.unwrap();
    let message = records[0].message.as_deref();
    assert_eq!(message, Some("read back from province.list in run 4"));
}

async fn a_record_that_waits_for_its_receipt_is_not_ended_by_its_echo(backend: Backend) {
    let store = backend.store().await;
    let lost = queue(&store, "A", NOW).await;
    settle(&store, lost, OutboxState::Unknown).await;
    let taken = queue(&store, "B", NOW).await;
    settle(&store, taken, OutboxState::Delivered).await;
    let mut tx = store.begin().await.unwrap();
    let ids = [(lost, true), (taken, true)];
    tx.note_echoes("province", "list", 4, &ids, NEXT_DAY).await.unwrap();
    tx.commit().await.unwrap();
    let open = store.without_receipt("province", "cases").await.unwrap();
    let since: Vec<&str> = open.iter().map(|record| record.delivered_at.as_str()).collect();
    // Its receipt may have been read before its echo.
    assert_eq!(since, [NOW, NOW]);
    assert!(store.unseen("province", "cases").await.unwrap().is_empty());
}

async fn a_receipt_is_looked_for_wherever_a_record_may_have_arrived(backend: Backend) {
    let store = backend.store().await;
    let taken = queue(&store, "A", NOW).await;
    let lost = queue(&store, "B", NOW).await;
    let unanswered = queue(&store, "C", NOW).await;
    queue(&store, "D", NOW).await;
    let refused = queue(&store, "E", NOW).await;
    settle(&store, refused, OutboxState::Rejected).await;
    settle(&store, lost, OutboxState::Unknown).await;
    let mut tx = store.begin().await.unwrap();
    tx.count_attempts(&[unanswered]).await.unwrap();
    tx.deliver(taken, false, NEXT_DAY).await.unwrap();
    tx.commit().await.unwrap();
    let open = store.without_receipt("province", "cases").await.unwrap();
    let since: Vec<(&str, &str)> = open
        .iter()
        .map(|record| (record.record_key.as_str(), record.delivered_at.as_str()))
        .collect();
    // What was never sent has no receipt; of the lost ones nobody knows when they arrived.
    assert_eq!(since, [("A", NEXT_DAY), ("B", NOW), ("C", NOW)]);
}

async fn only_the_last_record_of_a_key_that_was_sent_may_come_back(backend: Backend) {
    let store = backend.store().await;
    let first = queue(&store, "A", NOW).await;
    settle(&store, first, OutboxState::Accepted).await;
    let second = queue_again(&store, "A", 2).await;
    let unseen = async || -> Vec<i64> {
        let unseen = store.unseen("province", "cases").await.unwrap();
        unseen.iter().map(|sent| sent.outbox_id).collect()
    };
    assert_eq!(unseen().await, [first], "the second did not leave yet");
    settle(&store, second, OutboxState::Accepted).await;
    assert_eq!(unseen().await, [second]);
    settle(&store, second, OutboxState::Rejected).await;
    assert_eq!(unseen().await, [first]);
}

async fn the_newest_record_of_a_key_is_the_last_that_was_not_refused(backend: Backend) {
    let store = backend.store().await;
    let first = queue(&store, "A", NOW).await;
    settle(&store, first, OutboxState::Accepted).await;
    let second = queue_again(&store, "A", 2).await;
    let newest = async || store.newest_records("province", "cases").await.unwrap();
    let found = newest().await;
    assert_eq!((found["A"].outbox_id, found["A"].state.as_str()), (second, "waiting"));
    assert_eq!((found.len(), found["A"].record_hash.as_str()), (1, "h2"));
    settle(&store, second, OutboxState::Rejected).await;
    assert_eq!(newest().await["A"].outbox_id, first);
    settle(&store, first, OutboxState::Rejected).await;
    assert!(newest().await.is_empty());
}
