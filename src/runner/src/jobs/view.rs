//! Jobs as people look at them: when each runs next, how it last ended.

use chrono::{DateTime, Datelike, TimeDelta};
use chrono_tz::Tz;
use huiliu_core::config::{CalendarWord, CatchUpWord, OverlapWord};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::OccurrenceRow;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::{find, planned};
use crate::audit::{Change, Deed};
use crate::hub::Hub;

/// How long before the end of the known calendar its end is said.
const EARLY: TimeDelta = TimeDelta::days(60);

/// A time at which a job runs.
#[derive(Debug, Clone, Serialize)]
pub struct NextRun {
    /// The job.
    pub job: String,
    /// When, in the job's zone.
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Tz>,
}

/// A job with how it stands.
#[derive(Debug, Clone, Serialize)]
pub struct JobView {
    /// Its name.
    pub job: String,
    /// When it runs, as written.
    pub cron: String,
    /// The zone of that.
    pub zone: String,
    /// Whether it runs on working days only.
    pub calendar: Option<CalendarWord>,
    /// What happens with times that passed.
    pub catch_up: CatchUpWord,
    /// What happens when its time comes and it has not ended.
    pub overlap: OverlapWord,
    /// What it runs.
    pub run: String,
    /// When it runs next; none when that cannot be known.
    #[serde(serialize_with = "maybe_rfc3339")]
    pub next: Option<DateTime<Tz>>,
    /// Why it has no next time, or soon will have none.
    pub warning: Option<String>,
    /// The occurrence that waits or runs.
    pub open: Option<OccurrenceRow>,
    /// The last one that ran to an end.
    pub last: Option<OccurrenceRow>,
    /// How often in a row it began without an end.
    pub deaths: i64,
    /// Since when it is parked.
    pub parked_at: Option<String>,
}

fn rfc3339<S: Serializer>(time: &DateTime<Tz>, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&time.to_rfc3339())
}

#[allow(clippy::ref_option)] // as serde calls it
fn maybe_rfc3339<S: Serializer>(
    time: &Option<DateTime<Tz>>,
    to: S,
) -> std::result::Result<S::Ok, S::Error> {
    time.map(|time| time.to_rfc3339()).serialize(to)
}

impl Hub {
    /// The next `count` times, of all jobs or of one, earliest first.
    pub fn next_runs(&self, job: Option<&str>, count: usize) -> Result<Vec<NextRun>> {
        self.project.next_runs(job, self.clock.now(), count)
    }

    /// All jobs with how they stand, in the order of `config/jobs.toml`.
    pub async fn job_views(&self) -> Result<Vec<JobView>> {
        let store = self.lake().store();
        let (rows, open) = (store.jobs().await?, store.open_occurrences().await?);
        let now = self.clock.now();
        let mut views = Vec::new();
        for config in &self.project.jobs.jobs {
            let planned = super::Planned::new(config.clone(), &self.project)?;
            let next = planned.timetable.next_after(now);
            let row = rows.iter().find(|row| row.job == config.name);
            let zone = config.zone.clone().unwrap_or_else(|| self.project.hub.zone.clone());
            let warning = match &next {
                Err(error) => Some(error.to_string()),
                Ok(_) => self.project.calendar_warning(config, now).map(|error| error.to_string()),
            };
            views.push(JobView {
                job: config.name.clone(),
                cron: config.cron.clone(),
                zone,
                calendar: config.calendar,
                catch_up: config.catch_up,
                overlap: config.overlap(),
                run: config.run.clone(),
                next: next.ok().flatten(),
                warning,
                open: open.iter().find(|row| row.occurrence.job == config.name).cloned(),
                last: store.last_result(&config.name).await?,
                deaths: row.map_or(0, |row| row.deaths),
                parked_at: row.and_then(|row| row.parked_at.clone()),
            });
        }
        Ok(views)
    }

    /// Asks a service on the same database to run a job now; false when it waits or runs already.
    pub async fn ask_for_job(&self, job: &str) -> Result<bool> {
        find(&self.project.jobs.jobs, job)?;
        let now = super::second(self.clock.now());
        self.lake().store().ask_for_job(job, &now).await
    }

    /// Lets a parked job run again.
    pub async fn unpark_job(&self, job: &str, deed: &Deed<'_>) -> Result<()> {
        let store = self.lake().store();
        let rows = store.jobs().await?;
        let Some(row) = rows.into_iter().find(|row| row.job == job && row.deaths > 0) else {
            find(&self.project.jobs.jobs, job)?;
            let message = format!("the job {job} is not parked");
            return Err(Error::new(ErrorKind::Config, "E-JOB-NAME", message)
                .hint("`huiliu jobs list` shows which are"));
        };
        let change = Change {
            action: "jobs unpark",
            object: job,
            before: Some(json!({ "deaths": row.deaths, "parked_at": row.parked_at })),
            after: Some(json!({ "deaths": 0 })),
        };
        let mut tx = store.begin().await?;
        self.note(&mut tx, deed, change).await?;
        tx.unpark_job(job).await?;
        tx.commit().await
    }
}

impl crate::Project {
    /// The next `count` times after `now`, of all jobs or of one, earliest first.
    pub fn next_runs(
        &self,
        job: Option<&str>,
        now: DateTime<chrono::Utc>,
        count: usize,
    ) -> Result<Vec<NextRun>> {
        if let Some(job) = job {
            find(&self.jobs.jobs, job)?;
        }
        let mut runs = Vec::new();
        for planned in planned(self)? {
            let name = &planned.config.name;
            if job.is_some_and(|job| job != name) {
                continue;
            }
            match planned.timetable.upcoming(now, count) {
                Ok(times) => {
                    runs.extend(times.into_iter().map(|at| NextRun { job: name.clone(), at }));
                }
                // Of all jobs those are shown that are known; each says by itself what is not.
                Err(error) if job.is_some() => return Err(error.context(format!("job {name}"))),
                Err(_) => {}
            }
        }
        runs.sort_by(|a, b| (a.at, &a.job).cmp(&(b.at, &b.job)));
        runs.truncate(count);
        Ok(runs)
    }

    /// What is to be said of jobs on working days while there is time: that the calendar ends.
    pub fn calendar_warnings(&self, now: DateTime<chrono::Utc>) -> Vec<Error> {
        self.jobs.jobs.iter().filter_map(|job| self.calendar_warning(job, now)).collect()
    }

    fn calendar_warning(
        &self,
        job: &huiliu_core::config::JobConfig,
        now: DateTime<chrono::Utc>,
    ) -> Option<Error> {
        job.calendar?;
        let soon = (now + EARLY).with_timezone(&self.zone).date_naive();
        let error = self.calendar.is_workday(soon).err()?;
        let year = soon.year();
        Some(error.context(format!("job {} will not run in {year}", job.name)))
    }
}
