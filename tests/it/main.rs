//! The product end to end: the real binary on real files, databases and sockets.

mod demo;
mod duckdb;
mod faults;
mod hub;
mod kill;
mod lake;
mod maintain;
mod mover;
mod office;
mod operate;
mod protect;
mod reconcile;
mod schema;
mod serve;
mod stop;
mod structure;
mod world;
