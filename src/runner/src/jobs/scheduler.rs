//! The schedule at work: makes what is due, begins what may begin, ends what ended. Any number of
//! these may share a store.
//!
//! Each occurrence passes through the store: made once, begun under the job's lease, ended under
//! it. What runs in this process is kept apart by what it writes and reads, so a job that takes
//! long holds up only those that would meet it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use huiliu_core::config::{CatchUpWord, JobConfig};
use huiliu_sdk::{Clock, Error, Result};
use huiliu_store::{Begin, Lease, Occurrence, OccurrenceRow, OccurrenceState, Store};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::verdict::judge;
use super::{Jobs, Planned, parse_time, second};
use crate::heartbeat::Heartbeat;
use crate::run::RunReport;

/// How often the schedule is looked at; jobs are to the minute.
const PAUSE: Duration = Duration::from_secs(5);
/// How many jobs run at once; others wait for their turn.
const AT_ONCE: usize = 8;
/// How long occurrences are kept that have ended.
const KEEP: TimeDelta = TimeDelta::days(90);
/// A last time that lies so far in the future is not believed: a clock was wrong once.
const AHEAD: TimeDelta = TimeDelta::days(1);
/// How often is tried to store how a job ended, and how long is waited the first time; twice as long
/// each time.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How often old ones are forgotten.
const FORGET: TimeDelta = TimeDelta::hours(1);

/// How the work of a job ended.
#[derive(Debug, Default)]
pub(crate) struct WorkEnd {
    pub(crate) report: Option<RunReport>,
    pub(crate) error: Option<Error>,
}

/// What does the work.
#[async_trait]
pub(crate) trait Work: Send + Sync {
    /// Does the work of `job` until its end, or until it is told to stop.
    async fn run(&self, job: &JobConfig, stop: CancellationToken) -> WorkEnd;
}

/// What happened to a job.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // told once and dropped; none is kept
pub enum JobEvent {
    /// An attempt begins.
    Started {
        /// Which.
        occurrence: Occurrence,
        /// The number of the attempt, from 1.
        attempt: i64,
    },
    /// An attempt ended.
    Ended {
        /// Which.
        occurrence: Occurrence,
        /// How it stands now: queued where it is tried again.
        state: OccurrenceState,
        /// The run.
        report: Option<RunReport>,
        /// Why it failed.
        error: Option<Error>,
    },
    /// An occurrence was left out, because one before it had not ended or the job is parked.
    LeftOut {
        /// Which.
        occurrence: Occurrence,
        /// Why.
        state: OccurrenceState,
    },
    /// Times passed that are not run.
    Missed {
        /// The occurrence that runs instead.
        occurrence: Occurrence,
        /// How many.
        count: u32,
    },
    /// The job is parked: its process ended this often in the middle of it.
    Parked {
        /// The job.
        job: String,
        /// How often.
        deaths: i64,
    },
    /// The job has no next time that can be known, such as in a year without a calendar.
    Unknown {
        /// The job.
        job: String,
        /// Why.
        error: Error,
    },
}

/// What a scheduler is made of.
pub(crate) struct Settings {
    pub(crate) jobs: Jobs,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) holder: String,
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) park_after: u32,
    pub(crate) work: Arc<dyn Work>,
}

/// Why a job is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Killed,
    TimedOut,
    Service,
}

struct Active {
    job: Planned,
    stop: CancellationToken,
    why: Arc<Mutex<Option<Stop>>>,
}

/// Keeps the schedule.
pub struct Scheduler {
    settings: Settings,
    started: DateTime<Utc>,
    active: Mutex<BTreeMap<String, Active>>,
    /// Jobs whose last time is not believed, so that each is said once.
    ahead: Mutex<BTreeSet<String>>,
    /// Jobs whose times are not known, so that each is said once.
    unknown: Mutex<BTreeSet<String>>,
    forgotten_at: Mutex<Option<DateTime<Utc>>>,
    ended: Notify,
    events: Box<dyn Fn(JobEvent) + Send + Sync>,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    pub(crate) fn with(
        settings: Settings,
        events: impl Fn(JobEvent) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let started = settings.clock.now();
        Arc::new(Self {
            settings,
            started,
            active: Mutex::default(),
            ahead: Mutex::default(),
            unknown: Mutex::default(),
            forgotten_at: Mutex::default(),
            ended: Notify::new(),
            events: Box::new(events),
        })
    }

    /// Keeps the schedule until `cancel`, and then until everything that runs has ended.
    pub async fn serve(self: &Arc<Self>, cancel: CancellationToken) {
        if let Err(error) = self.settings.store.end_job_leases().await {
            tracing::warn!(%error, "leases of ended processes stay until they run out");
        }
        let mut tasks = JoinSet::new();
        while !cancel.is_cancelled() {
            if let Err(error) = self.tick(&mut tasks).await {
                tracing::warn!(%error, code = error.code(), "the schedule could not be looked at");
            }
            while tasks.try_join_next().is_some() {}
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
                // What waited for it may begin.
                () = self.ended.notified() => {}
            }
        }
        self.halt_all();
        while tasks.join_next().await.is_some() {}
    }

    /// Tells all that runs to stop, together with the hub.
    pub(crate) fn halt_all(&self) {
        for active in open(&self.active).values() {
            halt(active, Stop::Service);
        }
    }

    /// Makes what is due and begins what may begin.
    pub(crate) async fn tick(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Result<()> {
        self.make_due().await?;
        self.begin_ready(tasks).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.settings.clock.now()
    }

    fn tell(&self, event: JobEvent) {
        (self.events)(event);
    }

    /// Makes the occurrences that are due.
    async fn make_due(&self) -> Result<()> {
        let now = self.now();
        let store = &self.settings.store;
        let rows = store.jobs().await?;
        let mut new = Vec::new();
        for job in self.settings.jobs.iter() {
            let name = &job.config.name;
            let row = rows.iter().find(|row| row.job == *name);
            let last = row.and_then(|row| row.last_at.as_deref()).and_then(parse_time);
            let last = match last {
                Some(last) if last <= now + AHEAD => Some(last),
                other => {
                    if let Some(last) = other
                        && open(&self.ahead).insert(name.clone())
                    {
                        let last = second(last);
                        tracing::warn!(job = name, last, "it ran while a clock was far ahead");
                    }
                    // Nor has one a row of its own yet that an earlier program ran.
                    let last = store.last_occurrence(name, &second(now + AHEAD)).await?;
                    last.as_deref().and_then(parse_time)
                }
            };
            // One that never ran counts from the start of the service.
            let last = last.unwrap_or(self.started);
            match job.due(last, now) {
                Ok(due) => {
                    open(&self.unknown).remove(name);
                    new.extend(due);
                }
                Err(error) => {
                    if open(&self.unknown).insert(name.clone()) {
                        self.tell(JobEvent::Unknown { job: name.clone(), error });
                    }
                }
            }
        }
        if !new.is_empty() {
            for (occurrence, state) in store.add_occurrences(&new, &second(now)).await? {
                let made = new.iter().find(|new| new.occurrence == occurrence);
                if let Some(count) = made.map(|new| new.missed).filter(|missed| *missed > 0) {
                    self.tell(JobEvent::Missed { occurrence: occurrence.clone(), count });
                }
                if state != OccurrenceState::Queued {
                    self.tell(JobEvent::LeftOut { occurrence, state });
                }
            }
        }
        let is_time = open(&self.forgotten_at).is_none_or(|at| now - at >= FORGET);
        if is_time {
            store.forget_occurrences(&second(now - KEEP)).await?;
            *open(&self.forgotten_at) = Some(now);
        }
        Ok(())
    }

    /// Begins what waits and meets nothing that runs.
    async fn begin_ready(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Result<()> {
        let now = self.now();
        let rows = self.settings.store.open_occurrences().await?;
        for row in rows.iter().filter(|row| row.stop && row.state == "running") {
            if let Some(active) = open(&self.active).get(&row.occurrence.job) {
                halt(active, Stop::Killed);
            }
        }
        // The oldest of each job; of one time those first that others need.
        let mut firsts: Vec<(&OccurrenceRow, usize, &Planned)> = Vec::new();
        for (rank, job) in self.settings.jobs.iter().enumerate() {
            let oldest = rows.iter().find(|row| row.occurrence.job == job.config.name);
            firsts.extend(oldest.map(|row| (row, rank, job)));
        }
        firsts.sort_by_key(|(row, rank, _)| (row.occurrence.scheduled_at.clone(), *rank));
        let mut before: Vec<&Planned> = Vec::new();
        for (row, _, job) in firsts {
            let waits = row.not_before.as_deref().and_then(parse_time);
            if waits.is_some_and(|time| time > now) {
                continue;
            }
            let meets = {
                let active = open(&self.active);
                if active.len() >= AT_ONCE {
                    break;
                }
                active.contains_key(&job.config.name)
                    || active.values().any(|other| other.job.footprint.meets(&job.footprint))
            };
            // Nor does it overtake one that waits and that it would hold up.
            if meets || before.iter().any(|other| other.footprint.meets(&job.footprint)) {
                before.push(job);
                continue;
            }
            if let Some(state) = end_of_dead(row, &job.config) {
                self.end_dead(row, state).await?;
                continue;
            }
            self.begin(row, job, tasks).await?;
        }
        Ok(())
    }

    /// Ends what a process that died left running, unless another hub runs it.
    async fn end_dead(&self, row: &OccurrenceRow, state: OccurrenceState) -> Result<()> {
        let Settings { store, holder, heartbeat, .. } = &self.settings;
        let (occurrence, now) = (row.occurrence.clone(), second(self.now()));
        let hold_ms = heartbeat.hold_ms();
        if store.end_dead_occurrence(&occurrence, holder, hold_ms, state, &now).await? {
            self.tell(JobEvent::Ended { occurrence, state, report: None, error: None });
            // What waited for it may begin.
            self.ended.notify_one();
        }
        Ok(())
    }

    async fn begin(
        self: &Arc<Self>,
        row: &OccurrenceRow,
        job: &Planned,
        tasks: &mut JoinSet<()>,
    ) -> Result<()> {
        let Settings { store, holder, heartbeat, park_after, .. } = &self.settings;
        let now = second(self.now());
        let hold_ms = heartbeat.hold_ms();
        let begun =
            store.begin_occurrence(&row.occurrence, holder, hold_ms, *park_after, &now).await?;
        let (lease, attempt) = match begun {
            Begin::Begun { lease, attempt } => (lease, attempt),
            Begin::Busy | Begin::Gone => return Ok(()),
            Begin::Parked { deaths } => {
                self.tell(JobEvent::Parked { job: job.config.name.clone(), deaths });
                return Ok(());
            }
        };
        self.tell(JobEvent::Started { occurrence: row.occurrence.clone(), attempt });
        let active =
            Active { job: job.clone(), stop: CancellationToken::new(), why: Arc::default() };
        let (stop, why) = (active.stop.clone(), Arc::clone(&active.why));
        open(&self.active).insert(job.config.name.clone(), active);
        let (this, occurrence, config) =
            (Arc::clone(self), row.occurrence.clone(), job.config.clone());
        tasks.spawn(async move {
            let work = this.run(&occurrence, attempt, &lease, &config, stop, &why);
            let made_room = Box::pin(work).await;
            if let Err(error) = &made_room {
                let (code, job) = (error.code(), &config.name);
                tracing::warn!(%error, code, job, "how a job ended could not be stored");
            }
            open(&this.active).remove(&config.name);
            // One that found the data folder taken is tried again at the next look, not at once.
            if made_room.unwrap_or(true) {
                this.ended.notify_one();
            }
        });
        Ok(())
    }

    /// Runs one attempt and stores how it ended. Says whether it was at work at all.
    async fn run(
        &self,
        occurrence: &Occurrence,
        attempt: i64,
        lease: &Lease,
        job: &JobConfig,
        stop: CancellationToken,
        why: &Mutex<Option<Stop>>,
    ) -> Result<bool> {
        let watch = self.settings.heartbeat.keep_lease(lease, stop.clone())?;
        let work =
            crate::stop::unbroken(async { Ok(self.settings.work.run(job, stop.clone()).await) });
        let mut work = Box::pin(work);
        let ended = match job.timeout() {
            None => work.await,
            Some(limit) => tokio::select! {
                ended = &mut work => ended,
                () = tokio::time::sleep(limit) => {
                    open(why).get_or_insert(Stop::TimedOut);
                    stop.cancel();
                    work.await
                }
            },
        };
        let ended = ended.unwrap_or_else(|error| WorkEnd { report: None, error: Some(error) });
        let why = *open(why);
        if watch.is_lost() {
            // Whoever took it over stores how it ends.
            tracing::warn!(job = job.name, "another hub took the job over");
            return Ok(true);
        }
        let (state, end, ended) = judge(job, attempt, why, ended, self.now());
        let now = second(self.now());
        let store = &self.settings.store;
        // The lease is kept meanwhile: what has ended must not be begun anew.
        let stored =
            again(FIRST_WAIT, || store.end_occurrence(occurrence, lease, state, &end, &now));
        stored.await?;
        drop(watch);
        let was_at_work = !end.did_not_begin;
        if was_at_work {
            let WorkEnd { report, error } = ended;
            self.tell(JobEvent::Ended { occurrence: occurrence.clone(), state, report, error });
        }
        Ok(was_at_work)
    }
}

/// As what an occurrence ends that runs nowhere here, if its process has died; none when it is begun
/// anew, as what was missed is.
fn end_of_dead(row: &OccurrenceRow, job: &JobConfig) -> Option<OccurrenceState> {
    if row.state != "running" {
        return None;
    }
    if row.stop {
        return Some(OccurrenceState::Killed);
    }
    (job.catch_up == CatchUpWord::None).then_some(OccurrenceState::Cancelled)
}

/// Stores something, and tries again for a while when that fails.
async fn again<F: Future<Output = Result<()>>>(
    first_wait: Duration,
    store: impl Fn() -> F,
) -> Result<()> {
    let mut wait = first_wait;
    for _ in 1..TRIES {
        match store().await {
            Err(error) if error.code() != "E-LEASE-LOST" => {
                tracing::warn!(%error, code = error.code(), "what ended could not be stored yet");
            }
            stored => return stored,
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    store().await
}

fn halt(active: &Active, why: Stop) {
    open(&active.why).get_or_insert(why);
    active.stop.cancel();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use huiliu_sdk::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_stored_is_tried_again_for_a_while() {
        let tries = AtomicU32::new(0);
        let store = |good: u32, code: &'static str| {
            let tried = tries.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                let failed = Error::new(ErrorKind::Internal, code, "not now");
                if tried == good { Ok(()) } else { Err(failed) }
            }
        };
        again(Duration::ZERO, || store(3, "E-STORE")).await.unwrap();
        assert_eq!(tries.swap(0, Ordering::Relaxed), 3);
        again(Duration::ZERO, || store(99, "E-STORE")).await.unwrap_err();
        assert_eq!(tries.swap(0, Ordering::Relaxed), TRIES);
        again(Duration::ZERO, || store(99, "E-LEASE-LOST")).await.unwrap_err();
        assert_eq!(tries.load(Ordering::Relaxed), 1, "somebody else stores it");
    }
}
