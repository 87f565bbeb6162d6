//! The doors: console, JSON API, and read-only SQL over the Postgres wire and Arrow Flight; who may
//! come in.
//!
//! A door asks the hub through the trait [`data::Hub`], which the program implements. It must never
//! import a connector or the runner.

pub mod data;
pub mod identity;
pub mod sql;
pub mod web;

mod api;
mod console;
mod flight;
mod pg;
mod tls;

pub use api::{Operation, openapi, operations};
pub use console::console_routes;
pub use flight::{FlightOptions, FlightServer, start as start_flight};
pub use pg::{PgOptions, PgServer, start as start_pg};
pub use tls::{Tls, TlsFiles};
