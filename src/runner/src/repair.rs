//! Repairs: what would be corrected where for systems to agree, done by the hash of the shown plan,
//! and taken back from what the targets had.

mod image;
mod plan;
mod queue;
mod settle;

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::RepairRow;
use serde::{Deserialize, Serialize};

use crate::hub::Hub;

pub(crate) use image::{Image, images_with, quoted};
pub(crate) use queue::ReadyRepair;

/// What a repair is asked to correct; everything without any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairScope {
    /// Differences of this entity, such as `case`.
    pub entity: Option<String>,
    /// Differences of this system of a reconciliation.
    pub system: Option<String>,
    /// Differences of this rule.
    pub rule: Option<String>,
    /// Differences of this key.
    pub key: Option<String>,
}

/// What would be corrected where.
#[derive(Debug, Clone, Serialize)]
pub struct RepairPlan {
    /// What it was asked for.
    pub scope: RepairScope,
    /// By which it is applied; none when there is nothing to correct.
    pub hash: Option<String>,
    /// The records that would be sent.
    pub records: Vec<RepairRecord>,
    /// Differences that it does not mend, and why.
    pub left_out: Vec<LeftOut>,
}

/// One record that would be sent.
#[derive(Debug, Clone, Serialize)]
pub struct RepairRecord {
    /// The reconciliation whose differences it mends.
    pub reconciliation: String,
    /// The system in it.
    pub system: String,
    /// The push it goes through, as `system.push`.
    pub push: String,
    /// The record.
    pub key: String,
    /// `update`, or `insert` where the target has nothing.
    pub action: &'static str,
    /// What the target said when the last repair of it was refused.
    pub refused_before: Option<String>,
    /// The differences it mends.
    pub differences: Vec<RepairDifference>,
    /// What would change at the target.
    pub changes: Vec<RepairChange>,
    /// How often it was sent as a repair before, so that another try is another plan.
    #[serde(skip)]
    pub(crate) tries: usize,
    #[serde(skip)]
    pub(crate) before: Option<Image>,
    #[serde(skip)]
    pub(crate) after: Image,
}

/// One difference that a repair mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairDifference {
    /// The difference.
    pub difference_id: String,
    /// Its rule.
    pub rule: String,
    /// Its field.
    pub field: Option<String>,
    /// What the system says.
    pub before: Option<String>,
    /// What it should say.
    pub after: Option<String>,
    /// Whose value that is.
    pub trusted: Option<String>,
    /// In which order the systems are trusted for the field.
    pub trust: Vec<String>,
    /// When the ledger's row became what it is, which says whether it still is.
    #[serde(skip)]
    pub(crate) last_seen: i64,
}

/// One column of a record that would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairChange {
    /// The column, as the push has it.
    pub column: String,
    /// What the target has.
    pub before: Option<String>,
    /// What it would get.
    pub after: Option<String>,
    /// Which kind of personal data it is.
    #[serde(skip)]
    pub tag: Option<String>,
}

/// Differences that a plan does not mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The system whose differences they are.
    pub system: String,
    /// Their rule.
    pub rule: String,
    /// Why.
    pub why: WhyLeftOut,
    /// The push, where there is one.
    pub push: Option<String>,
    /// How many differences.
    pub differences: u64,
    /// The key of one of them.
    pub example: String,
}

/// Why a difference is not mended by a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyLeftOut {
    /// The reconciliation wants no repairs proposed to the system.
    NoRepairs,
    /// No push corrects it.
    NoPush,
    /// A push brings it by itself.
    SentByItself,
    /// The target is on trial or only known.
    NotLive,
    /// A blocking audit found rows in what the push reads.
    Blocked,
    /// A record of the key is on its way.
    OnItsWay,
    /// The push has no record for it.
    NoRecord,
    /// The record that would be sent is what the target has.
    NothingToChange,
}

/// A repair as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct RepairStatus {
    /// The repair.
    #[serde(flatten)]
    pub repair: RepairRow,
    /// Records.
    pub records: u64,
    /// Those of them that wait for the target, were accepted, refused, or may have arrived.
    pub waiting: u64,
    /// Records that the target has.
    pub accepted: u64,
    /// Records that it refused.
    pub rejected: u64,
    /// Records of which nobody knows whether they arrived.
    pub unknown: u64,
    /// Records of which what was there before was sent back and accepted.
    pub undone: u64,
}

/// What a person wants done with a repair that was planned or applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairOrder {
    /// Its hash.
    pub hash: String,
    /// Whether it is taken back.
    pub undo: bool,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// What a run did for a repair.
#[derive(Debug, Clone, Serialize)]
pub struct RepairDone {
    /// The repair.
    pub hash: String,
    /// Whether it was taken back.
    pub undo: bool,
    /// Records that were queued.
    pub queued: u64,
    /// Records that could not be taken back, and why.
    pub refused: Vec<RefusedUndo>,
}

/// A record that cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedUndo {
    /// The push, as `system.push`.
    pub push: String,
    /// The record.
    pub key: String,
    /// Why.
    pub why: WhyNotUndone,
}

/// Why a record cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyNotUndone {
    /// What was there before was sent back already.
    Undone,
    /// The target refused the repair, so there is nothing to take back.
    Refused,
    /// It is not known yet whether the target has the repair.
    Open,
    /// The target had nothing before, and records are not deleted there.
    HadNothing,
    /// The target has something else by now.
    Changed,
    /// The target was not read since the repair.
    NotReadSince,
}

impl Hub {
    /// What would be corrected where, noted so that it can be applied by its hash.
    pub async fn plan_repair(&self, scope: RepairScope) -> Result<RepairPlan> {
        let plan = self.repairs_now(scope).await?;
        if let Some(hash) = &plan.hash {
            let scope = serde_json::to_string(&plan.scope)
                .map_err(|e| Error::internal("a scope could not be noted").cause(e))?;
            let mut tx = self.lake().store().begin().await?;
            tx.put_repair_plan(hash, &scope, &self.now()).await?;
            tx.commit().await?;
        }
        Ok(plan)
    }

    /// The repairs that were planned and applied, newest first.
    pub async fn repairs(&self) -> Result<Vec<RepairStatus>> {
        let store = self.lake().store();
        let mut all = Vec::new();
        for repair in store.repairs().await? {
            let mut status = RepairStatus {
                repair,
                records: 0,
                waiting: 0,
                accepted: 0,
                rejected: 0,
                unknown: 0,
                undone: 0,
            };
            for (_, sent, undone) in store.repair_records(&status.repair.hash).await? {
                status.records += 1;
                let state = match sent.state.as_str() {
                    "accepted" => &mut status.accepted,
                    "rejected" => &mut status.rejected,
                    "unknown" => &mut status.unknown,
                    _ => &mut status.waiting,
                };
                *state += 1;
                status.undone += u64::from(undone.is_some_and(|undone| undone.state == "accepted"));
            }
            all.push(status);
        }
        Ok(all)
    }

    async fn known_repair(&self, hash: &str) -> Result<RepairRow> {
        let known = self.lake().store().repair(hash).await?;
        known.ok_or_else(|| {
            let message = format!("no plan of repairs has the hash `{hash}`");
            Error::new(ErrorKind::Config, "E-REPAIR", message)
                .hint("`huiliu reconcile repair plan` shows one with its hash; `repair list` all")
        })
    }
}
