//! Configuration as plain files: TOML with faults that name file, line and column.

mod alerts;
mod document;
mod hub;
mod job;
mod limits;
mod merge;
mod page;
mod reference;
mod shape;
pub use shape::closest;
mod stream;
mod system;

pub use alerts::{AlertLanguage, AlertsFile, ChannelConfig, ChannelKind, ExpectationConfig};
pub use document::{Document, Fault, Faults};
pub use hub::{HubConfig, MaintenanceConfig, NetworkConfig, ServeConfig, StoreConfig, TlsConfig};
pub use job::{CalendarWord, CatchUpWord, JobConfig, JobsFile, OverlapWord};
pub use limits::{Limits, QuietHours};
pub(crate) use merge::schema_of;
pub use merge::{alerts_schema, hub_schema, jobs_schema, system_schema};
pub use page::connectors_page;
pub use reference::{Missing, Resolver};
pub use stream::{Budget, Echo, Guard, StreamLimits};
pub use system::{PushConfig, ReceiptKeys, Stage, SystemConfig, parse_system};
