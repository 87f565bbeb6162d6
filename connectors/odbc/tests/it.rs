//! The connector against real databases through their ODBC drivers: PostgreSQL and SQLite.

#[path = "it/configure.rs"]
mod configure;
#[path = "it/discover.rs"]
mod discover;
#[path = "it/read.rs"]
mod read;
#[path = "it/support.rs"]
mod support;
#[path = "it/values.rs"]
mod values;
#[path = "it/writing.rs"]
mod writing;
