//! The only place of this crate where chance comes in.

use std::time::Duration;

use rand::Rng;

/// Chooses waits.
pub(crate) trait Chance: Send + Sync {
    /// Some part of `longest`.
    fn part(&self, longest: Duration) -> Duration;
}

/// Waits anywhere between nothing and the longest, so that those who failed together do not
/// come back together.
pub(crate) struct FullJitter;

impl Chance for FullJitter {
    fn part(&self, longest: Duration) -> Duration {
        longest.mul_f64(rand::rng().random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_longer_than_the_whole() {
        let whole = Duration::from_secs(8);
        let parts: Vec<Duration> = (0..200).map(|_| FullJitter.part(whole)).collect();
        assert!(parts.iter().all(|part| *part <= whole));
        assert!(parts.iter().any(|part| *part < whole / 2));
        assert!(parts.iter().any(|part| *part > whole / 2));
    }
}
