//! Alerts: told when they come and when they go, and not in between.

use huiliu_store::{Alert, RunState, StepRow, Store};

use crate::backend::{Backend, on_both};
use crate::record::step;

on_both!(
    only_what_changes_is_told_to_every_channel,
    a_message_that_failed_is_tried_until_given_up,
    what_streams_brought_is_summed_by_the_hour,
);

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

async fn what_streams_brought_is_summed_by_the_hour(backend: Backend) {
    let store = backend.store().await;
    for (node, at) in [
        ("a.b", "2018-12-13T01:05:00.000Z"),
        ("a.b", "2018-12-13T01:55:00.000Z"),
        ("a.b", "2018-12-13T02:05:00.000Z"),
        ("a.c", "2018-12-13T01:15:00.000Z"),
        ("a.c", "2018-12-12T01:15:00.000Z"),
    ] {
        let run = store.start_run(None, "+", "process 1", at).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let (started_at, finished_at) = (at.to_owned(), Some(at.to_owned()));
        let read = StepRow { started_at, finished_at, ..step(run, node, RunState::Succeeded) };
        tx.put_step(&read).await.unwrap();
        let model = StepRow { kind: "model".into(), ..step(run, "m", RunState::Succeeded) };
        tx.put_step(&model).await.unwrap();
        tx.commit().await.unwrap();
    }
    let news = store.news_since("2018-12-13T00:00:00Z").await.unwrap();
    let line = |news: &huiliu_store::News| {
        format!("{} {} {} {}", news.stream, &news.first[11..16], &news.last[11..16], news.rows)
    };
    let lines: Vec<String> = news.iter().map(line).collect();
    assert_eq!(lines, ["a.b 01:05 01:55 4", "a.c 01:15 01:15 2", "a.b 02:05 02:05 2"]);
}
