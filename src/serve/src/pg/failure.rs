//! What the door tells a client that something failed: SQLSTATE, message, hint.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use huiliu_sdk::{Error, ErrorKind};

use crate::sql::{Class, Stopped};

/// The SQLSTATE codes of the door.
pub(crate) mod state {
    pub(crate) const PROTOCOL: &str = "08P01";
    pub(crate) const UNSUPPORTED: &str = "0A000";
    pub(crate) const BAD_PARAMETER: &str = "22023";
    pub(crate) const DATA: &str = "22000";
    pub(crate) const DIVISION: &str = "22012";
    pub(crate) const TEXT_FORM: &str = "22P02";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const NO_TRANSACTION: &str = "25P01";
    pub(crate) const ABORTED: &str = "25P02";
    pub(crate) const NOT_SO: &str = "28000";
    pub(crate) const LOGIN: &str = "28P01";
    pub(crate) const SYNTAX: &str = "42601";
    pub(crate) const NO_RIGHT: &str = "42501";
    pub(crate) const RULE: &str = "42000";
    pub(crate) const NO_SUCH_COLUMN: &str = "42703";
    pub(crate) const NO_SUCH_FUNCTION: &str = "42883";
    pub(crate) const NO_SUCH_TABLE: &str = "42P01";
    pub(crate) const NO_SUCH_PLACE: &str = "3B001";
    pub(crate) const NO_SUCH_SETTING: &str = "42704";
    pub(crate) const TOO_MANY: &str = "53300";
    pub(crate) const MEMORY: &str = "53200";
    pub(crate) const TOO_COMPLEX: &str = "54001";
    pub(crate) const TOO_LONG: &str = "54000";
    pub(crate) const SHUTDOWN: &str = "57P01";
    pub(crate) const CANCELLED: &str = "57014";
    pub(crate) const INTERNAL: &str = "XX000";
}

/// An error the client can go on after.
pub(crate) fn refuse(code: &str, message: impl Into<String>, hint: &str) -> PgWireError {
    info("ERROR", code, message.into(), hint)
}

/// An error that ends the connection.
pub(crate) fn fatal(code: &str, message: impl Into<String>, hint: &str) -> PgWireError {
    info("FATAL", code, message.into(), hint)
}

fn info(severity: &str, code: &str, message: String, hint: &str) -> PgWireError {
    let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), message);
    info.hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
    PgWireError::UserError(Box::new(info))
}

/// An error of the hub.
pub(crate) fn hub_error(error: &Error) -> PgWireError {
    let code = match (error.kind(), error.code()) {
        (_, "E-MEMORY" | "E-SQL-ENDED") => state::MEMORY,
        (_, "E-SQL-SIZE") => state::TOO_COMPLEX,
        (_, "E-SQL-SYNTAX") => state::SYNTAX,
        (_, "E-SQL-READ-ONLY") => state::READ_ONLY,
        (_, "E-SQL-BUSY") => state::TOO_MANY,
        (_, "E-SQL-ROWS" | "E-SQL-ROW-SIZE") => state::TOO_LONG,
        (ErrorKind::Permission, _) => state::NO_RIGHT,
        (ErrorKind::Config, _) => state::RULE,
        (ErrorKind::Unsupported, _) => state::UNSUPPORTED,
        (ErrorKind::Cancelled | ErrorKind::Timeout, _) => state::CANCELLED,
        (ErrorKind::Data | ErrorKind::Schema, _) => state::DATA,
        _ => state::INTERNAL,
    };
    let text = error.to_string();
    let code = if error.code() == "E-SQL" { exact(code, &text) } else { code };
    refuse(code, text, error.hint_text().unwrap_or_default())
}

/// The code that tells more, by the engine's own words; clients go by it.
fn exact(code: &'static str, text: &str) -> &'static str {
    let told = [
        ("No field named", state::NO_SUCH_COLUMN),
        ("Invalid function '", state::NO_SUCH_FUNCTION),
        ("' not found", state::NO_SUCH_TABLE),
        ("Divide by zero", state::DIVISION),
        ("Cannot cast string", state::TEXT_FORM),
    ];
    let known = [state::RULE, state::DATA].contains(&code);
    told.iter().find(|(words, _)| known && text.contains(words)).map_or(code, |(_, exact)| *exact)
}

/// Why no more rows come; what the engine says is told in its own words.
pub(crate) fn stopped_error(stopped: &Stopped) -> PgWireError {
    let (class, text) = match stopped {
        Stopped::Hub(error) | Stopped::Through(error) => return hub_error(error),
        Stopped::Engine { class, text, .. } => (class, text),
    };
    let code = match class {
        Class::Syntax => state::SYNTAX,
        Class::Rule => state::RULE,
        Class::Unsupported => state::UNSUPPORTED,
        Class::Memory => state::MEMORY,
        Class::Internal => state::INTERNAL,
        Class::Data => state::DATA,
    };
    refuse(exact(code, text), text.as_str(), "")
}
