//! Texts in records: one byte or two for each character, over the ends of records.

use super::{u16_at, u32_at};

/// A text whose length is one byte.
pub(super) fn short(bytes: &[u8]) -> Option<String> {
    let count = usize::from(*bytes.first()?);
    Segments::new(&[bytes.get(1..)?]).characters(count)
}

/// A text whose length is two bytes.
pub(super) fn long(bytes: &[u8]) -> Option<String> {
    Segments::new(&[bytes]).text()
}

/// The bytes of a record and of those that continue it.
pub(super) struct Segments<'p, 'a> {
    parts: &'p [&'a [u8]],
    rest: &'a [u8],
    next: usize,
}

impl<'p, 'a> Segments<'p, 'a> {
    pub(super) fn new(parts: &'p [&'a [u8]]) -> Self {
        Self { parts, rest: parts.first().copied().unwrap_or_default(), next: 1 }
    }

    /// All texts of the table that cells share.
    pub(super) fn shared(mut self) -> Option<Vec<String>> {
        let head = self.take(8)?;
        let count = u32_at(&head, 4)?;
        let mut texts = Vec::new();
        while texts.len() < count as usize {
            texts.push(self.text()?);
        }
        Some(texts)
    }

    /// A text whose length is two bytes.
    pub(super) fn text(&mut self) -> Option<String> {
        let count = usize::from(u16_at(&self.take(2)?, 0)?);
        self.characters(count)
    }

    /// A text of `count` characters of UTF-16, after the byte that says how they are stored.
    fn characters(&mut self, count: usize) -> Option<String> {
        let flags = self.take(1)?[0];
        let runs = if flags & 8 == 0 { 0 } else { usize::from(u16_at(&self.take(2)?, 0)?) };
        let extra = if flags & 4 == 0 { 0 } else { u32_at(&self.take(4)?, 0)? as usize };
        let mut is_wide = flags & 1 != 0;
        let mut units: Vec<u16> = Vec::new();
        while units.len() < count {
            if self.rest.is_empty() {
                // A text that goes on in the next record says again how it is stored.
                self.advance()?;
                is_wide = self.take(1)?[0] & 1 != 0;
            }
            if is_wide {
                units.push(u16_at(self.rest, 0)?);
                self.rest = &self.rest[2..];
            } else {
                units.push(u16::from(*self.rest.first()?));
                self.rest = &self.rest[1..];
            }
        }
        self.skip(runs.checked_mul(4)?)?;
        self.skip(extra)?;
        String::from_utf16(&units).ok()
    }

    fn advance(&mut self) -> Option<()> {
        self.rest = self.parts.get(self.next)?;
        self.next += 1;
        Some(())
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(8);
        while bytes.len() < count {
            if self.rest.is_empty() {
                self.advance()?;
                continue;
            }
            let (part, rest) = self.rest.split_at((count - bytes.len()).min(self.rest.len()));
            bytes.extend_from_slice(part);
            self.rest = rest;
        }
        Some(bytes)
    }

    fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            if self.rest.is_empty() {
                self.advance()?;
                continue;
            }
            let step = count.min(self.rest.len());
            self.rest = &self.rest[step..];
            count -= step;
        }
        Some(())
    }
}
