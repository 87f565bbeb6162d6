//! Texts that cells share.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use huiliu_sdk::Result;

use crate::fault::over_limit;

/// Bytes of all of it.
const MOST: u64 = 512 << 20;

/// Bytes that are held in memory.
const FILE_FROM: usize = 8 << 20;

/// Texts that cells share, by number. Where they are many, most are in files without a name.
#[derive(Default)]
pub(in crate::read) struct Shared {
    /// The text that comes next, until it is told that it ends.
    pub(in crate::read) text: String,
    texts: Spool,
    /// Where each text ends, in eight bytes.
    ends: Spool,
}

impl Shared {
    /// Notes that a text ends here.
    pub(in crate::read) fn end(&mut self) -> io::Result<()> {
        self.texts.push(self.text.as_bytes())?;
        self.text.clear();
        self.ends.push(&self.texts.size().to_le_bytes())
    }

    /// Refuses more text than an honest workbook has.
    pub(in crate::read) fn check(&self, file: &str) -> Result<()> {
        if self.texts.size() + self.text.len() as u64 + self.ends.size() > MOST {
            let most = MOST >> 20;
            return Err(over_limit(format!("file {file} has over {most} MiB of text")));
        }
        Ok(())
    }

    /// The text of a number, if there is one.
    pub(in crate::read) fn get(&self, index: usize) -> io::Result<Option<String>> {
        let place = index as u64 * 8;
        if place >= self.ends.size() {
            return Ok(None);
        }
        let start = place.checked_sub(8).map_or(Ok(0), |before| self.end_at(before))?;
        let length = self.end_at(place)? - start;
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.texts.read(&mut bytes, start)?;
        String::from_utf8(bytes).map(Some).map_err(io::Error::other)
    }

    fn end_at(&self, place: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.ends.read(&mut bytes, place)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Bytes that are only added to. Where they are many, most are in a file.
#[derive(Default)]
struct Spool {
    file: Option<File>,
    /// Bytes that are in the file.
    filed: u64,
    /// What follows them.
    held: Vec<u8>,
}

impl Spool {
    fn size(&self) -> u64 {
        self.filed + self.held.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        if self.held.len() < FILE_FROM {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.held)?;
        self.filed += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    /// Fills the buffer with what stands at `start`, which is all in the file or all behind it, since
    /// what was added at once also went there at once.
    fn read(&self, buffer: &mut [u8], start: u64) -> io::Result<()> {
        let within = match (&self.file, start.checked_sub(self.filed)) {
            (Some(file), None) => return file.read_exact_at(buffer, start),
            (_, within) => usize::try_from(within.unwrap_or(0)).map_err(io::Error::other)?,
        };
        let held = self.held.get(within..within + buffer.len());
        buffer.copy_from_slice(held.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_from_memory_and_from_the_file() {
        let mut shared = Shared::default();
        // A text of many bytes now and then, so that the texts go to the file often and the ends do
        // not; and more texts than their ends have room for in memory.
        let text = |number: usize| match number % 50_000 {
            0 => format!("{number}{}", "长".repeat(1 << 20)),
            _ => format!("t{number}"),
        };
        let count = FILE_FROM / 8 + 1_000;
        for number in 0..count {
            shared.text.push_str(&text(number));
            shared.end().unwrap();
        }
        assert!(shared.texts.file.is_some() && shared.ends.file.is_some());
        assert!(shared.texts.held.len() < FILE_FROM && shared.ends.held.len() < FILE_FROM);
        for number in (0..count).step_by(997).chain([count - 1_001, count - 1_000, count - 1]) {
            assert_eq!(shared.get(number).unwrap().as_deref(), Some(text(number).as_str()));
        }
        assert_eq!(shared.get(count).unwrap(), None);
    }

    #[test]
    fn empty_texts_are_texts() {
        let mut shared = Shared::default();
        for text in ["", "a", "", ""] {
            shared.text.push_str(text);
            shared.end().unwrap();
        }
        let texts: Vec<String> = (0..4).map(|index| shared.get(index).unwrap().unwrap()).collect();
        assert_eq!(texts, ["", "a", "", ""]);
        assert_eq!(shared.get(4).unwrap(), None);
        assert_eq!(Shared::default().get(0).unwrap(), None);
    }
}
