//! The hub's database.
//!
//! It holds the hub's own tables (`huiliu_*`: runs, leases, stream state, balances, quarantine,
//! outbox) and the DuckLake catalog (`ducklake_*`) beside them, so that one transaction covers
//! data and bookkeeping. It is one file of SQLite or one schema of Postgres; every statement is
//! one text for both (see [`Value`] and [`args!`]). This crate knows no Arrow, no Parquet and no
//! DataFusion; what a snapshot consists of is the business of `huiliu-lake`.

mod account;
mod address;
mod alert;
mod answer;
mod attempt;
mod audit;
mod backfill;
mod commit_log;
mod connect;
mod database;
mod dispatch;
mod echo;
mod fault;
mod guard;
mod job;
mod lease;
mod limit;
mod listing;
mod load;
mod model;
mod operation;
mod outbox;
mod presence;
mod quarantine;
mod repair;
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

pub use account::{LoginRow, SecondFactorRow, TokenRow, UserRow};
pub use address::{DEFAULT_SCHEMA, PostgresAddress, StoreAddress};
pub use alert::{Alert, News, Notice};
pub use answer::KeptAnswer;
pub use audit::{AuditCheck, AuditEntry, AuditFilter, AuditRow};
pub use backfill::BackfillRow;
pub use commit_log::StreamCommit;
pub use connect::{postgres_readers, sqlite_readers};
pub use database::{Reader, Store, Tx};
pub use dispatch::PushDay;
pub use echo::Sent;
pub use fault::database_error;
pub use job::{
    Admission, Begin, End, JobRow, NewOccurrence, Occurrence, OccurrenceRow, OccurrenceState,
};
pub use lease::Lease;
pub use limit::Slot;
pub use load::LoadRow;
pub use model::ModelRow;
pub use outbox::{NewestRow, OutboxCount, OutboxRow, OutboxState, Receipted, SentRow};
pub use quarantine::{QuarantineRow, QuarantinedRow};
pub use repair::{RepairItem, RepairRow, Sending};
pub use run::{Balance, RunRow, RunState, StepRow};
pub use seal::SealKey;
pub use sealed_figure::SealedFigure;
pub use set_aside::{QuarantineCount, QuarantineFilter, SealedRow};
pub use sql::{AssertSqlSafe, FromColumn, Row, SqlSafeStr, Value};
pub use state::StreamState;
pub use verdict::VerdictRow;
