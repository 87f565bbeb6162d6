//! How many requests an address may send: a bucket that fills again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Requests at once.
const BURST: f64 = 200.0;
/// Requests a second after that.
const PER_SECOND: f64 = 50.0;
/// Addresses that are remembered.
const KEPT: usize = 10_000;

/// The buckets of all addresses.
#[derive(Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Rates {
    /// Whether one more request of `address` is served.
    pub(crate) fn admit(&self, address: &str, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = |(left, at): (f64, Instant)| {
            BURST.min(left + now.saturating_duration_since(at).as_secs_f64() * PER_SECOND)
        };
        if buckets.len() >= KEPT && !buckets.contains_key(address) {
            buckets.retain(|_, bucket| filled(*bucket) < BURST);
            // More busy addresses than can be told apart share what one may.
            if buckets.len() >= KEPT {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(address.to_owned()).or_insert((BURST, now));
        let left = filled(*bucket);
        let is_admitted = left >= 1.0;
        *bucket = (if is_admitted { left - 1.0 } else { left }, now);
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_served_and_then_a_steady_rate() {
        let (rates, start) = (Rates::default(), Instant::now());
        let served = (0..1000).filter(|_| rates.admit("a", start)).count();
        assert_eq!(served, 200);
        assert!(rates.admit("b", start), "others are not held up");
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| rates.admit("a", later)).count(), 50);
    }
}
