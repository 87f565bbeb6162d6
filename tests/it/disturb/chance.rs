//! Chance that can be repeated.

use std::time::Duration;

/// The seed of a test: its own, or `HUILIU_SEED`.
pub(crate) fn seed(own: u64) -> u64 {
    let given = std::env::var_os("HUILIU_SEED").and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or(own)
}

/// Chance that can be repeated (splitmix64).
#[derive(Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Chance of `seed`, said aloud so that what it finds can be found again.
    pub(crate) fn new(own: u64, what: &str) -> Self {
        let seed = seed(own);
        println!("{what}: HUILIU_SEED={seed}");
        Self(seed)
    }

    /// Chance of its own for the part `number`.
    pub(crate) fn part(&self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number)))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    /// Whether something happens that happens once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A moment between two.
    pub(crate) fn moment(&mut self, from: Duration, to: Duration) -> Duration {
        let part = u32::try_from(self.next() >> 40).unwrap();
        from + to.saturating_sub(from) * part / (1 << 24)
    }
}

/// A number in which every bit depends on every bit of `value`.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
