//! Records of the workbook, read one after the other: each has a kind and at most 64 KiB.

use std::io::{self, BufReader, Read};

use huiliu_sdk::{Error, Result};

use super::compound::{Reader, Stream};
use crate::fault::{broken, damaged};

pub(super) const CONTINUE: u16 = 0x003c;

/// Bytes of a record before what it holds: its kind and how many follow.
const HEAD: usize = 4;

pub(super) struct Records<'a> {
    input: BufReader<Reader<'a>>,
    file: &'a str,
    /// Where the record that was read last begins, and the next one.
    at: u64,
    next: u64,
    kind: u16,
    data: Vec<u8>,
    ahead: Ahead,
}

/// What stands behind the record that was read last.
enum Ahead {
    Record { kind: u16, length: u16 },
    End,
    Cut,
}

impl<'a> Records<'a> {
    /// Goes through the records of a stream from a place on.
    pub(super) fn new(stream: &'a Stream, at: u64, file: &'a str) -> Result<Self> {
        let input = BufReader::with_capacity(64 << 10, stream.reader(at));
        let data = Vec::new();
        let mut records = Self { input, file, at, next: at, kind: 0, data, ahead: Ahead::End };
        records.look()?;
        Ok(records)
    }

    /// Reads the next record; `false` where there is none any more.
    pub(super) fn next(&mut self) -> Result<bool> {
        let (kind, length) = match self.ahead {
            Ahead::Record { kind, length } => (kind, length),
            Ahead::End => return Ok(false),
            Ahead::Cut => return Err(self.cut()),
        };
        self.kind = kind;
        self.data.resize(usize::from(length), 0);
        self.input.read_exact(&mut self.data).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => self.cut(),
            _ => broken(self.file, cause),
        })?;
        self.at = self.next;
        self.next += HEAD as u64 + u64::from(length);
        self.look()?;
        Ok(true)
    }

    /// Reads the next record if it continues this one.
    pub(super) fn continues(&mut self) -> Result<bool> {
        match self.ahead {
            Ahead::Record { kind: CONTINUE, .. } => self.next(),
            _ => Ok(false),
        }
    }

    fn look(&mut self) -> Result<()> {
        let mut head = [0; HEAD];
        let mut count = 0;
        while count < HEAD {
            let read = self.input.read(&mut head[count..]);
            match read.map_err(|cause| broken(self.file, cause))? {
                0 => break,
                more => count += more,
            }
        }
        let [kind, length] = [0, 2].map(|at| u16::from_le_bytes([head[at], head[at + 1]]));
        self.ahead = match count {
            0 => Ahead::End,
            HEAD => Ahead::Record { kind, length },
            _ => Ahead::Cut,
        };
        Ok(())
    }

    pub(super) fn kind(&self) -> u16 {
        self.kind
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Where the record begins.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn cut(&self) -> Error {
        damaged(self.file, "is cut off within its workbook")
    }
}
