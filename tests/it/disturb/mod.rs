//! Disturbances of every kind, and one rule for all of them: 0 lost, 0 doubled, 0 stuck.
//!
//! A town has sources whose every row is known by number, version and hash. Between disturbances
//! the seed changes the sources; after each one the hub is run to its end, and the lake, the
//! history, the target and the hub's own books are compared with what the sources say. What chance
//! decides is decided by a seed that is printed and can be given by `HUILIU_SEED`.
//! See docs/faults.md.

mod chance;
mod daemon;
mod disk;
mod expected;
mod kills;
mod line;
mod network;
mod oracle;
mod planted;
mod points;
mod power;
mod pushes;
mod server;
mod source;
mod target;
mod town;
mod workers;
