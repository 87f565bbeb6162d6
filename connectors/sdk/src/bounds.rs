//! Where a kind of system ends.

use serde::Serialize;

/// Where a kind of system, or its connector, ends, beyond what it can do. It stands in the
/// documentation, and the conformance suite holds a connector to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Most columns of one stream; none where only memory ends them.
    pub columns: Option<usize>,
    /// Whether an incremental read that goes on gives rows whose cursor is the mark itself once
    /// more.
    pub repeats_at_mark: bool,
    /// Why bytes do not come back as the bytes they were; none if they do.
    pub bytes: Option<&'static str>,
    /// What else people should know, a sentence each.
    pub notes: &'static [&'static str],
}
