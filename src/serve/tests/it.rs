//! The doors, driven by real clients over real sockets.

// Clippy's allowance for tests reaches only functions that are tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod child;
mod clients;
mod extended;
mod flight;
mod flight_rows;
mod flyer;
mod ground;
mod hostile;
mod limits;
mod login;
mod matrix;
mod psql;
mod second_factor;
mod served;
mod site;
mod statements;
mod stub;
mod tls;
mod web;
mod world;
