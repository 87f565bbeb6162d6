//! Who comes in: users and their passwords, sessions in a browser, tokens of programs.
//!
//! Of secrets only hashes are kept. What somebody may do is looked up with each request, so that
//! a change holds at once.

mod visitor;

pub use visitor::{Entry, Visitor};
