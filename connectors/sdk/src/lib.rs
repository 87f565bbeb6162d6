//! The contract between the hub and its connectors.
//!
//! A connector turns one kind of system into [`Endpoint`]s that read and write Arrow batches.
//! This crate must never import a connector, DataFusion, sqlx, an HTTP client or anything of
//! the hub's `src/`: a leaf connector builds on it alone.

mod address;
mod bounds;
mod clock;
mod column;
mod connector;
mod cx;
mod error;
mod event;
mod original;
mod overlap;
mod relay;
mod rows;
mod schema;
mod settings;
mod sink;
mod wall;

pub use address::{AllowedHosts, RefusedAddress, check_addresses, is_this_machine};
pub use bounds::Bounds;
pub use clock::{Clock, ManualClock, SystemClock};
pub use column::{ColumnSpec, ColumnType, DeclaredColumn, OWNER_TAGS, parse_type, type_word};
pub use connector::{
    Capabilities, ConfigError, ConfigErrors, Connector, Endpoint, LoadRequest, Probe, RawConfig,
    RawPush, RawStream, ReadRequest, Source, Spec, StreamRequest, StreamSpec, Window, WriteRequest,
    says_when_changed,
};
pub use cx::{BatchLimits, Cx, Gate, OpenGate};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    Checkpoint, Event, Op, Ops, Rejected, Rows, Scope, StreamId, future_cursors, missing_cursors,
};
pub use original::{OriginalValue, original, original_line, read_original};
pub use overlap::Overlap;
pub use relay::Relay;
pub use rows::{Cell, ROW_BYTES, RowBuilder, RowError};
pub use schema::{SchemaKey, schema_keys, schema_lacks, schema_tables};
pub use settings::{Contract, Deletes, Policy, ReadMode, StreamSettings, WriteMode};
pub use sink::{LoadMode, Loader, Outcome, Receipt, Sink, WriteBatch};
pub use wall::{wall_text_back, wall_text_believed};
