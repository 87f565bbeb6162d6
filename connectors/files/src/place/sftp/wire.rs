//! Packets of version 3 of the SSH file transfer protocol.

pub(super) const INIT: u8 = 1;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const LSTAT: u8 = 7;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const RENAME: u8 = 18;
pub(super) const EXTENDED: u8 = 200;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRIBUTES: u8 = 105;

pub(super) const FOR_READING: u32 = 1;
/// To write, made anew, not there before.
pub(super) const FOR_A_NEW_FILE: u32 = 0x02 | 0x08 | 0x20;

/// A request without its length and number.
pub(super) struct Packet {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

impl Packet {
    pub(super) fn new(kind: u8) -> Self {
        Self { kind, body: Vec::new() }
    }

    pub(super) fn number(mut self, number: u32) -> Self {
        self.body.extend(number.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, number: u64) -> Self {
        self.body.extend(number.to_be_bytes());
        self
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut packet = self.number(length);
        packet.body.extend(bytes);
        packet
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }
}

/// What the server knows of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: u64,
    mode: u32,
    /// Seconds since 1970.
    pub(super) changed: Option<i64>,
}

impl Attributes {
    pub(super) fn is_folder(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    pub(super) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

/// An answer.
#[derive(Debug)]
pub(super) enum Reply {
    Status(u32),
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Names(Vec<(Vec<u8>, Attributes)>),
    Attributes(Attributes),
}

/// Reads an answer of a kind from its bytes after the number of its request.
pub(super) fn reply(kind: u8, body: &[u8]) -> Option<Reply> {
    let mut rest = Rest(body);
    Some(match kind {
        STATUS => Reply::Status(rest.number()?),
        HANDLE => Reply::Handle(rest.bytes()?.to_vec()),
        DATA => Reply::Data(rest.bytes()?.to_vec()),
        ATTRIBUTES => Reply::Attributes(rest.attributes()?),
        NAME => {
            let count = rest.number()?;
            let mut names = Vec::new();
            for _ in 0..count {
                let name = rest.bytes()?.to_vec();
                // The same once more, in words for people.
                rest.bytes()?;
                names.push((name, rest.attributes()?));
            }
            Reply::Names(names)
        }
        _ => return None,
    })
}

/// The names of what a server can do besides, from its greeting.
pub(super) fn extensions(greeting: &[u8]) -> Option<Vec<String>> {
    let mut rest = Rest(greeting);
    if rest.number()? < 3 {
        return None;
    }
    let mut names = Vec::new();
    while !rest.0.is_empty() {
        names.push(String::from_utf8_lossy(rest.bytes()?).into_owned());
        rest.bytes()?;
    }
    Some(names)
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.number()? as usize;
        self.take(count)
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.number()?;
        let mut found = Attributes::default();
        if flags & 1 != 0 {
            found.size = u64::from_be_bytes(self.take(8)?.try_into().ok()?);
        }
        if flags & 2 != 0 {
            self.take(8)?;
        }
        if flags & 4 != 0 {
            found.mode = self.number()?;
        }
        if flags & 8 != 0 {
            self.number()?;
            found.changed = Some(i64::from(self.number()?));
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..self.number()? {
                self.bytes()?;
                self.bytes()?;
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_cut_or_lie_are_none() {
        let body = Packet::new(0).number(2).text("a").text("-rw a").number(1).long(7).body;
        for end in 0..body.len() {
            assert!(reply(NAME, &body[..end]).is_none(), "{end}");
        }
        assert!(reply(NAME, &Packet::new(0).number(u32::MAX).body).is_none());
        assert!(reply(DATA, &u32::MAX.to_be_bytes()).is_none());
        assert!(reply(99, &[]).is_none());
    }
}
