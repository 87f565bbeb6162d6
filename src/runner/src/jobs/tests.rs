//! Jobs over hubs that come and go, with a clock that is moved by hand and work that is played.

mod keeping;
mod many;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Asia::Shanghai;
use huiliu_core::calendar::Calendar;
use huiliu_core::config::{JobConfig, JobsFile};
use huiliu_core::timetable::Timetable;
use huiliu_sdk::{Clock, ManualClock};
use huiliu_store::{OccurrenceState, RunState, Store};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::scheduler::{JobEvent, Scheduler, Settings, Work, WorkEnd};
use super::{Planned, second};
use crate::footprint::Footprint;
use crate::heartbeat::Heartbeat;
use crate::run::RunReport;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn calendar() -> Arc<Calendar> {
    let text = "date,name,is_off_day\n2018-01-01,元旦,true\n2018-10-01,国庆节,true\n";
    Arc::new(Calendar::parse(text, "days.csv").unwrap())
}

/// Jobs of a file; each touches nodes of its own.
fn jobs(text: &str) -> Vec<Planned> {
    let file: JobsFile = toml_of(text);
    let calendar = calendar();
    let plan = |config: JobConfig| {
        let timetable = Timetable::of(&config, Shanghai, &calendar).unwrap();
        let nodes: Vec<&str> = config.run.split(' ').collect();
        let footprint = Footprint::of_names(&nodes);
        Planned { timetable, footprint, config }
    };
    file.jobs.into_iter().map(plan).collect()
}

fn toml_of<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let file = Path::new("jobs.toml");
    let schema = huiliu_core::config::jobs_schema();
    let document = huiliu_core::config::Document::parse(file, text).unwrap();
    document.read(&schema).unwrap_or_else(|faults| panic!("{}", faults.render()))
}

/// Work that is played: it ends at once, waits for its end, or fails.
struct Played {
    /// Whether work goes on until it is told to stop.
    waits: AtomicBool,
    /// One permit for each work that has begun to wait for its end.
    waiting: Semaphore,
    /// The exit codes of the next runs of a job; 0 beyond.
    codes: Mutex<BTreeMap<String, Vec<u8>>>,
}

#[async_trait]
impl Work for Played {
    async fn run(&self, job: &JobConfig, stop: CancellationToken) -> WorkEnd {
        let mut state = RunState::Succeeded;
        let mut exit_code =
            self.codes.lock().unwrap().get_mut(&job.name).and_then(Vec::pop).unwrap_or(0);
        if self.waits.load(Ordering::Relaxed) {
            self.waiting.add_permits(1);
            stop.cancelled().await;
            (state, exit_code) = (RunState::Cancelled, 130);
        }
        let report = RunReport {
            run_id: 1,
            state,
            exit_code,
            steps: Vec::new(),
            outbox: Vec::new(),
            plans: Vec::new(),
            unused_accepts: Vec::new(),
            audits: Vec::new(),
            repair: None,
        };
        WorkEnd { report: Some(report), error: None }
    }
}

/// A hub that only keeps the schedule.
struct Hub {
    store: Store,
    clock: Arc<ManualClock>,
    work: Arc<Played>,
    scheduler: Arc<Scheduler>,
    tasks: JoinSet<()>,
    events: Arc<Mutex<Vec<JobEvent>>>,
}

impl Hub {
    async fn start(store: Store, now: DateTime<Utc>, jobs: Vec<Planned>) -> Self {
        store.end_job_leases().await.unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let work = Arc::new(Played {
            waits: AtomicBool::new(false),
            waiting: Semaphore::new(0),
            codes: Mutex::default(),
        });
        let events: Arc<Mutex<Vec<JobEvent>>> = Arc::default();
        let hold = Duration::from_secs(60);
        let settings = Settings {
            jobs: jobs.into(),
            store: store.clone(),
            clock: Arc::<ManualClock>::clone(&clock),
            holder: "process 1".into(),
            heartbeat: Arc::new(Heartbeat::new(store.clone(), hold)),
            park_after: 3,
            work: Arc::<Played>::clone(&work),
        };
        let told = Arc::clone(&events);
        let scheduler = Scheduler::with(settings, move |event| told.lock().unwrap().push(event));
        Self { store, clock, work, scheduler, tasks: JoinSet::new(), events }
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn set(&self, time: DateTime<Utc>) {
        self.clock.advance(time - self.now());
    }

    /// Looks at the schedule once, without waiting for what begins.
    async fn look(&mut self) {
        self.scheduler.tick(&mut self.tasks).await.unwrap();
    }

    /// Looks at the schedule once, and waits until a job that begins is at work.
    async fn look_at_work(&mut self) {
        self.look().await;
        self.work.waiting.acquire().await.unwrap().forget();
    }

    /// Looks at the schedule and waits until all that begins has ended.
    async fn settle(&mut self) {
        loop {
            self.look().await;
            if self.tasks.is_empty() {
                return;
            }
            while self.tasks.join_next().await.is_some() {}
        }
    }

    /// At `time`: the minutes of what ran to an end.
    async fn ran(&mut self, time: &str) -> Vec<String> {
        self.set(utc(time));
        self.settle().await;
        let ended = self.ended();
        self.events.lock().unwrap().clear();
        let minute = |(job, at, state): (String, String, OccurrenceState)| {
            let state = state.as_str();
            if state == "done" {
                format!("{job} {}", &at[11..16])
            } else {
                format!("{job} {} {state}", &at[11..16])
            }
        };
        ended.into_iter().map(minute).collect()
    }

    /// What ended, in order.
    fn ended(&self) -> Vec<(String, String, OccurrenceState)> {
        let events = self.events.lock().unwrap();
        let ended = events.iter().filter_map(|event| match event {
            JobEvent::Ended { occurrence, state, .. } => {
                Some((occurrence.job.clone(), occurrence.scheduled_at.clone(), *state))
            }
            _ => None,
        });
        ended.collect()
    }

    /// Ends it as a power failure does: nothing is stored any more, connections are gone.
    async fn kill(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        self.store.close().await;
    }
}

async fn sqlite(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("huiliu.db"), folder.path()).await.unwrap()
}

/// All occurrences that are stored, as `job minute state attempts missed`, oldest first.
async fn stored(store: &Store) -> Vec<String> {
    let mut rows = store.occurrences(None, 100).await.unwrap();
    rows.reverse();
    let line = |row: huiliu_store::OccurrenceRow| {
        let minute = row.occurrence.scheduled_at[11..16].to_owned();
        format!("{} {minute} {} {} {}", row.occurrence.job, row.state, row.attempts, row.missed)
    };
    rows.into_iter().map(line).collect()
}
