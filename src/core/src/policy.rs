//! The only place that maps what went wrong to what happens next.

use std::time::Duration;

use huiliu_sdk::{Error, ErrorKind};

/// What happens after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Try again after this long.
    Retry(Duration),
    /// A person must do something first.
    Operator,
    /// Trying again is of no use.
    Never,
}

/// What happens after `error` on attempt number `attempt` (from 1).
pub fn next_step(error: &Error, attempt: u32) -> NextStep {
    let backoff = Duration::from_secs(1 << attempt.min(5));
    match error.kind() {
        ErrorKind::Unreachable
        | ErrorKind::Throttled
        | ErrorKind::Timeout
        | ErrorKind::Conflict => NextStep::Retry(error.retry_after().unwrap_or(backoff)),
        ErrorKind::Auth | ErrorKind::Permission | ErrorKind::Config | ErrorKind::Schema => {
            NextStep::Operator
        }
        ErrorKind::NotFound
        | ErrorKind::Data
        | ErrorKind::Unsupported
        | ErrorKind::Cancelled
        | ErrorKind::Internal => NextStep::Never,
    }
}

/// Exit codes of the program.
pub mod exit {
    /// Done, nothing for a person to do.
    pub const DONE: u8 = 0;
    /// Done with findings.
    pub const FINDINGS: u8 = 1;
    /// Usage or configuration invalid, nothing ran.
    pub const CONFIG: u8 = 2;
    /// Nothing of the selected work succeeded, or a run did not balance.
    pub const FAILED: u8 = 3;
    /// Some streams succeeded, some failed.
    pub const PARTIAL: u8 = 4;
    /// Stopped by a guard or a busy lease.
    pub const GUARDED: u8 = 5;
    /// Not ready: credentials, network, missing secret.
    pub const NOT_READY: u8 = 6;
    /// Interrupted.
    pub const INTERRUPTED: u8 = 130;
    /// Terminated.
    pub const TERMINATED: u8 = 143;
}

/// Whether the fault lies with the hub's own disk or database, and with no system.
pub fn is_local(error: &Error) -> bool {
    let local = ["E-DISK-FULL", "E-STORE", "E-LAKE-IO", "E-LAKE-TORN", "E-LOCK", "E-DATA"];
    local.iter().any(|code| error.code().starts_with(code))
}

/// Whether a system could not be reached or did not let us in, as against a fault of its data,
/// of ours, or of the hub's own disk.
pub fn is_not_ready(error: &Error) -> bool {
    if is_local(error) {
        return false;
    }
    matches!(
        error.kind(),
        ErrorKind::Auth
            | ErrorKind::Permission
            | ErrorKind::NotFound
            | ErrorKind::Unreachable
            | ErrorKind::Throttled
            | ErrorKind::Timeout
    )
}

/// The exit code for an error that ended the whole command.
pub fn exit_code(error: &Error) -> u8 {
    if error.code() == "E-LEASE-BUSY" {
        return exit::GUARDED;
    }
    match error.kind() {
        ErrorKind::Config | ErrorKind::Unsupported => exit::CONFIG,
        _ if is_not_ready(error) => exit::NOT_READY,
        ErrorKind::Cancelled => exit::INTERRUPTED,
        _ => exit::FAILED,
    }
}
