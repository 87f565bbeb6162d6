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

/// What a person has to decide, although errors of its kind pass by themselves otherwise.
const DECISIONS: [&str; 8] = [
    "E-LAKE-REWOUND",
    "E-LEASE-BUSY",
    "E-LEASE-LOST",
    "E-PARKED",
    "E-QUIET-HOURS",
    "E-SLOT-BUSY",
    "E-SOURCE-REWOUND",
    "E-TABLE-ID",
];

/// What happens after `error` on attempt number `attempt` (from 1). The wait is the longest one:
/// whoever waits takes a random part of it (all of it when the system said how long).
pub fn next_step(error: &Error, attempt: u32) -> NextStep {
    let backoff = Duration::from_secs(1 << (attempt.max(1) - 1).min(5));
    if DECISIONS.contains(&error.code()) {
        return NextStep::Operator;
    }
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

/// Whether the error of this code is a guard's: nothing was committed, and a person may let the
/// plan pass.
pub fn is_guard(code: &str) -> bool {
    matches!(code, "E-SHRINK" | "E-MASS-DELETE" | "E-DRIFT")
}

/// Whether a step that ended with this error only waits for a better hour.
pub fn is_postponed(error: &Error) -> bool {
    error.code() == "E-QUIET-HOURS"
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
    /// Stopped by a guard, a busy lease, a system whose connections are all taken, or a plan that is
    /// no longer the present one.
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
    let local =
        ["E-DISK-FULL", "E-STORE", "E-LAKE-IO", "E-LAKE-TORN", "E-LOCK", "E-DATA", "E-REPORT"];
    // A code or a family of codes: `E-STORE-IO` is of `E-STORE`, `E-DATABASE-MISSING` not of `E-DATA`.
    let rest = |family: &&str| error.code().strip_prefix(*family);
    local.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with('-'))
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
    let guarded = [
        "E-LEASE-BUSY",
        "E-PLAN-STALE",
        "E-REPAIR-APPLIED",
        "E-REPAIR-STALE",
        "E-REPAIR-UNDO",
        "E-SLOT-BUSY",
    ];
    if guarded.contains(&error.code()) {
        return exit::GUARDED;
    }
    match error.kind() {
        ErrorKind::Config | ErrorKind::Unsupported => exit::CONFIG,
        _ if is_not_ready(error) => exit::NOT_READY,
        ErrorKind::Cancelled => exit::INTERRUPTED,
        _ => exit::FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_the_system_knows_better() {
        let cut = || Error::new(ErrorKind::Unreachable, "E-CUT", "cut");
        let seconds = |attempt| match next_step(&cut(), attempt) {
            NextStep::Retry(wait) => wait.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!([1, 2, 3, 4, 9].map(seconds), [1, 2, 4, 8, 32]);
        let asked = Error::new(ErrorKind::Throttled, "E-THROTTLED", "slow").retry_after_ms(7_000);
        assert_eq!(next_step(&asked, 1), NextStep::Retry(Duration::from_secs(7)));
    }

    #[test]
    fn what_a_person_has_to_decide_is_not_tried_again() {
        for code in DECISIONS {
            let error = Error::new(ErrorKind::Conflict, code, "x");
            assert_eq!(next_step(&error, 1), NextStep::Operator, "{code}");
        }
        let wrong = Error::new(ErrorKind::Schema, "E-DRIFT", "x");
        assert_eq!(next_step(&wrong, 1), NextStep::Operator);
        let bad = Error::new(ErrorKind::Data, "E-JSON", "x");
        assert_eq!(next_step(&bad, 1), NextStep::Never);
    }
}
