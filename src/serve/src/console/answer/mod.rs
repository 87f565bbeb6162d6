//! Handlers: each asks the hub for what its page shows, or does what a form asks for.

pub(super) mod account;
pub(super) mod door;
pub(super) mod figure;
pub(super) mod handling;
pub(super) mod keeping;
pub(super) mod query;
pub(super) mod record;
pub(super) mod running;
