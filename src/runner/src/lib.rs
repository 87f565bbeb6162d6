//! The verbs: load a project, read streams into the lake, build models, compute figures, send
//! the outbox, keep the schedule.
//!
//! Connectors reach this crate only as `huiliu_sdk` traits; the binary hands them in.

mod figures;
mod hub;
mod lock;
mod maintain;
mod models;
mod mover;
mod project;
mod push;
mod run;
mod ticker;

pub use hub::{Hub, HubOptions};
pub use maintain::{MaintainOptions, MaintainReport, TableUpkeep};
pub use project::{LoadFailure, Project, Registry, System};
pub use run::{Progress, RunReport, Silent};
pub use ticker::{DueJob, Ticker};
