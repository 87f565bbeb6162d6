//! The driver's errors as the contract's, by SQLSTATE.

use huiliu_sdk::{Error, ErrorKind};
use sqlx::postgres::PgDatabaseError;

struct Meaning {
    kind: ErrorKind,
    code: &'static str,
    hint: Option<&'static str>,
    /// Whether the server's words name objects only. Others may repeat values.
    speaks_of_objects: bool,
}

fn meaning(state: &str) -> Meaning {
    let of = |kind, code, hint| Meaning { kind, code, hint, speaks_of_objects: true };
    match (state, state.get(..2).unwrap_or_default()) {
        (_, "28") => {
            of(ErrorKind::Auth, "E-AUTH", Some("check the user and the password in `url`"))
        }
        ("3D000", _) => of(
            ErrorKind::NotFound,
            "E-DATABASE-MISSING",
            Some("check the name of the database in `url`"),
        ),
        ("42P01" | "3F000", _) => of(
            ErrorKind::NotFound,
            "E-TABLE-MISSING",
            Some("run `discover` to see the tables, and correct the name"),
        ),
        ("42703", _) => {
            of(ErrorKind::Schema, "E-COLUMN-MISSING", Some("run `discover` to see the columns"))
        }
        ("42501" | "25006", _) => of(
            ErrorKind::Permission,
            "E-PERMISSION",
            Some("ask the owner of the database to grant the user of `url` what it needs"),
        ),
        ("57014" | "55P03" | "25P03" | "57P05", _) => of(
            ErrorKind::Timeout,
            "E-TIMEOUT",
            Some("raise `statement_timeout`, or ask what keeps the database busy"),
        ),
        ("57P01" | "57P02" | "57P04", _) | (_, "08") => of(
            ErrorKind::Unreachable,
            "E-CUT",
            Some("the database ended the connection; try again, and ask its operators if it stays"),
        ),
        ("57P03", _) => of(
            ErrorKind::Unreachable,
            "E-CONNECT",
            Some("the database is starting or stopping; try again later"),
        ),
        ("53300", _) => of(
            ErrorKind::Throttled,
            "E-THROTTLED",
            Some("the database has no connection to spare; lower `parallel` or try again later"),
        ),
        ("40001" | "40P01", _) => of(
            ErrorKind::Conflict,
            "E-CONFLICT",
            Some("somebody else changed the same rows; try again"),
        ),
        ("53100", _) => of(
            ErrorKind::Unreachable,
            "E-POSTGRES-FULL",
            Some("the disk of the database's own machine is full; ask its operators"),
        ),
        ("XX001" | "XX002", _) => of(
            ErrorKind::Data,
            "E-POSTGRES-CORRUPT",
            Some("the database's own files are damaged; ask its operators, and do not read on"),
        ),
        ("0A000", _) => of(ErrorKind::Unsupported, "E-UNSUPPORTED", None),
        (_, "42") => of(
            ErrorKind::Schema,
            "E-POSTGRES-SQL",
            Some("run `discover` to see what the database offers"),
        ),
        (_, "22" | "23" | "21" | "44") => Meaning {
            kind: ErrorKind::Data,
            code: "E-POSTGRES-DATA",
            hint: Some("correct the rows that do not fit the table"),
            speaks_of_objects: false,
        },
        (_, "53" | "58") => of(
            ErrorKind::Unreachable,
            "E-POSTGRES",
            Some("the database's own machine is in trouble; ask its operators"),
        ),
        _ => Meaning {
            kind: ErrorKind::Internal,
            code: "E-POSTGRES",
            hint: None,
            speaks_of_objects: false,
        },
    }
}

/// What failed, for people, and what can be done about it. Row values are never repeated.
pub(crate) fn fault(what: impl std::fmt::Display, cause: sqlx::Error) -> Error {
    let broken = |code, hint: &str| {
        Error::new(ErrorKind::Unreachable, code, format!("{what} failed")).hint(hint)
    };
    match cause {
        sqlx::Error::Database(error) => {
            let state = error.code().unwrap_or_default().into_owned();
            let meaning = meaning(&state);
            let (kind, code) = (meaning.kind, meaning.code);
            let mut fault = if meaning.speaks_of_objects {
                // Only the server's words: the driver adds the line of the server's own source.
                Error::new(kind, code, format!("{what} failed: {}", error.message()))
            } else {
                let place = error.try_downcast_ref::<PgDatabaseError>().and_then(place);
                let place = place.unwrap_or_default();
                Error::new(kind, code, format!("{what} failed with SQLSTATE {state}{place}"))
            };
            if let Some(hint) = meaning.hint {
                fault = fault.hint(hint);
            }
            fault
        }
        // A certificate that is not believed arrives as an answer that cannot be read.
        sqlx::Error::Io(error) if is_of_tls(&error) => {
            let hint = "check the server's certificate, `ca` and the sslmode in `url`";
            broken("E-TLS", hint).cause(error)
        }
        sqlx::Error::Io(error) => {
            let cut = !matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound
            );
            let (code, hint) = if cut {
                ("E-CUT", "check the network and whether the database was restarted; try again")
            } else {
                ("E-CONNECT", "check the host and the port in `url`, and that the database runs")
            };
            broken(code, hint).cause(error)
        }
        sqlx::Error::Tls(error) => {
            let hint = "check the server's certificate, `ca` and the sslmode in `url`";
            broken("E-TLS", hint).cause(sqlx::Error::Tls(error))
        }
        sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => broken(
            "E-CUT",
            "the answer was not that of a PostgreSQL server, or was cut; check `url` and try again",
        ),
        other => {
            Error::new(ErrorKind::Internal, "E-POSTGRES", format!("{what} failed")).cause(other)
        }
    }
}

fn is_of_tls(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData && error.get_ref().is_some()
}

/// The SQLSTATE of an error that the server gave.
pub(crate) fn state(cause: &sqlx::Error) -> Option<String> {
    Some(cause.as_database_error()?.code()?.into_owned())
}

/// Whether a state speaks of the rows that were sent and not of the server or the connection.
pub(crate) fn is_of_rows(state: &str) -> bool {
    matches!(state.get(..2), Some("21" | "22" | "23" | "44" | "P0"))
}

/// The constraint and the column an error speaks of.
pub(crate) fn place(error: &PgDatabaseError) -> Option<String> {
    let constraint = error.constraint().map(|name| format!(" by constraint `{name}`"));
    let column = error.column().map(|name| format!(" at column `{name}`"));
    let place = constraint.unwrap_or_default() + &column.unwrap_or_default();
    (!place.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_troubles_are_told_apart() {
        for (state, kind, code) in [
            ("53100", ErrorKind::Unreachable, "E-POSTGRES-FULL"),
            ("53200", ErrorKind::Unreachable, "E-POSTGRES"),
            ("53300", ErrorKind::Throttled, "E-THROTTLED"),
            ("58030", ErrorKind::Unreachable, "E-POSTGRES"),
            ("57P03", ErrorKind::Unreachable, "E-CONNECT"),
            ("08006", ErrorKind::Unreachable, "E-CUT"),
            ("XX001", ErrorKind::Data, "E-POSTGRES-CORRUPT"),
            ("XX002", ErrorKind::Data, "E-POSTGRES-CORRUPT"),
            ("XX000", ErrorKind::Internal, "E-POSTGRES"),
        ] {
            let found = meaning(state);
            assert_eq!((found.kind, found.code), (kind, code), "{state}");
        }
    }
}
