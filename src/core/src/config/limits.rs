//! How hard a system may be worked, and when not at all.

use std::time::Duration;

use chrono::NaiveTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::parse_duration;

/// Limits of one system, shared by all jobs of all processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Streams and pushes that may use the system at the same time.
    #[serde(default)]
    #[schemars(range(min = 1), example = 2)]
    pub connections: Option<u32>,
    /// Requests (or statements on rows) sent in a minute, evenly apart.
    #[serde(default)]
    #[schemars(range(min = 1), example = 600)]
    pub requests_per_minute: Option<u32>,
    /// When the system is left alone, in the hub's zone, such as `08:00-18:00`.
    #[serde(default)]
    #[schemars(example = &"08:00-18:00")]
    pub quiet_hours: Option<String>,
    /// How long the system may say nothing while something is wanted of it, such as `5m`, before
    /// the attempt is given up and made again; longer than any of its answers takes. Default: 30m.
    #[serde(default)]
    #[schemars(example = &"5m", extend("default" = "30m"))]
    pub silence: Option<String>,
}

const DEFAULT_SILENCE: Duration = Duration::from_secs(30 * 60);

impl Limits {
    /// How long the system may say nothing; a text that is no length of time is refused when the
    /// file is read.
    pub fn silence(&self) -> Duration {
        let given = self.silence.as_deref().and_then(|text| parse_duration(text).ok());
        given.filter(|silence| !silence.is_zero()).unwrap_or(DEFAULT_SILENCE)
    }

    /// The quiet hours, if there are any; a text that is none is refused when the file is read.
    pub fn quiet(&self) -> Option<QuietHours> {
        self.quiet_hours.as_deref().and_then(QuietHours::parse)
    }
}

/// A stretch of every day, which may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: u32,
    to: u32,
}

const DAY: u32 = 24 * 60;

impl QuietHours {
    /// Reads `08:00-18:00`; `24:00` is the end of a day.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        (from != to && from < DAY).then_some(Self { from, to })
    }

    /// Whether `time` is within them. The first minute is, the last one is not.
    pub fn holds(&self, time: NaiveTime) -> bool {
        use chrono::Timelike;
        let now = time.hour() * 60 + time.minute();
        if self.from < self.to {
            (self.from..self.to).contains(&now)
        } else {
            now >= self.from || now < self.to
        }
    }

    /// Their end, as `HH:MM`.
    pub fn end(&self) -> String {
        format!("{:02}:{:02}", self.to / 60, self.to % 60)
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let plain = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(hour) || !plain(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u32, minute: u32) -> NaiveTime {
        NaiveTime::from_hms_opt(hour, minute, 30).unwrap()
    }

    #[test]
    fn quiet_hours_hold_their_first_minute_and_not_their_last() {
        let day = QuietHours::parse("08:00-18:00").unwrap();
        assert!(!day.holds(at(7, 59)) && day.holds(at(8, 0)));
        assert!(day.holds(at(17, 59)) && !day.holds(at(18, 0)));
        assert_eq!(day.end(), "18:00");
        let night = QuietHours::parse("22:30-06:00").unwrap();
        assert!(night.holds(at(23, 0)) && night.holds(at(0, 0)) && night.holds(at(5, 59)));
        assert!(!night.holds(at(6, 0)) && !night.holds(at(22, 29)));
        let always = QuietHours::parse("00:00-24:00").unwrap();
        assert!(always.holds(at(0, 0)) && always.holds(at(23, 59)));
    }

    #[test]
    fn what_is_no_stretch_of_the_day_is_refused() {
        for text in ["", "08:00", "8:00-9:00", "08:00-08:00", "25:00-26:00", "08:60-09:00", "a-b"] {
            assert_eq!(QuietHours::parse(text), None, "{text}");
        }
    }
}
