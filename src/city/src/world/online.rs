//! How far items can be handled online, near-misses of the two ratios among them.

use rand::Rng;
use rand::rngs::StdRng;

/// The four columns that decide both ratios.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Online {
    /// `is_online`.
    pub(crate) is_online: &'static str,
    /// `online_handle_depth`, several values with `^`.
    pub(crate) depth: Option<&'static str>,
    /// `handle_type`, several values with `^`.
    pub(crate) handle_type: Option<&'static str>,
    /// `limit_scene_num`.
    pub(crate) scenes: u8,
}

/// What an item counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// In both numerators.
    Full,
    /// Online-able only.
    Part,
    /// In no numerator.
    None,
}

pub(crate) const fn online(
    is_online: &'static str,
    depth: Option<&'static str>,
    handle_type: Option<&'static str>,
    scenes: u8,
) -> Online {
    Online { is_online, depth, handle_type, scenes }
}

const FULL: &[Online] = &[
    online("1", Some("2^3^4^5"), Some("1^2"), 0),
    online("1", Some("5"), Some("2"), 0),
    online("1", Some("5^6"), Some("1^2^3"), 0),
    online("1", Some("7"), Some("1^2"), 0),
    online("1", Some("1^5"), Some("1"), 0),
    online("1", Some("1^2^3^4^5^6"), Some("2^3"), 0),
    online("1", Some("6^7"), Some("1^3"), 0),
    online("0", Some("5"), Some("1^2^3"), 0),
];

/// Deep ones that need a visit break a rule and are planted, see `faults`.
const PART: &[Online] = &[
    online("1", Some("4"), Some("1^2"), 0),
    online("1", Some("2^3"), Some("1"), 1),
    online("0", None, Some("2^3"), 0),
    online("1", Some("1"), Some("1^2"), 0),
    online("1", Some("3^4"), Some("1^3"), 2),
    online("1", Some("9^2"), None, 0),
];

const NONE: &[Online] = &[
    online("1", Some("1"), Some("1"), 1),
    online("0", Some("5"), Some("1"), 1),
    online("1", Some("9"), Some("1^3"), 0),
    online("0", Some("5^6"), Some("1^3"), 0),
    online("1", None, Some("1^3"), 1),
    online("0", Some("7"), None, 1),
    online("0", None, Some("3"), 0),
];

/// What the types without an application carry: nothing.
pub(crate) const NO_APPLICATION: Online = online("0", None, None, 0);

/// One of the ways to have `reach`; the plain ones are the most frequent.
pub(crate) fn example(rng: &mut StdRng, reach: Reach, serial: usize) -> Online {
    match reach {
        // Low indexes are more frequent: few items use the rare combinations.
        Reach::Full => FULL[(rng.random_range(0..FULL.len())).min(rng.random_range(0..FULL.len()))],
        // These are few, so each combination takes its turn.
        Reach::Part => PART[serial % PART.len()],
        Reach::None => NONE[serial % NONE.len()],
    }
}
