//! The container of old Office files: a small file system of sectors in chains. A stream in it is
//! read where it is; only the numbers of its sectors are held.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::{u16_at, u32_at};

const SIGNATURE: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// Sector numbers from here on mean the end of a chain, or nothing.
const LAST_SECTOR: u32 = 0xffff_fffa;

/// A stream of fewer bytes shares one of the container's with others, in sectors of this size.
const SMALL: u64 = 4_096;
const SMALL_SECTOR: u64 = 64;

const ENTRY: usize = 128;

/// The stream `name`; nothing if the file is none of these, or damaged.
pub(super) fn stream(file: File, name: &str) -> io::Result<Option<Stream>> {
    Ok(match Files::open(file)? {
        Some(files) => files.stream(name)?,
        None => None,
    })
}

/// A stream of the container.
pub(super) enum Stream {
    Chain(Chain),
    /// A small one.
    Held(Vec<u8>),
}

impl Stream {
    /// Reads from here on.
    pub(super) fn reader(&self, at: u64) -> Reader<'_> {
        Reader { stream: self, at }
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Self::Chain(chain) => chain.read_at(buffer, at),
            Self::Held(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[start..]).read(buffer)
            }
        }
    }
}

/// Reads a stream from some place on.
pub(super) struct Reader<'a> {
    stream: &'a Stream,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Sectors in the order in which they belong together.
pub(super) struct Chain {
    file: File,
    sector: u64,
    sectors: Vec<u32>,
    size: u64,
}

impl Chain {
    /// Reads what stands there, up to the end or to a sector that lies elsewhere.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let Some((first, rest)) = usize::try_from(at / self.sector)
            .ok()
            .and_then(|index| self.sectors.get(index..))
            .and_then(<[u32]>::split_first)
        else {
            return Ok(0);
        };
        let within = at % self.sector;
        let mut count = self.sector - within;
        for (next, number) in (u64::from(*first) + 1..).zip(rest) {
            if u64::from(*number) != next || count >= buffer.len() as u64 {
                break;
            }
            count += self.sector;
        }
        let count = count.min(self.size.saturating_sub(at)).min(buffer.len() as u64);
        let count = usize::try_from(count).map_err(io::Error::other)?;
        self.file.read_at(&mut buffer[..count], place(self.sector, *first) + within)
    }

    /// Fills the buffer; `false` if the chain ends before.
    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<bool> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], at + done as u64)? {
                0 => return Ok(false),
                count => done += count,
            }
        }
        Ok(true)
    }
}

/// Where a sector begins. The first one follows the head, which has one to itself.
fn place(sector: u64, number: u32) -> u64 {
    (u64::from(number) + 1) * sector
}

struct Files {
    file: File,
    length: u64,
    head: [u8; 512],
    sector: u64,
    /// The sector after each sector of a chain.
    table: Vec<u32>,
}

impl Files {
    fn open(file: File) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut head = [0; 512];
        if length < head.len() as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut head, 0)?;
        let shift = u16_at(&head, 0x1e);
        if head[..8] != SIGNATURE || !matches!(shift, Some(9 | 12)) {
            return Ok(None);
        }
        let sector = 1 << shift.unwrap_or(9);
        let mut files = Self { file, length, head, sector, table: Vec::new() };
        Ok(files.fill_table()?.map(|()| files))
    }

    /// Most sectors that the file can have.
    fn most(&self) -> usize {
        usize::try_from(self.length / self.sector + 1).unwrap_or(usize::MAX)
    }

    fn fill_table(&mut self) -> io::Result<Option<()>> {
        let most = self.most();
        let mut places: Vec<u32> =
            (0..109).filter_map(|at| u32_at(&self.head, 0x4c + 4 * at)).collect();
        // Of a long table the list of its places goes on in sectors of its own.
        let mut next = u32_at(&self.head, 0x44).unwrap_or(LAST_SECTOR);
        for _ in 0..most {
            if next >= LAST_SECTOR {
                break;
            }
            let Some(numbers) = self.numbers(next)? else { return Ok(None) };
            let Some((after, list)) = numbers.split_last() else { return Ok(None) };
            places.extend(list);
            places.truncate(most + 109);
            next = *after;
        }
        for place in places.into_iter().filter(|place| *place < LAST_SECTOR).take(most) {
            if self.table.len() > most {
                break;
            }
            let Some(numbers) = self.numbers(place)? else { return Ok(None) };
            self.table.extend(numbers);
        }
        Ok(Some(()))
    }

    /// The numbers in a sector, or in what is there of the last one.
    fn numbers(&self, number: u32) -> io::Result<Option<Vec<u32>>> {
        let start = place(self.sector, number);
        let Some(left) = self.length.checked_sub(start) else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(left.min(self.sector)).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(Some(bytes.chunks_exact(4).filter_map(|number| u32_at(number, 0)).collect()))
    }

    /// A chain of `size` bytes, or whatever it has. One that goes in circles is longer than the file,
    /// and is refused.
    fn chain(&self, start: u32, size: Option<u64>) -> io::Result<Option<Chain>> {
        let mut sectors = Vec::new();
        let mut next = start;
        let is_short = |count: usize| size.is_none_or(|size| (count as u64) * self.sector < size);
        while next < LAST_SECTOR && is_short(sectors.len()) {
            let after = self.table.get(next as usize).copied();
            if sectors.len() > self.most() || place(self.sector, next) >= self.length {
                return Ok(None);
            }
            sectors.push(next);
            let Some(after) = after else { return Ok(None) };
            next = after;
        }
        if size.is_some() && is_short(sectors.len()) {
            return Ok(None);
        }
        let size = size.unwrap_or(sectors.len() as u64 * self.sector);
        Ok(Some(Chain { file: self.file.try_clone()?, sector: self.sector, sectors, size }))
    }

    fn stream(&self, name: &str) -> io::Result<Option<Stream>> {
        let at = |place| u32_at(&self.head, place).unwrap_or(LAST_SECTOR);
        let Some(directory) = self.chain(at(0x30), None)? else { return Ok(None) };
        let (mut wanted, mut root) = (None, None);
        let mut entry = [0; ENTRY];
        let mut place = 0;
        while directory.fill(&mut entry, place)? {
            place += ENTRY as u64;
            let start = u32_at(&entry, 116).unwrap_or(LAST_SECTOR);
            match entry[66] {
                2 if wanted.is_none() && name_of(&entry) == name => {
                    wanted = Some((start, u64::from(u32_at(&entry, 120).unwrap_or(0))));
                }
                5 if root.is_none() => root = Some(start),
                _ => {}
            }
        }
        let Some((start, size)) = wanted else { return Ok(None) };
        if size >= u64::from(at(0x38)).min(SMALL) {
            return Ok(self.chain(start, Some(size))?.map(Stream::Chain));
        }
        let shared = self.chain(root.unwrap_or(LAST_SECTOR), None)?;
        let Some(shared) = shared else { return Ok(None) };
        let Some(table) = self.chain(at(0x3c), None)? else { return Ok(None) };
        small(&shared, &table, start, size)
    }
}

/// A stream of small sectors.
fn small(shared: &Chain, table: &Chain, start: u32, size: u64) -> io::Result<Option<Stream>> {
    let mut bytes = Vec::new();
    let mut next = start;
    while (bytes.len() as u64) < size {
        let mut sector = [0; SMALL_SECTOR as usize];
        let mut after = [0; 4];
        if next >= LAST_SECTOR
            || !shared.fill(&mut sector, u64::from(next) * SMALL_SECTOR)?
            || !table.fill(&mut after, u64::from(next) * 4)?
        {
            return Ok(None);
        }
        bytes.extend(sector);
        next = u32::from_le_bytes(after);
    }
    bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    Ok(Some(Stream::Held(bytes)))
}

fn name_of(entry: &[u8]) -> String {
    let length = usize::from(u16_at(entry, 64).unwrap_or(0)).min(64);
    let units = entry[..length].chunks_exact(2).filter_map(|unit| u16_at(unit, 0));
    char::decode_utf16(units.filter(|unit| *unit != 0)).filter_map(Result::ok).collect()
}
