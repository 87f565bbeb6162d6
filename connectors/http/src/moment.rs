//! Times as sources write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// A wall time in one of the usual forms.
pub(crate) fn wall(text: &str) -> Option<NaiveDateTime> {
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y/%m/%d %H:%M:%S%.f", "%Y%m%d%H%M%S"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| {
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(day.and_time(NaiveTime::MIN))
        })
}

/// A moment: seconds or milliseconds since 1970, a time with zone, or a wall time in `zone`.
pub(crate) fn instant(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    // Fourteen digits are a wall time; as milliseconds they would lie centuries ahead.
    if let (Ok(number), true) = (text.parse::<i64>(), text.len() != 14) {
        let in_seconds = number < 100_000_000_000;
        let millis = if in_seconds { number.checked_mul(1000)? } else { number };
        return DateTime::from_timestamp_millis(millis);
    }
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    Some(zone.from_local_datetime(&wall(text)?).earliest()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_each_of_its_forms() {
        for text in [
            "1528765200",
            "1528765200000",
            "2018-06-12 09:00:00",
            "2018/06/12 09:00:00",
            "20180612090000",
            "2018-06-12T01:00:00Z",
        ] {
            let moment = instant(text, chrono_tz::Asia::Shanghai);
            assert_eq!(moment.map(|at| at.timestamp()), Some(1_528_765_200), "{text}");
        }
        assert_eq!(instant("soon", chrono_tz::UTC), None);
    }
}
