//! SQL over the Postgres wire.
//!
//! Each connection runs its own loop (`connection`): login (`login`), then statements (`query`).
//! What a statement may do is decided by the gate that all doors share (`crate::sql`).

mod connection;
mod failure;
mod limit;
mod login;
mod parameter;
mod query;
mod rows;
mod server;
mod setting;

pub use server::{PgOptions, PgServer, start};
