//! A tap or target as a child process in a group of its own.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use huiliu_sdk::{Cx, Error, Result};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::BufReader;
use tokio::process::{Child, ChildStdout, Command};

use crate::config::Settings;
use crate::fault::{broken, idle, not_started, too_long};
use crate::folder::Folder;
use crate::line::{Line, next_line};
use crate::words::Words;

/// Where programs are looked for that are named without a folder.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the pipe from the program holds on our side; beyond it the program waits for us.
const OUTPUT_BYTES: usize = 64 << 10;

/// A program at work. Dropped, it is ended with everything it has started.
pub(crate) struct Program {
    name: String,
    idle: Duration,
    child: Child,
    pid: Pid,
    words: Words,
    /// Removed after the program has ended.
    _folder: Folder,
}

impl Program {
    /// Starts the program of `settings` with more `arguments`. Its output is the second value.
    pub(crate) fn start(
        settings: &Settings,
        folder: Folder,
        arguments: &[OsString],
        input: Stdio,
    ) -> Result<(Self, Output)> {
        let name = settings.program().to_owned();
        let mut own = settings.command.iter();
        let mut command = Command::new(own.next().map_or("", String::as_str));
        command.args(own).args(arguments);
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.envs(&settings.environment);
        command.current_dir(&settings.base).process_group(0).kill_on_drop(true);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|cause| not_started(&name, cause))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (Some(pid), Some(output), Some(errors)) =
            (pid, child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::internal("a program has no pipes"));
        };
        let words = Words::listen(errors);
        let output = Output {
            name: name.clone(),
            input: BufReader::with_capacity(OUTPUT_BYTES, output),
            most: settings.line_bytes,
            idle: settings.idle,
            line: Vec::new(),
            number: 0,
        };
        let program = Self { name, idle: settings.idle, child, pid, words, _folder: folder };
        Ok((program, output))
    }

    /// Waits for the program's own end, once its output has ended. What it has started and left
    /// behind is ended with it.
    pub(crate) async fn exit(&mut self) -> Result<ExitStatus> {
        let pid = self.pid;
        // Looked at without taking it away, so that the group still has its number.
        let ended = tokio::task::spawn_blocking(move || {
            retry_on_intr(|| {
                waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            })
        });
        let is_idle = tokio::time::timeout(self.idle, ended).await.is_err();
        let status = self.stop().await?;
        self.words.finish().await;
        if is_idle { Err(idle(&self.name, self.idle, "")) } else { Ok(status) }
    }

    /// Ends the program and everything of its group, and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<ExitStatus> {
        self.kill_group();
        self.child.wait().await.map_err(|cause| broken("the end of a program", cause))
    }

    fn kill_group(&self) {
        // Without a number it was waited for, and the number may be another's by now.
        if self.child.id().is_some() {
            // It fails when nobody of the group is left.
            kill_process_group(self.pid, Signal::KILL).ok();
        }
    }

    /// Its last words, without the secrets of `settings`.
    pub(crate) async fn said(&mut self, settings: &Settings) -> String {
        self.words.finish().await;
        self.words.last(&settings.redactor)
    }

    /// How many warnings it gave, and the last one.
    pub(crate) async fn warnings(&mut self, settings: &Settings) -> Option<(u64, String)> {
        self.words.finish().await;
        self.words.warnings(&settings.redactor)
    }

    /// Ends it because of `error`. Of one that fell silent its last words say most.
    pub(crate) async fn give_up(&mut self, settings: &Settings, error: Error) -> Error {
        if let Err(cause) = self.stop().await {
            return cause;
        }
        if error.code() != "E-SINGER-IDLE" {
            return error;
        }
        let said = self.said(settings).await;
        idle(&self.name, self.idle, &said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// What a program writes, line by line.
pub(crate) struct Output {
    name: String,
    input: BufReader<ChildStdout>,
    most: usize,
    idle: Duration,
    line: Vec<u8>,
    number: u64,
}

impl Output {
    /// The next line that has anything, with its number; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        loop {
            let read = next_line(&mut self.input, &mut self.line, self.most);
            let Ok(read) = tokio::time::timeout(self.idle, read).await else {
                return Err(idle(&self.name, self.idle, ""));
            };
            self.number += 1;
            match read.map_err(|cause| broken("the output of a program", cause))? {
                Line::End => return Ok(None),
                Line::TooLong => return Err(too_long(&self.name, self.number, self.most)),
                Line::Whole if self.line.trim_ascii().is_empty() => {}
                Line::Whole => break,
            }
        }
        Ok(Some((self.number, &self.line)))
    }

    /// Everything it writes, as one text within the limit of a line.
    pub(crate) async fn all(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let (name, most) = (self.name.clone(), self.most);
        while let Some((number, line)) = self.next().await? {
            if all.len() + line.len() >= most {
                return Err(too_long(&name, number, most));
            }
            all.extend_from_slice(line);
            all.push(b'\n');
        }
        Ok(all)
    }
}

/// Waits for `work`, unless the caller asks to stop.
pub(crate) async fn unless_cancelled<T>(
    cx: &Cx,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(Error::cancelled()),
        done = work => done,
    }
}
