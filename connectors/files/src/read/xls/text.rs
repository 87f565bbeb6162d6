//! Texts in records: one byte or two for each character, over the ends of records.

use huiliu_sdk::Result;

use super::record::Records;

/// The bytes of a record from some place on, and of those that continue it.
pub(super) struct Segments<'r, 'a> {
    records: &'r mut Records<'a>,
    at: usize,
}

impl<'r, 'a> Segments<'r, 'a> {
    pub(super) fn new(records: &'r mut Records<'a>, at: usize) -> Self {
        Self { records, at }
    }

    /// A text whose length is one byte.
    pub(super) fn short_text(&mut self) -> Result<String> {
        let [count] = self.take()?;
        self.characters(u16::from(count))
    }

    /// A text whose length is two bytes.
    pub(super) fn text(&mut self) -> Result<String> {
        let count = u16::from_le_bytes(self.take()?);
        self.characters(count)
    }

    /// A text of `count` characters of UTF-16, after the byte that says how they are stored.
    fn characters(&mut self, count: u16) -> Result<String> {
        let [flags] = self.take()?;
        let runs = if flags & 8 == 0 { 0 } else { u16::from_le_bytes(self.take()?) };
        let extra = if flags & 4 == 0 { 0 } else { u32::from_le_bytes(self.take()?) };
        let mut is_wide = flags & 1 != 0;
        let mut units: Vec<u16> = Vec::with_capacity(usize::from(count));
        while units.len() < usize::from(count) {
            if self.rest().is_empty() {
                // A text that goes on in the next record says again how it is stored.
                self.advance()?;
                let [flags] = self.take()?;
                is_wide = flags & 1 != 0;
                continue;
            }
            let left = usize::from(count) - units.len();
            let rest = self.rest();
            let (width, size) = if is_wide { (2, rest.len() / 2) } else { (1, rest.len()) };
            let now = size.min(left);
            if now == 0 {
                return Err(self.records.cut());
            }
            let bytes = &rest[..now * width];
            if is_wide {
                units.extend(bytes.chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]])));
            } else {
                units.extend(bytes.iter().copied().map(u16::from));
            }
            self.at += now * width;
        }
        self.skip(u64::from(runs) * 4)?;
        self.skip(u64::from(extra))?;
        String::from_utf16(&units).map_err(|_| self.records.cut())
    }

    fn rest(&self) -> &[u8] {
        self.records.data().get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self) -> Result<()> {
        self.at = 0;
        if self.records.continues()? { Ok(()) } else { Err(self.records.cut()) }
    }

    /// The next bytes, wherever they stand.
    pub(super) fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        for byte in &mut bytes {
            while self.rest().is_empty() {
                self.advance()?;
            }
            *byte = self.rest()[0];
            self.at += 1;
        }
        Ok(bytes)
    }

    fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let here = self.rest().len();
            if here == 0 {
                self.advance()?;
                continue;
            }
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(here);
            self.at += step;
            count -= step as u64;
        }
        Ok(())
    }
}
