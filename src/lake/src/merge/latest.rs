//! The latest row of each key in one file that is being written: about 64 bytes a row, so that a
//! whole file of them stays small.

use crate::hash::map_order;

/// A row that is the latest of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Staged<'a> {
    pub(super) hash: u128,
    /// Its version, comparable as bytes, where the stream has one.
    pub(super) version: Option<&'a [u8]>,
}

struct Entry {
    key: u128,
    hash: u128,
    row: u32,
    is_gone: bool,
}

/// Keys in the order they came, with a table of places over them.
#[derive(Default)]
pub(super) struct Latest {
    entries: Vec<Entry>,
    /// Of each entry, where the stream has versions.
    versions: Vec<Box<[u8]>>,
    /// Entries at the place their key asks for or the next free one.
    places: Vec<Place>,
    gone: usize,
}

/// Where an entry is, and enough of its key to tell most others apart without looking at it.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Its number, counted from one.
    number: u32,
    print: u32,
}

impl Latest {
    /// The row of `key`.
    pub(super) fn get(&self, key: u128) -> Option<Staged<'_>> {
        let number = self.number(key)?;
        let entry = self.entries.get(number).filter(|entry| !entry.is_gone)?;
        Some(Staged { hash: entry.hash, version: self.versions.get(number).map(Box::as_ref) })
    }

    /// Notes that `row` is now the one of `key`. Either all rows have versions or none has.
    pub(super) fn insert(&mut self, key: u128, hash: u128, row: u32, version: Option<Box<[u8]>>) {
        if (self.entries.len() + 1) * 3 > self.places.len() * 2 {
            self.grow();
        }
        self.entries.push(Entry { key, hash, row, is_gone: false });
        self.versions.extend(version);
        let earlier = self.place(key, self.entries.len());
        if let Some(entry) = earlier.and_then(|number| self.entries.get_mut(number))
            && !entry.is_gone
        {
            entry.is_gone = true;
            self.gone += 1;
        }
    }

    /// Forgets the row of `key` and gives its place in the file and its hash.
    pub(super) fn remove(&mut self, key: u128) -> Option<(u32, u128)> {
        let number = self.number(key)?;
        let entry = self.entries.get_mut(number).filter(|entry| !entry.is_gone)?;
        entry.is_gone = true;
        self.gone += 1;
        Some((entry.row, entry.hash))
    }

    /// How many keys have a row.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.gone
    }

    /// The keys that have a row.
    pub(super) fn keys(&self) -> impl Iterator<Item = u128> + Clone {
        self.entries.iter().filter(|entry| !entry.is_gone).map(|entry| entry.key)
    }

    /// The last entry of `key`, counted from zero.
    fn number(&self, key: u128) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = self.wanted(key);
        loop {
            let place = self.places[at];
            let number = (place.number as usize).checked_sub(1)?;
            if place.print == print(key) && self.entries[number].key == key {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Puts the entry `number`, counted from one, where `key` is looked for, and gives the entry,
    /// counted from zero, that was there.
    fn place(&mut self, key: u128, number: usize) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = self.wanted(key);
        let mut earlier = None;
        while let Some(taken) = (self.places[at].number as usize).checked_sub(1) {
            if self.places[at].print == print(key) && self.entries[taken].key == key {
                earlier = Some(taken);
                break;
            }
            at = (at + 1) & mask;
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.places[at] = Place { number, print: print(key) };
        earlier
    }

    fn grow(&mut self) {
        // Fourfold, so that few places are filled anew; a full file's 2^20 keys end in 2^21 places.
        let size = (self.places.len() * 4).max(2048);
        self.places.clear();
        self.places.resize(size, Place::default());
        for number in 0..self.entries.len() {
            // Of several entries of a key the last one stays.
            self.place(self.entries[number].key, number + 1);
        }
    }

    /// The place a key asks for.
    #[allow(clippy::cast_possible_truncation)] // below the number of places
    fn wanted(&self, key: u128) -> usize {
        ((u64::from(map_order(key)) * self.places.len() as u64) >> 32) as usize
    }
}

#[allow(clippy::cast_possible_truncation)] // 32 of the bits that do not choose the place
fn print(key: u128) -> u32 {
    (key >> 64) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

    use super::*;

    #[test]
    fn it_answers_like_a_map() {
        let (mut latest, mut map) = (Latest::default(), HashMap::new());
        for row in 0..60_000_u32 {
            let random = xxh3_64(&row.to_le_bytes());
            let key = xxh3_128(&(random % 20_000).to_le_bytes());
            if (random >> 32).is_multiple_of(4) {
                assert_eq!(latest.remove(key), map.remove(&key), "row {row}");
                continue;
            }
            let hash = u128::from(row) << 3;
            latest.insert(key, hash, row, Some(row.to_be_bytes().into()));
            map.insert(key, (row, hash));
        }
        assert_eq!(latest.len(), map.len());
        assert_eq!(latest.keys().count(), map.len());
        for (key, (row, hash)) in map {
            let version = row.to_be_bytes();
            assert_eq!(latest.get(key), Some(Staged { hash, version: Some(&version) }));
        }
        assert_eq!(latest.get(1), None);
        assert_eq!(Latest::default().get(1), None);
    }
}
