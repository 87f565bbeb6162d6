//! One writing process per data folder. The lock dies with its process, however it ends.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};

/// The lock of a data folder, held until dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock or says who holds it.
    pub(crate) fn take(data: &Path, holder: &str) -> Result<Self> {
        let path = data.join("huiliu.lock");
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
            .open(&path)
            .map_err(io)?;
        if file.try_lock().is_err() {
            let mut other = String::new();
            file.read_to_string(&mut other).map_err(io)?;
            let other = if other.trim().is_empty() { "another process" } else { other.trim() };
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-LEASE-BUSY",
                format!("the data folder is being written by {other}"),
            )
            .hint("wait for it to end, or use another --data folder"));
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        file.write_all(holder.as_bytes()).map_err(io)?;
        Ok(Self { _file: file })
    }
}
