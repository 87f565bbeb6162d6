//! The verbs: load a project, read streams into the lake, build models, compute figures, send
//! the outbox, keep the schedule.
//!
//! Connectors reach this crate only as `huiliu_sdk` traits; the binary hands them in.

mod attempt;
mod audit;
mod backfill;
mod ballast;
mod chance;
mod daily;
mod figures;
mod footprint;
mod gate;
mod heartbeat;
mod hub;
mod jobs;
mod load;
mod lock;
mod maintain;
mod models;
mod mover;
mod operate;
mod plan;
mod project;
mod push;
mod quarantine;
mod reconcile;
mod repair;
mod replay;
mod report;
mod rewind;
mod run;
mod seal;
mod stop;
#[cfg(test)]
mod tests;
mod together;
mod trace;
mod translate;
mod verdict;
mod watch;

pub use audit::{AuditCheck, Deed};
pub use backfill::{BackfillOptions, BackfillReport, WindowReport};
pub use daily::write_page;
pub use figures::Counted;
pub use gate::Protected;
pub use hub::{Hub, HubOptions, Meaning, load_key, open_key};
pub use jobs::{JobEvent, JobView, NextRun, Scheduler};
pub use lock::FolderLock;
pub use maintain::{MaintainOptions, MaintainReport, TableUpkeep};
pub use mover::GuardPlan;
pub use operate::{ResetTo, StreamView};
pub use plan::{
    DefinitionChange, FigurePlan, LiveStream, NodeState, Orphan, Plan, PlanError, PlanRequest,
    PushPlan, ReconcilePlan, SettingChange, StreamChange, StreamPlan, TablePlan,
};
pub use project::{LoadFailure, Project, Registry, System};
pub use push::Decision;
pub use quarantine::{OriginalView, Selection};
pub use reconcile::{AgedDifference, Decided, FieldView, OwnerCount, ReconcileSummary, SystemView};
pub use repair::{
    LeftOut, RefusedUndo, RepairChange, RepairDifference, RepairDone, RepairOrder, RepairPlan,
    RepairRecord, RepairScope, RepairStatus, WhyLeftOut, WhyNotUndone,
};
pub use replay::ReplayReport;
pub use report::WrittenReport;
pub use run::{Progress, RunOptions, RunReport, Silent};
pub use seal::SealCheck;
pub use trace::{TraceDetail, TraceEntry};
pub use verdict::verdict_text;
pub use watch::{Alerts, Channel, StreamWatch, notice_text};
