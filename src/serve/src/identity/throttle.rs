//! Guessing made slow: after a few failures in a row, each next try must wait longer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// The longest wait, and how long failures are remembered.
const LONGEST: TimeDelta = TimeDelta::minutes(15);
/// Names and addresses that are remembered; beyond it the oldest are forgotten.
const KEPT: usize = 10_000;

/// Counts failures by name or address.
pub(crate) struct Throttle {
    /// Failures that cost nothing.
    free: u32,
    tries: Mutex<HashMap<String, Tries>>,
}

#[derive(Clone, Copy)]
struct Tries {
    failures: u32,
    last: DateTime<Utc>,
}

impl Throttle {
    pub(crate) fn new(free: u32) -> Self {
        Self { free, tries: Mutex::default() }
    }

    /// Begins a try, which counts as failed until [`Throttle::succeed`]; how long to wait when it
    /// is too early for one.
    pub(crate) fn begin(&self, of: &str, now: DateTime<Utc>) -> Result<(), TimeDelta> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= KEPT && !tries.contains_key(of) {
            tries.retain(|_, tries| now - tries.last < LONGEST);
            let oldest = tries.iter().min_by_key(|(_, tries)| tries.last);
            let oldest = oldest.map(|(name, _)| name.clone()).filter(|_| tries.len() >= KEPT);
            if let Some(oldest) = oldest {
                tries.remove(&oldest);
            }
        }
        let entry = tries.entry(of.to_owned()).or_insert(Tries { failures: 0, last: now });
        if now - entry.last >= LONGEST {
            *entry = Tries { failures: 0, last: now };
        }
        let wait = entry.last + self.wait(entry.failures) - now;
        if wait > TimeDelta::zero() {
            return Err(wait);
        }
        *entry = Tries { failures: entry.failures.saturating_add(1), last: now };
        Ok(())
    }

    /// Forgets the failures of a name or address.
    pub(crate) fn succeed(&self, of: &str) {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(of);
    }

    /// Takes back the try that was begun last, because it was no guess.
    pub(crate) fn forgive(&self, of: &str) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = tries.get_mut(of) {
            entry.failures = entry.failures.saturating_sub(1);
        }
    }

    fn wait(&self, failures: u32) -> TimeDelta {
        match failures.checked_sub(self.free) {
            None => TimeDelta::zero(),
            Some(beyond) => TimeDelta::seconds(1_i64 << beyond.min(12)).min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_gets_slower_and_is_forgotten() {
        let throttle = Throttle::new(5);
        let start: DateTime<Utc> = "2018-12-13T08:00:00Z".parse().unwrap();
        for _ in 0..5 {
            throttle.begin("zhang", start).unwrap();
        }
        assert_eq!(throttle.begin("zhang", start).unwrap_err(), TimeDelta::seconds(1));
        assert!(throttle.begin("li", start).is_ok(), "others are not held up");
        let mut now = start;
        for wait in [1, 2, 4, 8, 16] {
            assert_eq!(throttle.begin("zhang", now).unwrap_err(), TimeDelta::seconds(wait));
            now += TimeDelta::seconds(wait);
            throttle.begin("zhang", now).unwrap();
        }
        assert!(throttle.begin("zhang", now + LONGEST).is_ok());
        throttle.succeed("zhang");
        assert!(throttle.begin("zhang", now + LONGEST).is_ok());
    }

    #[test]
    fn many_names_do_not_fill_the_memory() {
        let throttle = Throttle::new(1);
        let start: DateTime<Utc> = "2018-12-13T08:00:00Z".parse().unwrap();
        for number in 0..KEPT + 100 {
            let now = start + TimeDelta::milliseconds(i64::try_from(number).unwrap());
            throttle.begin(&number.to_string(), now).unwrap();
        }
        assert!(throttle.tries.lock().unwrap().len() <= KEPT);
    }
}
