//! Where files are: a folder of this machine or of a server, or a bucket.

use std::fs::File;

use chrono::{DateTime, Utc};
use huiliu_sdk::{Error, ErrorKind, Result};
use tempfile::NamedTempFile;

mod local;
mod s3;
mod sftp;

pub(crate) use local::Folder;
pub(crate) use s3::Bucket;
pub(crate) use sftp::Remote;

/// A file of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// When it was last changed in any way, as far as the place knows.
    pub(crate) changed: Option<DateTime<Utc>>,
}

/// A flat set of files. Names never lead out of it.
pub(crate) trait Place: Send + Sync {
    /// The files whose names `wanted` picks, sorted by name.
    fn list(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>>;

    /// The content of the file `name`, or nothing if there is none. A file that is far away is
    /// brought here first.
    fn open(&self, name: &str) -> Result<Option<File>>;

    /// A file to write that nobody sees yet.
    fn draft(&self) -> Result<NamedTempFile>;

    /// Lets the whole draft appear under `name` at once, on disk; it takes the place of what is
    /// there only if it `may_replace`.
    fn publish(&self, draft: NamedTempFile, name: &str, may_replace: bool) -> Result<()>;

    /// Removes the file `name` if it is there.
    fn remove(&self, name: &str) -> Result<()>;
}

/// A file that is there is never replaced where it must not be.
fn exists(name: &str) -> Error {
    Error::new(ErrorKind::Conflict, "E-FILE-EXISTS", format!("there is a file {name} already"))
        .hint("put {time} into `file` of the push, or load it by replace")
}
