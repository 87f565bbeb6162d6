//! The product end to end: the real binary on real files, databases and sockets.

mod cases;
mod databases;
mod demo;
mod disk;
mod disturb;
mod duckdb;
mod faults;
mod figures;
mod hub;
mod kill;
mod lake;
mod maintain;
mod memory;
mod mover;
mod office;
mod operate;
mod page;
mod postgres_store;
mod protect;
mod reconcile;
mod restore;
mod schema;
mod serve;
mod stop;
mod structure;
mod world;
