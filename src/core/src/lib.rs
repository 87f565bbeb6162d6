//! The hub's nouns, pure: configuration, graph, calendar, schedule, identifiers, policy.
//!
//! This crate must never touch a disk, a network, a database, DataFusion or a connector.

pub mod access;
pub mod audit;
pub mod calendar;
pub mod code_table;
pub mod config;
pub mod duration;
pub mod expectation;
pub mod graph;
pub mod identifier;
pub mod model;
pub mod policy;
pub mod preset;
pub mod reconcile;
pub mod report;
pub mod schedule;
pub mod timetable;
