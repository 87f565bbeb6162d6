//! How far before the last cursor a read starts.

use chrono::Duration;

use crate::{ConfigErrors, StreamSettings};

/// How far before the last cursor a read starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overlap {
    /// At the cursor itself.
    #[default]
    None,
    /// So much earlier.
    Time(Duration),
    /// So many numbers before it.
    Count(u64),
}

impl Overlap {
    /// Reads a time such as `10m` or a whole number.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: i64 = digits.trim().parse().ok().filter(|number| *number >= 0)?;
        let time = match &text[digits.len()..] {
            "" => return Some(Self::Count(number.unsigned_abs())),
            "ms" => Duration::try_milliseconds(number),
            "s" => Duration::try_seconds(number),
            "m" => Duration::try_minutes(number),
            "h" => Duration::try_hours(number),
            "d" => Duration::try_days(number),
            _ => None,
        };
        time.map(Self::Time)
    }
}

impl StreamSettings {
    /// How far before the last cursor a read starts. A fault is named under `at`, such as
    /// `streams[0]`.
    pub fn overlap(&self, at: &str, faults: &mut ConfigErrors) -> Overlap {
        let Some(text) = &self.overlap else { return Overlap::None };
        Overlap::parse(text).unwrap_or_else(|| {
            faults.push_with_hint(
                format!("{at}.overlap"),
                format!("`{text}` is neither a length of time nor a whole number"),
                "write 30s, 10m, 2h or 1d where the cursor is a time, or a whole number where it is a number",
            );
            Overlap::None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_a_time_or_a_number() {
        assert_eq!(Overlap::parse("10m"), Some(Overlap::Time(Duration::minutes(10))));
        assert_eq!(Overlap::parse("1d"), Some(Overlap::Time(Duration::days(1))));
        assert_eq!(Overlap::parse("0s"), Some(Overlap::Time(Duration::zero())));
        assert_eq!(Overlap::parse("250ms"), Some(Overlap::Time(Duration::milliseconds(250))));
        assert_eq!(Overlap::parse(" 500 "), Some(Overlap::Count(500)));
        let wrong =
            ["", "m", "-1m", "-1", "1.5h", "10 minutes", "十m", "99999999999999999d", "1w", "10M"];
        for wrong in wrong {
            assert_eq!(Overlap::parse(wrong), None, "{wrong}");
        }
    }
}
