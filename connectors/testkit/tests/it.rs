//! The suite on a small connector, and on the same connector with flaws that it has to notice.
#![allow(clippy::unwrap_used)]
// The connector is written as in a crate of its own, where the hub reads what its schema describes.
#![allow(unreachable_pub, dead_code)]

#[path = "it/conformance.rs"]
mod conformance;
#[path = "it/document.rs"]
mod document;
#[path = "it/faulty.rs"]
mod faulty;
#[path = "it/flawed.rs"]
mod flawed;
#[path = "it/growing.rs"]
mod growing;
#[path = "lines/lib.rs"]
mod lines;
