//! The connector against real files.
#![allow(clippy::unwrap_used)]

#[path = "it/columnar.rs"]
mod columnar;
#[path = "it/configure.rs"]
mod configure;
#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/content.rs"]
mod content;
#[path = "it/discover.rs"]
mod discover;
#[path = "it/drop.rs"]
mod drop;
#[path = "it/hazards.rs"]
mod hazards;
#[path = "it/ledger.rs"]
mod ledger;
#[path = "it/packed.rs"]
mod packed;
#[path = "it/records.rs"]
mod records;
#[path = "it/s3.rs"]
mod s3;
#[path = "it/sftp.rs"]
mod sftp;
#[path = "it/sheets.rs"]
mod sheets;
#[path = "it/support.rs"]
mod support;
#[path = "it/writing.rs"]
mod writing;
#[path = "it/xls.rs"]
mod xls;
