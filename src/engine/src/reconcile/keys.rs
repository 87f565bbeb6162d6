//! The first pass: a few words per row instead of the row, joined by key.
//!
//! Entries lie in buckets, which are joined one after the other.

use std::collections::HashMap;
use std::path::Path;

use huiliu_sdk::Result;

use crate::buckets::{Buckets, key_of};
use crate::hash::{Identity, salted};

/// What one row is worth in the first pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key: u128,
    /// The system it is of; one more than the last for what the golden table holds.
    pub(super) source: u8,
    pub(super) full: u64,
    pub(super) groups: &'a [u64],
}

/// The entries of all rows: key, source, full hash, hashes of groups.
pub(super) struct KeyStore(Buckets);

impl KeyStore {
    /// An empty store that holds at most `limit_bytes` in memory, and spills into `folder`.
    pub(super) fn new(folder: &Path, groups: usize, limit_bytes: usize) -> Self {
        // The golden table's entry has its class in the place of the first group.
        Self(Buckets::new(folder, 2 + groups.max(1), limit_bytes))
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        let words = self.0.push(entry.key);
        words[0] = u64::from(entry.source);
        words[1] = entry.full;
        for (word, group) in words[2..].iter_mut().zip(entry.groups) {
            *word = *group;
        }
    }

    /// Spills when there is too much.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.0.settle()
    }

    /// Joins one bucket: what there is of each key.
    pub(super) fn join(&mut self, number: usize, groups: &[u8], golden: u8) -> Result<Bucket> {
        let words = self.0.take(number)?;
        let stride = self.0.stride();
        let count = words.len() / stride;
        let mut bucket = Bucket {
            keys: Vec::with_capacity(count / 2),
            index: HashMap::with_capacity_and_hasher(count / 2, Identity::default()),
        };
        let mut firsts: Vec<u64> = Vec::new();
        let width = groups.len();
        for entry in words.chunks_exact(stride) {
            let key = key_of(entry);
            let slot = *bucket.index.entry(key).or_insert(bucket.keys.len());
            if slot == bucket.keys.len() {
                bucket.keys.push(KeyFacts { key, ..KeyFacts::default() });
                firsts.resize(firsts.len() + width, 0);
            }
            let facts = &mut bucket.keys[slot];
            let source = u8::try_from(entry[2]).unwrap_or(u8::MAX);
            if source == golden {
                facts.before = Some((entry[3], u8::try_from(entry[4]).unwrap_or(u8::MAX)));
                continue;
            }
            let bit = 1_u8 << source;
            if facts.present & bit != 0 {
                facts.repeated |= bit;
            }
            let first = &mut firsts[slot * width..(slot + 1) * width];
            for (number, mask) in groups.iter().enumerate() {
                if mask & bit == 0 {
                    continue;
                }
                if facts.present & mask == 0 {
                    first[number] = entry[4 + number];
                } else if first[number] != entry[4 + number] {
                    facts.differs = true;
                }
            }
            facts.present |= bit;
            facts.inputs = facts.inputs.wrapping_add(salted(entry[3], u64::from(source) + 1));
        }
        Ok(bucket)
    }
}

/// The keys of one bucket.
pub(super) struct Bucket {
    pub(super) keys: Vec<KeyFacts>,
    index: HashMap<u128, usize, Identity>,
}

impl Bucket {
    /// What there is of `key`.
    #[cfg(test)]
    pub(super) fn get(&self, key: u128) -> Option<&KeyFacts> {
        self.index.get(&key).map(|slot| &self.keys[*slot])
    }
}

/// What the first pass knows of a key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyFacts {
    pub(super) key: u128,
    /// The systems that have it, as bits.
    pub(super) present: u8,
    /// The systems that have it more than once.
    pub(super) repeated: u8,
    /// Whether some compared value differs as it stands; a tolerance may still accept it.
    pub(super) differs: bool,
    /// Over all that the systems have of it.
    pub(super) inputs: u64,
    /// What it was in the last run: inputs and class.
    pub(super) before: Option<(u64, u8)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets::BUCKETS;

    fn filled(limit: usize) -> KeyStore {
        let folder = std::env::temp_dir();
        let mut store = KeyStore::new(&folder, 1, limit);
        for number in 0..2000_u64 {
            let key = xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes());
            for source in 0..3_u8 {
                if number % 7 == u64::from(source) {
                    continue;
                }
                let value = if number % 11 == 0 { u64::from(source) } else { number };
                let entry = Entry { key, source, full: value, groups: &[value] };
                store.push(entry);
                if number % 13 == 0 && source == 1 {
                    store.push(entry);
                }
            }
            store.settle().unwrap();
        }
        store
    }

    fn facts(limit: usize) -> Vec<(u128, u8, u8, bool, u64)> {
        let mut store = filled(limit);
        let mut all = Vec::new();
        for number in 0..BUCKETS {
            let bucket = store.join(number, &[0b111], 3).unwrap();
            for facts in &bucket.keys {
                assert_eq!(bucket.get(facts.key).unwrap().inputs, facts.inputs);
                let KeyFacts { key, present, repeated, differs, inputs, .. } = *facts;
                all.push((key, present, repeated, differs, inputs));
            }
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn a_spilled_store_joins_like_one_in_memory() {
        let in_memory = facts(usize::MAX);
        assert_eq!(in_memory.len(), 2000);
        assert_eq!(in_memory, facts(4096));
        let key = |number: u64| xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes());
        let of = |number: u64| *in_memory.iter().find(|facts| facts.0 == key(number)).unwrap();
        assert_eq!((of(1).1, of(1).2, of(1).3), (0b101, 0, false));
        assert_eq!((of(13).1, of(13).2), (0b111, 0b010));
        assert!(of(22).3 && !of(23).3);
    }
}
