//! The connector against real database files.
#![allow(clippy::unwrap_used)] // the system stands outside of #[test] functions

#[path = "it/configure.rs"]
mod configure;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/discover.rs"]
mod discover;
#[path = "it/flagged.rs"]
mod flagged;
#[path = "it/hazards.rs"]
mod hazards;
#[path = "it/read.rs"]
mod read;
#[path = "it/support.rs"]
mod support;
#[path = "it/writing.rs"]
mod writing;
