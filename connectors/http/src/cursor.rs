//! The cursor of an incremental read, kept as the source's own text.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use huiliu_sdk::{ColumnType, Error, ErrorKind, Overlap, Result};

use crate::moment::instant;

/// How far ahead of the present a cursor may lie before it is taken for a mistake.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// The greatest cursor seen, and what was seen beside it.
pub(crate) struct Greatest {
    /// The zone of times without one, where the cursor is a time.
    zone: Option<Tz>,
    latest: DateTime<Utc>,
    text: Option<String>,
    moment: Option<DateTime<Utc>>,
    /// Whether a cursor lay in the future. Such a one does not move the mark.
    pub(crate) future: bool,
    /// Rows without a cursor.
    pub(crate) missing: u64,
}

impl Greatest {
    /// Starts from the cursor of the last read, if there was one.
    pub(crate) fn new(
        kind: ColumnType,
        zone: Tz,
        now: DateTime<Utc>,
        start: Option<String>,
    ) -> Self {
        let zone = matches!(kind, ColumnType::Timestamp | ColumnType::Date).then_some(zone);
        let moment = zone.and_then(|zone| instant(start.as_deref()?, zone));
        Self { zone, latest: now + AHEAD, text: start, moment, future: false, missing: 0 }
    }

    /// The greatest cursor's text.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Takes note of a row's cursor.
    pub(crate) fn see(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.missing += 1;
            return;
        };
        if self.text.as_deref() == Some(text) {
            return;
        }
        let moment = self.zone.and_then(|zone| instant(text, zone));
        if moment.is_some_and(|moment| moment > self.latest) {
            self.future = true;
            return;
        }
        let order = match (moment, self.moment, self.text.as_deref()) {
            (_, _, None) => Ordering::Greater,
            (Some(new), Some(held), _) => new.cmp(&held),
            (_, _, Some(held)) => compare(text, held),
        };
        if order == Ordering::Greater {
            self.text = Some(text.to_owned());
            self.moment = moment;
        }
    }
}

/// As whole numbers if both are, else as text.
fn compare(a: &str, b: &str) -> Ordering {
    if a.len() == b.len() {
        return a.cmp(b);
    }
    match (a.parse::<i128>(), b.parse::<i128>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// The cursor `overlap` before `text`, in the same format.
pub(crate) fn earlier(text: &str, overlap: Overlap) -> Result<String> {
    let unreadable = || {
        let message = "the last cursor is not of the kind that overlap is";
        Error::new(ErrorKind::Data, "E-CURSOR", message)
            .hint("write a time such as 10m for a cursor like 2018-06-12 09:00:00, a whole number for a number, or drop overlap")
    };
    match overlap {
        Overlap::None => Ok(text.to_owned()),
        Overlap::Time(by) if by.is_zero() => Ok(text.to_owned()),
        Overlap::Time(by) => moved_back(text, by).ok_or_else(unreadable),
        Overlap::Count(by) => {
            let number: i128 = text.parse().map_err(|_| unreadable())?;
            Ok((number - i128::from(by)).to_string())
        }
    }
}

fn moved_back(text: &str, by: TimeDelta) -> Option<String> {
    for (length, format) in [
        (19, "%Y-%m-%d %H:%M:%S"),
        (19, "%Y-%m-%dT%H:%M:%S"),
        (19, "%Y/%m/%d %H:%M:%S"),
        (14, "%Y%m%d%H%M%S"),
    ] {
        // What follows (a fraction, a zone) stays as it is.
        let Some((head, tail)) = text.split_at_checked(length) else { continue };
        let Ok(moment) = NaiveDateTime::parse_from_str(head, format) else { continue };
        let earlier = moment.checked_sub_signed(by)?;
        return Some(format!("{}{tail}", earlier.format(format)));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    // A day cannot be cut, so any overlap reaches back to a whole earlier day.
    let days = TimeDelta::days((by.num_seconds() + 86_399) / 86_400);
    Some(date.checked_sub_signed(days)?.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_keeps_the_format() {
        let ten = Overlap::Time(TimeDelta::minutes(10));
        assert_eq!(earlier("2018-06-12 00:05:00", ten).unwrap(), "2018-06-11 23:55:00");
        assert_eq!(
            earlier("2018-06-12T00:05:00.5+08:00", ten).unwrap(),
            "2018-06-11T23:55:00.5+08:00"
        );
        assert_eq!(earlier("2018-06-12", ten).unwrap(), "2018-06-11");
        assert_eq!(earlier("seq-1", ten).unwrap_err().code(), "E-CURSOR");
        assert_eq!(earlier("seq-1", Overlap::None).unwrap(), "seq-1");
        assert_eq!(earlier("1700", Overlap::Count(500)).unwrap(), "1200");
        assert_eq!(earlier("seq-1", Overlap::Count(5)).unwrap_err().code(), "E-CURSOR");
    }

    #[test]
    fn the_greatest_cursor_is_compared_by_its_meaning() {
        let now = DateTime::parse_from_rfc3339("2018-06-12T10:00:00+08:00").unwrap().to_utc();
        let greatest = |kind, texts: &[&str]| {
            let mut greatest = Greatest::new(kind, chrono_tz::Asia::Shanghai, now, None);
            texts.iter().for_each(|text| greatest.see(Some(text)));
            greatest.text().unwrap_or_default().to_owned()
        };
        assert_eq!(greatest(ColumnType::Int, &["9", "10", "2"]), "10");
        assert_eq!(greatest(ColumnType::Text, &["a", "c", "b"]), "c");
        let zones = ["2018-06-12T09:00:00+08:00", "2018-06-12T02:00:00Z"];
        assert_eq!(greatest(ColumnType::Timestamp, &zones), zones[1]);
        let future = ["2018-06-12 09:59:00", "2018-06-12 10:05:01", "2099-01-01 00:00:00"];
        assert_eq!(greatest(ColumnType::Timestamp, &future), future[0]);
        assert_eq!(greatest(ColumnType::Text, &future), future[2]);
    }
}
