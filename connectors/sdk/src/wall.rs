//! Wall times that a source writes as text, and how they move without losing their form.
//!
//! Text compares as time only as long as the form stays, so whatever is computed from such a text
//! is written in the form of that text.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// How far the source's clock a cursor may run ahead before it is taken for a mistake.
const AHEAD: Duration = Duration::minutes(5);

/// How a wall time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    separator: Option<char>,
    digits: usize,
}

fn parse(text: &str) -> Option<(NaiveDateTime, Form)> {
    let date = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()?;
    let Some(separator) = text[10..].chars().next() else {
        return Some((date.and_time(NaiveTime::MIN), Form { separator: None, digits: 0 }));
    };
    let (clock, digits) = match text.len() {
        19 => ("%H:%M:%S", 0),
        21..=29 if text.as_bytes()[19] == b'.' => ("%H:%M:%S%.f", text.len() - 20),
        _ => return None,
    };
    let time = NaiveTime::parse_from_str(text.get(11..)?, clock).ok()?;
    let form = Form { separator: matches!(separator, ' ' | 'T').then_some(separator), digits };
    form.separator.map(|_| (date.and_time(time), form))
}

fn write(time: NaiveDateTime, form: Form) -> String {
    let date = time.format("%Y-%m-%d").to_string();
    let Some(separator) = form.separator else { return date };
    let seconds = format!("{date}{separator}{}", time.format("%H:%M:%S"));
    if form.digits == 0 {
        return seconds;
    }
    let nanos = time.format("%9f").to_string();
    format!("{seconds}.{}", nanos.get(..form.digits).unwrap_or_default())
}

/// A wall time such as `2018-06-12 09:00:00.5` moved back, in the same form; nothing if `text` is
/// none.
pub fn wall_text_back(text: &str, by: Duration) -> Option<String> {
    let (time, form) = parse(text)?;
    Some(write(time.checked_sub_signed(by)?, form))
}

/// The latest wall time that is believed when the source's clock shows `now`, in the form of
/// `greatest`; nothing if `greatest` is believed itself, or is no wall time. Times of the source
/// are in `zone`.
pub fn wall_text_believed(greatest: &str, now: DateTime<Utc>, zone: Tz) -> Option<String> {
    let (time, form) = parse(greatest)?;
    let latest =
        zone.from_utc_datetime(&now.naive_utc()).naive_local().checked_add_signed(AHEAD)?;
    (time > latest).then(|| write(latest, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_back_keeps_its_form() {
        let ten = Duration::minutes(10);
        for (text, moved) in [
            ("2018-06-12 00:05:00", "2018-06-11 23:55:00"),
            ("2018-06-12 09:05:00.120", "2018-06-12 08:55:00.120"),
            ("2018-06-12 09:05:00.123456789", "2018-06-12 08:55:00.123456789"),
            ("2018-06-12T09:05:00", "2018-06-12T08:55:00"),
            ("2018-06-12", "2018-06-11"),
        ] {
            assert_eq!(wall_text_back(text, ten).as_deref(), Some(moved));
        }
        for none in [
            "12/06/2018 09:05:00",
            "v17",
            "",
            "600",
            "0000-00-00 00:00:00",
            "二〇一八年六月",
            "二〇一八年六月十二日 九时",
        ] {
            assert_eq!(wall_text_back(none, ten), None, "{none}");
        }
    }

    #[test]
    fn only_a_time_of_the_future_is_not_believed() {
        let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
        let zone = chrono_tz::Asia::Shanghai;
        assert_eq!(wall_text_believed("2026-01-01 08:04:59", now, zone), None);
        let believed = wall_text_believed("2099-01-01 00:00:00", now, zone);
        assert_eq!(believed.as_deref(), Some("2026-01-01 08:05:00"));
        assert_eq!(wall_text_believed("v17", now, zone), None);
    }
}
