//! The keys of a whole read, for finding what is gone from the source.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use huiliu_sdk::Result;

use crate::hash::Identity;
use crate::io_error;

/// Keys held in memory; beyond that they are spilled. 32 bytes each.
const IN_MEMORY: usize = 4 << 20;
/// Spill files; each is read back whole.
const PARTS: usize = 64;

/// A set of key hashes that spills to disk when it grows.
pub struct KeySet {
    folder: PathBuf,
    keys: HashSet<u128, Identity>,
    spilled: Option<Vec<BufWriter<File>>>,
    limit: usize,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet({} in memory, spilled: {})", self.keys.len(), self.spilled.is_some())
    }
}

impl KeySet {
    /// An empty set that may spill into `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, keys: HashSet::default(), spilled: None, limit: IN_MEMORY }
    }

    /// Adds keys.
    pub(crate) fn extend(&mut self, keys: impl IntoIterator<Item = u128>) -> Result<()> {
        self.keys.extend(keys);
        if self.keys.len() > self.limit {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        if self.spilled.is_none() {
            std::fs::create_dir_all(&self.folder)
                .map_err(|e| io_error("make the folder", &self.folder, e))?;
            let mut files = Vec::with_capacity(PARTS);
            for _ in 0..PARTS {
                // Without a name, so that it goes when the process does.
                let file = tempfile::tempfile_in(&self.folder)
                    .map_err(|e| io_error("spill keys into", &self.folder, e))?;
                files.push(BufWriter::new(file));
            }
            self.spilled = Some(files);
        }
        let Some(files) = &mut self.spilled else { return Ok(()) };
        for key in self.keys.drain() {
            files[part(key)]
                .write_all(&key.to_le_bytes())
                .map_err(|e| io_error("spill keys into", &self.folder, e))?;
        }
        Ok(())
    }

    /// The set in parts that fit into memory, each with the test for the keys it covers.
    pub(crate) fn parts(&mut self) -> Result<Parts<'_>> {
        if self.spilled.is_some() {
            self.spill()?;
        }
        Ok(Parts { set: self, next: 0 })
    }
}

/// Which part of a spilled set `key` is in.
fn part(key: u128) -> usize {
    usize::try_from(key >> 122).unwrap_or(0)
}

/// The parts of a [`KeySet`], one after the other.
pub(crate) struct Parts<'a> {
    set: &'a mut KeySet,
    next: usize,
}

/// Some of the keys of a set.
pub(crate) struct Part {
    keys: HashSet<u128, Identity>,
    /// The spill parts these are; none when they are all keys.
    range: Option<std::ops::Range<usize>>,
}

impl Part {
    /// Whether this part says something about `key`, and the set does not have it.
    pub(crate) fn lacks(&self, key: u128) -> bool {
        let covered = self.range.as_ref().is_none_or(|range| range.contains(&part(key)));
        covered && !self.keys.contains(&key)
    }
}

impl Parts<'_> {
    /// The next part.
    pub(crate) fn next(&mut self) -> Result<Option<Part>> {
        let Some(files) = &mut self.set.spilled else {
            if self.next > 0 {
                return Ok(None);
            }
            self.next = 1;
            return Ok(Some(Part { keys: std::mem::take(&mut self.set.keys), range: None }));
        };
        if self.next >= PARTS {
            return Ok(None);
        }
        let first = self.next;
        let mut keys = HashSet::default();
        while self.next < PARTS && (self.next == first || keys.len() < self.set.limit / 2) {
            let folder = &self.set.folder;
            let file = &mut files[self.next];
            file.flush().map_err(|e| io_error("spill keys into", folder, e))?;
            let mut reader = file
                .get_ref()
                .try_clone()
                .map_err(|e| io_error("read keys spilled into", folder, e))?;
            std::io::Seek::rewind(&mut reader)
                .map_err(|e| io_error("read keys spilled into", folder, e))?;
            let mut reader = BufReader::new(reader);
            let mut bytes = [0_u8; 16];
            loop {
                match reader.read_exact(&mut bytes) {
                    Ok(()) => keys.insert(u128::from_le_bytes(bytes)),
                    Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
                    Err(e) => return Err(io_error("read keys spilled into", folder, e)),
                };
            }
            self.next += 1;
        }
        Ok(Some(Part { keys, range: Some(first..self.next) }))
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    fn key(number: u32) -> u128 {
        xxh3_128(&number.to_le_bytes())
    }

    #[test]
    fn a_spilled_set_answers_like_one_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut set = KeySet { limit: 500, ..KeySet::new(folder.path().to_owned()) };
        for chunk in 0..30 {
            set.extend((chunk * 100..chunk * 100 + 200).map(key)).unwrap();
        }
        let mut missing = Vec::new();
        let mut parts = set.parts().unwrap();
        let mut count = 0;
        while let Some(part) = parts.next().unwrap() {
            count += 1;
            missing.extend((0..4000).filter(|number| part.lacks(key(*number))));
        }
        missing.sort_unstable();
        assert_eq!(missing, (3100..4000).collect::<Vec<u32>>());
        assert!(count > 1, "it was to spill");
    }
}
