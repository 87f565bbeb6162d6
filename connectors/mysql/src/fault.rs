//! The server's errors in the contract's terms.
//!
//! What the server says may repeat values of rows (`Duplicate entry '...'`), so its words are
//! never passed on: only its number, and the name of a column if that is known to be one.

use std::fmt::Display;

use huiliu_sdk::{Error, ErrorKind};
use sqlx::mysql::MySqlDatabaseError;

/// The server's number of an error, if it comes from the server.
pub(crate) fn number(cause: &sqlx::Error) -> Option<u16> {
    let error = cause.as_database_error()?;
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// Whether the connection is gone, so that nobody answers on it any more.
pub(crate) fn lost(cause: &sqlx::Error) -> bool {
    match cause {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        _ => matches!(number(cause), Some(1053 | 1077 | 1080 | 1927 | 2006 | 2013 | 4031)),
    }
}

/// Whether the server refuses a row for what is in it, and not the statement or the session.
pub(crate) fn of_row(cause: &sqlx::Error) -> bool {
    matches!(
        number(cause),
        Some(
            1022 | 1048
                | 1062
                | 1216
                | 1217
                | 1263
                | 1264
                | 1265
                | 1292
                | 1364
                | 1366
                | 1367
                | 1406
                | 1411
                | 1416
                | 1451
                | 1452
                | 1525
                | 1586
                | 1644
                | 1690
                | 1878
                | 3140
                | 3819
                | 4025
        )
    )
}

/// What a refusal of a row means, without any value of it.
pub(crate) fn reason(cause: &sqlx::Error) -> &'static str {
    match number(cause) {
        Some(1022 | 1062 | 1586) => "another row has the same value where it must be unique",
        Some(1048 | 1263 | 1364) => "a value is missing where one is required",
        Some(1216 | 1452) => "it refers to a row that does not exist",
        Some(1217 | 1451) => "another row refers to it",
        Some(1264 | 1690) => "a number is out of range",
        Some(1406) => "a text is too long",
        Some(1265 | 1292 | 1366 | 1367 | 1411 | 1416 | 1525 | 1878 | 3140) => {
            "a value does not fit its column"
        }
        Some(3819 | 4025) => "it breaks a check of the table",
        Some(1644) => "a trigger of the table refuses it",
        _ => "the server refuses it",
    }
}

/// The column of `columns` that a refusal names.
pub(crate) fn named_column<'a>(
    cause: &sqlx::Error,
    columns: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let message = cause.as_database_error()?.message();
    // "... for column 'a' at row 1", "... for column `db`.`t`.`a` at row 1",
    // "Column 'a' cannot be null", "Field 'a' doesn't have a default value".
    let named = match message.rfind(" for column ") {
        Some(at) => message[at + " for column ".len()..].split(" at row").next()?,
        None => message.strip_prefix("Column ").or(message.strip_prefix("Field "))?,
    };
    columns.into_iter().find(|name| {
        let (quoted, ticked) = (format!("'{name}'"), format!("`{}`", name.replace('`', "``")));
        named == quoted
            || named == ticked
            || named.ends_with(&format!(".{ticked}"))
            || named.starts_with(&format!("{quoted} "))
    })
}

const ASK_OWNER: &str = "ask the system's owner for the right to do this on the tables concerned";

/// Turns a driver's error into the contract's; `what` was being done.
pub(crate) fn fault(what: impl Display, cause: sqlx::Error) -> Error {
    let Some(number) = number(&cause) else { return of_driver(&what, cause) };
    let (kind, code, hint) = match number {
        1045 | 1698 | 1820 | 1862 | 3118 | 3955 | 4151 => (
            ErrorKind::Auth,
            "E-MYSQL-AUTH",
            Some("check user and password in `url`; the account may be bound to another host"),
        ),
        1044 | 1130 | 1142 | 1143 | 1227 | 1290 | 1370 | 1792 => {
            (ErrorKind::Permission, "E-MYSQL-PERMISSION", Some(ASK_OWNER))
        }
        1049 => (
            ErrorKind::NotFound,
            "E-MYSQL-DATABASE",
            Some("correct the name of the database at the end of `url`"),
        ),
        1051 | 1146 => (
            ErrorKind::NotFound,
            "E-TABLE-MISSING",
            Some("run `discover` to see the tables, and correct the name"),
        ),
        1054 => (ErrorKind::Schema, "E-COLUMN-MISSING", Some("run `discover` to see the columns")),
        1040 | 1129 | 1203 | 1226 => (
            ErrorKind::Throttled,
            "E-MYSQL-BUSY",
            Some("the server has no connection to spare; lower limits.connections or come later"),
        ),
        1205 | 1317 | 1907 | 1969 | 3024 | 3572 => (
            ErrorKind::Timeout,
            "E-MYSQL-TIMEOUT",
            Some("another program holds the rows, or the server limits how long a query runs"),
        ),
        1020 | 1213 | 1412 => (
            ErrorKind::Conflict,
            "E-MYSQL-CONFLICT",
            Some("somebody changed the same rows or the table; try again"),
        ),
        1053 | 1077 | 1080 | 1152..=1161 | 1184 | 1927 | 2006 | 2013 | 4031 => (
            ErrorKind::Unreachable,
            "E-MYSQL-LOST",
            Some("the server ended the connection; see its log if that goes on"),
        ),
        1021 | 1037 | 1038 | 1041 | 1114 => {
            (ErrorKind::Unreachable, "E-MYSQL-FULL", Some("the server is out of disk or memory"))
        }
        _ if of_row(&cause) => (ErrorKind::Data, "E-MYSQL-VALUE", None),
        _ => (ErrorKind::Internal, "E-MYSQL", None),
    };
    let error = Error::new(kind, code, format!("{what} failed with server error {number}"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn of_driver(what: &impl Display, cause: sqlx::Error) -> Error {
    match cause {
        // A certificate that is not believed arrives as an answer that cannot be read.
        sqlx::Error::Io(cause)
            if cause.kind() == std::io::ErrorKind::InvalidData && cause.get_ref().is_some() =>
        {
            of_driver(what, sqlx::Error::Tls(cause.into()))
        }
        sqlx::Error::Io(cause) => {
            Error::new(ErrorKind::Unreachable, "E-MYSQL-LOST", format!("{what} failed"))
                .hint("check host and port in `url`, and the network to the server")
                .cause(cause)
        }
        sqlx::Error::Tls(cause) => {
            let words = cause.to_string();
            Error::new(ErrorKind::Unreachable, "E-MYSQL-TLS", format!("{what} failed: {words}"))
                .hint(
                    "let `ca` name the file of who signed the server's certificate; \
                 tls = \"off\" is for networks that are trusted as a whole",
                )
        }
        // The driver asks for RSA where MySQL 8 wants the password encrypted and there is no TLS.
        sqlx::Error::Configuration(cause) if cause.to_string().contains("RSA") => Error::new(
            ErrorKind::Auth,
            "E-MYSQL-SHA2",
            format!("{what} failed: the server takes this account's password only over TLS"),
        )
        .hint("use tls = \"verify\", or let the account log in by mysql_native_password"),
        // A driver that cannot read what comes has lost its place in the stream of bytes.
        sqlx::Error::Protocol(_) => Error::new(
            ErrorKind::Unreachable,
            "E-MYSQL-LOST",
            format!("{what} failed: the server's answer broke off or cannot be read"),
        )
        .hint("check the network and whether the database was restarted; try again"),
        sqlx::Error::Configuration(_) => Error::new(
            ErrorKind::Config,
            "E-MYSQL-URL",
            format!("{what} failed: `url` is not valid"),
        )
        .hint("write mysql://user:password@host:port/database"),
        _ => Error::new(ErrorKind::Internal, "E-MYSQL", format!("{what} failed")),
    }
}
