//! Guards: a stream that would lose much, or change its columns, stops before its commit and
//! shows what it was about to do. Exactly that goes on when its hash is accepted.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use huiliu_core::config::Guard;
use huiliu_sdk::{Error, ErrorKind};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A handful of rows is no rate.
const RATE_FROM: u64 = 11;
/// Bytes of a plan's hash that are shown.
const HASH_BYTES: usize = 6;

/// What a step was about to do when a guard stopped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuardPlan {
    /// The step.
    pub node: String,
    /// `shrink`, `mass_delete`, `drift`, `load_again` or `load_done`.
    pub kind: &'static str,
    /// Rows the table has.
    pub rows_before: u64,
    /// Rows it would have.
    pub rows_after: u64,
    /// Rows that would be deleted.
    pub deleted: u64,
    /// What changes in its columns.
    pub changes: Vec<String>,
    /// What `--accept` takes. Equal for equal plans on an equal table.
    pub hash: String,
}

impl GuardPlan {
    /// A plan on the table as of `version`.
    pub(crate) fn build(node: &str, kind: &'static str, version: i64) -> PlanBuilder {
        PlanBuilder {
            plan: Self {
                node: node.to_owned(),
                kind,
                rows_before: 0,
                rows_after: 0,
                deleted: 0,
                changes: Vec::new(),
                hash: String::new(),
            },
            version,
        }
    }
}

/// A plan in the making.
pub(crate) struct PlanBuilder {
    plan: GuardPlan,
    version: i64,
}

impl PlanBuilder {
    pub(crate) fn rows(mut self, before: u64, after: u64) -> Self {
        (self.plan.rows_before, self.plan.rows_after) = (before, after);
        self
    }

    pub(crate) fn deleted(mut self, deleted: u64) -> Self {
        self.plan.deleted = deleted;
        self
    }

    pub(crate) fn changes(mut self, changes: Vec<String>) -> Self {
        self.plan.changes = changes;
        self
    }

    /// The plan with its hash.
    pub(crate) fn done(self) -> GuardPlan {
        let Self { mut plan, version } = self;
        let mut text = format!(
            "{}\0{}\0{version}\0{}\0{}\0{}",
            plan.node, plan.kind, plan.rows_before, plan.rows_after, plan.deleted
        );
        for change in &plan.changes {
            text.push('\0');
            text.push_str(change);
        }
        let digest = Sha256::digest(text.as_bytes());
        plan.hash = digest[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        plan
    }
}

/// What is accepted in one run, and what its guards stopped.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    accepted: BTreeSet<String>,
    used: Mutex<BTreeSet<String>>,
    stopped: Mutex<Vec<GuardPlan>>,
}

impl Guards {
    /// Guards that let the plans of these hashes pass.
    pub(crate) fn new(accepted: &[String]) -> Self {
        let accepted = accepted.iter().map(|hash| hash.trim().to_lowercase()).collect();
        Self { accepted, ..Self::default() }
    }

    /// Whether `plan` is accepted.
    pub(crate) fn accepts(&self, plan: &GuardPlan) -> bool {
        let is_accepted = self.accepted.contains(&plan.hash);
        if is_accepted {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.insert(plan.hash.clone());
        }
        is_accepted
    }

    /// Hashes that were accepted and let nothing pass.
    pub(crate) fn unused(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        self.accepted.difference(&used).cloned().collect()
    }

    /// Keeps what was stopped, for the report.
    pub(crate) fn stop(&self, plan: GuardPlan) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
    }

    /// What was stopped so far.
    pub(crate) fn stopped(&self) -> Vec<GuardPlan> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets `plan` pass when it is accepted; else the error that stops it.
    pub(crate) fn pass(
        &self,
        plan: GuardPlan,
        kind: ErrorKind,
        code: &'static str,
        message: String,
        advice: &str,
    ) -> Result<(), Error> {
        if self.accepts(&plan) {
            return Ok(());
        }
        let hint = format!(
            "nothing was committed; {advice}; if it is right: `huiliu run {} --accept {}`",
            plan.node, plan.hash
        );
        self.stop(plan);
        Err(Error::new(kind, code, message).hint(hint))
    }
}

/// Whether a table of `before` rows that would have `after` rows shrinks beyond its guard.
pub(super) fn shrinks(guard: &Guard, before: u64, after: u64) -> bool {
    exceeds(before.saturating_sub(after), before, guard.shrink_percent)
}

/// Whether `deleted` of `live` rows are more than the guard allows.
pub(super) fn deletes_many(guard: &Guard, live: u64, deleted: u64) -> bool {
    exceeds(deleted, live, guard.delete_percent)
}

fn exceeds(lost: u64, of: u64, percent: f64) -> bool {
    lost >= RATE_FROM && percent_of(lost, of) > percent
}

#[allow(clippy::cast_precision_loss)] // row counts are far below 2^52
pub(super) fn percent_of(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / (whole.max(1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_from_eleven_rows_on() {
        let guard = Guard::default();
        assert!(!shrinks(&guard, 10, 0));
        assert!(shrinks(&guard, 11, 0));
        assert!(!shrinks(&guard, 100, 70));
        assert!(shrinks(&guard, 100, 69));
        assert!(!shrinks(&guard, 100, 200));
        assert!(!deletes_many(&guard, 100, 20));
        assert!(deletes_many(&guard, 100, 21));
        assert!(!deletes_many(&Guard { delete_percent: 100.0, ..guard }, 100, 100));
    }

    #[test]
    fn the_same_plan_has_the_same_hash_and_no_other_has_it() {
        let plan = |node: &str, version, after| {
            GuardPlan::build(node, "shrink", version).rows(100, after).done()
        };
        let one = plan("a.b", 7, 10);
        assert_eq!(one.hash.len(), 12);
        assert_eq!(one, plan("a.b", 7, 10));
        for other in [plan("a.c", 7, 10), plan("a.b", 8, 10), plan("a.b", 7, 11)] {
            assert_ne!(one.hash, other.hash);
        }
        let guards = Guards::new(&[one.hash.to_uppercase()]);
        assert_eq!(guards.unused(), std::slice::from_ref(&one.hash));
        assert!(!guards.accepts(&plan("a.b", 8, 10)));
        assert!(guards.accepts(&one));
        assert!(guards.unused().is_empty());
    }

    #[test]
    fn what_is_not_accepted_stops_and_is_told() {
        let guards = Guards::default();
        let plan = GuardPlan::build("a.b", "shrink", 1).rows(100, 1).done();
        let stop = guards.pass(plan.clone(), ErrorKind::Data, "E-SHRINK", "m".into(), "look");
        assert!(stop.unwrap_err().hint_text().unwrap().contains(&plan.hash));
        assert_eq!(guards.stopped(), [plan]);
    }
}
