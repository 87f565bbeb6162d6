//! The doors, driven by real clients over real sockets.

// Clippy's allowance for tests reaches only functions that are tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod extended;
mod flight;
mod flight_rows;
mod flyer;
mod hostile;
mod limits;
mod login;
mod matrix;
mod psql;
mod site;
mod stub;
mod tls;
mod web;
mod world;
