//! The hub's database.
//!
//! One SQLite file holds the hub's own tables (`huiliu_*`: runs, leases, stream state, balances,
//! quarantine, outbox) and the DuckLake catalog (`ducklake_*`) beside them, so that one
//! transaction covers data and bookkeeping. This crate knows no Arrow, no Parquet and no
//! DataFusion; what a snapshot consists of is the business of `huiliu-lake`.

mod database;
mod guard;
mod job;
mod lease;
mod load;
mod model;
mod outbox;
mod quarantine;
mod run;
mod schema;
mod seal;
mod state;

pub use database::{Store, Tx, database_error};
pub use job::Occurrence;
pub use lease::Lease;
pub use load::LoadRow;
pub use model::ModelRow;
pub use outbox::{OutboxCount, OutboxRow, OutboxState};
pub use quarantine::{QuarantineRow, QuarantinedRow};
pub use run::{Balance, RunRow, RunState, StepRow};
pub use seal::SealKey;
pub use state::StreamState;
