//! Statement processes as the hub has them: started ahead, lent to one statement at a time, kept when
//! it ended well, killed otherwise.
//!
//! Analysts' SQL is planned and computed there only. Whatever it does to its process, the hub and
//! everybody else's statements go on.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arrow_ipc::reader::StreamDecoder;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use huiliu_sdk::{Error, ErrorKind, Result};
use tempfile::TempDir;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::flow::Stopped;
use super::wire::{Answer, Described, Hello, Order, receive, send};

/// How many statements run at once, of all users together; others wait within their time.
const AT_WORK: usize = 8;
/// How many processes wait for a statement.
const IDLE: usize = 2;
/// How much longer than its statement a process may live, for clients that do not read.
const GRACE: Duration = Duration::from_secs(5);

/// The program that answers statements on its standard input, see `serve_statements`.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// What it is started with.
    pub arguments: Vec<OsString>,
    /// The folder it is started in.
    pub folder: PathBuf,
    /// The folder in which each process gets one of its own, to spill to.
    pub spill: PathBuf,
}

/// The connection to a process.
type Line = BufReader<UnixStream>;

/// The place of a process among those at work.
type Place = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

/// The processes of a hub.
#[derive(Clone)]
pub(super) struct Children {
    inner: Arc<Inner>,
}

struct Inner {
    program: Program,
    runtime: Handle,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Process>>,
}

/// A process; dropped, it is killed.
struct Process {
    line: Line,
    /// When it is killed at the latest, and closed when it has ended.
    life: watch::Sender<Option<Instant>>,
    place: Place,
}

/// A process at work for one statement; dropped before it is given back, it is killed.
struct Lent {
    process: Process,
    inner: Arc<Inner>,
}

impl Children {
    /// Processes of `program`, watched by `runtime`. The first one is started at once.
    pub(super) fn new(program: Program, runtime: Handle) -> Self {
        let places = Arc::new(Semaphore::new(AT_WORK));
        let idle = Mutex::default();
        let inner = Arc::new(Inner { program, runtime, places, idle });
        inner.runtime.spawn(Arc::clone(&inner).start_ahead());
        Self { inner }
    }

    /// Has a statement planned.
    pub(super) async fn describe(
        &self,
        order: &Order,
        deadline: Instant,
    ) -> Result<Described, Stopped> {
        let mut lent = self.lend(order, deadline).await.map_err(Stopped::Hub)?;
        match receive(&mut lent.process.line).await {
            Ok(Answer::Described(described)) => {
                lent.give_back();
                Ok(described)
            }
            Ok(Answer::Failed(told)) => {
                lent.give_back();
                Err(told.into())
            }
            _ => Err(Stopped::Hub(ended())),
        }
    }

    /// Starts a statement.
    pub(super) async fn run(&self, order: &Order, deadline: Instant) -> Result<Batches> {
        let lent = self.lend(order, deadline).await?;
        let (decoder, rest) = (StreamDecoder::new(), Buffer::from_vec(Vec::<u8>::new()));
        Ok(Batches { lent: Some(lent), decoder, rest })
    }

    /// A process that has got `order`; it does not outlive `deadline` for long.
    async fn lend(&self, order: &Order, deadline: Instant) -> Result<Lent> {
        let place = Arc::clone(&self.inner.places).acquire_owned().await;
        let place = place.map_err(|e| not_started(io::Error::other(e)))?;
        let process = loop {
            let (mut process, is_new) = match self.inner.idle_one() {
                Some(process) => (process, false),
                None => (self.inner.start().await.map_err(not_started)?, true),
            };
            match send(&mut process.line, order).await {
                Ok(()) => break process,
                Err(error) if is_new => return Err(not_started(error)),
                // It was killed while it was idle.
                Err(_) => {}
            }
        };
        *locked(&process.place) = Some(place);
        process.life.send_replace(Some(deadline + GRACE));
        Ok(Lent { process, inner: Arc::clone(&self.inner) })
    }
}

impl Inner {
    /// The process that was at work last, which knows most of what it needs.
    fn idle_one(&self) -> Option<Process> {
        loop {
            let process = locked(&self.idle).pop()?;
            if !process.life.is_closed() {
                return Some(process);
            }
        }
    }

    /// Starts a process if none is idle, so that the next statement need not wait for it.
    fn start_ahead(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if locked(&self.idle).iter().any(|process| !process.life.is_closed()) {
                return;
            }
            match self.start().await {
                Ok(process) => self.keep(process),
                Err(error) => {
                    tracing::error!(%error, "a process for statements could not be started");
                }
            }
        })
    }

    /// Keeps a process for the next statement, if it can be needed.
    fn keep(&self, process: Process) {
        let mut idle = locked(&self.idle);
        if idle.len() < IDLE {
            idle.push(process);
        }
    }

    async fn start(self: &Arc<Self>) -> io::Result<Process> {
        let program = &self.program;
        let spill = tempfile::Builder::new().prefix("statement-").tempdir_in(&program.spill)?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut line = BufReader::new(UnixStream::from_std(ours)?);
        let child = {
            // Its end of the line is closed here with the command.
            let mut command = Command::new(&program.path);
            command.args(&program.arguments).current_dir(&program.folder);
            command.process_group(0).kill_on_drop(true);
            command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
            command.spawn()?
        };
        let hello = Hello { spill: std::path::absolute(spill.path())? };
        let (life, until) = watch::channel(None);
        let place = Place::default();
        let watched = watch_over(Arc::downgrade(self), (child, spill), until, Arc::clone(&place));
        self.runtime.spawn(watched);
        send(&mut line, &hello).await?;
        Ok(Process { line, life, place })
    }
}

/// Watches over a process until it ends by itself, is late, or nobody has it any more.
async fn watch_over(
    inner: Weak<Inner>,
    (mut child, spill): (Child, TempDir),
    mut until: watch::Receiver<Option<Instant>>,
    place: Place,
) {
    let (was_at_work, is_over) = loop {
        let ends = *until.borrow_and_update();
        let late = async {
            match ends {
                Some(ends) => tokio::time::sleep_until(ends).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = until.changed() => {
                if changed.is_err() {
                    break (ends.is_some(), false);
                }
            }
            () = late => break (true, false),
            status = child.wait() => {
                tracing::warn!(?status, "a process of a statement ended by itself");
                break (ends.is_some(), true);
            }
        }
    };
    if !is_over && let Err(error) = child.kill().await {
        tracing::warn!(%error, "a process of a statement could not be killed");
    }
    drop(spill);
    *locked(&place) = None;
    drop(until);
    if let Some(inner) = inner.upgrade().filter(|_| was_at_work) {
        inner.start_ahead().await;
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lent {
    /// Gives back a process that has answered all it was asked.
    fn give_back(self) {
        self.process.life.send_replace(None);
        *locked(&self.process.place) = None;
        self.inner.keep(self.process);
    }
}

/// The batches of one running statement; dropping them ends it.
pub(crate) struct Batches {
    /// None after the end.
    lent: Option<Lent>,
    decoder: StreamDecoder,
    /// What was received and not yet decoded.
    rest: Buffer,
}

impl Batches {
    /// The next batch; none after the last one. It must not be asked again when it was not waited
    /// for.
    pub(crate) async fn next(&mut self) -> Option<Result<RecordBatch, Stopped>> {
        loop {
            // A batch without any bytes is complete only when what comes behind it is there.
            if !self.rest.is_empty() {
                match self.decoder.decode(&mut self.rest) {
                    Ok(None) => continue,
                    Ok(Some(batch)) => return Some(Ok(batch)),
                    Err(error) => {
                        self.lent = None;
                        let broken = Error::internal("rows of a statement cannot be decoded");
                        return Some(Err(Stopped::Hub(broken.cause(error))));
                    }
                }
            }
            let lent = self.lent.as_mut()?;
            match receive(&mut lent.process.line).await {
                Ok(Answer::Rows(bytes)) => self.rest = bytes,
                Ok(Answer::Done) => {
                    self.lent.take()?.give_back();
                    return None;
                }
                Ok(Answer::Failed(told)) => {
                    self.lent.take()?.give_back();
                    return Some(Err(told.into()));
                }
                Ok(Answer::Described(_)) | Err(_) => {
                    self.lent = None;
                    return Some(Err(Stopped::Hub(ended())));
                }
            }
        }
    }
}

/// What is told when a process ended that was at work.
fn ended() -> Error {
    let message = "the statement was ended: it needed more memory than one may have, or broke the \
                   engine";
    Error::new(ErrorKind::Data, "E-SQL-ENDED", message)
        .hint("ask for less at once, or let a model compute it during a run")
}

fn not_started(cause: io::Error) -> Error {
    Error::internal("a process for a statement could not be started").cause(cause)
}
