//! The Postgres door, driven by real clients over real sockets.

mod extended;
mod login;
mod psql;
mod world;
