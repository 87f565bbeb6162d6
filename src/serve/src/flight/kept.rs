//! What the door keeps for its users between two calls, under handles that nobody guesses.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::secret::random_hex;

/// Things of users: so many of each, so long.
pub(super) struct Kept<T> {
    most: usize,
    time: Duration,
    things: Mutex<HashMap<String, Thing<T>>>,
}

struct Thing<T> {
    user: String,
    used: Instant,
    it: T,
}

impl<T> Kept<T> {
    /// `most` of each user, for `time` after each was last used.
    pub(super) fn new(most: usize, time: Duration) -> Self {
        Self { most, time, things: Mutex::default() }
    }

    /// Keeps a thing of `user` in the place of its oldest one, if there are too many.
    pub(super) fn put(&self, user: &str, it: T) -> String {
        let handle = random_hex();
        let mut things = self.things();
        let mine = things.iter().filter(|(_, thing)| thing.user == user);
        let mine: Vec<(&String, Instant)> = mine.map(|(mine, thing)| (mine, thing.used)).collect();
        let oldest = mine.iter().min_by_key(|(_, used)| *used).filter(|_| mine.len() >= self.most);
        if let Some(oldest) = oldest.map(|(oldest, _)| (*oldest).clone()) {
            things.remove(&oldest);
        }
        let thing = Thing { user: user.to_owned(), used: Instant::now(), it };
        things.insert(handle.clone(), thing);
        handle
    }

    /// Gives a thing away; nobody else's, and none that is too old.
    pub(super) fn take(&self, user: &str, handle: &[u8]) -> Option<T> {
        let mut things = self.things();
        let handle = std::str::from_utf8(handle).ok()?;
        self.is_good(things.get(handle)?, user)
            .then(|| things.remove(handle))?
            .map(|thing| thing.it)
    }

    /// Uses a thing; nobody else's, and none that is too old.
    pub(super) fn using<R>(
        &self,
        user: &str,
        handle: &[u8],
        use_it: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let mut things = self.things();
        let thing = things.get_mut(std::str::from_utf8(handle).ok()?)?;
        if !self.is_good(thing, user) {
            return None;
        }
        thing.used = Instant::now();
        Some(use_it(&mut thing.it))
    }

    /// Forgets what is too old.
    pub(super) fn forget_old(&self) {
        self.things().retain(|_, thing| thing.used.elapsed() < self.time);
    }

    fn is_good(&self, thing: &Thing<T>, user: &str) -> bool {
        thing.user == user && thing.used.elapsed() < self.time
    }

    fn things(&self) -> MutexGuard<'_, HashMap<String, Thing<T>>> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_their_users_and_given_away_once() {
        let kept = Kept::new(8, Duration::from_secs(60));
        let handle = kept.put("zhang", 1);
        assert_eq!(kept.take("li", handle.as_bytes()), None, "another one's");
        assert_eq!(kept.using("li", handle.as_bytes(), |it| *it), None);
        assert_eq!(kept.using("zhang", handle.as_bytes(), |it| *it), Some(1));
        assert_eq!(kept.take("zhang", handle.as_bytes()), Some(1));
        assert_eq!(kept.take("zhang", handle.as_bytes()), None, "once");
        assert_eq!(kept.take("zhang", b"\xff"), None);
    }

    #[test]
    fn they_are_few_and_get_old() {
        let kept = Kept::new(2, Duration::from_secs(60));
        let handles: Vec<String> = (0..3).map(|number| kept.put("zhang", number)).collect();
        let of_another = kept.put("li", 9);
        assert_eq!(kept.take("zhang", handles[0].as_bytes()), None, "the oldest made way");
        assert_eq!(kept.take("zhang", handles[2].as_bytes()), Some(2));
        assert_eq!(kept.take("li", of_another.as_bytes()), Some(9));
        let kept = Kept::new(2, Duration::ZERO);
        let handle = kept.put("zhang", 1);
        assert_eq!(kept.take("zhang", handle.as_bytes()), None);
        kept.forget_old();
        assert!(kept.things().is_empty());
    }
}
