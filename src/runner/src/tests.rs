//! Runs of whole hubs on a connector that says what the test wants it to say.

mod contract;
mod delete;
mod load;
mod refresh;
mod script;
mod world;
