//! What can be wrong with files, as errors with something to do about them.

use std::io;
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind};

use crate::limit::over_limit_of;

/// A file or folder cannot be read or written.
pub(crate) fn unreadable(path: &Path, cause: io::Error) -> Error {
    let shown = path.display();
    match cause.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "E-FILE-MISSING", format!("there is no {shown}"))
                .hint("check `path`; it is read relative to the folder of the configuration")
        }
        io::ErrorKind::PermissionDenied => Error::new(
            ErrorKind::Permission,
            "E-FILE-PERMISSION",
            format!("{shown} may not be used"),
        )
        .hint("let the hub's user read the folder and its files, and write there if it shall"),
        _ => Error::new(ErrorKind::Unreachable, "E-FILE-IO", format!("using {shown} failed"))
            .hint("check the disk or the share that holds the folder")
            .cause(cause),
    }
}

/// A file's content could not be read on.
pub(crate) fn broken(name: &str, cause: io::Error) -> Error {
    if let Some(over) = over_limit_of(&cause) {
        return over_limit(format!("file {name} {over}"));
    }
    match cause.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            damaged(name, "ends too early or is not what it says")
        }
        _ => unreadable(Path::new(name), cause),
    }
}

/// What a file holds could not be put aside while it is read.
pub(crate) fn not_aside(name: &str, cause: io::Error) -> Error {
    let message = format!("putting the content of file {name} into the temporary folder failed");
    Error::new(ErrorKind::Unreachable, "E-FILE-IO", message)
        .hint("let the hub's temporary folder (TMPDIR, else /tmp) be there and have room for what the file unpacks to")
        .cause(cause)
}

/// A file is not, or not wholly, what it should be.
pub(crate) fn damaged(name: &str, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Data, "E-FILE-DAMAGED", format!("file {name} {what}"))
        .hint("check `format` of the stream, or ask the sender to deliver the file again")
}

/// A file is, or claims to be, larger than anything honest.
pub(crate) fn over_limit(message: String) -> Error {
    Error::new(ErrorKind::Data, "E-FILE-LIMIT", message).hint(
        "look whether the sender's file is honest; if so, ask for several smaller ones, or raise \
         `unpacked_mib` where it is too large only once it is unpacked",
    )
}
