//! Jobs that come due, over several hubs, downtimes and steps of the clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::world::World;
use crate::{Hub, Ticker};

fn world(catch_up: &str) -> World {
    let world = World::new("key = [\"id\"]");
    let job = format!(
        "version = 1\n\n[[jobs]]\nname = \"often\"\ncron = \"*/10 * * * *\"\n\
         catch_up = \"{catch_up}\"\nrun = \"*\"\n"
    );
    world.put("config/jobs.toml", &job);
    world
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn set(world: &World, time: DateTime<Utc>) {
    *world.stage.time.lock().unwrap() = Some(time);
}

/// The minutes of what is due at `time`.
async fn due(world: &World, hub: &Arc<Hub>, ticker: &Ticker, time: &str) -> Vec<String> {
    set(world, utc(time));
    let due = ticker.due(hub).await.unwrap();
    due.iter().map(|job| job.scheduled_at.format("%H:%M").to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_down_runs_what_it_missed_as_the_job_says() {
    for (policy, missed) in
        [("latest", vec!["12:00"]), ("none", vec![]), ("all", vec!["11:40", "11:50", "12:00"])]
    {
        let world = world(policy);
        set(&world, utc("2018-12-13T11:29:50Z"));
        let hub = world.hub().await;
        let ticker = Ticker::new(&hub).unwrap();
        assert_eq!(due(&world, &hub, &ticker, "2018-12-13T11:30:05Z").await, ["11:30"]);
        assert!(due(&world, &hub, &ticker, "2018-12-13T11:30:20Z").await.is_empty());
        hub.close().await;
        let hub = world.hub().await;
        let ticker = Ticker::new(&hub).unwrap();
        assert_eq!(due(&world, &hub, &ticker, "2018-12-13T12:04:00Z").await, missed, "{policy}");
        assert_eq!(due(&world, &hub, &ticker, "2018-12-13T12:10:05Z").await, ["12:10"]);
        hub.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_share_a_thousand_ticks_and_each_runs_once() {
    const TICKS: i64 = 1000;
    let world = world("latest");
    let begin = utc("2018-12-13T00:00:05Z");
    set(&world, begin);
    let (one, other) = (world.hub().await, world.hub().await);
    let tickers = (Ticker::new(&one).unwrap(), Ticker::new(&other).unwrap());
    let mut seen = BTreeSet::new();
    let mut runs = 0;
    for tick in 1..=TICKS {
        set(&world, begin + TimeDelta::minutes(10 * tick));
        let (a, b) = tokio::join!(tickers.0.due(&one), tickers.1.due(&other));
        let jobs = [a.unwrap(), b.unwrap()].concat();
        runs += jobs.len();
        seen.extend(jobs.into_iter().map(|job| job.scheduled_at));
    }
    assert_eq!((runs, seen.len()), (1000, 1000));
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_an_hour_doubles_nothing() {
    let world = world("latest");
    set(&world, utc("2018-12-13T10:00:05Z"));
    let hub = world.hub().await;
    let ticker = Ticker::new(&hub).unwrap();
    assert_eq!(due(&world, &hub, &ticker, "2018-12-13T10:10:05Z").await, ["10:10"]);
    // Forward: the latest of what the step jumped over runs once.
    assert_eq!(due(&world, &hub, &ticker, "2018-12-13T11:11:00Z").await, ["11:10"]);
    // Back: the hour that comes again has run already.
    for time in ["2018-12-13T10:12:00Z", "2018-12-13T10:20:05Z", "2018-12-13T11:10:30Z"] {
        assert!(due(&world, &hub, &ticker, time).await.is_empty(), "{time}");
    }
    assert_eq!(due(&world, &hub, &ticker, "2018-12-13T11:20:05Z").await, ["11:20"]);
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_outlasts_its_next_time_runs_once_more_and_not_beside_itself() {
    let world = world("latest");
    set(&world, utc("2018-12-13T10:00:05Z"));
    let hub = world.hub().await;
    let ticker = Ticker::new(&hub).unwrap();
    assert_eq!(due(&world, &hub, &ticker, "2018-12-13T10:10:05Z").await, ["10:10"]);
    // The service asks again only when the job has ended: three times have passed, one runs.
    assert_eq!(due(&world, &hub, &ticker, "2018-12-13T10:41:00Z").await, ["10:40"]);
    hub.close().await;
}
