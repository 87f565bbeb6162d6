//! Days and instants: the server counts from 2000, the lake from 1970, and both have their ends.

use chrono::{DateTime, Datelike, TimeZone, Utc};
use chrono_tz::Tz;

/// Days from 1970-01-01 to 2000-01-01.
const DAYS: i32 = 10_957;
/// Microseconds of these days.
const MICROS: i64 = 946_684_800_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// 0001-01-01 in days since 1970; what lies before is written with BC.
const FIRST_DAY: i32 = -719_162;
/// 262142-12-31, the last day that all readers of the lake can show.
const LAST_DAY: i32 = 95_026_236;

/// A day that the lake can hold.
#[inline]
pub(crate) fn day(server: i32) -> Option<i32> {
    let day = server.checked_add(DAYS)?;
    (FIRST_DAY..=LAST_DAY).contains(&day).then_some(day)
}

/// An instant or wall time that the lake can hold.
#[inline]
pub(crate) fn micros(server: i64) -> Option<i64> {
    let micros = server.checked_add(MICROS)?;
    let first = FIRST_DAY as i64 * MICROS_PER_DAY;
    let end = (LAST_DAY as i64 + 1) * MICROS_PER_DAY;
    (first..end).contains(&micros).then_some(micros)
}

/// The server's count of a day.
pub(crate) fn server_day(day: i32) -> Option<i32> {
    day.checked_sub(DAYS)
}

/// The server's count of an instant. Its greatest and its least mean infinity.
pub(crate) fn server_micros(micros: i64) -> Option<i64> {
    micros.checked_sub(MICROS).filter(|micros| *micros != i64::MIN && *micros != i64::MAX)
}

/// A wall time of one zone as that of another. A repeated wall time means its first occurrence,
/// a skipped one does not exist.
pub(crate) fn moved(micros: i64, from: Tz, to: Tz) -> Option<i64> {
    let wall = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let moved = from.from_local_datetime(&wall).earliest()?.with_timezone(&to).naive_local();
    Some(moved.and_utc().timestamp_micros())
}

/// The wall time of an instant.
pub(crate) fn wall(micros: i64, zone: Tz) -> Option<i64> {
    let instant = DateTime::from_timestamp_micros(micros)?;
    Some(instant.with_timezone(&zone).naive_local().and_utc().timestamp_micros())
}

/// A day of the server as text, for rows that are kept as they came.
pub(crate) fn day_text(server: i32) -> String {
    match server {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        _ => {
            let micros = i64::from(server).saturating_mul(MICROS_PER_DAY);
            match shown(micros) {
                Some(time) => with_era(&time, |_| String::new()),
                None => format!("day {server} of 2000-01-01"),
            }
        }
    }
}

/// An instant of the server as text.
pub(crate) fn micros_text(server: i64, suffix: &str) -> String {
    match server {
        i64::MAX => "infinity".into(),
        i64::MIN => "-infinity".into(),
        _ => match shown(server) {
            Some(time) => {
                with_era(&time, |time| format!("T{}{suffix}", time.format("%H:%M:%S%.6f")))
            }
            None => format!("microsecond {server} of 2000-01-01"),
        },
    }
}

fn shown(server: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(server.checked_add(MICROS)?)
}

fn with_era(time: &DateTime<Utc>, rest: impl Fn(&DateTime<Utc>) -> String) -> String {
    // There is no year 0: it is the year 1 before Christ.
    let (year, era) = match time.year() {
        year if year <= 0 => (1 - year, " BC"),
        year => (year, ""),
    };
    format!("{year:04}-{:02}-{:02}{}{era}", time.month(), time.day(), rest(time))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn the_ends_of_the_lake_are_where_they_are_said_to_be() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let days = |y, m, d| {
            let day = NaiveDate::from_ymd_opt(y, m, d).unwrap();
            i32::try_from((day - epoch).num_days()).unwrap()
        };
        assert_eq!(FIRST_DAY, days(1, 1, 1));
        assert_eq!(LAST_DAY, days(262_142, 12, 31));
        assert_eq!(DAYS, days(2000, 1, 1));
        assert_eq!(day(0), Some(DAYS));
        assert_eq!(day(i32::MAX), None);
        assert_eq!(day(FIRST_DAY - DAYS - 1), None);
        assert_eq!(micros(0), Some(MICROS));
        assert_eq!((micros(i64::MAX), micros(i64::MIN)), (None, None));
        assert_eq!(server_micros(micros(17).unwrap()), Some(17));
    }

    #[test]
    fn odd_times_are_shown_as_the_server_writes_them() {
        assert_eq!(day_text(0), "2000-01-01");
        assert_eq!(day_text(FIRST_DAY - DAYS - 1), "0001-12-31 BC");
        assert_eq!(day_text(i32::MAX), "infinity");
        assert_eq!(micros_text(1, "Z"), "2000-01-01T00:00:00.000001Z");
        assert_eq!(micros_text(i64::MIN, ""), "-infinity");
        assert!(micros_text(i64::MAX - 1, "").starts_with("microsecond"));
    }

    #[test]
    fn wall_times_move_between_zones() {
        let (china, utc) = (chrono_tz::Asia::Shanghai, chrono_tz::UTC);
        assert_eq!(moved(0, utc, china), Some(8 * 3_600_000_000));
        assert_eq!(wall(0, china), Some(8 * 3_600_000_000));
        // Skipped by the change to summer time.
        let skipped = NaiveDate::from_ymd_opt(2018, 3, 25).unwrap().and_hms_opt(2, 30, 0).unwrap();
        let skipped = skipped.and_utc().timestamp_micros();
        assert_eq!(moved(skipped, chrono_tz::Europe::Berlin, china), None);
    }
}
