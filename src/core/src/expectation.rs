//! What a stream is expected to bring, by what it used to: whether its new rows are late but have
//! been as late before, or missing; and whether a day brought about as many as others.
//!
//! Pauses are measured in working time: a stream that brings nothing over a holiday is not late.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use huiliu_sdk::Result;
use serde::Serialize;

use crate::calendar::Calendar;

/// So many pauses must be known before they mean anything.
const KNOWN_PAUSES: usize = 5;
/// So many days must be known before their volume means anything.
const KNOWN_DAYS: usize = 10;
/// A day with less than the smallest known one by this factor, or more than the largest, is unusual.
const VOLUME_FACTOR: u64 = 2;

/// The hours in which work is done.
#[derive(Debug, Clone, Copy)]
pub struct WorkingHours<'a> {
    /// Which days are working days.
    pub calendar: &'a Calendar,
    /// The zone of days and hours.
    pub zone: Tz,
    /// When work begins.
    pub from: NaiveTime,
    /// When it ends.
    pub to: NaiveTime,
}

impl WorkingHours<'_> {
    /// How much working time lies between two instants.
    pub fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<TimeDelta> {
        let mut total = TimeDelta::zero();
        let mut day = from.with_timezone(&self.zone).date_naive();
        let last = to.with_timezone(&self.zone).date_naive();
        while day <= last {
            if self.calendar.is_workday(day)? {
                let at = |time| self.zone.from_local_datetime(&day.and_time(time)).earliest();
                if let (Some(begin), Some(end)) = (at(self.from), at(self.to)) {
                    let (begin, end) = (begin.to_utc().max(from), end.to_utc().min(to));
                    total += (end - begin).max(TimeDelta::zero());
                }
            }
            let Some(next) = day.checked_add_days(Days::new(1)) else { break };
            day = next;
        }
        Ok(total)
    }

    /// Whether an instant lies in working time.
    pub fn holds(&self, time: DateTime<Utc>) -> Result<bool> {
        let local = time.with_timezone(&self.zone);
        let within = (self.from..self.to).contains(&local.time());
        Ok(within && self.calendar.is_workday(local.date_naive())?)
    }
}

/// How a stream stands against what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// It never brought anything, or too seldom to expect something.
    Unknown,
    /// It brought something lately.
    Fresh,
    /// It is late, as it has been before.
    LateButUsual,
    /// It has never been late for so long.
    Missing,
}

/// What is known of the pauses of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pauses {
    /// How it stands.
    pub freshness: Freshness,
    /// Seconds of working time since it last brought something.
    pub seconds: Option<i64>,
    /// After how many it is late.
    pub late_after: Option<i64>,
    /// After how many it is missing.
    pub missing_after: Option<i64>,
}

impl Pauses {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        freshness: Freshness::Unknown,
        seconds: None,
        late_after: None,
        missing_after: None,
    };
}

/// How a stream stands at `now` that brought something new at each of `news`, in order. It is late
/// after `fresh`, or after half of its longest pause.
pub fn freshness(
    news: &[DateTime<Utc>],
    now: DateTime<Utc>,
    fresh: Option<TimeDelta>,
    hours: &WorkingHours<'_>,
) -> Result<Pauses> {
    let Some(last) = news.last() else { return Ok(Pauses::UNKNOWN) };
    let mut longest = TimeDelta::zero();
    // No pause has more working time than it takes, so most need no look at the calendar.
    for pair in news.windows(2) {
        if pair[1] - pair[0] > longest {
            longest = longest.max(hours.between(pair[0], pair[1])?);
        }
    }
    let pause = hours.between(*last, now)?;
    let known = news.len() > KNOWN_PAUSES;
    let late_after = fresh.or(known.then(|| longest / 2));
    let missing_after = match (known, fresh) {
        (true, fresh) => Some(longest.max(fresh.unwrap_or_default())),
        // Without a past there is nothing to call usual.
        (false, fresh) => fresh,
    };
    let freshness = match (late_after, missing_after) {
        (_, Some(missing)) if pause > missing => Freshness::Missing,
        (Some(late), _) if pause > late => Freshness::LateButUsual,
        (Some(_), _) => Freshness::Fresh,
        (None, _) => Freshness::Unknown,
    };
    let seconds = |delta: TimeDelta| delta.num_seconds();
    Ok(Pauses {
        freshness,
        seconds: Some(seconds(pause)),
        late_after: late_after.map(seconds),
        missing_after: missing_after.map(seconds),
    })
}

/// How the rows of a day compare with those of other days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// Too few days are known.
    Unknown,
    /// About as many as usual.
    Usual,
    /// Far fewer than ever.
    Low,
    /// Far more than ever.
    High,
}

/// How `rows` new rows of one working day compare with those of the working days `before` it.
pub fn volume(rows: u64, before: &[u64]) -> Volume {
    let (Some(least), Some(most)) = (before.iter().min(), before.iter().max()) else {
        return Volume::Unknown;
    };
    if before.len() < KNOWN_DAYS {
        return Volume::Unknown;
    }
    if rows.saturating_mul(VOLUME_FACTOR) < *least {
        Volume::Low
    } else if rows > most.saturating_mul(VOLUME_FACTOR) {
        Volume::High
    } else {
        Volume::Usual
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Asia::Shanghai;

    use super::*;

    fn calendar() -> Calendar {
        let days = "date,name,is_off_day\n2018-01-01,元旦,true\n2018-10-01,国庆节,true\n\
                    2018-12-29,元旦,false\n2018-12-31,元旦,true\n";
        Calendar::parse(days, "days.csv").unwrap()
    }

    fn hours(calendar: &Calendar) -> WorkingHours<'_> {
        let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        WorkingHours { calendar, zone: Shanghai, from: time(9), to: time(17) }
    }

    /// A wall time of December 2018 in Shanghai.
    fn at(day: u32, hour: u32) -> DateTime<Utc> {
        Shanghai.with_ymd_and_hms(2018, 12, day, hour, 0, 0).unwrap().to_utc()
    }

    #[test]
    fn working_time_leaves_out_nights_and_days_off() {
        let calendar = calendar();
        let hours = hours(&calendar);
        let between = |a, b| hours.between(a, b).unwrap().num_hours();
        assert_eq!(between(at(13, 10), at(13, 12)), 2);
        assert_eq!(between(at(13, 20), at(14, 7)), 0);
        assert_eq!(between(at(13, 16), at(14, 10)), 2);
        // Friday evening to Monday morning, over a weekend.
        assert_eq!(between(at(14, 16), at(17, 10)), 2);
        // Saturday the 29th is worked, Sunday and Monday are off.
        assert_eq!(between(at(28, 17), at(31, 23)), 8);
        assert_eq!(between(at(13, 12), at(13, 10)), 0);
        assert!(hours.holds(at(29, 9)).unwrap() && !hours.holds(at(31, 9)).unwrap());
        assert!(!hours.holds(at(13, 17)).unwrap());
        let beyond = hours.between(at(28, 9), at(31, 23) + TimeDelta::days(1)).unwrap_err();
        assert_eq!(beyond.code(), "E-CALENDAR-UNKNOWN");
    }

    #[test]
    fn late_but_usual_is_told_from_missing_by_the_past() {
        use Freshness::{Fresh, LateButUsual, Missing};
        let calendar = calendar();
        let hours = hours(&calendar);
        // Every morning, but for one day on which nothing came: the longest pause is two days.
        let news: Vec<DateTime<Utc>> = [3, 4, 5, 6, 10, 11, 12].map(|day| at(day, 9)).to_vec();
        let judge = |now, fresh| freshness(&news, now, fresh, &hours).unwrap();
        assert_eq!(judge(at(12, 15), None).freshness, Fresh);
        let late = judge(at(13, 10), None);
        assert_eq!((late.freshness, late.seconds), (LateButUsual, Some(9 * 3600)));
        assert_eq!((late.late_after, late.missing_after), (Some(8 * 3600), Some(16 * 3600)));
        assert_eq!(judge(at(14, 9), None).freshness, LateButUsual);
        assert_eq!(judge(at(14, 10), None).freshness, Missing);
        // A night or a weekend makes nothing late.
        assert_eq!(judge(at(13, 8), None).freshness, Fresh);
        let four = Some(TimeDelta::hours(4));
        assert_eq!(judge(at(12, 14), four).freshness, LateButUsual);
        let long = Some(TimeDelta::hours(40));
        assert_eq!(judge(at(14, 10), long).freshness, Fresh);
    }

    #[test]
    fn without_a_past_only_what_was_said_counts() {
        let calendar = calendar();
        let hours = hours(&calendar);
        let judge = |news: &[DateTime<Utc>], fresh| {
            freshness(news, at(13, 16), fresh, &hours).unwrap().freshness
        };
        assert_eq!(judge(&[], Some(TimeDelta::hours(1))), Freshness::Unknown);
        assert_eq!(judge(&[at(12, 9)], None), Freshness::Unknown);
        assert_eq!(judge(&[at(12, 9)], Some(TimeDelta::hours(4))), Freshness::Missing);
        assert_eq!(judge(&[at(13, 15)], Some(TimeDelta::hours(4))), Freshness::Fresh);
    }

    #[test]
    fn a_day_is_unusual_when_it_is_far_from_all_others() {
        let before = [100, 120, 90, 110, 105, 95, 130, 100, 99, 101];
        assert_eq!(volume(100, &before), Volume::Usual);
        assert_eq!(volume(45, &before), Volume::Usual);
        assert_eq!(volume(44, &before), Volume::Low);
        assert_eq!(volume(0, &before), Volume::Low);
        assert_eq!(volume(261, &before), Volume::High);
        assert_eq!(volume(0, &before[..9]), Volume::Unknown);
        assert_eq!(volume(0, &[]), Volume::Unknown);
    }
}
