//! A connection: OpenSSH's client as a program, with the server's key pinned.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::net::ToSocketAddrs;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use huiliu_sdk::{Error, ErrorKind, Result, check_addresses};
use tempfile::NamedTempFile;

use super::wire::{self, Attributes, Packet, Reply};
use super::{NO_SUCH_FILE, refused};
use crate::config::Sftp;
use crate::fault::broken;

/// The longest answer accepted: a block, or a list of names.
const MAX_PACKET: u32 = 1 << 20;

/// What of the client's own words is looked at.
const MAX_WORDS: u64 = 16 << 10;

/// The name under which the server's key is pinned, whatever its address.
const ALIAS: &str = "huiliu-pinned";

const RENAME_OVER: &str = "posix-rename@openssh.com";
const SYNC: &str = "fsync@openssh.com";

pub(super) struct Session {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    /// Where the client writes what goes wrong.
    words: File,
    host: String,
    /// The pinned key, for as long as the client may read it.
    _known: NamedTempFile,
    next: u32,
    extensions: Vec<String>,
}

impl Session {
    pub(super) fn start(options: &Sftp) -> Result<Self> {
        check_host(options)?;
        let failed = |cause| broken("of the connection", cause);
        let mut known = NamedTempFile::new().map_err(failed)?;
        for key in &options.host_keys {
            writeln!(known, "{ALIAS} {key}").map_err(failed)?;
        }
        let words = tempfile::tempfile().map_err(failed)?;
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-T", "-x", "-a", "-p", &options.port.to_string()]);
        command.arg("-i").arg(&options.key).args(["-l", &options.user]);
        let known_hosts = format!("UserKnownHostsFile={}", known.path().display());
        let alias = format!("HostKeyAlias={ALIAS}");
        for option in [
            known_hosts.as_str(),
            alias.as_str(),
            "GlobalKnownHostsFile=none",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "CheckHostIP=no",
            "BatchMode=yes",
            "PasswordAuthentication=no",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "ConnectTimeout=15",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
            "ClearAllForwardings=yes",
            "PermitLocalCommand=no",
            "LogLevel=ERROR",
        ] {
            command.args(["-o", option]);
        }
        command.args(["-s", "--", &options.host, "sftp"]);
        let stderr = words.try_clone().map_err(failed)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().map_err(|cause| {
            Error::new(
                ErrorKind::Unsupported,
                "E-SFTP-CLIENT",
                "the program `ssh` could not be started",
            )
            .hint("install OpenSSH's client on this machine")
            .cause(cause)
        })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal("the client has no pipes"));
        };
        let mut session = Self {
            child,
            input: Some(BufWriter::new(input)),
            output: BufReader::new(output),
            words,
            host: options.host.clone(),
            _known: known,
            next: 0,
            extensions: Vec::new(),
        };
        session.write(wire::INIT, &3_u32.to_be_bytes())?;
        let (_, greeting) = session.packet()?;
        session.extensions = wire::extensions(&greeting).ok_or_else(|| session.cut())?;
        Ok(session)
    }

    fn write(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        let length = u32::try_from(body.len() + 1).unwrap_or(u32::MAX).to_be_bytes();
        let sent = self.input.as_mut().is_some_and(|input| {
            let head = input.write_all(&length).and_then(|()| input.write_all(&[kind]));
            head.and_then(|()| input.write_all(body)).and_then(|()| input.flush()).is_ok()
        });
        if sent { Ok(()) } else { Err(self.cut()) }
    }

    /// The next packet: its kind, and its bytes.
    fn packet(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        if self.output.read_exact(&mut head).is_err() {
            return Err(self.cut());
        }
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if length == 0 || length > MAX_PACKET {
            return Err(self.cut());
        }
        let mut body = vec![0; length as usize - 1];
        if self.output.read_exact(&mut body).is_err() {
            return Err(self.cut());
        }
        Ok((head[4], body))
    }

    /// Sends a request and says its number.
    pub(super) fn ask(&mut self, packet: Packet) -> Result<u32> {
        self.next = self.next.wrapping_add(1);
        let body = [&self.next.to_be_bytes(), packet.body.as_slice()].concat();
        self.write(packet.kind, &body)?;
        Ok(self.next)
    }

    /// The next answer, with the number of its request.
    pub(super) fn answer(&mut self) -> Result<(u32, Reply)> {
        let (kind, body) = self.packet()?;
        let number = body.first_chunk::<4>().map(|id| u32::from_be_bytes(*id));
        let reply = number.and_then(|id| Some((id, wire::reply(kind, &body[4..])?)));
        reply.ok_or_else(|| self.cut())
    }

    /// Asks and waits for the answer.
    pub(super) fn call(&mut self, packet: Packet) -> Result<Reply> {
        let id = self.ask(packet)?;
        match self.answer()? {
            (answered, reply) if answered == id => Ok(reply),
            _ => Err(self.cut()),
        }
    }

    pub(super) fn handle(&mut self, packet: Packet, what: &str) -> Result<Vec<u8>> {
        match self.call(packet)? {
            Reply::Handle(handle) => Ok(handle),
            other => Err(refused(what, &other)),
        }
    }

    pub(super) fn close(&mut self, handle: &[u8]) -> Result<()> {
        match self.call(Packet::new(wire::CLOSE).bytes(handle))? {
            Reply::Status(0) => Ok(()),
            other => Err(refused("the file", &other)),
        }
    }

    /// What is at `path`, without following a link; nothing if nothing is.
    pub(super) fn attributes(&mut self, path: &str) -> Result<Option<Attributes>> {
        match self.call(Packet::new(wire::LSTAT).text(path))? {
            Reply::Attributes(found) => Ok(Some(found)),
            Reply::Status(NO_SUCH_FILE) => Ok(None),
            other => Err(refused(path, &other)),
        }
    }

    /// Has what was written put on disk, if the server can.
    pub(super) fn sync(&mut self, handle: &[u8]) -> Result<()> {
        if !self.extensions.iter().any(|name| name == SYNC) {
            return Ok(());
        }
        match self.call(Packet::new(wire::EXTENDED).text(SYNC).bytes(handle))? {
            Reply::Status(0) => Ok(()),
            other => Err(refused("the file", &other)),
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, may_replace: bool) -> Result<()> {
        let packet = if may_replace && self.extensions.iter().any(|name| name == RENAME_OVER) {
            Packet::new(wire::EXTENDED).text(RENAME_OVER)
        } else {
            if may_replace {
                // A server that cannot replace at once has a moment without the file.
                self.call(Packet::new(wire::REMOVE).text(to))?;
            }
            Packet::new(wire::RENAME)
        };
        match self.call(packet.text(from).text(to))? {
            Reply::Status(0) => Ok(()),
            other => Err(refused(to, &other)),
        }
    }

    /// Why the connection ended, by the client's own words, which may name more than is to be told.
    pub(super) fn cut(&mut self) -> Error {
        self.input = None;
        drop(self.child.kill());
        drop(self.child.wait());
        let mut words = Vec::new();
        drop(self.words.seek(SeekFrom::Start(0)));
        drop((&self.words).take(MAX_WORDS).read_to_end(&mut words));
        let words = String::from_utf8_lossy(&words).to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        let host = &self.host;
        if has(&["host key verification failed", "host identification has changed"]) {
            return Error::new(
                ErrorKind::Auth,
                "E-SFTP-HOST-KEY",
                format!("{host} has another key than `host_key` says"),
            )
            .hint(
                "ask the server's operators whether they changed it, and pin the new one only then",
            );
        }
        if has(&["permission denied", "too many authentication failures", "load key"]) {
            return Error::new(
                ErrorKind::Auth,
                "E-AUTH",
                format!("{host} does not accept the user or the key"),
            )
            .hint("check `user` and `key`; the key file must be readable by its owner alone");
        }
        let connects = ["refused", "timed out", "resolve", "no route", "unreachable"];
        if has(&connects) {
            return unreachable(host);
        }
        Error::new(ErrorKind::Unreachable, "E-CUT", format!("the connection to {host} ended"))
            .hint("check the network and whether the server was restarted; try again")
    }
}

/// Refuses servers at addresses that are never connected to or not allowed. The client looks the name
/// up once more; whoever answers it must have the pinned key.
fn check_host(options: &Sftp) -> Result<()> {
    let host = &options.host;
    let found = (host.as_str(), options.port).to_socket_addrs();
    let found = found.map_err(|cause| unreachable(host).cause(cause))?;
    check_addresses(host, found.map(|address| address.ip()), true)
        .map_err(|refused| refused.of(host))
}

fn unreachable(host: &str) -> Error {
    Error::new(ErrorKind::Unreachable, "E-CONNECT", format!("{host} could not be reached"))
        .hint("check `host` and `port`, and that the network lets this machine through")
}

impl Drop for Session {
    fn drop(&mut self) {
        // The client ends with its input; a server that hangs must not keep it.
        self.input = None;
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
