//! The folder: listing it and opening files beneath it, and nowhere else.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use huiliu_sdk::{Error, ErrorKind, Result};

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

    /// The names in the folder that `wanted` picks, sorted; folders are left out.
    pub(crate) fn names(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let failed = |cause| unreadable(&self.root, cause);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if !wanted(&name.to_string_lossy()) || entry.file_type().map_err(failed)?.is_dir() {
                continue;
            }
            match name.into_string() {
                Ok(name) => names.push(name),
                Err(name) => {
                    return Err(Error::new(
                        ErrorKind::Data,
                        "E-FILE-NAME",
                        format!("the name of file {} is not UTF-8", name.to_string_lossy()),
                    )
                    .hint("rename the file"));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a file that [`Self::names`] gave.
    pub(crate) fn file(&self, name: &str) -> Result<File> {
        self.find(name)?.ok_or_else(|| {
            unreadable(&self.root.join(name), io::Error::from(io::ErrorKind::NotFound))
        })
    }

    /// Opens the file `name`, or nothing if there is none.
    pub(crate) fn find(&self, name: &str) -> Result<Option<File>> {
        let path = self.root.join(name);
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
}

fn outside(name: &str) -> Error {
    Error::new(
        ErrorKind::Permission,
        "E-PATH",
        format!("file {name} is no regular file of this folder"),
    )
    .hint("put the file itself into the folder instead of a link")
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    let shown = path.display();
    match cause.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "E-FILE-MISSING", format!("there is no {shown}"))
                .hint("check `path`; it is read relative to the folder of the configuration")
        }
        io::ErrorKind::PermissionDenied => Error::new(
            ErrorKind::Permission,
            "E-FILE-PERMISSION",
            format!("{shown} may not be read"),
        )
        .hint("let the hub's user read the folder and its files"),
        _ => Error::new(ErrorKind::Unreachable, "E-FILE-IO", format!("reading {shown} failed"))
            .cause(cause),
    }
}

/// A file's content could not be read on.
pub(crate) fn broken(name: &str, cause: io::Error) -> Error {
    unreadable(Path::new(name), cause)
}
