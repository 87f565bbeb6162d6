//! What the door tells a client that something failed: SQLSTATE, message, hint.

use datafusion::error::DataFusionError;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use huiliu_sdk::{Error, ErrorKind};

/// The SQLSTATE codes of the door.
pub(crate) mod state {
    pub(crate) const PROTOCOL: &str = "08P01";
    pub(crate) const UNSUPPORTED: &str = "0A000";
    pub(crate) const BAD_PARAMETER: &str = "22023";
    pub(crate) const DATA: &str = "22000";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const ABORTED: &str = "25P02";
    pub(crate) const NOT_SO: &str = "28000";
    pub(crate) const LOGIN: &str = "28P01";
    pub(crate) const SYNTAX: &str = "42601";
    pub(crate) const NO_RIGHT: &str = "42501";
    pub(crate) const RULE: &str = "42000";
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
        (_, "E-MEMORY") => state::MEMORY,
        (_, "E-SQL-SIZE") => state::TOO_COMPLEX,
        (_, "E-SQL-SYNTAX") => state::SYNTAX,
        (_, "E-SQL-READ-ONLY") => state::READ_ONLY,
        (_, "E-SQL-BUSY") => state::TOO_MANY,
        (_, "E-SQL-ROWS") => state::TOO_LONG,
        (ErrorKind::Permission, _) => state::NO_RIGHT,
        (ErrorKind::Config, _) => state::RULE,
        (ErrorKind::Unsupported, _) => state::UNSUPPORTED,
        (ErrorKind::Cancelled | ErrorKind::Timeout, _) => state::CANCELLED,
        (ErrorKind::Data | ErrorKind::Schema, _) => state::DATA,
        _ => state::INTERNAL,
    };
    refuse(code, error.to_string(), error.hint_text().unwrap_or_default())
}

/// An error of DataFusion; an error of the hub that travelled through it comes out as it went in.
pub(crate) fn engine_error(error: &DataFusionError) -> PgWireError {
    let root = error.find_root();
    if let DataFusionError::External(inner) = root
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        return hub_error(ours);
    }
    let code = match root {
        DataFusionError::SQL(..) => state::SYNTAX,
        DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => state::RULE,
        DataFusionError::NotImplemented(_) => state::UNSUPPORTED,
        DataFusionError::ResourcesExhausted(_) => state::MEMORY,
        DataFusionError::Internal(_) => state::INTERNAL,
        _ => state::DATA,
    };
    let message = root.strip_backtrace();
    refuse(code, message.lines().next().unwrap_or_default(), "")
}
