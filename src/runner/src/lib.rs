//! The verbs: load a project, read streams into the lake, build models, compute figures, send
//! the outbox, keep the schedule.
//!
//! Connectors reach this crate only as `huiliu_sdk` traits; the binary hands them in.

mod attempt;
mod audit;
mod ballast;
mod chance;
mod daily;
mod figures;
mod gate;
mod heartbeat;
mod hub;
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
mod replay;
mod rewind;
mod run;
mod seal;
mod stop;
#[cfg(test)]
mod tests;
mod ticker;
mod trace;
mod verdict;

pub use audit::{AuditCheck, Deed};
pub use daily::write_page;
pub use figures::Counted;
pub use gate::Protected;
pub use hub::{Hub, HubOptions, Meaning};
pub use maintain::{MaintainOptions, MaintainReport, TableUpkeep};
pub use mover::GuardPlan;
pub use operate::{ResetTo, StreamView};
pub use plan::{
    DefinitionChange, FigurePlan, LiveStream, NodeState, Orphan, Plan, PlanError, PlanRequest,
    PushPlan, ReconcilePlan, SettingChange, StreamChange, StreamPlan, TablePlan,
};
pub use project::{LoadFailure, Project, Registry, System};
pub use quarantine::{OriginalView, Selection};
pub use reconcile::{AgedDifference, Decided, FieldView, OwnerCount, ReconcileSummary, SystemView};
pub use replay::ReplayReport;
pub use run::{Progress, RunOptions, RunReport, Silent};
pub use seal::SealCheck;
pub use ticker::{DueJob, Ticker};
pub use trace::{TraceDetail, TraceEntry};
pub use verdict::verdict_text;
