//! Alerts: told when they come and when they go, and not in between.

use huiliu_store::{Alert, Store};

use crate::backend::{Backend, on_both};

on_both!(only_what_changes_is_told_to_every_channel, a_message_that_failed_is_tried_until_given_up);

fn alert(object: &str) -> Alert {
    let (kind, detail) = ("job_failed".into(), "E-CONNECT: cut off".into());
    Alert { kind, object: object.into(), detail, since: "2018-12-13T01:00:00Z".into() }
}

async fn told(store: &Store, now: &str) -> Vec<String> {
    let due = store.due_notices(now).await.unwrap();
    let line = |n: &huiliu_store::Notice| format!("{} {} {}", n.channel, n.alert.object, n.is_on);
    due.iter().map(line).collect()
}

async fn only_what_changes_is_told_to_every_channel(backend: Backend) {
    let store = backend.store().await;
    let now = "2018-12-13T01:00:00Z";
    let channels = ["office", "log"];
    let on = [alert("a"), alert("b")];
    assert_eq!(store.change_alerts(&on, &channels, now).await.unwrap().len(), 2);
    // Another word about the same is no change.
    let again = [alert("a"), Alert { detail: "still".into(), ..alert("b") }];
    assert!(store.change_alerts(&again, &channels, now).await.unwrap().is_empty());
    let left = store.change_alerts(&on[1..], &channels, "2018-12-13T02:00:00Z").await.unwrap();
    assert_eq!(left, [(alert("a"), false)]);
    assert_eq!(store.alerts().await.unwrap(), on[1..]);
    let all = ["office a true", "log a true", "office b true", "log b true"];
    assert_eq!(told(&store, now).await, all);
    let later = told(&store, "2018-12-13T03:00:00Z").await;
    assert_eq!(later[4..], ["office a false", "log a false"]);
}

async fn a_message_that_failed_is_tried_until_given_up(backend: Backend) {
    let store = backend.store().await;
    let now = "2018-12-13T01:00:00Z";
    store.change_alerts(&[alert("a"), alert("b")], &["office"], now).await.unwrap();
    let due = store.due_notices(now).await.unwrap();
    store.notice_failed(due[0].notice_id, "E-CONNECT", Some("2018-12-13T01:01:00Z")).await.unwrap();
    store.notice_sent(due[1].notice_id, now).await.unwrap();
    assert!(told(&store, now).await.is_empty());
    let due = store.due_notices("2018-12-13T01:01:00Z").await.unwrap();
    assert_eq!((due.len(), due[0].attempts), (1, 1));
    assert_eq!(store.notice_counts().await.unwrap(), (1, 0));
    store.notice_failed(due[0].notice_id, "E-CONNECT", None).await.unwrap();
    assert!(told(&store, "2018-12-14T01:01:00Z").await.is_empty());
    assert_eq!(store.notice_counts().await.unwrap(), (0, 1));
}
