//! Maintenance: joining small files and moving deleted rows to history, forgetting old
//! snapshots, removing files that nobody needs, and looking for files that are not as they were
//! written.
//!
//! Nothing here changes what a table holds. Compaction checks that by counts and sums of row
//! hashes before it may be committed, and the commit checks that no other writer was there.

mod checksum;
mod compact;
mod expire;
mod facts;
mod orphans;
mod policy;
mod source;
mod verify;

pub use compact::{Compaction, CompactionReport, CompactionTables};
pub use expire::{Expiry, ExpiryRules};
pub use facts::{LiveFile, TableFiles};
pub use policy::{CompactionPlan, CompactionPolicy, FileFacts, Reason};
pub use verify::{TornFile, Verification};
