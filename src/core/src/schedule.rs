//! Schedules in five cron fields with their POSIX meaning, in a time zone.
//!
//! An expression is evaluated on the wall clock and each matching wall time is mapped to one
//! instant: a wall time the clock skips runs at the first instant after the gap, one that the
//! clock repeats runs once, the first time. So nothing is lost or doubled on the days the clock
//! changes. Weekday 0 and 7 are Sunday. If day-of-month and weekday are both restricted, either
//! is enough; a field that begins with `*` (also `*/2`) does not count as restricted.

mod field;

use std::fmt;

use chrono::{
    DateTime, Datelike, Days, Duration, LocalResult, Months, NaiveDate, NaiveDateTime, TimeZone,
    Timelike, Utc,
};
use chrono_tz::Tz;
use field::{Field, parse_field};
use huiliu_sdk::{Error, ErrorKind, Result};

/// The rarest expression, 29 February on one weekday, pauses 40 years around a century.
const HORIZON_YEARS: u32 = 60;

/// When something runs.
#[derive(Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    zone: Tz,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

impl Schedule {
    /// Reads five fields: minute, hour, day of month, month, weekday.
    ///
    /// Each is `*`, numbers, ranges `a-b`, lists `a,b` or steps `*/n` and `a-b/n`; months and
    /// weekdays may be written as `jan` and `mon`. What other schedulers add, such as seconds,
    /// years, `?` and `L`, is refused.
    pub fn parse(text: &str, zone: Tz) -> Result<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            let hint = "write minute, hour, day of month, month, weekday, such as `0 2 * * *`; \
                        there are no seconds, years or `@daily`";
            return Err(
                invalid(text, format!("expected 5 fields, found {}", fields.len())).hint(hint)
            );
        };
        let read = |spec: &field::FieldSpec, part: &str| {
            parse_field(spec, part).map_err(|why| {
                let allowed = spec.allowed();
                invalid(text, format!("{} `{part}`: {why}", spec.name))
                    .hint(format!("{} allows {allowed}", spec.name))
            })
        };
        let schedule = Self {
            text: fields.join(" "),
            zone,
            minutes: read(&field::MINUTE, minute)?,
            hours: read(&field::HOUR, hour)?,
            days: read(&field::DAY, day)?,
            months: read(&field::MONTH, month)?,
            weekdays: read(&field::WEEKDAY, weekday)?,
        };
        if !schedule.ever_fires() {
            return Err(invalid(text, "it never fires".to_owned())
                .hint("no month chosen has the day of month chosen, such as 30 February"));
        }
        Ok(schedule)
    }

    /// The zone in which the fields are read.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first occurrence after `instant`, or nothing if time runs out before.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Tz>> {
        // Mapping wall times to instants keeps their order, so the search may start at the wall
        // time of `instant` and go up until the mapped instant lies after it.
        let mut wall = instant.with_timezone(&self.zone).naive_local();
        wall = wall.with_second(0)?.with_nanosecond(0)?;
        loop {
            wall = self.next_wall(wall)?;
            let occurrence = self.instant_of(wall)?;
            if occurrence > instant {
                return Some(occurrence);
            }
            wall = wall.checked_add_signed(Duration::minutes(1))?;
        }
    }

    /// The latest occurrence at or before `instant`; nothing when there was none for ten years.
    pub fn last_before(&self, instant: DateTime<Utc>) -> Option<DateTime<Tz>> {
        // Looked for in longer and longer stretches, so that one of every minute is not walked
        // through for years.
        [1, 24, 8 * 24, 32 * 24, 366 * 24, 10 * 366 * 24].into_iter().find_map(|hours| {
            let mut after = instant.checked_sub_signed(Duration::hours(hours))?;
            let mut latest = None;
            while let Some(next) = self.next_after(after).filter(|next| *next <= instant) {
                after = next.to_utc();
                latest = Some(next);
            }
            latest
        })
    }

    /// The next `count` occurrences after `from`.
    pub fn upcoming(&self, from: DateTime<Utc>, count: usize) -> Vec<DateTime<Tz>> {
        let mut occurrences = Vec::new();
        let mut after = from;
        while occurrences.len() < count {
            let Some(next) = self.next_after(after) else { break };
            after = next.to_utc();
            occurrences.push(next);
        }
        occurrences
    }

    fn ever_fires(&self) -> bool {
        if !self.days.starred && !self.weekdays.starred {
            return true;
        }
        (1..=12).filter(|month| self.months.has(*month)).any(|month| {
            let longest = match month {
                2 => 29,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (1..=longest).any(|day| self.days.has(day))
        })
    }

    fn day_matches(&self, date: NaiveDate) -> bool {
        let by_day = self.days.has(date.day());
        let by_weekday = self.weekdays.has(date.weekday().num_days_from_sunday());
        if self.days.starred || self.weekdays.starred {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        }
    }

    /// The first matching wall time at or after `from`.
    fn next_wall(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let horizon = from.date().checked_add_months(Months::new(12 * HORIZON_YEARS))?;
        let mut date = from.date();
        let mut hour = from.hour();
        let mut minute = from.minute();
        while date <= horizon {
            if !self.months.has(date.month()) {
                date = date.with_day(1)?.checked_add_months(Months::new(1))?;
                (hour, minute) = (0, 0);
                continue;
            }
            if self.day_matches(date)
                && let Some((hour, minute)) = self.next_time(hour, minute)
            {
                return date.and_hms_opt(hour, minute, 0);
            }
            date = date.checked_add_days(Days::new(1))?;
            (hour, minute) = (0, 0);
        }
        None
    }

    fn next_time(&self, hour: u32, minute: u32) -> Option<(u32, u32)> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.first_from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.first_from(hour + 1)?, self.minutes.first_from(0)?))
    }

    fn instant_of(&self, wall: NaiveDateTime) -> Option<DateTime<Tz>> {
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(instant) => Some(instant),
            LocalResult::Ambiguous(first, second) => Some(first.min(second)),
            LocalResult::None => self.end_of_gap(wall),
        }
    }

    /// The first second whose wall time lies after `wall`, which the clock skips.
    fn end_of_gap(&self, wall: NaiveDateTime) -> Option<DateTime<Tz>> {
        // No zone is more than 15 hours from UTC, so the change lies between these two.
        let mut before = wall.and_utc().checked_sub_signed(Duration::hours(16))?;
        let mut after = wall.and_utc().checked_add_signed(Duration::hours(16))?;
        while after - before > Duration::seconds(1) {
            let middle = before + Duration::seconds((after - before).num_seconds() / 2);
            if middle.with_timezone(&self.zone).naive_local() > wall {
                after = middle;
            } else {
                before = middle;
            }
        }
        Some(after.with_timezone(&self.zone))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({} {})", self.text, self.zone)
    }
}

fn invalid(text: &str, why: String) -> Error {
    Error::new(ErrorKind::Config, "E-SCHEDULE", format!("schedule `{text}`: {why}"))
}

#[cfg(test)]
mod tests;
