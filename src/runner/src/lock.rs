//! One writing process per data folder. The lock dies with its process, however it ends.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::footprint::Footprint;

/// The lock of a data folder, held until dropped.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock or says who holds it.
    pub(crate) fn take(data: &Path, holder: &str) -> Result<Self> {
        Self::take_file(&data.join("huiliu.lock"), "is being written", holder)
    }

    /// Takes the lock of the one service of a data folder.
    pub(crate) fn take_service(data: &Path, holder: &str) -> Result<Self> {
        Self::take_file(&data.join("serve.lock"), "is being served", holder)
    }

    fn take_file(path: &Path, what: &str, holder: &str) -> Result<Self> {
        let io = |e: std::io::Error| {
            Error::new(
                ErrorKind::Permission,
                "E-LOCK",
                format!("the lock {} cannot be taken", path.display()),
            )
            .hint("check that the data folder may be written")
            .cause(e)
        };
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io)?;
        if file.try_lock().is_err() {
            let mut other = String::new();
            file.read_to_string(&mut other).map_err(io)?;
            let other = if other.trim().is_empty() { "another process" } else { other.trim() };
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-LEASE-BUSY",
                format!("the data folder {what} by {other}"),
            )
            .hint("wait for it to end, or use another --data folder"));
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        file.write_all(holder.as_bytes()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// The works of this process that write to a data folder. They share its lock, side by side as long
/// as their footprints do not meet; other processes wait for the last of them.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    lock: tokio::sync::Mutex<Weak<FolderLock>>,
    at_work: Mutex<Vec<(u64, Footprint)>>,
    next: AtomicU64,
}

/// The moment in which work begins: nothing else begins as long as it lasts.
pub(crate) struct Entry<'a> {
    writing: Writing,
    /// Whether nothing else of this process is at work, so that what dead ones left may be cleared.
    pub(crate) is_first: bool,
    _others_wait: tokio::sync::MutexGuard<'a, Weak<FolderLock>>,
}

/// Work on a data folder, until dropped.
pub(crate) struct Writing {
    lock: Arc<FolderLock>,
    folder: Arc<Folder>,
    id: u64,
}

impl Folder {
    /// Begins work that touches `footprint`, or says who is in the way.
    pub(crate) async fn enter<'a>(
        self: &'a Arc<Self>,
        data: &Path,
        holder: &str,
        footprint: Footprint,
    ) -> Result<Entry<'a>> {
        let mut held = self.lock.lock().await;
        let (lock, is_first) = match held.upgrade() {
            Some(lock) => (lock, false),
            None => {
                let lock = Arc::new(FolderLock::take(data, holder)?);
                *held = Arc::downgrade(&lock);
                (lock, true)
            }
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut at_work = self.at_work();
        if at_work.iter().any(|(_, other)| other.meets(&footprint)) {
            let message = format!("another run of {holder} is at work on the same");
            return Err(Error::new(ErrorKind::Conflict, "E-LEASE-BUSY", message)
                .hint("wait for it to end; `huiliu runs` shows it"));
        }
        at_work.push((id, footprint));
        drop(at_work);
        let writing = Writing { lock, folder: Arc::clone(self), id };
        Ok(Entry { writing, is_first, _others_wait: held })
    }

    fn at_work(&self) -> MutexGuard<'_, Vec<(u64, Footprint)>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry<'_> {
    /// Lets others begin.
    pub(crate) fn begun(self) -> Writing {
        self.writing
    }
}

impl Writing {
    /// Keeps all others from beginning, if none is at work now.
    pub(crate) fn alone(&self) -> Option<tokio::sync::MutexGuard<'_, Weak<FolderLock>>> {
        let held = self.folder.lock.try_lock().ok()?;
        (Arc::strong_count(&self.lock) == 1).then_some(held)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.folder.at_work().retain(|(id, _)| *id != self.id);
    }
}
