//! The doors: read-only SQL over the Postgres wire, opened with a token.
//!
//! A door translates between a wire and the engine's sessions. It must never import a connector
//! or the runner, and it never writes.

pub mod token;

mod pg;

pub use pg::{PgOptions, PgServer, start};
