//! SQL over the Postgres wire.
//!
//! Each connection runs its own loop (`connection`): login (`login`), then statements (`query`).
//! A statement is first classified by its syntax (`statement`), then planned through the engine's
//! read-only gate on a session that is as new as the lake (`session`).

mod catalog;
mod connection;
mod execute;
mod failure;
mod limit;
mod login;
mod parameter;
mod query;
mod server;
mod session;
mod setting;
mod statement;

pub use server::{PgOptions, PgServer, start};
