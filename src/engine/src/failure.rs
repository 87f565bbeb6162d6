//! DataFusion's errors as the hub's.

use datafusion::error::DataFusionError;
use huiliu_sdk::{Error, ErrorKind};

/// Turns an engine error into ours; an error of ours that travelled through DataFusion comes
/// out as it went in. `action` says what was tried.
pub fn engine_error(action: &str, error: DataFusionError) -> Error {
    let root = error.find_root();
    if let DataFusionError::External(inner) = root
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        let mut copy = Error::new(ours.kind(), ours.code(), ours.to_string()).context(action);
        if let Some(hint) = ours.hint_text() {
            copy = copy.hint(hint);
        }
        return copy;
    }
    let (kind, code, hint) = match root {
        DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
            (ErrorKind::Config, "E-SQL", "`huiliu query \"show tables\"` lists what can be queried")
        }
        DataFusionError::NotImplemented(_) => {
            (ErrorKind::Unsupported, "E-SQL", "write it another way")
        }
        DataFusionError::ResourcesExhausted(_) => {
            (ErrorKind::Data, "E-MEMORY", "raise `memory` in config/hub.toml, or ask for less")
        }
        _ => (
            ErrorKind::Data,
            "E-QUERY",
            "write the statement another way, or look at the rows it reads",
        ),
    };
    let message = root.strip_backtrace();
    let message = message.lines().take(3).collect::<Vec<_>>().join(" ");
    Error::new(kind, code, format!("{action}: {message}")).hint(hint)
}
