//! What a plan says.

use std::collections::BTreeMap;

use huiliu_core::model::{Metric, Unit};
use huiliu_engine::reconcile::LedgerCounts;
use huiliu_engine::{Cause, CauseKind, Figure, Ratio, StoredFigure, TableDiff};
use huiliu_sdk::Error;
use serde::Serialize;

use super::{LiveStream, StreamPlan};
use crate::figures::Counted;

/// What a run would compute anew.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What `run --plan` takes; none when systems were read for the plan.
    pub hash: Option<String>,
    /// The snapshot it stands on.
    pub snapshot: i64,
    /// The tables of models and reconciliations, in the order in which they are built.
    pub tables: Vec<TablePlan>,
    /// The figures.
    pub figures: Vec<FigurePlan>,
    /// Figures that are stored and have no metric any more.
    pub removed_figures: Vec<String>,
    /// What would be queued for pushes.
    pub pushes: Vec<PushPlan>,
    /// Streams that were read for the plan.
    pub live: Vec<LiveStream>,
    /// Streams that the next run reads otherwise; nothing of it is in this plan.
    pub streams: Vec<StreamPlan>,
    /// Tables that were built and have no model or reconciliation any more. They stay as they are.
    pub no_longer_built: Vec<Orphan>,
}

/// What happens to a table or figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It stays as it is.
    Unchanged,
    /// It is computed for the first time.
    New,
    /// It is computed again.
    Rebuilt,
    /// It cannot be computed.
    Failed,
    /// It is not computed, because something it needs cannot be.
    Blocked,
}

/// What happens to one table.
#[derive(Debug, Clone, Serialize)]
pub struct TablePlan {
    /// The table.
    pub name: String,
    /// `model` or `reconcile`.
    pub kind: &'static str,
    /// What happens to it.
    pub state: NodeState,
    /// Why.
    pub causes: Vec<Cause>,
    /// What it needs and cannot be computed.
    pub blocked_by: Vec<String>,
    /// What becomes of its rows, of a golden table for a reconciliation.
    pub diff: Option<TableDiff>,
    /// What a reconciliation finds.
    pub reconcile: Option<ReconcilePlan>,
    /// Why it cannot be computed.
    pub error: Option<PlanError>,
}

/// What a reconciliation would find.
#[derive(Debug, Clone, Serialize)]
pub struct ReconcilePlan {
    /// Keys in each class, as it is.
    pub classes_before: BTreeMap<String, u64>,
    /// Keys in each class, and rows without key, as it would be.
    pub classes_after: BTreeMap<String, u64>,
    /// What would happen to the ledger of differences.
    pub ledger: LedgerCounts,
}

/// What happens to one figure.
#[derive(Debug, Clone, Serialize)]
pub struct FigurePlan {
    /// The metric's key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// Its unit.
    pub unit: Unit,
    /// What happens to it.
    pub state: NodeState,
    /// Whether value, numerator or denominator would be others.
    pub is_moved: bool,
    /// Why it is counted again.
    pub causes: Vec<Cause>,
    /// What it needs and cannot be computed.
    pub blocked_by: Vec<String>,
    /// As it was last computed.
    pub before: Option<StoredFigure>,
    /// As it would be; none where it is not computed.
    pub after: Option<Figure>,
    /// The change in the unit, rounded.
    pub change: Option<String>,
    /// The change as an exact fraction.
    pub exact_change: Option<Ratio>,
    /// What its file says now, where that is another thing.
    pub definition: Option<DefinitionChange>,
    /// Why it cannot be computed.
    pub error: Option<PlanError>,
}

/// A definition that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefinitionChange {
    /// What was counted last time.
    pub before: Counted,
    /// What would be counted.
    pub after: Counted,
}

/// What would be queued for one push. Nothing is sent by `run --plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PushPlan {
    /// The push, as `system.push`.
    pub push: String,
    /// The table.
    pub from: String,
    /// Records that are new to the outbox; none for a push of the whole table, which the next run
    /// sends.
    pub records: Option<u64>,
}

/// A table that nothing builds any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// The table.
    pub table: String,
    /// What still reads it.
    pub read_by: Vec<String>,
}

/// Why something cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanError {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Plan {
    pub(super) fn new(hash: Option<String>) -> Self {
        Self {
            hash,
            snapshot: 0,
            tables: Vec::new(),
            figures: Vec::new(),
            removed_figures: Vec::new(),
            pushes: Vec::new(),
            live: Vec::new(),
            streams: Vec::new(),
            no_longer_built: Vec::new(),
        }
    }

    /// Whether a run would do nothing else than the last one.
    pub fn is_empty(&self) -> bool {
        let still = |state: NodeState| state == NodeState::Unchanged;
        self.tables.iter().all(|table| still(table.state))
            && self.figures.iter().all(|figure| still(figure.state))
            && self.removed_figures.is_empty()
            && self.no_longer_built.is_empty()
            && self.streams.is_empty()
    }

    /// Whether `run --plan` would do anything.
    pub fn computes(&self) -> bool {
        self.tables.iter().any(|table| table.state.is_computed())
            || self.figures.iter().any(|figure| figure.state.is_computed())
            || !self.removed_figures.is_empty()
            || !self.no_longer_built.is_empty()
    }

    /// Whether something cannot be computed.
    pub fn has_failures(&self) -> bool {
        let is_failed = |state: NodeState| state == NodeState::Failed;
        self.tables.iter().any(|table| is_failed(table.state))
            || self.figures.iter().any(|figure| is_failed(figure.state))
    }
}

impl NodeState {
    fn of(causes: &[Cause], blocked_by: &[String]) -> Self {
        match causes.first() {
            _ if !blocked_by.is_empty() => Self::Blocked,
            None => Self::Unchanged,
            Some(cause) if cause.kind == CauseKind::New => Self::New,
            Some(_) => Self::Rebuilt,
        }
    }

    /// Whether it is computed, for the first time or again.
    pub fn is_computed(self) -> bool {
        matches!(self, Self::New | Self::Rebuilt)
    }
}

impl TablePlan {
    pub(super) fn new(
        name: &str,
        kind: &'static str,
        causes: Vec<Cause>,
        blocked_by: Vec<String>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            state: NodeState::of(&causes, &blocked_by),
            causes,
            blocked_by,
            diff: None,
            reconcile: None,
            error: None,
        }
    }
}

impl FigurePlan {
    pub(super) fn new(metric: &Metric, causes: Vec<Cause>, blocked_by: Vec<String>) -> Self {
        Self {
            key: metric.key.clone(),
            title: metric.title.clone(),
            unit: metric.unit,
            state: NodeState::of(&causes, &blocked_by),
            is_moved: false,
            causes,
            blocked_by,
            before: None,
            after: None,
            change: None,
            exact_change: None,
            definition: None,
            error: None,
        }
    }
}

impl DefinitionChange {
    pub(super) fn between(before: &Counted, after: &Counted) -> Option<Self> {
        (before != after).then(|| Self { before: before.clone(), after: after.clone() })
    }
}

impl PlanError {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            hint: error.hint_text().map(str::to_owned),
        }
    }
}
