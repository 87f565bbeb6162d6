//! The connector against real taps and targets, and against a tap that misbehaves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/ending.rs"]
mod ending;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/given.rs"]
mod given;
#[path = "it/servers.rs"]
mod servers;
#[path = "it/support.rs"]
mod support;
#[path = "it/taps.rs"]
mod taps;
#[path = "it/targets.rs"]
mod targets;
#[path = "it/unfit.rs"]
mod unfit;
#[path = "it/writing.rs"]
mod writing;
