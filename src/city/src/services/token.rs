//! Tokens of the provincial platform.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::seed::hex;

/// How long a token is valid.
pub(super) const LIFETIME: Duration = Duration::from_secs(1800);

/// The tokens given out since the start.
#[derive(Default)]
pub(super) struct Tokens {
    given: HashMap<String, Instant>,
    count: u64,
}

impl Tokens {
    /// A new token, valid from `now`.
    pub(super) fn issue(&mut self, secret: &str, now: Instant) -> String {
        self.given.retain(|_, issued| now.duration_since(*issued) < LIFETIME);
        self.count += 1;
        let token = hex(self.count, &format!("province token {secret}"), 48);
        self.given.insert(token.clone(), now);
        token
    }

    /// Whether `token` was given out and is still valid at `now`.
    pub(super) fn is_valid(&self, token: &str, now: Instant) -> bool {
        self.given.get(token).is_some_and(|issued| now.duration_since(*issued) < LIFETIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_after_half_an_hour() {
        let mut tokens = Tokens::default();
        let start = Instant::now();
        let token = tokens.issue("secret", start);
        let other = tokens.issue("secret", start);
        assert_ne!(token, other);
        assert!(tokens.is_valid(&token, start + LIFETIME - Duration::from_secs(1)));
        assert!(!tokens.is_valid(&token, start + LIFETIME));
        assert!(!tokens.is_valid("made up", start));
    }
}
