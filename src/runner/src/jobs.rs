//! Jobs: when each one runs, on what, and what must not run beside what.

mod hub_work;
mod scheduler;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use huiliu_core::config::{CatchUpWord, JobConfig, OverlapWord};
use huiliu_core::timetable::Timetable;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Admission, NewOccurrence, Occurrence};

pub use self::scheduler::{JobEvent, Scheduler};
pub use self::view::{JobView, NextRun};

use crate::footprint::Footprint;
use crate::project::Project;

/// A time as it is stored of occurrences.
pub(crate) fn second(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A stored time.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// A job as it can be run.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) config: JobConfig,
    pub(crate) timetable: Timetable,
    pub(crate) footprint: Footprint,
}

impl Planned {
    pub(crate) fn new(config: JobConfig, project: &Project) -> Result<Self> {
        let timetable = Timetable::of(&config, project.zone, &project.calendar)?;
        let footprint = if config.run.trim() == crate::maintain::SELECTOR {
            Footprint::everything()
        } else {
            Footprint::of(project.graph.select(&config.run)?, &project.graph)
        };
        Ok(Self { config, timetable, footprint })
    }

    /// What of it is due and not made yet, when the latest that was made is that of `last`.
    pub(crate) fn due(
        &self,
        last: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<NewOccurrence>> {
        let due = self.timetable.due(Some(last), now, self.config.catch_up);
        let due = due.map_err(|error| error.context(format!("job {}", self.config.name)))?;
        let new = due.into_iter().map(|due| NewOccurrence {
            occurrence: Occurrence { job: self.config.name.clone(), scheduled_at: second(due.at) },
            missed: due.missed,
            admission: self.admission(),
        });
        Ok(new.collect())
    }

    fn admission(&self) -> Admission {
        match (self.config.overlap(), self.config.catch_up) {
            (OverlapWord::Skip, _) => Admission::Skip,
            (OverlapWord::Kill, _) => Admission::Kill,
            (OverlapWord::Queue, CatchUpWord::All) => Admission::QueueAll,
            (OverlapWord::Queue, _) => Admission::QueueOne,
        }
    }
}

/// The jobs of a project, those first that others need.
pub(crate) fn planned(project: &Project) -> Result<Vec<Planned>> {
    let jobs: Result<Vec<Planned>> =
        project.jobs.jobs.iter().map(|job| Planned::new(job.clone(), project)).collect();
    Ok(ordered(jobs?))
}

fn ordered(jobs: Vec<Planned>) -> Vec<Planned> {
    let rank = |job: &Planned| {
        jobs.iter()
            .filter(|other| other.config.name != job.config.name)
            .filter(|other| {
                let (own, others) = (&job.footprint, &other.footprint);
                own.needs(others) && !others.needs(own)
            })
            .count()
    };
    let ranks: Vec<usize> = jobs.iter().map(rank).collect();
    let mut ranked: Vec<(usize, Planned)> = ranks.into_iter().zip(jobs).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, job)| job).collect()
}

/// The job of this name.
pub(crate) fn find<'a>(jobs: &'a [JobConfig], name: &str) -> Result<&'a JobConfig> {
    jobs.iter().find(|job| job.name == name).ok_or_else(|| {
        let names = jobs.iter().map(|job| job.name.as_str());
        let hint = match huiliu_core::config::closest(name, names) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "`huiliu jobs list` shows them".to_owned(),
        };
        Error::new(ErrorKind::Config, "E-JOB-NAME", format!("no job is called `{name}`")).hint(hint)
    })
}

/// Shared by all who look at the jobs.
pub(crate) type Jobs = Arc<[Planned]>;
