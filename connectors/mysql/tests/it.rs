//! The connector against a real server.

#[path = "it/configure.rs"]
mod configure;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/discover.rs"]
mod discover;
#[path = "it/failing.rs"]
mod failing;
#[path = "it/flagged.rs"]
mod flagged;
#[path = "it/full.rs"]
mod full;
#[path = "it/incremental.rs"]
mod incremental;
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
