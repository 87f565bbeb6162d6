//! A folder of this machine: files are opened beneath it, and nowhere else.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use huiliu_sdk::{Error, ErrorKind, Result};
use tempfile::NamedTempFile;

use super::{Entry, Place};
use crate::fault::unreadable;

/// A folder whose real place is known.
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Finds the folder at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let root = path.canonicalize().map_err(|cause| unreadable(path, cause))?;
        if !root.is_dir() {
            return Err(Error::new(
                ErrorKind::Config,
                "E-FOLDER",
                format!("{} is not a folder", path.display()),
            )
            .hint("let `path` name the folder that holds the files"));
        }
        Ok(Self { root })
    }

    /// The path of `name`, which is a name and no path.
    fn path(&self, name: &str) -> Result<PathBuf> {
        let is_name = !name.is_empty() && name != ".." && name != ".";
        if !is_name || name.contains(['/', '\\', '\0']) {
            return Err(outside(name));
        }
        Ok(self.root.join(name))
    }
}

impl Place for Folder {
    fn list(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>> {
        let failed = |cause| unreadable(&self.root, cause);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if !wanted(&name.to_string_lossy()) || entry.file_type().map_err(failed)?.is_dir() {
                continue;
            }
            let name = name.into_string().map_err(|name| {
                Error::new(
                    ErrorKind::Data,
                    "E-FILE-NAME",
                    format!("the name of file {} is not UTF-8", name.to_string_lossy()),
                )
                .hint("rename the file")
            })?;
            // One that went away meanwhile is missed when it is opened.
            let metadata = entry.metadata().ok();
            let size = metadata.as_ref().map_or(0, Metadata::len);
            entries.push(Entry { name, size, changed: metadata.as_ref().and_then(changed) });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn open(&self, name: &str) -> Result<Option<File>> {
        let path = self.path(name)?;
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                // A link to nowhere is refused below like any other that leaves the folder.
                if path.is_symlink() {
                    return Err(outside(name));
                }
                return Ok(None);
            }
            Err(cause) => return Err(unreadable(&path, cause)),
        };
        // A link or pipe put into the folder must not make the hub read something else.
        if !real.starts_with(&self.root) || !real.is_file() {
            return Err(outside(name));
        }
        File::open(&real).map(Some).map_err(|cause| unreadable(&path, cause))
    }

    fn draft(&self) -> Result<NamedTempFile> {
        // In the folder itself, because a file is renamed at once only within a file system.
        tempfile::Builder::new()
            .prefix(".huiliu-")
            .suffix(".part")
            .tempfile_in(&self.root)
            .map_err(|cause| unreadable(&self.root, cause))
    }

    fn publish(&self, draft: NamedTempFile, name: &str, may_replace: bool) -> Result<()> {
        let path = self.path(name)?;
        let failed = |cause| unreadable(&path, cause);
        readable_by_others(draft.as_file()).map_err(failed)?;
        draft.as_file().sync_all().map_err(failed)?;
        let renamed =
            if may_replace { draft.persist(&path) } else { draft.persist_noclobber(&path) };
        renamed.map_err(|cause| match cause.error.kind() {
            io::ErrorKind::AlreadyExists => super::exists(name),
            _ => failed(cause.error),
        })?;
        File::open(&self.root).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(unreadable(&path, cause)),
            _ => Ok(()),
        }
    }
}

/// When anything about the file was last changed. A sender can set the time of the content, as
/// tools that keep it do while they still write; that of the file's entry nobody sets.
#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<DateTime<Utc>> {
    use std::os::unix::fs::MetadataExt;
    let entry = DateTime::from_timestamp(metadata.ctime(), 0)?;
    let content = DateTime::from_timestamp(metadata.mtime(), 0)?;
    Some(entry.max(content))
}

#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<DateTime<Utc>> {
    metadata.modified().ok().map(DateTime::from)
}

/// A temporary file is its owner's alone; what is delivered is for others.
#[cfg(unix)]
fn readable_by_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_others(_file: &File) -> io::Result<()> {
    Ok(())
}

fn outside(name: &str) -> Error {
    Error::new(
        ErrorKind::Permission,
        "E-PATH",
        format!("file {name} is no regular file of this folder"),
    )
    .hint("put the file itself into the folder instead of a link")
}
