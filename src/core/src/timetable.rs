//! When a job runs: its schedule, on the days its calendar lets it, and what of it is due.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use huiliu_sdk::Result;

use crate::calendar::Calendar;
use crate::config::{CalendarWord, CatchUpWord, JobConfig};
use crate::schedule::Schedule;

/// How long after its time an occurrence still counts as on time: the resolution of cron.
const ON_TIME: Duration = Duration::minutes(1);
/// Of the occurrences that were missed this many are given at once; the rest follows.
const AT_ONCE: usize = 10_000;

/// When a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    schedule: Schedule,
    workdays: Option<Arc<Calendar>>,
}

/// A time to run at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was due.
    pub at: DateTime<Utc>,
    /// How many times before it passed and are left out.
    pub missed: u32,
}

impl Timetable {
    /// The times of `job`, in the hub's zone where it names none.
    pub fn of(job: &JobConfig, zone: Tz, calendar: &Arc<Calendar>) -> Result<Self> {
        let own = job.zone.as_deref().and_then(|zone| zone.parse().ok());
        let schedule = Schedule::parse(&job.cron, own.unwrap_or(zone))?;
        let workdays = job.calendar.map(|CalendarWord::Workdays| Arc::clone(calendar));
        Ok(Self { schedule, workdays })
    }

    /// The first occurrence after `instant`; nothing if time runs out before. Days of years that
    /// the calendar does not know are an error.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Result<Option<DateTime<Tz>>> {
        let mut after = instant;
        while let Some(next) = self.schedule.next_after(after) {
            if self.runs_on(&next)? {
                return Ok(Some(next));
            }
            after = next.to_utc();
        }
        Ok(None)
    }

    /// The next `count` occurrences after `from`.
    pub fn upcoming(&self, from: DateTime<Utc>, count: usize) -> Result<Vec<DateTime<Tz>>> {
        let mut occurrences = Vec::new();
        let mut after = from;
        while occurrences.len() < count {
            let Some(next) = self.next_after(after)? else { break };
            after = next.to_utc();
            occurrences.push(next);
        }
        Ok(occurrences)
    }

    /// The latest occurrence at or before `instant`, as far back as the calendar is known.
    pub fn last_before(&self, instant: DateTime<Utc>) -> Option<DateTime<Tz>> {
        let mut before = instant;
        loop {
            let last = self.schedule.last_before(before)?;
            if self.runs_on(&last).ok()? {
                return Some(last);
            }
            before = last.to_utc() - Duration::seconds(1);
        }
    }

    /// The last year whose days its calendar knows; none without a calendar.
    pub fn known_until(&self) -> Option<i32> {
        self.workdays.as_ref().map(|calendar| calendar.known_years().1)
    }

    /// The occurrences to run now, oldest first.
    ///
    /// `last` is the latest occurrence already dealt with. Without one nothing was missed: only
    /// an occurrence of the current minute is due, which is also all that `none` ever gives.
    pub fn due(
        &self,
        last: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        catch_up: CatchUpWord,
    ) -> Result<Vec<Due>> {
        let on_time = now - ON_TIME;
        let mut due: Vec<Due> = Vec::new();
        let mut passed = 0_u32;
        let mut position = last.unwrap_or(on_time);
        loop {
            let next = match self.next_within(position, now) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                // What is due on days that are known is not held up by those that are not.
                Err(_) if !due.is_empty() => break,
                Err(error) => return Err(error),
            };
            position = next;
            if catch_up == CatchUpWord::None && next <= on_time {
                passed += 1;
                continue;
            }
            if catch_up != CatchUpWord::All && due.pop().is_some() {
                passed += 1;
            }
            due.push(Due { at: next, missed: passed });
            if due.len() == AT_ONCE {
                break;
            }
        }
        Ok(due)
    }

    /// The first occurrence after `after` and not after `until`. The calendar is asked only about
    /// days up to then, so that a year it does not know is no fault before it begins.
    fn next_within(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>> {
        let mut position = after;
        while let Some(next) = self.schedule.next_after(position) {
            if next.to_utc() > until {
                return Ok(None);
            }
            if self.runs_on(&next)? {
                return Ok(Some(next.to_utc()));
            }
            position = next.to_utc();
        }
        Ok(None)
    }

    fn runs_on(&self, time: &DateTime<Tz>) -> Result<bool> {
        self.workdays.as_ref().map_or(Ok(true), |calendar| calendar.is_workday(time.date_naive()))
    }
}

#[cfg(test)]
mod tests;
