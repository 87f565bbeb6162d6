//! The hub's database.
//!
//! It holds the hub's own tables (`huiliu_*`: runs, leases, stream state, balances, quarantine,
//! outbox) and the DuckLake catalog (`ducklake_*`) beside them, so that one transaction covers
//! data and bookkeeping. It is one file of SQLite or one schema of Postgres; every statement is
//! one text for both (see [`Value`] and [`args!`]). This crate knows no Arrow, no Parquet and no
//! DataFusion; what a snapshot consists of is the business of `huiliu-lake`.

mod address;
mod connect;
mod database;
mod fault;
mod job;
mod lease;
mod model;
mod outbox;
mod presence;
mod quarantine;
mod run;
mod schema;
mod seal;
mod sql;
mod state;
mod table;
mod upkeep;

pub use address::{DEFAULT_SCHEMA, PostgresAddress, StoreAddress};
pub use database::{Reader, Store, Tx};
pub use fault::database_error;
pub use job::Occurrence;
pub use lease::Lease;
pub use model::ModelRow;
pub use outbox::{OutboxCount, OutboxRow, OutboxState};
pub use quarantine::{QuarantineRow, QuarantinedRow};
pub use run::{Balance, RunRow, RunState, StepRow};
pub use seal::SealKey;
pub use sql::{AssertSqlSafe, FromColumn, Row, SqlSafeStr, Value};
pub use state::StreamState;
