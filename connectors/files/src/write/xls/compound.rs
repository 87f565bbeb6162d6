//! The container of old Office files with one stream in it: a header, the sectors of the stream,
//! the directory, the list of the table's sectors, and the table of what follows each sector.

use std::io::{self, Read, Write};

const SIGNATURE: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Smaller streams would be kept in another way.
const SMALLEST: u32 = 4_096;

/// What the table says of sectors that no other follows.
const FREE: u32 = 0xffff_ffff;
const LAST: u32 = 0xffff_fffe;
const OF_TABLE: u32 = 0xffff_fffd;
const OF_LIST: u32 = 0xffff_fffc;

/// Sectors of the table that the header lists, and a sector of the list; sectors that a sector of
/// the table speaks of.
const IN_HEADER: u32 = 109;
const IN_LIST: u32 = 127;
const IN_TABLE: u32 = 128;

/// Writes the file whose stream `Workbook` has `size` bytes of `stream`, and zeros where it is
/// shorter.
pub(super) fn write(output: &mut impl Write, stream: impl Read, size: u64) -> io::Result<()> {
    let size = u32::try_from(size).map_err(io::Error::other)?.max(SMALLEST);
    let layout = Layout::of(size)?;
    output.write_all(&layout.header())?;
    let padded = u64::from(layout.stream) * SECTOR;
    io::copy(&mut stream.chain(io::repeat(0)).take(padded), output)?;
    output.write_all(&entry("Root Entry", 5, 1, LAST, 0))?;
    output.write_all(&entry("Workbook", 2, FREE, 0, size))?;
    for _ in 0..2 {
        output.write_all(&entry("", 0, FREE, 0, 0))?;
    }
    for number in layout.list_sectors() {
        output.write_all(&number.to_le_bytes())?;
    }
    for sector in 0..layout.table * IN_TABLE {
        output.write_all(&layout.after(sector).to_le_bytes())?;
    }
    Ok(())
}

/// An entry of the directory.
fn entry(name: &str, kind: u8, child: u32, start: u32, size: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // With the zero at its end.
    let length = if name.is_empty() { 0 } else { bytes.len() + 2 };
    bytes.resize(64, 0);
    bytes.extend([u8::try_from(length).unwrap_or_default(), 0, kind, u8::from(kind != 0)]);
    // No entries beside it.
    bytes.extend(numbers(&[FREE, FREE, child]));
    bytes.resize(116, 0);
    bytes.extend(numbers(&[start, size, 0]));
    bytes
}

fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// How many sectors each part has, in their order; the directory has one, after the stream.
struct Layout {
    stream: u32,
    list: u32,
    table: u32,
}

impl Layout {
    fn of(size: u32) -> io::Result<Self> {
        let stream = u64::from(size).div_ceil(SECTOR);
        let stream = u32::try_from(stream).map_err(io::Error::other)?;
        let mut layout = Self { stream, list: 0, table: 0 };
        // The table speaks of its own sectors too.
        loop {
            let table = layout.end().div_ceil(IN_TABLE);
            let list = table.saturating_sub(IN_HEADER).div_ceil(IN_LIST);
            if (list, table) == (layout.list, layout.table) {
                return Ok(layout);
            }
            (layout.list, layout.table) = (list, table);
        }
    }

    /// The first sector of the list, of the table, and the one behind all.
    fn list_start(&self) -> u32 {
        self.stream + 1
    }

    fn table_start(&self) -> u32 {
        self.list_start() + self.list
    }

    fn end(&self) -> u32 {
        self.table_start() + self.table
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.resize(24, 0);
        // Versions, the order of bytes, and the sizes of sectors as powers of 2.
        for half in [0x003e_u16, 3, 0xfffe, 9, 6] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.resize(40, 0);
        let list = if self.list == 0 { LAST } else { self.list_start() };
        bytes.extend(numbers(&[0, self.table, self.stream, 0, SMALLEST, LAST, 0, list, self.list]));
        for place in 0..IN_HEADER {
            bytes.extend(self.listed(place).to_le_bytes());
        }
        bytes
    }

    /// The sector of the table that stands at `place` of the list.
    fn listed(&self, place: u32) -> u32 {
        if place < self.table { self.table_start() + place } else { FREE }
    }

    /// What the sectors of the list hold: sectors of the table, and the next one of the list.
    fn list_sectors(&self) -> impl Iterator<Item = u32> {
        (0..self.list).flat_map(move |sector| {
            let first = IN_HEADER + sector * IN_LIST;
            let is_last = sector + 1 == self.list;
            let next = if is_last { LAST } else { self.list_start() + sector + 1 };
            (first..first + IN_LIST).map(move |place| self.listed(place)).chain([next])
        })
    }

    /// What follows a sector, as the table has it.
    fn after(&self, sector: u32) -> u32 {
        if sector + 1 < self.stream {
            sector + 1
        } else if sector < self.list_start() {
            // The last one of the stream, and the directory.
            LAST
        } else if sector < self.table_start() {
            OF_LIST
        } else if sector < self.end() {
            OF_TABLE
        } else {
            FREE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sector_has_its_place_in_the_table() {
        for size in [1_u64, 4_096, 4_097, 64_000, 7_050_000, 7_100_000, 7_200_000, 30_000_000] {
            let mut file = Vec::new();
            write(&mut file, io::repeat(7).take(size), size).unwrap();
            let at = |place: usize| {
                u32::from_le_bytes([file[place], file[place + 1], file[place + 2], file[place + 3]])
            };
            let start = |sector: u32| 512 * (sector as usize + 1);

            let mut places: Vec<u32> = (0..109).map(|place| at(76 + 4 * place)).collect();
            let (mut next, mut lists) = (at(68), 0);
            while next != LAST {
                places.extend((0..127).map(|place| at(start(next) + 4 * place)));
                next = at(start(next) + 508);
                lists += 1;
            }
            places.retain(|place| *place != FREE);
            assert_eq!((places.len(), lists), (at(44) as usize, at(72)), "{size}");

            let mut table: Vec<u32> = Vec::new();
            for place in &places {
                table.extend((0..128).map(|sector| at(start(*place) + 4 * sector)));
            }
            let used = table.iter().filter(|next| **next != FREE).count();
            assert_eq!(file.len(), 512 * (used + 1), "{size}");
            assert!(places.iter().all(|place| table[*place as usize] == OF_TABLE), "{size}");
            let listing = table.iter().filter(|next| **next == OF_LIST).count();
            assert_eq!(listing, lists as usize, "{size}");

            let (mut next, mut count) = (0, 0);
            while next != LAST {
                next = table[next as usize];
                count += 1;
            }
            let kept = size.max(4_096);
            assert_eq!(count, kept.div_ceil(512), "{size}");
            assert_eq!(table[at(48) as usize], LAST);
            assert_eq!(u64::from(at(start(at(48)) + 128 + 120)), kept);
        }
    }
}
