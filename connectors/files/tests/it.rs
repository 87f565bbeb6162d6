//! The connector against real files.

#[path = "it/configure.rs"]
mod configure;
#[path = "it/content.rs"]
mod content;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/support.rs"]
mod support;
