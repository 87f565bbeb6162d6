//! The JSON API under `/api/v1`.
//!
//! [`operations`] is the list of everything it offers; the router and the OpenAPI document are both
//! built from it.

mod account;
mod event;
mod figure;
mod input;
mod openapi;
mod operate;
mod operation;
mod query;
mod record;

pub use openapi::openapi;
pub use operation::{Operation, operations};
