//! The connector against a real server.

#[path = "it/configure.rs"]
mod configure;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/flagged.rs"]
mod flagged;
#[path = "it/incremental.rs"]
mod incremental;
#[path = "it/ranges.rs"]
mod ranges;
#[path = "it/replica.rs"]
mod replica;
#[path = "../../../tests/private/server.rs"]
mod server;
#[path = "it/support.rs"]
mod support;
#[path = "it/tls.rs"]
mod tls;
#[path = "it/values.rs"]
mod values;
#[path = "it/writing.rs"]
mod writing;
