//! Which keys a data file may hold, kept in memory for files this process wrote itself.
//!
//! While a table is loaded in several commits, each commit must know whether a key came already.
//! Without this, every chunk would read the key columns of all files written so far.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::hash::map_order;

/// Keys in one bucket, on average.
const BUCKET: usize = 8;
/// Keys of all filters together; about five bytes each.
const CACHED_KEYS: usize = 24 << 20;

/// The keys of one file: never denies one that is there, and takes one in 2^29 others for one.
#[derive(Debug)]
pub(crate) struct KeyFilter {
    /// Where each bucket starts in `prints`, and where the last ends.
    starts: Vec<u32>,
    prints: Vec<u32>,
}

impl KeyFilter {
    /// A filter of key hashes.
    pub(crate) fn new(keys: impl Iterator<Item = u128> + Clone, count: usize) -> Self {
        let buckets = (count / BUCKET).max(1);
        let mut starts = vec![0_u32; buckets + 1];
        for key in keys.clone() {
            starts[bucket(key, buckets) + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut prints = vec![0_u32; starts.last().map_or(0, |end| *end as usize)];
        for key in keys {
            let place = &mut next[bucket(key, buckets)];
            prints[*place as usize] = print(key);
            *place += 1;
        }
        Self { starts, prints }
    }

    /// Whether the file may hold `key`.
    pub(crate) fn may_hold(&self, key: u128) -> bool {
        let bucket = bucket(key, self.starts.len() - 1);
        let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        self.prints[range].contains(&print(key))
    }

    fn len(&self) -> usize {
        self.prints.len()
    }
}

#[allow(clippy::cast_possible_truncation)] // below `buckets`
fn bucket(key: u128, buckets: usize) -> usize {
    ((u64::from(map_order(key)) * buckets as u64) >> 32) as usize
}

#[allow(clippy::cast_possible_truncation)] // 32 of the bits that do not choose the bucket
fn print(key: u128) -> u32 {
    (key >> 64) as u32
}

/// The filters of this process, bounded in size.
#[derive(Debug, Clone)]
pub(crate) struct FilterCache {
    inner: Arc<Mutex<Cached>>,
    limit: usize,
}

impl Default for FilterCache {
    fn default() -> Self {
        Self { inner: Arc::default(), limit: CACHED_KEYS }
    }
}

#[derive(Debug, Default)]
struct Cached {
    filters: HashMap<PathBuf, Arc<KeyFilter>>,
    order: VecDeque<PathBuf>,
    keys: usize,
}

impl FilterCache {
    /// The filter of a file, if there is one.
    pub(crate) fn get(&self, file: &Path) -> Option<Arc<KeyFilter>> {
        self.lock().filters.get(file).map(Arc::clone)
    }

    /// Keeps the filter of a file; the oldest give way.
    pub(crate) fn put(&self, file: PathBuf, filter: Arc<KeyFilter>) {
        let mut cached = self.lock();
        cached.keys += filter.len();
        if let Some(earlier) = cached.filters.insert(file.clone(), filter) {
            cached.keys -= earlier.len();
        } else {
            cached.order.push_back(file);
        }
        while cached.keys > self.limit {
            let Some(oldest) = cached.order.pop_front() else { break };
            if let Some(gone) = cached.filters.remove(&oldest) {
                cached.keys -= gone.len();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cached> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    fn key(number: u64) -> u128 {
        xxh3_128(&number.to_le_bytes())
    }

    #[test]
    fn keys_that_are_there_are_found_and_others_hardly_ever() {
        let filter = KeyFilter::new((0..100_000).map(key), 100_000);
        assert!((0..100_000).all(|number| filter.may_hold(key(number))));
        let wrong = (100_000..1_100_000).filter(|number| filter.may_hold(key(*number))).count();
        assert!(wrong <= 1, "{wrong} of a million");
        assert!(!KeyFilter::new(std::iter::empty(), 0).may_hold(key(1)));
    }

    #[test]
    fn old_filters_give_way() {
        let cache = FilterCache { limit: 250, ..FilterCache::default() };
        for name in ["a", "b", "c"] {
            let filter = KeyFilter::new((0..100).map(key), 100);
            cache.put(PathBuf::from(name), Arc::new(filter));
        }
        assert!(cache.get(Path::new("a")).is_none());
        assert!(cache.get(Path::new("c")).is_some());
    }
}
