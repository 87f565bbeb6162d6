//! SQL over Arrow Flight: rows come as Arrow batches.
//!
//! The listener (`server`) holds the connections; `guard` looks at the token of each call before
//! anything else does. `service` takes Flight SQL's commands apart: statements go through the gate
//! that all doors share (`statement`), questions about the catalog are answered by `listing`.

mod failure;
mod guard;
mod kept;
mod listing;
mod parameter;
mod rows;
mod server;
mod service;
mod statement;

pub use server::{FlightOptions, FlightServer, start};
