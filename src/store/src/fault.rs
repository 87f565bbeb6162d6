//! What the databases say, as the hub's errors.

use huiliu_sdk::{Error, ErrorKind};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

const REPORT: &str = "this is a fault of the hub; please report it";
pub(crate) const CORRUPT: &str =
    "restore the database from a backup; the lake's files are not affected";
const BUSY: &str = "another process is writing; try again";
const DISK: &str = "free some space: the step is tried again a few times, and the next run goes on from \
                    what was committed";

/// The index of SQLite's log could not grow, for which only a full disk is a reason.
const IOERR_SHMSIZE: u32 = 4874;

type Fault = (ErrorKind, &'static str, &'static str);

/// Turns a database error into the hub's, without repeating values it may quote.
pub fn database_error(action: &str, error: sqlx::Error) -> Error {
    let (kind, code, hint) = match &error {
        sqlx::Error::Database(inner) => match inner.try_downcast_ref::<PgDatabaseError>() {
            Some(inner) => postgres(inner.code()),
            None => sqlite(inner.as_ref()),
        },
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => (
            ErrorKind::Unreachable,
            "E-STORE-IO",
            "check the disk that holds the data folder, or the way to the database server",
        ),
        sqlx::Error::PoolTimedOut => {
            (ErrorKind::Timeout, "E-STORE-BUSY", "another task holds the database; try again")
        }
        // A value of another type than its column was damaged after it was written.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            (ErrorKind::Internal, "E-STORE-CORRUPT", CORRUPT)
        }
        _ => (ErrorKind::Internal, "E-STORE", REPORT),
    };
    let error_out = Error::new(kind, code, format!("the hub's database could not {action}"));
    // Postgres quotes values in its details; what it says at all stays out of ours.
    match &error {
        sqlx::Error::Database(inner) if inner.try_downcast_ref::<PgDatabaseError>().is_some() => {
            let cause = format!(
                "the database answered with {}",
                inner.code().as_deref().unwrap_or("no code")
            );
            error_out.hint(hint).cause(std::io::Error::other(cause))
        }
        _ => error_out.hint(hint).cause(error),
    }
}

fn sqlite(error: &dyn DatabaseError) -> Fault {
    // The lower byte is the primary code, the rest says more about it.
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
    if code == IOERR_SHMSIZE {
        return (ErrorKind::Unreachable, "E-DISK-FULL", DISK);
    }
    match code & 0xff {
        13 => (ErrorKind::Unreachable, "E-DISK-FULL", DISK),
        11 | 26 => (ErrorKind::Internal, "E-STORE-CORRUPT", CORRUPT),
        8 | 14 => (
            ErrorKind::Permission,
            "E-STORE-OPEN",
            "check that the data folder exists, may be written and has room on its disk",
        ),
        5 | 6 => (ErrorKind::Conflict, "E-STORE-BUSY", BUSY),
        10 => (
            ErrorKind::Unreachable,
            "E-STORE-IO",
            "check the disk that holds the data folder, or the way to the database server",
        ),
        _ => (ErrorKind::Internal, "E-STORE", REPORT),
    }
}

fn postgres(code: &str) -> Fault {
    match code {
        "53100" => (ErrorKind::Unreachable, "E-DISK-FULL", DISK),
        "XX001" | "XX002" => (ErrorKind::Internal, "E-STORE-CORRUPT", CORRUPT),
        "40001" | "40P01" | "55P03" => (ErrorKind::Conflict, "E-STORE-BUSY", BUSY),
        "3D000" => (
            ErrorKind::Config,
            "E-STORE-OPEN",
            "make the database on the server first, or correct the address in config/hub.toml",
        ),
        "42501" => (
            ErrorKind::Permission,
            "E-STORE-OPEN",
            "give the hub's user the right to make and write tables in its schema",
        ),
        "25P03" | "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "58030" => (
            ErrorKind::Unreachable,
            "E-STORE-IO",
            "check the disk that holds the data folder, or the way to the database server",
        ),
        _ if code.starts_with("28") => {
            (ErrorKind::Auth, "E-STORE-AUTH", "correct the user and password of the hub's database")
        }
        _ if code.starts_with("08") => (
            ErrorKind::Unreachable,
            "E-STORE-IO",
            "check the disk that holds the data folder, or the way to the database server",
        ),
        _ => (ErrorKind::Internal, "E-STORE", REPORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgres_says_has_a_code_of_ours() {
        for (state, kind, code) in [
            ("53100", ErrorKind::Unreachable, "E-DISK-FULL"),
            ("XX001", ErrorKind::Internal, "E-STORE-CORRUPT"),
            ("XX002", ErrorKind::Internal, "E-STORE-CORRUPT"),
            ("40P01", ErrorKind::Conflict, "E-STORE-BUSY"),
            ("57P01", ErrorKind::Unreachable, "E-STORE-IO"),
            ("58030", ErrorKind::Unreachable, "E-STORE-IO"),
            ("08006", ErrorKind::Unreachable, "E-STORE-IO"),
            ("28P01", ErrorKind::Auth, "E-STORE-AUTH"),
            ("42501", ErrorKind::Permission, "E-STORE-OPEN"),
            ("XX000", ErrorKind::Internal, "E-STORE"),
        ] {
            let found = postgres(state);
            assert_eq!((found.0, found.1), (kind, code), "{state}");
            assert!(!found.2.is_empty());
        }
    }
}
