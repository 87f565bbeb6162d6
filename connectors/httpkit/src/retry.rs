//! When to try again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// The longest wait a server can impose on us.
const LONGEST_ASKED: Duration = Duration::from_secs(120);
/// The longest wait we impose on ourselves.
const LONGEST_OWN: Duration = Duration::from_secs(10);

/// How long `Retry-After: text` asks us to wait, in seconds or until a date.
pub(crate) fn asked(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            // A date in the past means now.
            (date.with_timezone(&Utc) - now).to_std().unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST_ASKED))
}

/// Waits that double, with a random part so that clients that failed together come back apart.
pub(crate) struct Backoff {
    first: Duration,
    random: RandomState,
}

impl Backoff {
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, random: RandomState::new() }
    }

    /// The wait after failed attempt number `attempt`, counted from 1.
    pub(crate) fn wait(&self, attempt: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let full = doubled.min(LONGEST_OWN);
        // The standard hasher's keys are random per client; that is enough for a jitter.
        let part = (self.random.hash_one(attempt) % 1_000) as u32;
        full / 2 + full / 2 * part / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_date_and_capped() {
        let now = DateTime::parse_from_rfc3339("2018-06-12T01:00:00Z").unwrap().to_utc();
        assert_eq!(asked("7", now), Some(Duration::from_secs(7)));
        assert_eq!(asked("Tue, 12 Jun 2018 01:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(asked("Tue, 12 Jun 2018 00:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(asked("86400", now), Some(LONGEST_ASKED));
        assert_eq!(asked("soon", now), None);
    }

    #[test]
    fn waits_double_and_stay_bounded() {
        let backoff = Backoff::new(Duration::from_millis(200));
        for attempt in 1..40 {
            let full = (Duration::from_millis(200) * (1 << (attempt - 1).min(16))).min(LONGEST_OWN);
            let wait = backoff.wait(attempt);
            assert!(wait >= full / 2 && wait <= full, "{attempt}: {wait:?}");
        }
    }
}
