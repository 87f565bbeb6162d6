//! What a connector's tests say about a system of its kind.

use async_trait::async_trait;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};

use crate::Table;

/// A word that stands in secrets of a configuration and may show nowhere else. Where a system
/// lets everybody in, it is still put in as the password.
pub const CANARY: &str = "canary-4711-secret";

/// The system itself does not take what it was given, in its own words.
#[derive(Debug)]
pub struct Refused(pub String);

/// What can be wrong with where a system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing answers there.
    Unreachable,
    /// It answers and does not let us in; the password is [`CANARY`].
    Login,
    /// It lets us in, and the database, folder or path is not there.
    Place,
}

/// A real system of one kind, made for one test.
///
/// Only the first part is needed by every connector. Columns of a [`Table`] are as
/// [`crate::hazard`] makes them: text, whole numbers, decimals, floats, truth values, days, wall
/// times and bytes.
#[async_trait]
pub trait System: Send + Sync + Sized + 'static {
    /// A new system with nothing in it.
    async fn fresh() -> Self;

    /// The connector under test.
    fn connector(&self) -> Box<dyn Connector>;

    /// The configuration of the system, without streams and pushes, in the hub's zone.
    fn config(&self) -> RawConfig;

    /// The stream over `table`, called like it. [`Table::settings`] has the common settings; where
    /// the system has no types of its own, [`Table::declare`] adds those of the columns. Should
    /// offer checkpoints every few dozen rows if the connector has an option for that.
    fn stream(&self, table: &Table, read: ReadMode) -> RawStream;

    /// The table as the system can hold it: rows and values for which it has no form at all, such as
    /// an empty text where that is none, are left out or put in the form that it has. What it can
    /// hold stays as it is.
    fn storable(&self, table: Table) -> Table {
        table
    }

    /// Puts a table with its rows there, in place of one of the same name. Columns that
    /// [`Table::is_broken_text`] names are bytes to be stored as text.
    async fn put(&mut self, table: &Table) -> Result<(), Refused>;

    /// All that is in the system, so that two texts are equal if nothing has changed.
    async fn content(&mut self) -> String;

    /// Goes away in the middle of a read: connections end, files are gone.
    async fn vanish(&mut self);

    /// The configuration with `trouble` in it; nothing if no such thing can be with this kind.
    fn troubled(&self, _trouble: Trouble) -> Option<RawConfig> {
        None
    }

    /// The most columns that a table of the system has, if it has a most.
    fn columns(&self) -> Option<usize> {
        self.connector().bounds().columns
    }

    /// Most memory that a read may take, in bytes, while it gives batches of 1 MiB; nothing where a
    /// driver holds all it reads, which no connector can change.
    fn memory(&self) -> Option<usize> {
        Some(48 << 20)
    }

    // --- for sinks and loaders --------------------------------------------------------------

    /// The push of `table`, called like it: record by record, or of the `whole` table at once. What
    /// is written must be what [`System::stream`] of the same table reads.
    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        panic!("no push of `{}` is known", table.name)
    }

    /// Makes the target of a push, without rows, in place of what was there. It refuses records
    /// whose `name` is [`System::refused_name`].
    async fn target(&mut self, table: &Table) {
        panic!("no target of `{}` is known", table.name)
    }

    /// The `id` of each record at the target; of one that is there twice, twice.
    async fn written(&mut self, table: &Table) -> Vec<String> {
        panic!("nobody says what was written to `{}`", table.name)
    }

    /// A name that the target does not take; nothing where it takes every text.
    fn refused_name(&self) -> Option<String> {
        Some("=refused".to_owned())
    }

    // ----------------------------------------------------------------------------------------

    /// Removes the system after a test that went well.
    async fn end(self) {}
}
