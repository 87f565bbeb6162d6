//! The store, over SQLite and over Postgres alike.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods)] // the test server's place comes from the environment

mod backend;
mod damage;
mod lease;
mod record;
mod shared;
mod writer;
