//! What an attempt comes to: it ended well, is tried again, or failed.

use chrono::{DateTime, TimeDelta, Utc};
use huiliu_core::config::{CatchUpWord, JobConfig};
use huiliu_core::policy::exit;
use huiliu_sdk::{Error, ErrorKind};
use huiliu_store::{End, OccurrenceState};

use super::scheduler::{Stop, WorkEnd};
use super::second;

/// What an attempt that ended so comes to.
pub(super) fn judge(
    job: &JobConfig,
    attempt: i64,
    why: Option<Stop>,
    mut ended: WorkEnd,
    now: DateTime<Utc>,
) -> (OccurrenceState, End, WorkEnd) {
    let mut end = End::default();
    if let Some(report) = &ended.report {
        end.run_id = Some(report.run_id);
        end.exit_code = Some(report.exit_code);
    }
    let is_busy = ended.error.as_ref().is_some_and(|error| error.code() == "E-LEASE-BUSY");
    let is_well = ended.report.as_ref().is_some_and(|report| report.exit_code <= exit::FINDINGS);
    if is_busy && why.is_none() {
        // Somebody else writes to the data folder; it waits for its turn.
        end.did_not_begin = true;
        return (OccurrenceState::Queued, end, ended);
    }
    if ended.error.is_none() && is_well {
        return (OccurrenceState::Done, end, ended);
    }
    match why {
        Some(Stop::Service) => {
            // What was missed would be run at the next start, and so is what was stopped.
            let again = job.catch_up != CatchUpWord::None;
            let state = if again { OccurrenceState::Queued } else { OccurrenceState::Cancelled };
            end.did_not_begin = is_busy;
            return (state, end, ended);
        }
        Some(Stop::Killed) => return (OccurrenceState::Killed, end, ended),
        Some(Stop::TimedOut) => {
            let limit = job.timeout.as_deref().unwrap_or_default();
            let message = format!("job {} was stopped after {limit}", job.name);
            ended.error = Some(
                Error::new(ErrorKind::Timeout, "E-JOB-OVERDUE", message)
                    .hint("see in `huiliu runs show` what took so long, or raise its `timeout`"),
            );
        }
        None => {}
    }
    let first = ended.report.as_ref().and_then(|report| {
        report.steps.iter().find(|step| step.state == "failed" || step.code.is_some())
    });
    match (&ended.error, first) {
        (Some(error), _) => {
            end.code = Some(error.code().to_owned());
            end.message = Some(error.to_string());
        }
        (None, Some(step)) => {
            end.code.clone_from(&step.code);
            end.message = step.message.as_ref().map(|text| format!("{}: {text}", step.node));
        }
        (None, None) => {}
    }
    let code = end.exit_code.unwrap_or(exit::FAILED);
    // What a guard stopped waits for a person.
    let may_pass = !matches!(code, exit::GUARDED | exit::CONFIG);
    if may_pass && attempt <= i64::from(job.retries) {
        let wait = TimeDelta::from_std(job.retry_after()).unwrap_or_default();
        end.again_at = Some(second(now + wait));
        return (OccurrenceState::Queued, end, ended);
    }
    (OccurrenceState::Failed, end, ended)
}
