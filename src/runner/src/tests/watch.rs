//! What is watched: jobs, streams by their past, records nobody knows of; told when it changes.

use chrono::{DateTime, TimeDelta, Utc};
use huiliu_store::{
    Admission, Balance, Begin, End, NewOccurrence, Occurrence, OccurrenceState, RunState, StepRow,
};

use super::world::World;
use crate::Hub;

const ALERTS: &str = "version = 1\nlanguage = \"en\"\nhours = \"09:00-17:00\"\n\
    [[channels]]\nname = \"log\"\nkind = \"file\"\nfile = \"alerts.log\"\n";

fn world(alerts: &str) -> World {
    let world = World::new("key = [\"id\"]");
    let job = "version = 1\n[[jobs]]\nname = \"often\"\ncron = \"0 8 * * *\"\nrun = \"*\"\n";
    world.put("config/jobs.toml", job);
    world.put("config/alerts.toml", alerts);
    world
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn set(world: &World, time: DateTime<Utc>) {
    *world.stage.time.lock().unwrap() = Some(time);
}

/// A read of the stream at the hub's time that brought `rows`.
async fn bring(hub: &Hub, rows: u64) {
    let store = hub.lake().store();
    let now = hub.now();
    let run_id = store.start_run(None, "*", "test", &now).await.unwrap();
    let balance = Balance { read: rows, written: rows, ..Balance::default() };
    let step = StepRow {
        balance,
        state: RunState::Succeeded.as_str().into(),
        finished_at: Some(now),
        ..hub.new_step(run_id, "s.t", "stream")
    };
    let mut tx = store.begin().await.unwrap();
    tx.put_step(&step).await.unwrap();
    tx.commit().await.unwrap();
    store.finish_run(run_id, RunState::Succeeded, 0, &hub.now()).await.unwrap();
}

/// What changed, as `kind object` with `+` or `-` before it.
async fn changes(hub: &Hub) -> Vec<String> {
    let changes = hub.watch().await.unwrap();
    let line = |(alert, came): &(huiliu_store::Alert, bool)| {
        format!("{}{} {}", if *came { '+' } else { '-' }, alert.kind, alert.object)
    };
    changes.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_missing_when_it_was_never_so_late_and_comes_back() {
    let world = world(ALERTS);
    let hub = world.hub().await;
    // Every working morning of two weeks, 3 to 14 December.
    for day in (3..=7).chain(10..=14) {
        set(&world, utc(&format!("2018-12-{day:02}T01:30:00Z")));
        bring(&hub, 100).await;
        assert!(changes(&hub).await.is_empty());
    }
    let state = async || {
        let watches = hub.stream_watches().await.unwrap();
        serde_json::to_value(&watches[0]).unwrap()["freshness"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "fresh");
    // Friday afternoon it is late, but no later than over any night; so it is all weekend.
    set(&world, utc("2018-12-14T08:30:00Z"));
    assert_eq!(state().await, "late_but_usual");
    set(&world, utc("2018-12-16T12:00:00Z"));
    assert_eq!(state().await, "late_but_usual");
    assert!(changes(&hub).await.is_empty());
    set(&world, utc("2018-12-17T02:00:00Z"));
    assert_eq!(changes(&hub).await, ["+stream_missing s.t"]);
    set(&world, utc("2018-12-17T03:00:00Z"));
    assert!(changes(&hub).await.is_empty(), "it is told once");
    bring(&hub, 100).await;
    assert_eq!(changes(&hub).await, ["-stream_missing s.t"]);
    let due = hub.lake().store().due_notices(&hub.now()).await.unwrap();
    let zone = hub.project.zone;
    let text = |n| crate::notice_text(n, "hub", huiliu_core::config::AlertLanguage::En, zone);
    let said = text(&due[0]);
    assert!(said.starts_with("[ALERT] stream missing: s.t\nno new rows for 8.5 working"), "{said}");
    let said = text(&due[1]);
    assert!(said.contains("[RECOVERED]") && said.contains("to 2018-12-17 11:00"), "{said}");
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_far_fewer_rows_than_ever_is_told() {
    let world = world(ALERTS);
    let hub = world.hub().await;
    let mut day = utc("2018-11-19T02:00:00Z");
    while day < utc("2018-12-13T00:00:00Z") {
        set(&world, day);
        bring(&hub, 100).await;
        day += TimeDelta::days(1);
    }
    set(&world, utc("2018-12-13T02:00:00Z"));
    bring(&hub, 30).await;
    assert!(changes(&hub).await.is_empty(), "the day is not over");
    set(&world, utc("2018-12-14T02:00:00Z"));
    assert_eq!(changes(&hub).await, ["+stream_volume s.t"]);
    bring(&hub, 100).await;
    set(&world, utc("2018-12-17T01:00:00Z"));
    assert_eq!(changes(&hub).await, ["-stream_volume s.t"]);
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_is_told_and_so_is_that_it_is_well_again() {
    let world = world(ALERTS);
    set(&world, utc("2018-12-13T02:00:00Z"));
    let hub = world.hub().await;
    let store = hub.lake().store();
    for (minute, state, change) in [
        (0, OccurrenceState::Done, None),
        (1, OccurrenceState::Failed, Some("+job_failed often")),
        (2, OccurrenceState::Failed, None),
        (3, OccurrenceState::Killed, None),
        (4, OccurrenceState::Cancelled, None),
        (5, OccurrenceState::Done, Some("-job_failed often")),
        (6, OccurrenceState::Killed, None),
    ] {
        let scheduled_at = format!("2018-12-13T02:0{minute}:00Z");
        let occurrence = Occurrence { job: "often".into(), scheduled_at };
        let admission = Admission::Skip;
        let new = NewOccurrence { occurrence: occurrence.clone(), missed: 0, admission };
        store.add_occurrences(&[new], &hub.now()).await.unwrap();
        assert!(changes(&hub).await.is_empty(), "{minute}: it waits");
        let begun = store.begin_occurrence(&occurrence, "test", 60_000, 3, &hub.now()).await;
        let Begin::Begun { lease, .. } = begun.unwrap() else { panic!("it did not begin") };
        assert!(changes(&hub).await.is_empty(), "{minute}: it runs");
        let code = (state == OccurrenceState::Failed).then(|| "E-CONNECT".to_owned());
        let message = Some("the value 340521197912285526 cannot be read".to_owned());
        let end = End { code, message, run_id: Some(7), ..End::default() };
        store.end_occurrence(&occurrence, &lease, state, &end, &hub.now()).await.unwrap();
        assert_eq!(changes(&hub).await, change.into_iter().collect::<Vec<_>>(), "{minute}");
        for alert in store.alerts().await.unwrap() {
            assert_eq!(alert.detail, "it failed with E-CONNECT; `huiliu runs show 7` says more");
        }
    }
    let page = hub.metrics().await.unwrap();
    for line in [
        "huiliu_job_last_ok{job=\"often\"} 0",
        "huiliu_job_occurrences{job=\"often\",state=\"done\"} 2",
        "huiliu_alerts 0",
        "huiliu_notices_waiting 2",
        "# TYPE process_open_fds gauge",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in:\n{page}");
    }
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_brings_nothing_does_not_recover_because_its_past_is_forgotten() {
    let world = world(ALERTS);
    let hub = world.hub().await;
    for day in (3..=7).chain(10..=14) {
        set(&world, utc(&format!("2018-12-{day:02}T01:30:00Z")));
        bring(&hub, 100).await;
    }
    set(&world, utc("2018-12-18T02:00:00Z"));
    assert_eq!(changes(&hub).await, ["+stream_missing s.t"]);
    // After 60 days nothing of what is usual is known any more.
    for day in ["2019-02-08T02:00:00Z", "2019-02-12T02:00:00Z", "2019-02-25T02:00:00Z"] {
        set(&world, utc(day));
        assert!(changes(&hub).await.is_empty(), "{day}");
    }
    assert_eq!(hub.conditions().await.unwrap()[0].since, "2018-12-18T02:00:00.000Z");
    set(&world, utc("2019-02-25T03:00:00Z"));
    bring(&hub, 100).await;
    assert_eq!(changes(&hub).await, ["-stream_missing s.t"]);
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stopped_is_compared_with_what_it_brought_before_it_did() {
    let world = world(&format!("{ALERTS}[[streams]]\nstream = \"s.*\"\nfresh = \"999h\"\n"));
    let hub = world.hub().await;
    let mut day = utc("2018-11-19T02:00:00Z");
    while day < utc("2018-12-13T00:00:00Z") {
        set(&world, day);
        bring(&hub, 100).await;
        day += TimeDelta::days(1);
    }
    set(&world, utc("2018-12-14T02:00:00Z"));
    assert_eq!(changes(&hub).await, ["+stream_volume s.t"]);
    for day in ["2018-12-17T02:00:00Z", "2018-12-18T02:00:00Z", "2019-02-25T02:00:00Z"] {
        set(&world, utc(day));
        assert!(changes(&hub).await.is_empty(), "{day}");
    }
    bring(&hub, 100).await;
    set(&world, utc("2019-02-26T02:00:00Z"));
    assert_eq!(changes(&hub).await, ["-stream_volume s.t"]);
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_without_a_calendar_changes_nothing_about_streams_and_hides_nothing_else() {
    let world = world(ALERTS);
    let days = "date,name,is_off_day\n2018-01-01,元旦,true\n2018-10-01,国庆节,true\n";
    world.put("config/calendar/holidays.csv", days);
    let hub = world.hub().await;
    for day in (3..=7).chain(10..=14) {
        set(&world, utc(&format!("2018-12-{day:02}T01:30:00Z")));
        bring(&hub, 100).await;
    }
    set(&world, utc("2018-12-18T02:00:00Z"));
    assert_eq!(changes(&hub).await, ["+stream_missing s.t"]);
    set(&world, utc("2019-01-03T02:00:00Z"));
    assert!(changes(&hub).await.is_empty());
    let watched = hub.stream_watches().await.unwrap();
    assert_eq!(watched[0].unjudged.as_deref(), Some("E-CALENDAR-UNKNOWN"));
    let store = hub.lake().store();
    let scheduled_at = "2019-01-03T02:00:00Z".to_owned();
    let occurrence = Occurrence { job: "often".into(), scheduled_at };
    let new =
        NewOccurrence { occurrence: occurrence.clone(), missed: 0, admission: Admission::Skip };
    store.add_occurrences(&[new], &hub.now()).await.unwrap();
    let begun = store.begin_occurrence(&occurrence, "test", 60_000, 3, &hub.now()).await;
    let Begin::Begun { lease, .. } = begun.unwrap() else { panic!("it did not begin") };
    let (failed, end) = (OccurrenceState::Failed, End::default());
    store.end_occurrence(&occurrence, &lease, failed, &end, &hub.now()).await.unwrap();
    assert_eq!(changes(&hub).await, ["+job_failed often"]);
    // News is news, whatever day it is.
    bring(&hub, 100).await;
    assert_eq!(changes(&hub).await, ["-stream_missing s.t"]);
    hub.close().await;
}
