//! A folder of an SFTP server. The connection, the keys and the check of the server are OpenSSH's
//! own: its client is started as a program, and this speaks version 3 of the protocol with it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use huiliu_sdk::{Error, ErrorKind, Result};
use tempfile::NamedTempFile;

use super::{Entry, Place};
use crate::config::Sftp;
use crate::fault::broken;

mod session;
mod wire;

use session::Session;
use wire::{Attributes, Packet, Reply};

/// Bytes asked for at once, which every server gives.
const BLOCK: u32 = 32 << 10;

/// Requests under way, so that a long line is filled.
const AHEAD: usize = 32;

const NO_SUCH_FILE: u32 = 2;
const END_OF_FILE: u32 = 1;

/// A folder on a server.
pub(crate) struct Remote {
    folder: String,
    session: Mutex<Session>,
}

impl Remote {
    /// Connects and finds the folder.
    pub(crate) fn open(options: &Sftp, folder: &str) -> Result<Self> {
        let mut session = Session::start(options)?;
        let found = session.attributes(folder)?;
        if !found.as_ref().is_some_and(Attributes::is_folder) {
            return Err(Error::new(
                ErrorKind::NotFound,
                "E-FILE-MISSING",
                format!("there is no folder {folder} on {}", options.host),
            )
            .hint("check `path`; on a server it is read from the user's own folder"));
        }
        Ok(Self { folder: folder.trim_end_matches('/').to_owned(), session: Mutex::new(session) })
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of `name`, which is a name and no path.
    fn path(&self, name: &str) -> Result<String> {
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(outside(name));
        }
        Ok(format!("{}/{name}", self.folder))
    }
}

fn outside(name: &str) -> Error {
    Error::new(
        ErrorKind::Permission,
        "E-PATH",
        format!("file {name} is no regular file of this folder"),
    )
    .hint("put the file itself into the folder instead of a link")
}

impl Place for Remote {
    fn list(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>> {
        let mut session = self.session();
        let handle = session.handle(Packet::new(wire::OPENDIR).text(&self.folder), &self.folder)?;
        let mut entries = Vec::new();
        loop {
            let names = match session.call(Packet::new(wire::READDIR).bytes(&handle))? {
                Reply::Names(names) => names,
                Reply::Status(END_OF_FILE) => break,
                other => return Err(refused(&self.folder, &other)),
            };
            for (name, attributes) in names {
                if attributes.is_folder() || !wanted(&String::from_utf8_lossy(&name)) {
                    continue;
                }
                let name = String::from_utf8(name).map_err(|error| {
                    let name = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    Error::new(
                        ErrorKind::Data,
                        "E-FILE-NAME",
                        format!("the name of file {name} is not UTF-8"),
                    )
                    .hint("rename the file")
                })?;
                let changed =
                    attributes.changed.and_then(|at| DateTime::<Utc>::from_timestamp(at, 0));
                entries.push(Entry { name, size: attributes.size, changed });
            }
        }
        session.close(&handle)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn open(&self, name: &str) -> Result<Option<File>> {
        let path = self.path(name)?;
        let mut session = self.session();
        let Some(before) = session.attributes(&path)? else { return Ok(None) };
        if !before.is_file() {
            return Err(outside(name));
        }
        let file = fetch(&mut session, &path, name, before.size)?;
        // A file that grows or is replaced meanwhile is not what stands there now.
        if session.attributes(&path)?.as_ref() != Some(&before) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-FILE-CHANGED",
                format!("file {name} changed while it was read"),
            )
            .hint("let the sender write under another name and rename the file when it is done"));
        }
        Ok(Some(file))
    }

    fn draft(&self) -> Result<NamedTempFile> {
        NamedTempFile::new().map_err(|cause| broken("being written", cause))
    }

    fn publish(&self, draft: NamedTempFile, name: &str, may_replace: bool) -> Result<()> {
        let path = self.path(name)?;
        let mut session = self.session();
        if !may_replace && session.attributes(&path)?.is_some() {
            return Err(super::exists(name));
        }
        let unique = draft.path().file_name().and_then(|name| name.to_str()).unwrap_or("draft");
        let beside = format!("{}/.huiliu-{}.part", self.folder, unique.trim_start_matches('.'));
        let sent = send(&mut session, draft.as_file(), &beside, name)
            .and_then(|()| session.rename(&beside, &path, may_replace));
        if sent.is_err() {
            // What is left of it is in nobody's way, but need not stay.
            drop(session.call(Packet::new(wire::REMOVE).text(&beside)));
        }
        sent
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        match self.session().call(Packet::new(wire::REMOVE).text(&path))? {
            Reply::Status(0 | NO_SUCH_FILE) => Ok(()),
            other => Err(refused(name, &other)),
        }
    }
}

/// Brings a file here, several blocks at a time.
fn fetch(session: &mut Session, path: &str, name: &str, size: u64) -> Result<File> {
    let failed = |cause| broken(name, cause);
    let file = tempfile::tempfile().map_err(failed)?;
    let open = Packet::new(wire::OPEN).text(path).number(wire::FOR_READING).number(0);
    let handle = session.handle(open, name)?;
    let mut asked: VecDeque<(u32, u64, u32)> = VecDeque::new();
    let mut rest: VecDeque<(u64, u32)> = VecDeque::new();
    let mut next = 0;
    let mut has_ended = false;
    loop {
        while asked.len() < AHEAD {
            let (at, length) = match rest.pop_front() {
                Some(part) => part,
                None if next < size && !has_ended => {
                    let at = next;
                    next += u64::from(BLOCK);
                    (at, BLOCK)
                }
                None => break,
            };
            let read = Packet::new(wire::READ).bytes(&handle).long(at).number(length);
            asked.push_back((session.ask(read)?, at, length));
        }
        if asked.is_empty() {
            break;
        }
        let (id, reply) = session.answer()?;
        let place = asked.iter().position(|(asked, ..)| *asked == id);
        let Some((_, at, length)) = place.and_then(|place| asked.remove(place)) else {
            return Err(session.cut());
        };
        match reply {
            Reply::Data(bytes) if bytes.len() <= length as usize && !bytes.is_empty() => {
                file.write_all_at(&bytes, at).map_err(failed)?;
                let got = bytes.len() as u32;
                // The last block is as short as the file ends.
                if got < length && at + u64::from(got) < size {
                    rest.push_back((at + u64::from(got), length - got));
                }
            }
            Reply::Status(END_OF_FILE) => has_ended = true,
            other => return Err(refused(name, &other)),
        }
    }
    session.close(&handle)?;
    Ok(file)
}

/// Sends a file to `path`, and has it put on disk there if the server can.
fn send(session: &mut Session, mut file: &File, path: &str, name: &str) -> Result<()> {
    let failed = |cause| broken(name, cause);
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let open = Packet::new(wire::OPEN).text(path).number(wire::FOR_A_NEW_FILE).number(0);
    let handle = session.handle(open, name)?;
    let mut block = vec![0; BLOCK as usize];
    let (mut at, mut waiting) = (0, 0);
    loop {
        let read = file.read(&mut block).map_err(failed)?;
        if read > 0 {
            let write = Packet::new(wire::WRITE).bytes(&handle).long(at).bytes(&block[..read]);
            session.ask(write)?;
            at += read as u64;
            waiting += 1;
        }
        while waiting > 0 && (waiting >= AHEAD || read == 0) {
            match session.answer()? {
                (_, Reply::Status(0)) => waiting -= 1,
                (_, other) => return Err(refused(name, &other)),
            }
        }
        if read == 0 {
            break;
        }
    }
    session.sync(&handle)?;
    session.close(&handle)
}

/// The server does not do what was asked.
fn refused(what: &str, reply: &Reply) -> Error {
    match reply {
        Reply::Status(NO_SUCH_FILE) => Error::new(
            ErrorKind::NotFound,
            "E-FILE-MISSING",
            format!("there is no {what} on the server"),
        )
        .hint("check `path`; on a server it is read from the user's own folder"),
        Reply::Status(3) => Error::new(
            ErrorKind::Permission,
            "E-FILE-PERMISSION",
            format!("the server does not allow {what} to be used"),
        )
        .hint("ask the server's operators to let the user read the folder, and write there if it shall"),
        Reply::Status(code) => Error::new(
            ErrorKind::Unreachable,
            "E-FILE-IO",
            format!("using {what} failed on the server with code {code}"),
        )
        .hint("ask the server's operators whether its disk is full or broken"),
        _ => Error::new(
            ErrorKind::Unreachable,
            "E-CUT",
            format!("the server gave an answer about {what} that is none"),
        ),
    }
}
