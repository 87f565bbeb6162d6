//! The engine: DataFusion over the lake at one snapshot.
//!
//! It plans and runs SQL, builds models, computes metrics and knows the domain's functions. It
//! must never import a connector, the runner or a door; it writes only through
//! `huiliu_lake::Commit`, which its caller ends.

pub mod function;

mod audit;
mod buckets;
mod build;
mod case;
mod catalog;
mod distinct;
mod failure;
mod guard;
mod hash;
mod lineage;
mod memory;
mod metric;
mod ops;
mod origin;
mod owner;
mod personal;
mod pipeline;
mod plan;
pub mod reconcile;
mod scan;
mod scratch;
mod session;
mod tagged;
mod text;

pub use audit::AuditOutcome;
pub use build::BuiltModel;
pub use case::{CaseReport, CaseRunner};
pub use failure::engine_error;
pub use guard::{Pseudonym, Viewer};
pub use metric::{
    Breakdown, Content, Explanation, Figure, FigureTable, Group, Ratio, Recount, SealPlan,
    SealedDefinition, SealedRows, Step,
};
pub use origin::{CALENDAR, Cause, CauseKind, FileHashes, Origin, short_hash};
pub use personal::Tags;
pub use pipeline::{Pipelines, references};
pub use plan::{
    Cell, Example, FigureMove, LiveRows, LiveWriter, ModelDraft, PLANNED, ReconcileDraft,
    Rehearsal, RowKind, StoredFigure, TableDiff,
};
pub use scan::TableScan;
pub use session::{Engine, EngineOptions, Session};
pub use text::{day_in, record_text, text_options};
