//! The container of old Office files: a small file system of sectors in chains.

use super::{u16_at, u32_at};

const SIGNATURE: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// Sector numbers from here on mean the end of a chain, or nothing.
const LAST_SECTOR: u32 = 0xffff_fffa;

/// The bytes of the stream `name`; nothing if the file is none of these, or damaged.
pub(super) fn stream(file: &[u8], name: &str) -> Option<Vec<u8>> {
    let files = Files::open(file)?;
    let directory = files.chain(u32_at(file, 0x30)?, usize::MAX)?;
    let entries: Vec<&[u8]> = directory.chunks_exact(128).collect();
    let wanted = entries.iter().find(|entry| entry[66] == 2 && name_of(entry) == name)?;
    let (start, size) = (u32_at(wanted, 116)?, u32_at(wanted, 120)? as usize);
    if size >= u32_at(file, 0x38)? as usize {
        return files.chain(start, size);
    }
    // Small streams share the one of the root.
    let root = entries.iter().find(|entry| entry[66] == 5)?;
    let shared = files.chain(u32_at(root, 116)?, u32_at(root, 120)? as usize)?;
    let table = files.chain(u32_at(file, 0x3c)?, usize::MAX)?;
    let table: Vec<u32> = table.chunks_exact(4).filter_map(|next| u32_at(next, 0)).collect();
    follow(&shared, 0, 1 << u16_at(file, 0x20)?.min(12), &table, start, size)
}

fn name_of(entry: &[u8]) -> String {
    let length = usize::from(u16_at(entry, 64).unwrap_or(0)).min(64);
    let units = entry[..length].chunks_exact(2).filter_map(|unit| u16_at(unit, 0));
    char::decode_utf16(units.filter(|unit| *unit != 0)).filter_map(Result::ok).collect()
}

struct Files<'a> {
    file: &'a [u8],
    sector: usize,
    /// The sector after each sector of a chain.
    table: Vec<u32>,
}

impl<'a> Files<'a> {
    fn open(file: &'a [u8]) -> Option<Self> {
        if file.get(..8)? != SIGNATURE {
            return None;
        }
        let shift = u16_at(file, 0x1e)?;
        if !matches!(shift, 9 | 12) {
            return None;
        }
        let sector = 1_usize << shift;
        let most = file.len() / sector + 1;
        let mut places: Vec<u32> = (0..109).filter_map(|at| u32_at(file, 0x4c + 4 * at)).collect();
        // Of a long table the list of its places goes on in sectors of its own.
        let mut next = u32_at(file, 0x44)?;
        for _ in 0..most {
            if next >= LAST_SECTOR {
                break;
            }
            let list = bytes_of(file, sector, sector, next)?;
            let (list, after) = list.split_at(sector - 4);
            places.extend(list.chunks_exact(4).filter_map(|place| u32_at(place, 0)));
            next = u32_at(after, 0)?;
        }
        let mut table = Vec::new();
        for place in places.into_iter().filter(|place| *place < LAST_SECTOR).take(most) {
            let part = bytes_of(file, sector, sector, place)?;
            table.extend(part.chunks_exact(4).filter_map(|next| u32_at(next, 0)));
        }
        Some(Self { file, sector, table })
    }

    fn chain(&self, start: u32, size: usize) -> Option<Vec<u8>> {
        follow(self.file, self.sector, self.sector, &self.table, start, size)
    }
}

fn bytes_of(file: &[u8], offset: usize, sector: usize, number: u32) -> Option<&[u8]> {
    let start = offset.checked_add(sector.checked_mul(number as usize)?)?;
    let end = (start + sector).min(file.len());
    file.get(start..end)
}

/// Joins the sectors of a chain, up to `size` bytes. A chain that goes in circles is longer than
/// the file, and is refused.
fn follow(
    file: &[u8],
    offset: usize,
    sector: usize,
    table: &[u32],
    start: u32,
    size: usize,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut next = start;
    while next < LAST_SECTOR && bytes.len() < size {
        if bytes.len() > file.len() {
            return None;
        }
        bytes.extend_from_slice(bytes_of(file, offset, sector, next)?);
        next = *table.get(next as usize)?;
    }
    if size != usize::MAX {
        if bytes.len() < size {
            return None;
        }
        bytes.truncate(size);
    }
    Some(bytes)
}
