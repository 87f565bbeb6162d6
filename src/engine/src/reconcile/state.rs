//! What the last run left: the fingerprint of what it saw, and the golden table it wrote.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use futures::StreamExt;
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::golden::INPUTS;
use super::keys::{Entry, KeyStore};
use crate::failure::engine_error;
use crate::hash::add_column;
use crate::origin::{Cause, CauseKind, FileHashes, Origin, json};
use crate::pipeline::{Pipelines, hex};
use crate::session::{Engine, Session};

/// Changes when results would be others with the same file and the same rows.
const METHOD: &str = "1";

/// The place of `pending` among the classes.
pub(super) const PENDING: u8 = 1;

/// Which keys are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those whose rows changed.
    Changed,
    /// All of them.
    All,
}

/// What a run saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// The file, code tables and calendar, and the versions of the tables.
    pub(super) origin: Origin,
    /// Which entities are expected where.
    context: String,
    /// Now, when it comes from a system; microseconds.
    pub(super) as_of: Option<i64>,
    /// When the first pending entity is no longer given time.
    pub(super) due: Option<i64>,
}

impl Fingerprint {
    /// Of the tables as they are, before they are read.
    pub(super) fn of_inputs(
        pipelines: &Pipelines,
        rec: &Reconciliation,
        versions: &BTreeMap<String, i64>,
        files: &FileHashes,
    ) -> Self {
        let origin = pipelines.reconcile_origin(rec, METHOD, versions, files);
        Self { origin, context: "0".into(), as_of: None, due: None }
    }

    /// Reads what [`Self::text`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is stored.
    pub(super) fn text(&self) -> Result<String> {
        json(self)
    }

    /// Why a run after this one would find something new in `now`; nothing when it would not.
    pub(super) fn causes(&self, now: &Self, rec: &Reconciliation, wall_time: i64) -> Vec<Cause> {
        let mut causes = now.origin.causes(&self.origin);
        if rec.as_of.is_none() && self.due.is_some_and(|due| due <= wall_time) {
            causes.push(Cause::new(CauseKind::Time, rec.table()));
        }
        causes
    }

    /// Whether the file, the code tables and the calendar are the same, so that a key whose rows
    /// are the same is decided the same.
    fn decides_like(&self, other: &Self, rec: &Reconciliation) -> bool {
        let own = |it: &Self| it.origin.definitions.get(&rec.table()).cloned();
        own(self) == own(other) && self.origin.files == other.origin.files
    }

    /// Adds the entities that are expected in a system.
    pub(super) fn add_context(&mut self, values: &HashSet<String>) {
        let mut sorted: Vec<&String> = values.iter().collect();
        sorted.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(&self.context);
        for value in sorted {
            hash.update(value);
            hash.update([0]);
        }
        self.context = hex(&hash.finalize());
    }

    /// Which keys have to be looked at after `last`.
    pub(super) fn scope(
        &self,
        last: Option<&Self>,
        rec: &Reconciliation,
        everything: bool,
    ) -> Scope {
        let Some(last) = last.filter(|_| !everything) else { return Scope::All };
        // Only forward does time make nothing but pending entities into others.
        let forward = self.as_of >= last.as_of;
        if self.decides_like(last, rec) && self.context == last.context && forward {
            Scope::Changed
        } else {
            Scope::All
        }
    }
}

/// A name in SQL.
pub(super) fn quoted(name: &str) -> String {
    let parts = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\"")));
    parts.collect::<Vec<String>>().join(".")
}

fn quoted_column(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The values of a column, as text.
pub(super) async fn values(
    session: &Session,
    table: &str,
    column: &str,
) -> Result<HashSet<String>> {
    let column = quoted_column(column);
    let sql = format!(
        "select distinct cast({column} as varchar) as v from {} where {column} is not null",
        quoted(table)
    );
    let mut found = HashSet::new();
    for batch in session.collect(&sql, None).await? {
        let texts = cast(batch.column(0), &DataType::Utf8)?;
        found.extend(texts.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(found)
}

/// The newest time in a column, in microseconds.
pub(super) async fn newest(session: &Session, table: &str, column: &str) -> Result<Option<i64>> {
    let sql = format!("select max({}) from {}", quoted_column(column), quoted(table));
    for batch in session.collect(&sql, None).await? {
        let time = cast(batch.column(0), &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let micros = cast(&time, &DataType::Int64)?;
        let micros = micros.as_primitive::<Int64Type>();
        if micros.len() == 1 && micros.is_valid(0) {
            return Ok(Some(micros.value(0)));
        }
    }
    Ok(None)
}

/// Whether the lake has a table.
pub(super) async fn has_table(engine: &Engine, table: &str) -> Result<bool> {
    let (schema, name) = table.split_once('.').unwrap_or(("reconciled", table));
    Ok(engine.lake().table(schema, name).await?.is_some())
}

/// Adds what the golden table holds to the entries of the systems.
pub(super) async fn entries(
    engine: &Engine,
    session: &Session,
    rec: &Reconciliation,
    store: &Arc<Mutex<KeyStore>>,
    source: u8,
) -> Result<()> {
    let table = rec.table();
    let (schema, name) = table.split_once('.').unwrap_or(("reconciled", &table));
    let stored = engine.lake().table(schema, name).await?;
    // A table of that name may have been a model's before.
    if stored.is_none_or(|stored| stored.schema.field_with_name(INPUTS).is_err()) {
        return Ok(());
    }
    let mut columns: Vec<String> = rec.key.iter().map(|column| quoted_column(column)).collect();
    columns.extend([quoted_column(INPUTS), quoted_column("class")]);
    let sql = format!("select {} from {}", columns.join(", "), quoted(&table));
    let classes = rec.classes();
    let failed = |e| engine_error("reading the golden table", e);
    let mut stream = session.query(&sql).await?.execute_stream().await.map_err(failed)?;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        let mut keys = vec![0_u128; batch.num_rows()];
        for (column, seed) in batch.columns()[..rec.key.len()].iter().zip(1..) {
            add_column(&mut keys, column, seed)?;
        }
        let inputs = cast(batch.column(rec.key.len()), &DataType::Int64)?;
        let inputs = inputs.as_primitive::<Int64Type>();
        let class = cast(batch.column(rec.key.len() + 1), &DataType::Utf8)?;
        let class = class.as_string::<i32>();
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, key) in keys.into_iter().enumerate() {
            let known = classes.iter().position(|name| name == class.value(row));
            let known = known.and_then(|place| u8::try_from(place).ok()).unwrap_or(PENDING);
            let full = inputs.value(row).cast_unsigned();
            store.push(Entry { key, source, full, groups: &[u64::from(known)] });
        }
        store.settle()?;
    }
    Ok(())
}
