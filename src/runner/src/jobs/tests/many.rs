//! Many ticks over hubs that are killed and whose clocks step: each ran once.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const SEED: u64 = 7;
const BEGIN: &str = "2018-12-13T00:00:05Z";

/// `count` jobs that run every minute, and every minute that was missed.
fn every_minute(count: usize) -> Vec<Planned> {
    let job = |number| {
        format!(
            "[[jobs]]\nname = \"job{number}\"\nrun = \"node{number}\"\ncron = \"* * * * *\"\n\
             catch_up = \"all\"\n"
        )
    };
    let text: String = (0..count).map(job).collect();
    jobs(&format!("version = 1\n{text}"))
}

/// What ran to an end, and how often.
type Done = BTreeMap<(String, String), u32>;

fn collect(hub: &Hub, done: &mut Done) {
    for event in hub.events.lock().unwrap().drain(..) {
        match event {
            JobEvent::Ended { occurrence, state: OccurrenceState::Done, .. } => {
                *done.entry((occurrence.job, occurrence.scheduled_at)).or_default() += 1;
            }
            JobEvent::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Takes `hub` down in the middle of its work and starts another in its place.
async fn replace(
    mut hub: Hub,
    done: &mut Done,
    jobs: &[Planned],
    open: impl AsyncFn() -> Store,
) -> Hub {
    hub.work.waits.store(true, Ordering::Relaxed);
    hub.look().await;
    collect(&hub, done);
    let now = hub.now();
    hub.kill().await;
    Hub::start(open().await, now, jobs.to_vec()).await
}

/// Fails unless every minute from the begin to `end` ran once for each job.
async fn check(store: &Store, jobs: usize, end: DateTime<Utc>, done: &Done) {
    assert!(store.open_occurrences().await.unwrap().is_empty());
    let minutes = (end - utc(BEGIN)).num_minutes();
    for job in 0..jobs {
        for minute in 1..=minutes {
            let at = second(utc("2018-12-13T00:00:00Z") + TimeDelta::minutes(minute));
            let ran = done.get(&(format!("job{job}"), at.clone()));
            assert_eq!(ran, Some(&1), "job{job} at {at}");
        }
    }
    assert_eq!(done.len() as i64, jobs as i64 * minutes, "nothing else ran");
    let counts = store.occurrence_counts().await.unwrap();
    assert!(
        counts.iter().all(|(_, state, count)| state == "done" && *count == minutes),
        "{counts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_ticks_over_two_hubs_with_kills_and_clock_steps_each_ran_once() {
    const JOBS: usize = 20;
    const MINUTES: i64 = 500;
    println!("seed {SEED}");
    let place = Schema::new();
    let planned = every_minute(JOBS);
    let open = async || place.store().await;
    let mut random = StdRng::seed_from_u64(SEED);
    let begin = utc(BEGIN);
    let mut one = Hub::start(open().await, begin, planned.clone()).await;
    let mut other = Hub::start(open().await, begin, planned.clone()).await;
    let mut done = Done::new();
    let (mut kills, mut steps) = (0, 0);
    let mut latest = begin;
    for minute in 1..=MINUTES {
        let now = begin + TimeDelta::minutes(minute);
        one.set(now);
        // The other hub's clock is an hour ahead or behind now and then, but for the last hour.
        let step = match random.random_range(0..40) {
            0 if minute < MINUTES - 61 => TimeDelta::hours(1),
            1 => -TimeDelta::hours(1),
            _ => TimeDelta::zero(),
        };
        steps += i32::from(!step.is_zero());
        other.set(now + step);
        latest = latest.max(now + step);
        if random.random_ratio(1, 25) {
            kills += 1;
            if random.random() {
                one = replace(one, &mut done, &planned, &open).await;
            } else {
                other = replace(other, &mut done, &planned, &open).await;
            }
        }
        tokio::join!(one.settle(), other.settle());
        collect(&one, &mut done);
        collect(&other, &mut done);
    }
    assert!(kills > 10 && steps > 10, "{kills} kills, {steps} steps");
    assert_eq!(latest, begin + TimeDelta::minutes(MINUTES));
    // What the last dead hub left is taken over once the server has missed its connection.
    let began = std::time::Instant::now();
    while !one.store.open_occurrences().await.unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "something never ran");
        tokio::join!(one.settle(), other.settle());
    }
    collect(&one, &mut done);
    collect(&other, &mut done);
    check(&one.store, JOBS, latest, &done).await;
    assert_eq!(done.len(), 10_000);
    one.kill().await;
    other.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hub_on_sqlite_that_is_killed_and_whose_clock_steps_runs_each_tick_once() {
    const JOBS: usize = 10;
    const MINUTES: i64 = 100;
    let folder = tempfile::tempdir().unwrap();
    let planned = every_minute(JOBS);
    let open = async || sqlite(&folder).await;
    let mut random = StdRng::seed_from_u64(SEED);
    let begin = utc(BEGIN);
    let mut hub = Hub::start(open().await, begin, planned.clone()).await;
    let mut done = Done::new();
    let mut kills = 0;
    for minute in 1..=MINUTES {
        let step = match random.random_range(0..10) {
            0 if minute < MINUTES - 10 => TimeDelta::minutes(9),
            1 => -TimeDelta::minutes(9),
            _ => TimeDelta::zero(),
        };
        hub.set(begin + TimeDelta::minutes(minute) + step);
        if random.random_ratio(1, 10) {
            kills += 1;
            hub = replace(hub, &mut done, &planned, &open).await;
        }
        hub.settle().await;
        collect(&hub, &mut done);
    }
    assert!(kills > 3, "{kills}");
    check(&hub.store, JOBS, begin + TimeDelta::minutes(MINUTES), &done).await;
    hub.kill().await;
}

/// A schema of the test server, gone when dropped.
struct Schema {
    folder: tempfile::TempDir,
    name: String,
}

fn server() -> String {
    #[allow(clippy::disallowed_methods)] // the test server's place comes from the environment
    std::env::var("HUILIU_TEST_PG_URL")
        .unwrap_or_else(|_| "postgresql://postgres@127.0.0.1:5432/postgres".into())
}

impl Schema {
    fn new() -> Self {
        let name = format!("jobs_{}_{}", std::process::id(), uuid::Uuid::new_v4().simple());
        Self { folder: tempfile::tempdir().unwrap(), name }
    }

    async fn store(&self) -> Store {
        let address = huiliu_store::PostgresAddress::new(&server(), &self.name).unwrap();
        Store::open_postgres(&address, self.folder.path()).await.unwrap_or_else(|error| {
            panic!("{error}; tests need PostgreSQL at {} (HUILIU_TEST_PG_URL)", server())
        })
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (name, folder) = (self.name.clone(), self.folder.path().to_owned());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let address = huiliu_store::PostgresAddress::new(&server(), &name).unwrap();
                let store = Store::open_postgres(&address, &folder).await.unwrap();
                let sql = format!("drop schema {name} cascade");
                store.run("drop", huiliu_store::AssertSqlSafe(sql), vec![]).await.unwrap();
                store.close().await;
            });
        });
        drop(dropping.join());
    }
}
