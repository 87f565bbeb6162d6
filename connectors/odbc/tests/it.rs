//! The connector against real databases through their ODBC drivers: PostgreSQL and SQLite.
#![allow(clippy::unwrap_used, clippy::expect_used)] // support stands outside of the test functions

#[path = "it/configure.rs"]
mod configure;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/discover.rs"]
mod discover;
#[path = "it/flagged.rs"]
mod flagged;
#[path = "it/incremental.rs"]
mod incremental;
#[path = "it/read.rs"]
mod read;
#[path = "it/support.rs"]
mod support;
#[path = "it/values.rs"]
mod values;
#[path = "it/writing.rs"]
mod writing;
