//! What a driver or the driver manager says, as an error of ours.
//!
//! A driver's words can repeat values of rows or parts of the connection string, so they are kept
//! only where they speak of neither.

use huiliu_sdk::{Error, ErrorKind};
use odbc_api::Error as OdbcError;
use odbc_api::environment;

/// The SQLSTATE of an error, if there is one.
pub(crate) fn state(error: &OdbcError) -> Option<&str> {
    match error {
        OdbcError::Diagnostics { record, .. } => Some(record.state.as_str()),
        _ => None,
    }
}

/// Whether the database refused the values of a row and nothing else.
pub(crate) fn is_of_row(state: &str) -> bool {
    ["22", "23", "44"].iter().any(|class| state.starts_with(class))
}

/// The SQLSTATE with which the database refused the values of a row. Drivers without states of
/// their own say HY000 for that, and for a lock that is taken.
pub(crate) fn refusal(error: &OdbcError) -> Option<&str> {
    let OdbcError::Diagnostics { record, .. } = error else { return None };
    let state = record.state.as_str();
    let words = record.to_string().to_lowercase();
    let is_busy = ["lock", "busy", "timeout"].iter().any(|word| words.contains(word));
    (is_of_row(state) || (state == "HY000" && !is_busy)).then_some(state)
}

/// Whether the connection is gone, so that nobody knows what became of the statement.
pub(crate) fn is_of_connection(error: &OdbcError) -> bool {
    match state(error) {
        Some(state) => ["08", "HYT", "57"].iter().any(|class| state.starts_with(class)),
        None => true,
    }
}

/// `error`, which arose while `what` was done.
pub(crate) fn fault(what: &str, error: &OdbcError) -> Error {
    let OdbcError::Diagnostics { record, .. } = error else {
        return Error::new(ErrorKind::Internal, "E-ODBC", format!("{what} failed"))
            .hint("check the ODBC driver and its driver manager");
    };
    let (state, text) = (record.state.as_str(), record.to_string());
    let said = words(state, &text);
    let message = format!("{what} failed ({state}){said}");
    let (kind, code, hint) = general(state, &text).unwrap_or_else(|| meaning(state));
    Error::new(kind, code, message).hint(hint)
}

/// An error while connecting, where the driver itself may be missing.
pub(crate) fn connecting(error: &OdbcError, connection: &str) -> Error {
    let text = match error {
        OdbcError::Diagnostics { record, .. } => record.to_string(),
        _ => String::new(),
    };
    let is_missing = state(error).is_some_and(|state| state == "IM002" || state == "IM003")
        || text.contains("Can't open lib")
        || text.contains("file not found");
    if is_missing {
        let named = driver(connection).unwrap_or_else(|| "the one named by `DSN`".to_owned());
        let message = format!("there is no ODBC driver `{named}` on this machine");
        return Error::new(ErrorKind::Config, "E-ODBC-DRIVER", message).hint(format!(
            "install it and register it with the driver manager; registered are: {}",
            installed()
        ));
    }
    match state(error) {
        Some(state) if is_of_login(state, &text) => {
            Error::new(ErrorKind::Auth, "E-AUTH", "the database does not let this user in")
                .hint("check user and password in `connection`")
        }
        Some(state) if is_of_place(state, &text) => {
            let message = format!("the database that `connection` names is not there ({state})");
            Error::new(ErrorKind::NotFound, "E-DATABASE-MISSING", message)
                .hint("check the name of the database in `connection`")
        }
        Some(state) => {
            let message = format!("the database cannot be reached ({state})");
            Error::new(ErrorKind::Unreachable, "E-CONNECT", message)
                .hint("check host, port, database, user and password in `connection`")
        }
        None => fault("connecting", error),
    }
}

/// Drivers have states for this, and still that of PostgreSQL gives 08001 for whatever keeps it from
/// connecting.
fn is_of_login(state: &str, text: &str) -> bool {
    state.starts_with("28")
        || text.contains("password authentication failed")
        || text.contains("no pg_hba.conf entry")
        || (text.contains("role \"") && text.contains("does not exist"))
}

/// Likewise, and that of SQLite gives HY000 with SQLite's own number for a file it cannot open.
fn is_of_place(state: &str, text: &str) -> bool {
    state == "3D000"
        || (text.contains("database \"") && text.contains("does not exist"))
        || (text.contains("[SQLite]") && text.contains("Native error: 14,"))
}

/// The name of the driver in a connection string, which is no secret.
fn driver(connection: &str) -> Option<String> {
    connection.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let is_driver = key.trim().eq_ignore_ascii_case("driver");
        is_driver.then(|| value.trim().trim_matches(['{', '}']).to_owned())
    })
}

fn installed() -> String {
    let drivers = environment().and_then(odbc_api::Environment::drivers).unwrap_or_default();
    let names: Vec<String> = drivers.into_iter().map(|driver| driver.description).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The driver's words on a statement, where they cannot hold values.
fn words(state: &str, text: &str) -> String {
    if !["42", "S0", "HYC", "IM"].iter().any(|class| state.starts_with(class)) {
        return String::new();
    }
    let said = text.split_once("Message: ").map_or(text, |(_, said)| said);
    let said: String = said.lines().next().unwrap_or_default().chars().take(300).collect();
    format!(": {said}")
}

type Meaning = (ErrorKind, &'static str, &'static str);

const TABLE_MISSING: Meaning = (
    ErrorKind::NotFound,
    "E-TABLE-MISSING",
    "run `discover` to see the tables, and correct `table`",
);

const COLUMN_MISSING: Meaning =
    (ErrorKind::Schema, "E-COLUMN-MISSING", "run `discover` to see the columns");

const IN_THE_WAY: Meaning =
    (ErrorKind::Conflict, "E-ODBC", "another transaction was in the way; try again");

/// What an error means whose state says nothing, by the words of SQLite and Oracle.
fn general(state: &str, text: &str) -> Option<Meaning> {
    let is = |words: &str| state == "HY000" && text.contains(words);
    if is("no such table") {
        Some(TABLE_MISSING)
    } else if is("no such column") {
        Some(COLUMN_MISSING)
    } else if ["database is locked", "deadlock", "serialize access"].into_iter().any(is) {
        Some(IN_THE_WAY)
    } else {
        None
    }
}

fn meaning(state: &str) -> Meaning {
    match state {
        "42S02" | "42P01" | "S0002" => TABLE_MISSING,
        "42S22" | "42703" | "S0022" => COLUMN_MISSING,
        "42501" => (
            ErrorKind::Permission,
            "E-PERMISSION",
            "ask the owner of the database for the right to use this table",
        ),
        // The last is what PostgreSQL itself says when it gives up a statement.
        "HYT00" | "HYT01" | "57014" => (
            ErrorKind::Timeout,
            "E-TIMEOUT",
            "the statement took longer than `statement_timeout`; raise it or read less at once",
        ),
        _ if state.starts_with("08") || state.starts_with("57P") => {
            (ErrorKind::Unreachable, "E-CONNECT", "the connection broke; it is tried again")
        }
        _ if state.starts_with("40") => IN_THE_WAY,
        _ if is_of_row(state) => (
            ErrorKind::Data,
            "E-ODBC-DATA",
            "compare the values with the constraints and types of the table",
        ),
        _ => (
            ErrorKind::Data,
            "E-ODBC-SQL",
            "check `dialect` and the names of table and columns; `discover` shows them",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drivers_name_is_taken_from_a_connection_string() {
        let text = "server=h; Driver={DM8 ODBC DRIVER};UID=u;PWD=p";
        assert_eq!(driver(text).as_deref(), Some("DM8 ODBC DRIVER"));
        assert_eq!(driver("DSN=front;PWD=p"), None);
    }

    #[test]
    fn states_that_say_too_little_are_told_apart_by_words() {
        assert!(is_of_login("28000", "") && is_of_place("3D000", ""));
        assert!(is_of_login("08001", "FATAL:  role \"nobody\" does not exist"));
        assert!(is_of_place("08001", "FATAL:  database \"none\" does not exist"));
        assert!(is_of_place("HY000", "Native error: 14, Message: [SQLite]connect failed"));
        assert!(!is_of_login("08001", "Connection refused"));
        assert!(!is_of_place("08001", "Connection refused"));
        let of = |text: &str| general("HY000", text).map(|(kind, ..)| kind);
        assert_eq!(of("[SQLite]no such table: nix (1)"), Some(ErrorKind::NotFound));
        let ours = "[Oracle][ODBC][Ora]ORA-08177: can't serialize access for this transaction";
        assert_eq!(of(ours), Some(ErrorKind::Conflict));
        assert_eq!(of("[SQLite]near \"x\": syntax error (1)"), None);
        assert_eq!(general("22001", "no such table"), None);
    }

    #[test]
    fn words_that_may_hold_values_are_left_out() {
        assert_eq!(words("23505", "Message: Key (id)=(340503...) exists"), "");
        assert_eq!(words("22001", "Message: value too long"), "");
        assert!(words("42601", "State: 42601, Message: syntax error").ends_with("syntax error"));
    }
}
