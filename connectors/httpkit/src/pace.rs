//! Requests per minute, as an even pace.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Gives each request its own moment, evenly apart, so that no minute ever holds too many.
pub(crate) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(requests_per_minute: Option<u32>) -> Self {
        let interval = requests_per_minute
            .map_or(Duration::ZERO, |count| Duration::from_secs(60) / count.max(1));
        Self { interval, next: Mutex::new(None) }
    }

    /// Waits for this request's turn.
    pub(crate) async fn turn(&self) {
        if self.interval.is_zero() {
            return;
        }
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + self.interval);
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_keep_the_pace() {
        let pace = Pace::new(Some(6_000));
        let start = Instant::now();
        for _ in 0..4 {
            pace.turn().await;
        }
        let taken = start.elapsed();
        assert!(taken >= Duration::from_millis(30), "{taken:?}");
    }
}
