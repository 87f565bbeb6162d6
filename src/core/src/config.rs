//! Configuration as plain files: TOML with faults that name file, line and column.

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

pub use document::{Document, Fault, Faults};
pub use hub::{HubConfig, MaintenanceConfig, ServeConfig, StoreConfig};
pub use job::{CatchUpWord, JobConfig, JobsFile};
pub use limits::{Limits, QuietHours};
pub(crate) use merge::schema_of;
pub use merge::{hub_schema, jobs_schema, system_schema};
pub use page::connectors_page;
pub use reference::{Missing, Resolver};
pub use stream::{Budget, Guard, StreamLimits};
pub use system::{PushConfig, Stage, SystemConfig, parse_system};
