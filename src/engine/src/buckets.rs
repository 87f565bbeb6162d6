//! Words of rows in buckets by the first bits of their key's hash. Beyond a limit they are spilled to
//! one file per bucket, and buckets are taken one after the other, so that memory stays bounded
//! however many rows there are.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use huiliu_sdk::{Error, ErrorKind, Result};

/// Buckets; a power of two.
pub(crate) const BUCKETS: usize = 64;

/// Words of a key.
const KEY: usize = 2;

/// The bucket of a key.
pub(crate) fn bucket(key: u128) -> usize {
    usize::try_from(key >> 122).unwrap_or(0)
}

/// The key of an entry: its first words.
pub(crate) fn key_of(entry: &[u64]) -> u128 {
    u128::from(entry[0]) << 64 | u128::from(entry[1])
}

/// Entries of one width: a key and more words.
pub(crate) struct Buckets {
    folder: PathBuf,
    stride: usize,
    buckets: Vec<Vec<u64>>,
    words: usize,
    limit_words: usize,
    spilled: Option<Vec<BufWriter<File>>>,
}

impl Buckets {
    /// Empty ones with `width` words beside each key, which hold at most `limit_bytes` in memory and
    /// spill into `folder`.
    pub(crate) fn new(folder: &Path, width: usize, limit_bytes: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            stride: KEY + width,
            buckets: vec![Vec::new(); BUCKETS],
            words: 0,
            limit_words: limit_bytes / 8,
            spilled: None,
        }
    }

    /// Words of an entry.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Adds an entry; its other words are zero until they are set.
    #[allow(clippy::cast_possible_truncation)] // the two halves are taken apart
    pub(crate) fn push(&mut self, key: u128) -> &mut [u64] {
        self.words += self.stride;
        let bucket = &mut self.buckets[bucket(key)];
        let start = bucket.len();
        bucket.resize(start + self.stride, 0);
        let words = &mut bucket[start..];
        words[0] = (key >> 64) as u64;
        words[1] = key as u64;
        &mut words[KEY..]
    }

    /// Spills when there is too much.
    pub(crate) fn settle(&mut self) -> Result<()> {
        if self.words <= self.limit_words {
            return Ok(());
        }
        self.spill()
    }

    fn spill(&mut self) -> Result<()> {
        if self.spilled.is_none() {
            let mut files = Vec::with_capacity(BUCKETS);
            for _ in 0..BUCKETS {
                // Without a name, so that it goes when the process does.
                let file = tempfile::tempfile_in(&self.folder).map_err(|e| self.failed(e))?;
                files.push(BufWriter::new(file));
            }
            self.spilled = Some(files);
        }
        let Some(files) = &mut self.spilled else { return Ok(()) };
        let mut failure = None;
        for (words, file) in self.buckets.iter_mut().zip(files) {
            for word in words.iter() {
                if let Err(error) = file.write_all(&word.to_le_bytes()) {
                    failure = Some(error);
                }
            }
            *words = Vec::new();
        }
        self.words = 0;
        failure.map_or(Ok(()), |error| Err(self.failed(error)))
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let message = format!("keys could not be spilled into {}", self.folder.display());
        Error::new(ErrorKind::Unreachable, "E-DISK-FULL", message)
            .hint("free some space and run it again")
            .cause(error)
    }

    /// Takes the entries of one bucket out.
    pub(crate) fn take(&mut self, number: usize) -> Result<Vec<u64>> {
        let mut words = std::mem::take(&mut self.buckets[number]);
        if let Some(files) = &mut self.spilled {
            let read = read_back(&mut files[number], &mut words);
            read.map_err(|error| self.failed(error))?;
        }
        Ok(words)
    }
}

fn read_back(file: &mut BufWriter<File>, words: &mut Vec<u64>) -> std::io::Result<()> {
    file.flush()?;
    let mut reader = file.get_ref().try_clone()?;
    reader.rewind()?;
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut bytes = [0_u8; 8];
    loop {
        match reader.read_exact(&mut bytes) {
            Ok(()) => words.push(u64::from_le_bytes(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
