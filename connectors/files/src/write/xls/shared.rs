//! The table of texts that cells share, in records that continue each other.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};

use super::{Spool, record};

const SHARED: u16 = 0x00fc;
const CONTINUE: u16 = 0x003c;

/// Bytes of a record.
const MAX_RECORD: usize = 8_224;

/// Texts that are remembered, and bytes of the longest of them; others are written again.
const KNOWN: usize = 65_536;
const KNOWN_BYTES: usize = 64;

/// The bytes that a text begins with and that stay together: its length, how it is stored, and its
/// first character.
const START: usize = 7;

pub(super) struct Texts {
    spool: Spool,
    /// The record that is not full yet.
    part: Vec<u8>,
    /// Cells that show a text, and texts.
    shown: u32,
    count: u32,
    known: HashMap<String, u32>,
}

impl Texts {
    pub(super) fn new() -> io::Result<Self> {
        // Both numbers come first, and are known last.
        let part = vec![0; 8];
        Ok(Self { spool: Spool::new()?, part, shown: 0, count: 0, known: HashMap::new() })
    }

    /// The place of a text in the table.
    pub(super) fn place(&mut self, text: &str) -> io::Result<u32> {
        self.shown += 1;
        if let Some(place) = self.known.get(text) {
            return Ok(*place);
        }
        self.put(text)?;
        let place = self.count;
        self.count += 1;
        if text.len() <= KNOWN_BYTES && self.known.len() < KNOWN {
            self.known.insert(text.to_owned(), place);
        }
        Ok(place)
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        let count = u16::try_from(text.encode_utf16().count()).map_err(io::Error::other)?;
        let is_wide = text.chars().any(|c| c > '\u{ff}');
        if self.part.len() + START > MAX_RECORD {
            self.end()?;
        }
        self.part.extend(count.to_le_bytes());
        self.part.push(u8::from(is_wide));
        for c in text.chars() {
            let size = if is_wide { 2 * c.len_utf16() } else { 1 };
            if self.part.len() + size > MAX_RECORD {
                self.end()?;
                // What goes on says again how it is stored.
                self.part.push(u8::from(is_wide));
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                let [low, high] = unit.to_le_bytes();
                self.part.push(low);
                if is_wide {
                    self.part.push(high);
                }
            }
        }
        Ok(())
    }

    /// Ends the record.
    fn end(&mut self) -> io::Result<()> {
        let kind = if self.spool.length == 0 { SHARED } else { CONTINUE };
        record(&mut self.spool, kind, &self.part)?;
        self.part.clear();
        Ok(())
    }

    pub(super) fn length(&self) -> u64 {
        self.spool.length
    }

    /// The whole table.
    pub(super) fn finish(mut self) -> io::Result<Spool> {
        self.end()?;
        let Self { mut spool, shown, count, .. } = self;
        spool.file.seek(SeekFrom::Start(4))?;
        spool.file.write_all(&shown.to_le_bytes())?;
        spool.file.write_all(&count.to_le_bytes())?;
        Ok(spool)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn long_texts_go_on_in_the_next_record_between_two_characters() {
        let wide = format!("长{}", "😀".repeat(16_383));
        let narrow = "é".repeat(32_767);
        let mut texts = Texts::new().unwrap();
        for (place, text) in
            [wide.as_str(), narrow.as_str(), "a", wide.as_str()].into_iter().enumerate()
        {
            assert_eq!(texts.place(text).unwrap() as usize, place);
        }
        assert_eq!(texts.place("a").unwrap(), 2, "a short text is there once");
        let mut bytes = Vec::new();
        texts.finish().unwrap().read().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes[4..12], [5, 0, 0, 0, 4, 0, 0, 0]);

        let (mut rest, mut kinds) = (bytes.as_slice(), Vec::new());
        while let [low, high, size_low, size_high, after @ ..] = rest {
            let size = usize::from(u16::from_le_bytes([*size_low, *size_high]));
            assert!(size <= MAX_RECORD, "{size}");
            // A pair of units is never torn.
            assert!(!(0xdc..=0xdf).contains(&after[2]) || after[0] != 1, "{:?}", &after[..3]);
            kinds.push(u16::from_le_bytes([*low, *high]));
            rest = &after[size..];
        }
        assert!(rest.is_empty());
        assert_eq!(kinds[0], SHARED);
        assert!(kinds.len() > 10 && kinds[1..].iter().all(|kind| *kind == CONTINUE));
    }
}
