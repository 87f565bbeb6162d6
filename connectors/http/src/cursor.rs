//! The cursor of an incremental read, kept as the source's own text.

use std::cmp::Ordering;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use huiliu_sdk::{ColumnType, Error, ErrorKind, Result};

/// The greatest cursor seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Greatest {
    timestamp: bool,
    text: Option<String>,
    moment: Option<NaiveDateTime>,
}

impl Greatest {
    /// Starts from the cursor of the last read, if there was one.
    pub(crate) fn new(kind: ColumnType, start: Option<String>) -> Self {
        let timestamp = matches!(kind, ColumnType::Timestamp | ColumnType::Date);
        let mut greatest = Self { timestamp, text: None, moment: None };
        if let Some(start) = start {
            greatest.see(&start);
        }
        greatest
    }

    /// The greatest cursor's text.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Takes note of a row's cursor.
    pub(crate) fn see(&mut self, text: &str) {
        let Some(held) = self.text.as_deref() else {
            self.moment = self.moment_of(text);
            self.text = Some(text.to_owned());
            return;
        };
        if held == text {
            return;
        }
        let moment = self.moment_of(text);
        let order = match (moment, self.moment) {
            (Some(new), Some(held)) => new.cmp(&held),
            _ => compare(text, held),
        };
        if order == Ordering::Greater {
            self.text = Some(text.to_owned());
            self.moment = moment;
        }
    }

    fn moment_of(&self, text: &str) -> Option<NaiveDateTime> {
        if !self.timestamp {
            return None;
        }
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Some(instant.naive_utc());
        }
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y/%m/%d %H:%M:%S%.f", "%Y%m%d%H%M%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
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
pub(crate) fn earlier(text: &str, overlap: Duration) -> Result<String> {
    if overlap.is_zero() {
        return Ok(text.to_owned());
    }
    let unreadable = || {
        Error::new(ErrorKind::Data, "E-CURSOR", "the last cursor is no time, so no overlap applies")
            .hint("drop overlap, or use a cursor like 2018-06-12 09:00:00")
    };
    let by = TimeDelta::from_std(overlap).map_err(|_| unreadable())?;
    for (length, format) in [
        (19, "%Y-%m-%d %H:%M:%S"),
        (19, "%Y-%m-%dT%H:%M:%S"),
        (19, "%Y/%m/%d %H:%M:%S"),
        (14, "%Y%m%d%H%M%S"),
    ] {
        // What follows (a fraction, a zone) stays as it is.
        let Some((head, tail)) = text.split_at_checked(length) else { continue };
        let Ok(moment) = NaiveDateTime::parse_from_str(head, format) else { continue };
        let earlier = moment.checked_sub_signed(by).ok_or_else(unreadable)?;
        return Ok(format!("{}{tail}", earlier.format(format)));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| unreadable())?;
    // A day cannot be cut, so any overlap reaches back to a whole earlier day.
    let days = TimeDelta::days(overlap.as_secs().div_ceil(86_400).cast_signed());
    let earlier = date.checked_sub_signed(days).ok_or_else(unreadable)?;
    Ok(earlier.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_keeps_the_format() {
        let ten = Duration::from_secs(600);
        assert_eq!(earlier("2018-06-12 00:05:00", ten).unwrap(), "2018-06-11 23:55:00");
        assert_eq!(
            earlier("2018-06-12T00:05:00.5+08:00", ten).unwrap(),
            "2018-06-11T23:55:00.5+08:00"
        );
        assert_eq!(earlier("2018-06-12", ten).unwrap(), "2018-06-11");
        assert_eq!(earlier("seq-1", ten).unwrap_err().code(), "E-CURSOR");
        assert_eq!(earlier("seq-1", Duration::ZERO).unwrap(), "seq-1");
    }

    #[test]
    fn the_greatest_cursor_is_compared_by_its_meaning() {
        let greatest = |kind, texts: &[&str]| {
            let mut greatest = Greatest::new(kind, None);
            texts.iter().for_each(|text| greatest.see(text));
            greatest.text().unwrap_or_default().to_owned()
        };
        assert_eq!(greatest(ColumnType::Int, &["9", "10", "2"]), "10");
        assert_eq!(greatest(ColumnType::Text, &["a", "c", "b"]), "c");
        let zones = ["2018-06-12T09:00:00+08:00", "2018-06-12T02:00:00Z"];
        assert_eq!(greatest(ColumnType::Timestamp, &zones), zones[1]);
    }
}
