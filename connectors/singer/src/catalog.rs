//! The catalog: what a tap offers, and what it is told to read.

use std::process::Stdio;

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::config::{Settings, Stream};
use crate::fault::failed;
use crate::folder::Folder;
use crate::process::Program;

/// Streams that are told where one is not found.
const TOLD: usize = 20;

/// One stream of a catalog.
#[derive(Debug, Clone)]
pub(crate) struct Entry(Map<String, Value>);

/// Asks the tap for its catalog.
pub(crate) async fn discover(settings: &Settings, cx: &Cx) -> Result<Vec<Entry>> {
    cx.request().await?;
    let folder = Folder::new()?;
    let config = folder.put("config.json", &settings.config)?;
    let arguments = ["--config".into(), config.into(), "--discover".into()];
    let (mut tap, mut output) = Program::start(settings, folder, &arguments, Stdio::null())?;
    let text = match output.all().await {
        Ok(text) => text,
        Err(error) => return Err(tap.give_up(settings, error).await),
    };
    let status = tap.exit().await?;
    if !status.success() {
        return Err(failed(settings.program(), status, &tap.said(settings).await));
    }
    read(&text)
}

/// Reads a catalog.
fn read(text: &[u8]) -> Result<Vec<Entry>> {
    let unfit = || {
        let message = "what the tap gave for --discover is no catalog";
        Error::new(ErrorKind::Data, "E-SINGER-CATALOG", message)
            .hint("run it by hand and look; for a tap that lists no streams use catalog = \"none\"")
    };
    let catalog: Value = serde_json::from_slice(text).map_err(|_| unfit())?;
    let Some(Value::Array(streams)) = catalog.get("streams") else { return Err(unfit()) };
    let entries: Option<Vec<Entry>> =
        streams.iter().map(|stream| Some(Entry(stream.as_object()?.clone()))).collect();
    entries.filter(|entries| entries.iter().all(|entry| !entry.id().is_empty())).ok_or_else(unfit)
}

impl Entry {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The name by which the stream is told from all others of the tap.
    pub(crate) fn id(&self) -> &str {
        self.text("tap_stream_id").or(self.text("stream")).unwrap_or_default()
    }

    /// The name that messages may have.
    pub(crate) fn name(&self) -> &str {
        self.text("stream").unwrap_or_else(|| self.id())
    }

    pub(crate) fn schema(&self) -> &Value {
        self.0.get("schema").unwrap_or(&Value::Null)
    }

    /// The names of its columns, in order.
    pub(crate) fn columns(&self) -> Vec<String> {
        let properties = self.schema().get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    /// What the tap says about the stream as a whole.
    fn about(&self, key: &str) -> Option<&Value> {
        let metadata = self.0.get("metadata").and_then(Value::as_array)?;
        let whole = metadata.iter().find(|item| is_of(item, &[]))?;
        whole.get("metadata")?.get(key).filter(|value| !value.is_null())
    }

    fn names(&self, about: &str, own: &str) -> Vec<String> {
        let listed = |value: Option<&Value>| -> Vec<String> {
            let items = value.and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let found = listed(self.about(about));
        if found.is_empty() { listed(self.0.get(own)) } else { found }
    }

    /// The columns that identify a row.
    pub(crate) fn key(&self) -> Vec<String> {
        self.names("table-key-properties", "key_properties")
    }

    /// The columns the tap can go on by.
    pub(crate) fn cursors(&self) -> Vec<String> {
        let mut cursors = self.names("valid-replication-keys", "bookmark_properties");
        let own = self.about("replication-key").and_then(Value::as_str);
        let own = own.or(self.text("replication_key")).map(str::to_owned);
        if let Some(own) = own.filter(|own| !own.is_empty() && !cursors.contains(own)) {
            cursors.insert(0, own);
        }
        cursors
    }

    /// The way of reading that the tap insists on.
    pub(crate) fn forced(&self) -> Option<&str> {
        let forced = self.about("forced-replication-method")?;
        // Some taps give an object with the reason.
        let word = forced.as_str().or_else(|| forced.get("replication-method")?.as_str());
        word.filter(|word| !word.is_empty())
    }

    /// The way of reading that it names.
    pub(crate) fn replication(&self) -> Option<&str> {
        let named = self.about("replication-method").and_then(Value::as_str);
        self.forced().or(named).or(self.text("replication_method"))
    }

    pub(crate) fn row_estimate(&self) -> Option<u64> {
        self.about("row-count").and_then(Value::as_u64)
    }

    fn set(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// The metadata of the part at `breadcrumb`, made where there is none.
    fn metadata(&mut self, breadcrumb: &[&str]) -> Option<&mut Map<String, Value>> {
        let list = self.0.entry("metadata").or_insert_with(|| json!([])).as_array_mut()?;
        let place = match list.iter().position(|item| is_of(item, breadcrumb)) {
            Some(place) => place,
            None => {
                list.push(json!({ "breadcrumb": breadcrumb, "metadata": {} }));
                list.len() - 1
            }
        };
        list[place].get_mut("metadata")?.as_object_mut()
    }

    /// Tells the tap to read this stream as `stream` says, or to leave it out.
    fn select(&mut self, stream: Option<&Stream>) {
        let is_legacy = self.0.get("metadata").and_then(Value::as_array).is_none_or(Vec::is_empty);
        let is_selected = stream.is_some();
        self.set("selected", is_selected.into());
        if let Some(whole) = self.metadata(&[]) {
            whole.insert("selected".to_owned(), is_selected.into());
        }
        let Some(stream) = stream else { return };
        self.set_replication(stream);
        if self.key().is_empty() && !stream.key.is_empty() {
            // What a view is told apart by is known to people alone.
            if let Some(whole) = self.metadata(&[]) {
                whole.insert("view-key-properties".to_owned(), json!(stream.key));
            }
        }
        for column in self.columns() {
            let is_needed = stream.key.contains(&column) || stream.cursor.as_ref() == Some(&column);
            let is_wanted = is_needed || stream.wants(&column);
            if let Some(part) = self.metadata(&["properties", &column]) {
                part.insert("selected".to_owned(), is_wanted.into());
            }
            let property = self
                .0
                .get_mut("schema")
                .and_then(|schema| schema.get_mut("properties")?.get_mut(&column)?.as_object_mut());
            if let Some(property) = property.filter(|_| is_legacy) {
                property.insert("selected".to_owned(), is_wanted.into());
            }
        }
        if is_legacy && let Some(schema) = self.0.get_mut("schema").and_then(Value::as_object_mut) {
            schema.insert("selected".to_owned(), true.into());
        }
    }

    fn set_replication(&mut self, stream: &Stream) {
        let Some(method) = wanted(stream).filter(|_| self.forced().is_none()) else { return };
        let cursor = stream.cursor.as_ref().filter(|_| method == "INCREMENTAL");
        let mut set = vec![("method", Value::from(method))];
        if let Some(cursor) = cursor {
            set.push(("key", Value::from(cursor.as_str())));
        }
        for (what, value) in set {
            self.set(&format!("replication_{what}"), value.clone());
            if let Some(whole) = self.metadata(&[]) {
                whole.insert(format!("replication-{what}"), value);
            }
        }
    }
}

/// How a stream is to be read, where its settings say so.
fn wanted(stream: &Stream) -> Option<&'static str> {
    match stream.replication {
        Some(replication) => Some(replication.word()),
        None if stream.is_full => Some("FULL_TABLE"),
        None if stream.cursor.is_some() => Some("INCREMENTAL"),
        None => None,
    }
}

fn is_of(item: &Value, breadcrumb: &[&str]) -> bool {
    let parts = item.get("breadcrumb").and_then(Value::as_array);
    parts.is_some_and(|parts| {
        parts.len() == breadcrumb.len()
            && parts.iter().zip(breadcrumb).all(|(part, name)| part.as_str() == Some(*name))
    })
}

/// What is known of a stream before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The columns as the tap lists them.
    pub(crate) order: Vec<String>,
    /// Whether the tap reads everything.
    pub(crate) is_full_table: bool,
}

impl Chosen {
    /// A stream of a tap that lists none.
    pub(crate) fn unlisted(stream: &Stream) -> Self {
        Self {
            id: stream.name.clone(),
            name: stream.name.clone(),
            order: Vec::new(),
            is_full_table: stream.is_full,
        }
    }
}

/// Chooses the streams of the catalog, and writes into it what the tap is to read.
pub(crate) fn choose(entries: &mut [Entry], streams: &[&Stream]) -> Result<Vec<Chosen>> {
    let mut places = Vec::with_capacity(streams.len());
    for stream in streams {
        let found = entries.iter().position(|entry| entry.id() == stream.name);
        let found = found.or_else(|| {
            let mut named = (0..entries.len()).filter(|at| entries[*at].name() == stream.name);
            // A name of several streams says nothing.
            named.next().filter(|_| named.next().is_none())
        });
        places.push(found.ok_or_else(|| unknown(entries, stream))?);
    }
    let mut chosen = Vec::with_capacity(streams.len());
    for (at, entry) in entries.iter_mut().enumerate() {
        let place = places.iter().position(|place| *place == at);
        entry.select(place.map(|place| streams[place]));
    }
    for (stream, at) in streams.iter().zip(places) {
        let entry = &entries[at];
        if let Some(missing) = missing(entry, stream) {
            return Err(no_column(stream, missing));
        }
        chosen.push(Chosen {
            id: entry.id().to_owned(),
            name: entry.name().to_owned(),
            order: entry.columns(),
            is_full_table: entry.replication() == Some("FULL_TABLE"),
        });
    }
    Ok(chosen)
}

fn missing<'s>(entry: &Entry, stream: &'s Stream) -> Option<&'s String> {
    let columns = entry.columns();
    // A catalog without columns says nothing of those of the key.
    let needed = stream.key.iter().chain(&stream.cursor).filter(|_| !columns.is_empty());
    stream.select.iter().flatten().chain(needed).find(|name| !columns.contains(name))
}

fn no_column(stream: &Stream, column: &str) -> Error {
    let message = format!("stream `{}`: the tap has no column `{column}`", stream.id);
    Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message)
        .hint("check `select`, `key` and `cursor` against `huiliu discover`")
}

fn unknown(entries: &[Entry], stream: &Stream) -> Error {
    let mut known: Vec<&str> = entries.iter().map(Entry::id).take(TOLD).collect();
    if entries.len() > TOLD {
        known.push("...");
    }
    let message = format!("stream `{}`: the tap has no stream `{}`", stream.id, stream.name);
    Error::new(ErrorKind::NotFound, "E-STREAM", message)
        .hint(format!("let `stream` name one of: {}", known.join(", ")))
}

/// The catalog as the tap reads it.
pub(crate) fn written(entries: &[Entry]) -> Value {
    let streams = entries.iter().map(|entry| Value::Object(entry.0.clone()));
    json!({ "streams": streams.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests;
