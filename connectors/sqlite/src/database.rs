//! Opening the database, naming its faults, quoting its identifiers.

use std::path::Path;
use std::time::Duration;

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

/// How long a read waits for a writer to let go, and a writer for all others.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows that SQLite may be ahead of the decoder. Each may be as large as a row can be.
const ROW_BUFFER: usize = 8;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// SQLite itself lets nothing be changed over it.
    Read,
    /// Rows are marked or written over it. A file that is not there is not made.
    Write,
}

/// Opens the database at `path`.
pub(crate) async fn open(path: &Path, purpose: Purpose) -> Result<SqliteConnection> {
    let shown = path.display();
    match tokio::fs::metadata(path).await {
        Ok(found) if found.is_file() => {}
        Ok(_) => {
            return Err(Error::new(
                ErrorKind::Config,
                "E-SQLITE-FILE",
                format!("{shown} is not a database file"),
            )
            .hint("let `path` name the database file itself"));
        }
        Err(cause) => return Err(unreadable(&shown.to_string(), cause)),
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(purpose == Purpose::Read)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROW_BUFFER)
        .disable_statement_logging();
    let mut db = SqliteConnection::connect_with(&options)
        .await
        .map_err(|cause| fault(format!("opening {shown}"), cause))?;
    let encoding: String = sqlx::query("pragma encoding")
        .fetch_one(&mut db)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|cause| fault(format!("opening {shown}"), cause))?;
    if encoding != "UTF-8" {
        // Values arrive in the database's own encoding, and the driver reads them as UTF-8.
        return Err(Error::new(
            ErrorKind::Unsupported,
            "E-SQLITE-ENCODING",
            format!("{shown} keeps its text as {encoding}"),
        )
        .hint("make a UTF-8 copy of the database and read that"));
    }
    Ok(db)
}

fn unreadable(shown: &str, cause: std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::NotFound => Error::new(
            ErrorKind::NotFound,
            "E-SQLITE-MISSING",
            format!("there is no database file at {shown}"),
        )
        .hint("check `path`; it is read relative to the folder of the configuration"),
        std::io::ErrorKind::PermissionDenied => Error::new(
            ErrorKind::Permission,
            "E-SQLITE-PERMISSION",
            format!("{shown} may not be read"),
        )
        .hint("let the hub's user read the file and its folder"),
        _ => Error::new(
            ErrorKind::Unreachable,
            "E-SQLITE-FILE",
            format!("{shown} could not be looked at"),
        )
        .cause(cause),
    }
}

/// Runs a statement that gives no rows.
pub(crate) async fn execute(db: &mut SqliteConnection, sql: &'static str) -> Result<()> {
    sqlx::query(sql).execute(db).await.map(|_| ()).map_err(|cause| fault(sql, cause))
}

/// Waits for `step` unless the caller asks to stop.
pub(crate) async fn unless_cancelled<T>(
    cx: &Cx,
    step: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err(Error::cancelled()),
        done = step => done,
    }
}

/// SQLite's own number of an error.
pub(crate) fn number(cause: &sqlx::Error) -> Option<i32> {
    cause.as_database_error().and_then(|error| error.code()?.parse().ok())
}

/// The primary number of an error: the low byte; the rest refines it.
pub(crate) fn primary(cause: &sqlx::Error) -> Option<i32> {
    number(cause).map(|number| number & 0xff)
}

/// Turns a driver's error into the contract's. SQLite's messages name objects, never values; only
/// a trigger may say whatever it likes about a row, so its words are not kept.
pub(crate) fn fault(what: impl std::fmt::Display, cause: sqlx::Error) -> Error {
    let (kind, code, hint) = match primary(&cause) {
        Some(5 | 6) => (
            ErrorKind::Timeout,
            "E-SQLITE-BUSY",
            Some("another program holds the database; try again when it is done"),
        ),
        Some(11 | 26) => (
            ErrorKind::Data,
            "E-SQLITE-CORRUPT",
            Some("the file is damaged or no SQLite database; ask its owner for a good copy"),
        ),
        Some(3 | 8 | 23) => (
            ErrorKind::Permission,
            "E-SQLITE-PERMISSION",
            Some("let the hub's user read the file and its folder, and write both to mark or push"),
        ),
        Some(10 | 13 | 14) => (
            ErrorKind::Unreachable,
            "E-SQLITE-IO",
            Some("check the disk or the share that holds the database"),
        ),
        Some(1) => (
            ErrorKind::Schema,
            "E-SQLITE-SQL",
            Some("run `discover` to see what the database offers"),
        ),
        Some(19) => (
            ErrorKind::Data,
            "E-SQLITE-VALUE",
            Some("look at the table's constraints and triggers, and at what was to be written"),
        ),
        _ => (ErrorKind::Internal, "E-SQLITE", None),
    };
    let error = Error::new(kind, code, format!("{what} failed"));
    let error = if code == "E-SQLITE-VALUE" { error } else { error.cause(cause) };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Writes a name so that SQLite reads it as an identifier and as nothing else.
///
/// SQLite takes a quoted name that is no column as text, so columns are also qualified by
/// [`column`].
pub(crate) fn quote(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        if c == '"' {
            quoted.push('"');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A column of the table that is read under the alias `t`.
pub(crate) fn column(name: &str) -> String {
    format!("t.{}", quote(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_names() {
        assert_eq!(quote("plain"), "\"plain\"");
        assert_eq!(quote("a\"; drop table t; --"), "\"a\"\"; drop table t; --\"");
        assert_eq!(quote("办件🏛"), "\"办件🏛\"");
        assert_eq!(column("select"), "t.\"select\"");
    }
}
