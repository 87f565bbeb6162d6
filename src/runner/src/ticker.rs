//! The schedule: which jobs are due, each occurrence claimed once.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use huiliu_core::config::{CatchUpWord, JobConfig};
use huiliu_core::schedule::{CatchUp, Schedule};
use huiliu_sdk::Result;
use huiliu_store::Occurrence;

use crate::hub::Hub;

/// A job whose time has come.
#[derive(Debug, Clone)]
pub struct DueJob {
    /// The job.
    pub name: String,
    /// What it runs.
    pub selector: String,
    /// Whether incremental streams are read whole.
    pub whole: bool,
    /// When it was due.
    pub scheduled_at: DateTime<Utc>,
}

/// Finds due jobs. Must be asked at least once a minute.
pub struct Ticker {
    jobs: Vec<(JobConfig, Schedule)>,
    started: DateTime<Utc>,
}

impl Ticker {
    /// A ticker over the project's jobs that counts from `hub`'s current time for jobs that
    /// never ran.
    pub fn new(hub: &Hub) -> Result<Self> {
        let mut jobs = Vec::new();
        for job in &hub.project.jobs.jobs {
            jobs.push((job.clone(), schedule_of(job, hub.project.zone)?));
        }
        Ok(Self { jobs, started: hub.clock.now() })
    }

    /// The next time of each job, for people.
    pub fn upcoming(&self, now: DateTime<Utc>) -> Vec<(String, String)> {
        self.jobs
            .iter()
            .filter_map(|(job, schedule)| {
                let next = schedule.next_after(now)?;
                Some((job.name.clone(), next.format("%Y-%m-%d %H:%M %Z").to_string()))
            })
            .collect()
    }

    /// Jobs due now whose occurrence nobody else has claimed.
    pub async fn due(&self, hub: &Hub) -> Result<Vec<DueJob>> {
        let now = hub.clock.now();
        let store = hub.lake().store();
        let mut due = Vec::new();
        for (job, schedule) in &self.jobs {
            let last = store.last_occurrence(&job.name).await?;
            let last = last
                .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
                .map_or(self.started, |time| time.with_timezone(&Utc));
            let catch_up = match job.catch_up {
                CatchUpWord::None => CatchUp::None,
                CatchUpWord::Latest => CatchUp::Latest,
                CatchUpWord::All => CatchUp::All,
            };
            for scheduled_at in schedule.due(Some(last), now, catch_up) {
                let occurrence = Occurrence {
                    job: job.name.clone(),
                    scheduled_at: scheduled_at.to_rfc3339_opts(SecondsFormat::Secs, true),
                };
                if store.claim_occurrence(&occurrence).await? {
                    due.push(DueJob {
                        name: job.name.clone(),
                        selector: job.run.clone(),
                        whole: job.whole,
                        scheduled_at,
                    });
                }
            }
        }
        Ok(due)
    }
}

/// The times of a job; its zone is `zone` where it names none.
pub(crate) fn schedule_of(job: &JobConfig, zone: Tz) -> Result<Schedule> {
    let own = job.zone.as_deref().and_then(|zone| zone.parse().ok());
    Schedule::parse(&job.cron, own.unwrap_or(zone))
}
