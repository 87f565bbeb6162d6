//! A kind of system, one configured system, and reading from it.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use serde::Serialize;

use crate::{
    Bounds, Checkpoint, ColumnSpec, Cx, Error, ErrorKind, Event, LoadMode, Loader, Result, Sink,
    StreamId, StreamSettings,
};

/// What a kind of connector can do; the hub refuses the rest before anything runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Reads.
    pub source: bool,
    /// Reads only what changed, by a cursor.
    pub incremental: bool,
    /// Reads the flag protocol of front databases.
    pub flagged: bool,
    /// Lists its streams.
    pub discover: bool,
    /// Writes.
    pub sink: bool,
    /// A record sent twice under one key has one effect.
    pub idempotent_sink: bool,
    /// Writes whole tables at once.
    pub loader: bool,
    /// Reads several streams at once, by one source whose checkpoints cover all of them
    /// ([`crate::Scope::Shared`]) and say themselves where each goes on, so that `overlap` does not
    /// apply.
    pub shared: bool,
}

/// What a kind of connector is.
#[derive(Debug, Clone, Serialize)]
pub struct Spec {
    /// The word after `kind =`.
    pub kind: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// JSON Schema (an object) of the keys it adds to a system file.
    pub system_schema: serde_json::Value,
    /// JSON Schema (an object) of the keys it adds to `[[streams]]`.
    pub stream_schema: serde_json::Value,
    /// JSON Schema (an object) of the keys it adds to `[[pushes]]`.
    pub push_schema: serde_json::Value,
}

/// One fault in a configuration, at a path such as `streams[0].table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, as keys and indexes.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// All faults of a configuration at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// Adds a fault.
    pub fn push(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(ConfigError { path: path.into(), message: message.into(), hint: None });
    }

    /// Adds a fault with a hint.
    pub fn push_with_hint(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(ConfigError {
            path: path.into(),
            message: message.into(),
            hint: Some(hint.into()),
        });
    }

    /// `value` if there is no fault.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// One stream as configured: what every connector understands, and this one's own keys.
#[derive(Debug, Clone)]
pub struct RawStream {
    /// The common settings.
    pub settings: StreamSettings,
    /// The connector's own keys, checked against [`Spec::stream_schema`].
    pub options: serde_json::Value,
}

/// One push as configured.
#[derive(Debug, Clone)]
pub struct RawPush {
    /// Its name.
    pub name: String,
    /// Columns that identify one record at the target.
    pub key: Vec<String>,
    /// The connector's own keys, checked against [`Spec::push_schema`].
    pub options: serde_json::Value,
}

/// A system file after its schema was checked and its secrets were put in.
///
/// Not `Serialize` and not `Debug`, because it may hold secrets.
#[derive(Clone)]
pub struct RawConfig {
    /// The system's id: the file's name without ending.
    pub system: String,
    /// Folder against which relative paths are read.
    pub base_dir: PathBuf,
    /// Zone in which the lake keeps wall times; a stream in another zone is converted.
    pub hub_zone: Tz,
    /// The connector's own keys, checked against [`Spec::system_schema`].
    pub options: serde_json::Value,
    /// The streams.
    pub streams: Vec<RawStream>,
    /// The pushes.
    pub pushes: Vec<RawPush>,
}

/// A kind of system.
pub trait Connector: Send + Sync {
    /// What it is and what it can do.
    fn spec(&self) -> Spec;

    /// Where it ends.
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }

    /// Makes an endpoint of a configuration, without touching the network or the disk.
    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors>;
}

/// What a probe found.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// What answered, such as `SQLite 3.46, 4 tables`.
    pub summary: String,
}

/// One stream a system offers.
#[derive(Debug, Clone, Serialize)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// The connector's own keys that select it, ready for a system file.
    pub options: serde_json::Value,
    /// Its columns in order.
    pub columns: Vec<(String, ColumnSpec)>,
    /// Columns that identify a row, if the system says.
    pub key: Vec<String>,
    /// Columns that can serve as cursor, the likeliest first.
    pub cursors: Vec<String>,
    /// The first of them, if its name or its declaration says that every change moves it.
    pub changed: Option<String>,
    /// About how many rows, if that is cheap to know.
    pub row_estimate: Option<u64>,
}

/// Whether a column's name says that it holds when a row changed.
pub fn says_when_changed(name: &str) -> bool {
    let name = name.to_lowercase();
    ["cd_time", "modified", "updated", "update_at", "gxsj", "更新时间"].contains(&name.as_str())
        || ["update_time", "update_date", "modify_time", "updated_at", "modified_at", "sync_time"]
            .iter()
            .any(|ending| name.ends_with(ending))
}

/// Which stream to read, and from where.
#[derive(Debug, Clone)]
pub struct StreamRequest {
    /// The stream.
    pub stream: StreamId,
    /// The last checkpoint the hub committed; none for a first read.
    pub resume: Option<Checkpoint>,
}

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ReadRequest {
    /// The streams. Of a connector that is [`Capabilities::shared`] these are all that are read
    /// together; each comes with the checkpoint that was committed with its own rows.
    pub streams: Vec<StreamRequest>,
    /// Stop after this many rows of each stream, for previews.
    pub row_limit: Option<u64>,
}

/// A part of an incremental stream: the rows whose cursor lies in it. Its ends are days of the
/// stream's zone, or what the source itself compares with its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The least cursor that belongs to it.
    pub from: String,
    /// The least cursor behind it.
    pub to: String,
}

impl Window {
    /// The same for a cursor that is an instant: days as the UTC wall times at which they begin in
    /// `zone`.
    #[must_use]
    pub fn in_utc(&self, zone: Tz) -> Self {
        let begin = |text: &str| {
            let mut begin = text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN);
            // A clock change may skip midnight.
            loop {
                if let Some(instant) = zone.from_local_datetime(&begin).earliest() {
                    return Some(instant.to_utc().format("%Y-%m-%d %H:%M:%S").to_string());
                }
                begin += TimeDelta::minutes(15);
            }
        };
        let end = |text: &String| begin(text).unwrap_or_else(|| text.clone());
        Self { from: end(&self.from), to: end(&self.to) }
    }

    /// The error for a cursor of which days say nothing.
    pub fn unfit(cursor: &str) -> Error {
        Error::new(
            ErrorKind::Config,
            "E-BACKFILL",
            format!("the cursor `{cursor}` is no time, so days say nothing about its rows"),
        )
        .hint(
            "read the stream from its start: `huiliu state reset SYSTEM.STREAM --from-start \
             --reason TEXT`, then run it",
        )
    }
}

/// What to write.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The push.
    pub push: StreamId,
}

/// A whole table to write.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// The push.
    pub push: StreamId,
    /// The columns of the batches that follow.
    pub schema: SchemaRef,
    /// What happens to rows the target has.
    pub mode: LoadMode,
}

/// One configured system.
#[async_trait]
pub trait Endpoint: Send + Sync {
    /// Asks the system whether it is there and lets us in. Changes nothing.
    async fn probe(&self, cx: &Cx) -> Result<Probe>;

    /// Lists the streams the system offers. Changes nothing.
    async fn discover(&self, _cx: &Cx) -> Result<Vec<StreamSpec>> {
        Err(Error::unsupported("listing streams"))
    }

    /// Starts reading.
    async fn source(&self, _cx: &Cx, _request: ReadRequest) -> Result<Box<dyn Source>> {
        Err(Error::unsupported("reading"))
    }

    /// Starts reading the part of an incremental stream that lies in `window`. Its end is no
    /// complete one, and its checkpoints are none to go on from.
    async fn window(
        &self,
        _cx: &Cx,
        _stream: &StreamId,
        _window: &Window,
    ) -> Result<Box<dyn Source>> {
        Err(Error::unsupported("reading a part of a stream"))
    }

    /// Starts writing.
    async fn sink(&self, _cx: &Cx, _request: WriteRequest) -> Result<Box<dyn Sink>> {
        Err(Error::unsupported("writing"))
    }

    /// Starts writing a whole table.
    async fn loader(&self, _cx: &Cx, _request: LoadRequest) -> Result<Box<dyn Loader>> {
        Err(Error::unsupported("writing whole tables"))
    }
}

/// A read in progress.
#[async_trait]
pub trait Source: Send {
    /// The next step, or `None` when all streams have ended. `Schema` comes before the first
    /// rows of a stream and again when its columns change; the last events of a stream are a
    /// checkpoint and its end.
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>>;

    /// The hub has committed everything up to `checkpoint`; the source may now mark or release
    /// what it holds.
    async fn acknowledge(&mut self, _cx: &Cx, _checkpoint: &Checkpoint) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_a_window_begin_at_midnight_of_the_zone() {
        let ends = |from: &str, to: &str, zone| {
            let window = Window { from: from.into(), to: to.into() }.in_utc(zone);
            (window.from, window.to)
        };
        let days = ends("2018-01-01", "2018-04-01", Tz::Asia__Shanghai);
        assert_eq!(days, ("2017-12-31 16:00:00".to_owned(), "2018-03-31 16:00:00".to_owned()));
        // That night the clock of São Paulo went from 23:59 to 1:00.
        let (skipped, own) = ends("2018-11-04", "17", Tz::America__Sao_Paulo);
        assert_eq!((skipped.as_str(), own.as_str()), ("2018-11-04 03:00:00", "17"));
    }
}
