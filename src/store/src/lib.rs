//! The hub's database.
//!
//! It holds the hub's own tables (`huiliu_*`: runs, leases, stream state, balances, quarantine,
//! outbox) and the DuckLake catalog (`ducklake_*`) beside them, so that one transaction covers
//! data and bookkeeping. It is one file of SQLite or one schema of Postgres; every statement is
//! one text for both (see [`Value`] and [`args!`]). This crate knows no Arrow, no Parquet and no
//! DataFusion; what a snapshot consists of is the business of `huiliu-lake`.

mod address;
mod attempt;
mod audit;
mod commit_log;
mod connect;
mod database;
mod fault;
mod guard;
mod job;
mod lease;
mod limit;
mod load;
mod model;
mod operation;
mod outbox;
mod presence;
mod quarantine;
mod run;
mod schema;
mod seal;
mod sealed_figure;
mod set_aside;
mod sql;
mod state;
mod stream_settings;
mod table;
mod twin;
mod upkeep;
mod verdict;

pub use address::{DEFAULT_SCHEMA, PostgresAddress, StoreAddress};
pub use audit::AuditRow;
pub use commit_log::StreamCommit;
pub use database::{Reader, Store, Tx};
pub use fault::database_error;
pub use job::Occurrence;
pub use lease::Lease;
pub use limit::Slot;
pub use load::LoadRow;
pub use model::ModelRow;
pub use outbox::{OutboxCount, OutboxRow, OutboxState, SentRow};
pub use quarantine::{QuarantineRow, QuarantinedRow};
pub use run::{Balance, RunRow, RunState, StepRow};
pub use seal::SealKey;
pub use sealed_figure::SealedFigure;
pub use set_aside::{QuarantineCount, QuarantineFilter, SealedRow};
pub use sql::{AssertSqlSafe, FromColumn, Row, SqlSafeStr, Value};
pub use state::StreamState;
pub use verdict::VerdictRow;
