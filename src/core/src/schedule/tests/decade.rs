//! Ten years in forty zones against a clock that is walked minute by minute.

use chrono::{NaiveDate, Offset};
use rand_free::Random;

use super::*;

const ZONES: usize = 40;
const EXPRESSIONS: usize = 2;
const MINUTE: i64 = 60;
const DAY: i64 = 1440;

/// A source of numbers that needs no crate and gives the same for one seed everywhere.
mod rand_free {
    pub(super) struct Random(pub(super) u64);

    impl Random {
        /// A number below `end`, by xorshift.
        pub(super) fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end as u64) as usize
        }
    }
}

/// An expression as plain lists, of which an empty one is `*`.
struct Plain {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Vec<u32>,
    months: Vec<u32>,
    weekdays: Vec<u32>,
}

impl Plain {
    fn of(random: &mut Random) -> Self {
        let mut some = |low: usize, high: usize, most: usize, is_all_in: usize| -> Vec<u32> {
            if random.below(is_all_in) == 0 {
                return Vec::new();
            }
            let count = 1 + random.below(most);
            (0..count).map(|_| (low + random.below(high - low + 1)) as u32).collect()
        };
        let minutes = some(0, 59, 2, usize::MAX);
        // Clocks change in the small hours.
        let hours = some(0, 4, 3, 6);
        let days = some(1, 31, 5, 2);
        let months = some(1, 12, 6, 2);
        let weekdays = some(0, 7, 3, 2);
        Self { minutes, hours, days, months, weekdays }
    }

    fn text(&self) -> String {
        let part = |numbers: &Vec<u32>| match numbers[..] {
            [] => "*".to_owned(),
            _ => numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        };
        let Self { minutes, hours, days, months, weekdays } = self;
        [minutes, hours, days, months, weekdays].map(part).join(" ")
    }

    fn fits_day(&self, date: NaiveDate) -> bool {
        let among = |numbers: &Vec<u32>, number| numbers.is_empty() || numbers.contains(&number);
        let weekday = date.weekday().num_days_from_sunday();
        let by_weekday =
            among(&self.weekdays, weekday) || weekday == 0 && self.weekdays.contains(&7);
        let by_day = among(&self.days, date.day());
        let both = self.days.is_empty() || self.weekdays.is_empty();
        let fits = if both { by_day && by_weekday } else { by_day || by_weekday };
        fits && among(&self.months, date.month())
    }

    fn fits_minute(&self, minute: i64) -> bool {
        let (hour, minute) = ((minute / 60) as u32, (minute % 60) as u32);
        self.minutes.contains(&minute) && (self.hours.is_empty() || self.hours.contains(&hour))
    }
}

/// Minutes of the wall clock before that of UTC.
fn offset(zone: Tz, minute: i64) -> i64 {
    let utc = DateTime::from_timestamp(minute * MINUTE, 0).unwrap().naive_utc();
    let seconds = i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc());
    assert_eq!(seconds % MINUTE, 0, "{zone}");
    seconds / MINUTE
}

/// The instants, in minutes, at which `plain` fires: each wall minute when the clock first shows it
/// or leaps over it.
fn walk(zone: Tz, plain: &Plain, from: i64, to: i64) -> Vec<i64> {
    let mut fires_at = Vec::new();
    let mut shown = from + offset(zone, from);
    let (mut day, mut fits_day) = (i64::MIN, false);
    let mut minute = from;
    while minute < to {
        // Clocks change at a quarter at most, which is seen by both its ends.
        let ends = [offset(zone, minute), offset(zone, minute + 14)];
        for within in 0..15 {
            let ahead = if ends[0] == ends[1] { ends[0] } else { offset(zone, minute + within) };
            let wall = minute + within + ahead;
            let mut fires = false;
            while shown < wall {
                shown += 1;
                if shown.div_euclid(DAY) != day {
                    day = shown.div_euclid(DAY);
                    let date = NaiveDate::from_epoch_days(i32::try_from(day).unwrap());
                    fits_day = plain.fits_day(date.unwrap());
                }
                fires |= fits_day && plain.fits_minute(shown.rem_euclid(DAY));
            }
            if fires {
                fires_at.push(minute + within);
            }
        }
        minute += 15;
    }
    fires_at
}

#[test]
fn ten_years_in_forty_zones_agree_with_walking_the_clock() {
    let seed = 2018;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut zones = vec![
        New_York,
        Berlin,
        Casablanca,
        Shanghai,
        chrono_tz::Australia::Lord_Howe,
        chrono_tz::Pacific::Apia,
        chrono_tz::America::Caracas,
        chrono_tz::Asia::Kathmandu,
        chrono_tz::America::Sao_Paulo,
        chrono_tz::Asia::Gaza,
        chrono_tz::Antarctica::Troll,
    ];
    while zones.len() < ZONES {
        let zone = chrono_tz::TZ_VARIANTS[random.below(chrono_tz::TZ_VARIANTS.len())];
        if !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    let minutes = |text: &str| utc(text).timestamp() / MINUTE;
    let (from, to) = (minutes("2009-01-01T00:00:00Z"), minutes("2019-01-01T00:00:00Z"));
    let (mut fired, mut changes) = (0, 0);
    for zone in zones {
        for _ in 0..EXPRESSIONS {
            let plain = Plain::of(&mut random);
            let Ok(schedule) = Schedule::parse(&plain.text(), zone) else {
                assert!(walk(zone, &plain, from, to).is_empty(), "{}", plain.text());
                continue;
            };
            let expected = walk(zone, &plain, from, to);
            let mut after = DateTime::from_timestamp(from * MINUTE, 0).unwrap();
            let mut found = Vec::with_capacity(expected.len());
            while let Some(next) = schedule.next_after(after).map(|next| next.to_utc()) {
                if next.timestamp() >= to * MINUTE {
                    break;
                }
                found.push(next.timestamp() / MINUTE);
                after = next;
            }
            let differs = expected.iter().zip(&found).find(|(expected, found)| expected != found);
            assert_eq!(differs, None, "{zone} {}", plain.text());
            assert_eq!(expected.len(), found.len(), "{zone} {}", plain.text());
            fired += found.len();
        }
        changes +=
            (from..to).step_by(15).filter(|m| offset(zone, *m) != offset(zone, m + 15)).count();
    }
    assert!(fired > 50_000 && changes > 200, "{fired} times, {changes} changes of clocks");
}
