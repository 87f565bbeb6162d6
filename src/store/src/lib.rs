//! The hub's database.
//!
//! One SQLite file holds the hub's own tables (`huiliu_*`: runs, leases, stream state, balances,
//! quarantine, outbox) and the DuckLake catalog (`ducklake_*`) beside them, so that one
//! transaction covers data and bookkeeping. This crate knows no Arrow, no Parquet and no
//! DataFusion; what a snapshot consists of is the business of `huiliu-lake`.

mod attempt;
mod audit;
mod commit_log;
mod database;
mod job;
mod lease;
mod limit;
mod model;
mod operation;
mod outbox;
mod quarantine;
mod run;
mod schema;
mod seal;
mod set_aside;
mod sql;
mod state;
mod twin;

pub use audit::AuditRow;
pub use commit_log::StreamCommit;
pub use database::{Store, Tx, database_error};
pub use job::Occurrence;
pub use lease::Lease;
pub use limit::Slot;
pub use model::ModelRow;
pub use outbox::{OutboxCount, OutboxRow, OutboxState};
pub use quarantine::{QuarantineRow, QuarantinedRow};
pub use run::{Balance, RunRow, RunState, StepRow};
pub use seal::SealKey;
pub use set_aside::{QuarantineCount, QuarantineFilter, SealedRow};
pub use sql::{AssertSqlSafe, Row, SqlSafeStr, Value};
pub use state::StreamState;
