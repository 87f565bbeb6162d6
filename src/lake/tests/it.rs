//! The lake commit, proved against two independent readers: DuckDB and the reader crate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)] // the child process and the oracle's place come from the environment

#[path = "../../store/tests/backend.rs"]
mod backend;
mod commit_survives_kill;
mod compaction;
mod expiry;
mod long_read;
mod maintenance_survives_kill;
mod merge_modes;
mod oracle;
mod stale_pairs;
mod upkeep;
mod upsert_semantics;
mod verification;
mod world;
