//! What becomes of a table's rows: counted over all of them, shown by a few examples.
//!
//! Of each row the hashes of its key and of its cells are kept, in buckets that spill. A row without a
//! key is its own key, so that equal rows are counted and not told apart. A cell's hash is seeded by
//! the name of its column and an empty cell adds nothing, so that a new empty column changes no row.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use huiliu_lake::META_COLUMNS;
use huiliu_sdk::{Error, Result};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::buckets::{BUCKETS, Buckets, key_of};
use crate::failure::engine_error;
use crate::hash::{Identity, add_column};
use crate::record_text;

/// What becomes of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableDiff {
    /// Rows it has; none when it is not there.
    pub rows_before: Option<u64>,
    /// Rows it would have.
    pub rows_after: u64,
    /// Rows whose key is new.
    pub added: u64,
    /// Rows whose key would be gone.
    pub removed: u64,
    /// Rows that would have other values under the same key; none where rows have no key.
    pub changed: u64,
    /// Columns that are new.
    pub new_columns: Vec<String>,
    /// A few of the rows, of each kind the first by their hash.
    pub examples: Vec<Example>,
}

/// One row of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What becomes of it.
    pub kind: RowKind,
    /// Its values: the key, and for a changed row the columns that change, else all.
    pub cells: Vec<Cell>,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other values.
    Changed,
}

/// One value of an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The column.
    pub column: String,
    /// Its value now.
    pub before: Option<String>,
    /// Its value afterwards.
    pub after: Option<String>,
}

impl TableDiff {
    /// Rows that are others.
    pub fn rows(&self) -> u64 {
        self.added + self.removed + self.changed
    }

    /// Whether readers would see the same table.
    pub fn is_same(&self) -> bool {
        self.rows_before.is_some() && self.new_columns.is_empty() && self.rows() == 0
    }
}

/// How two states of a table are compared.
pub(super) struct Compare<'a> {
    /// What is compared, for errors.
    pub(super) table: &'a str,
    /// The columns that tell its rows apart; without any, rows are compared whole.
    pub(super) key: &'a [String],
    /// How many examples of each kind are wanted.
    pub(super) examples: usize,
    /// Folder for what does not fit into memory.
    pub(super) spill: &'a Path,
    /// Bytes that may be in memory.
    pub(super) limit: usize,
}

/// Words of an entry beside its key: the side, and the hash of the row.
const WIDTH: usize = 3;
const BEFORE: u64 = 0;
const AFTER: u64 = 1;

/// Rows that were chosen as examples: by key, what becomes of it and the hashes of its rows.
type Chosen = HashMap<u128, (RowKind, Option<u128>, Option<u128>), Identity>;

impl Compare<'_> {
    /// Compares the table as it is with what it would be.
    pub(super) async fn run(
        &self,
        before: Option<DataFrame>,
        after: DataFrame,
    ) -> Result<TableDiff> {
        let columns = |frame: &DataFrame| -> Vec<String> {
            let fields = frame.schema().fields().iter();
            fields.map(|field| field.name().clone()).collect()
        };
        let held = before.as_ref().map(&columns).unwrap_or_default();
        let is_new = |name: &String| before.is_some() && !held.contains(name);
        let new_columns = columns(&after).into_iter().filter(is_new).collect();
        let store = Arc::new(Mutex::new(Buckets::new(self.spill, WIDTH, self.limit)));
        let rows_before = match &before {
            Some(frame) => Some(self.read(frame.clone(), BEFORE, &store).await?),
            None => None,
        };
        let rows_after = self.read(after.clone(), AFTER, &store).await?;
        let store = Arc::try_unwrap(store)
            .map_err(|_| Error::internal("rows are still being compared"))?
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut diff = TableDiff { rows_before, rows_after, new_columns, ..TableDiff::default() };
        let chosen = self.count(store, &mut diff)?;
        if !chosen.is_empty() {
            diff.examples = self.show(before, after, &chosen).await?;
        }
        Ok(diff)
    }

    /// Reads one side into the store, its partitions side by side.
    async fn read(&self, frame: DataFrame, side: u64, store: &Arc<Mutex<Buckets>>) -> Result<u64> {
        let failed = |e| engine_error(&format!("comparing {}", self.table), e);
        let mut parts = tokio::task::JoinSet::new();
        for mut stream in frame.execute_stream_partitioned().await.map_err(failed)? {
            let (store, key) = (Arc::clone(store), self.key.to_vec());
            let action = format!("comparing {}", self.table);
            parts.spawn(async move {
                let mut rows = 0;
                while let Some(batch) = stream.next().await {
                    let batch = batch.map_err(|e| engine_error(&action, e))?;
                    rows += batch.num_rows() as u64;
                    let hashes = Hashes::of(&batch, &key)?;
                    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                    for (key, row) in hashes.keys.iter().zip(&hashes.rows) {
                        let words = store.push(*key);
                        words[0] = side;
                        split(*row, &mut words[1..]);
                    }
                    store.settle()?;
                }
                Ok::<u64, Error>(rows)
            });
        }
        let mut rows = 0;
        while let Some(part) = parts.join_next().await {
            rows += part.map_err(|e| Error::internal("comparing ended early").cause(e))??;
        }
        Ok(rows)
    }

    /// Counts what is different, and chooses examples.
    fn count(&self, mut store: Buckets, diff: &mut TableDiff) -> Result<Chosen> {
        let mut chosen = Chosen::default();
        let mut taken: BTreeMap<RowKind, usize> = BTreeMap::new();
        for number in 0..BUCKETS {
            let words = store.take(number)?;
            let mut entries: Vec<(u128, u64, u128)> = words
                .chunks_exact(store.stride())
                .map(|entry| (key_of(entry), entry[2], key_of(&entry[3..])))
                .collect();
            drop(words);
            entries.sort_unstable();
            for group in entries.chunk_by(|a, b| a.0 == b.0) {
                let (before, after) = left_over(group);
                let changed = before.len().min(after.len());
                diff.changed += changed as u64;
                diff.removed += (before.len() - changed) as u64;
                diff.added += (after.len() - changed) as u64;
                let kind = match (before.is_empty(), after.is_empty()) {
                    (true, true) => continue,
                    (true, false) => RowKind::Added,
                    (false, true) => RowKind::Removed,
                    (false, false) => RowKind::Changed,
                };
                let count = taken.entry(kind).or_default();
                if *count < self.examples {
                    *count += 1;
                    let rows = (kind, before.first().copied(), after.first().copied());
                    chosen.insert(group[0].0, rows);
                }
            }
        }
        Ok(chosen)
    }

    /// Reads the chosen rows again, and shows them.
    async fn show(
        &self,
        before: Option<DataFrame>,
        after: DataFrame,
        chosen: &Chosen,
    ) -> Result<Vec<Example>> {
        let old = match before {
            Some(frame) => self.find(frame, chosen, |rows| rows.1).await?,
            None => HashMap::default(),
        };
        let new = self.find(after, chosen, |rows| rows.2).await?;
        let mut order: Vec<(RowKind, u128)> =
            chosen.iter().map(|(key, rows)| (rows.0, *key)).collect();
        order.sort_unstable();
        let mut examples = Vec::with_capacity(order.len());
        for (kind, key) in order {
            let cells = self.cells(kind, old.get(&key), new.get(&key));
            examples.push(Example { kind, cells });
        }
        Ok(examples)
    }

    /// The values of the chosen rows of one side by key.
    async fn find(
        &self,
        frame: DataFrame,
        chosen: &Chosen,
        wanted: impl Fn(&(RowKind, Option<u128>, Option<u128>)) -> Option<u128>,
    ) -> Result<HashMap<u128, Row, Identity>> {
        let mut open: HashMap<u128, u128, Identity> = HashMap::default();
        open.extend(chosen.iter().filter_map(|(key, rows)| Some((*key, wanted(rows)?))));
        let failed = |e| engine_error(&format!("comparing {}", self.table), e);
        let mut found = HashMap::default();
        if open.is_empty() {
            return Ok(found);
        }
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(failed)?;
            let hashes = Hashes::of(&batch, self.key)?;
            for (row, (key, hash)) in hashes.keys.iter().zip(&hashes.rows).enumerate() {
                if open.get(key) == Some(hash) {
                    open.remove(key);
                    found.insert(*key, record_text(&batch, row)?);
                }
            }
            if open.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    fn cells(&self, kind: RowKind, before: Option<&Row>, after: Option<&Row>) -> Vec<Cell> {
        let value = |row: Option<&Row>, column: &str| -> Option<String> {
            row?.iter().find(|(name, _)| name == column)?.1.clone()
        };
        let empty = Row::new();
        let mut names: Vec<&String> = Vec::new();
        for (name, _) in after.unwrap_or(&empty).iter().chain(before.unwrap_or(&empty)) {
            if !names.contains(&name) && !META_COLUMNS.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let mut cells: Vec<Cell> = names
            .into_iter()
            .map(|column| Cell {
                column: column.clone(),
                before: value(before, column),
                after: value(after, column),
            })
            .collect();
        if kind == RowKind::Changed {
            cells.retain(|cell| self.key.contains(&cell.column) || cell.before != cell.after);
        } else {
            cells.retain(|cell| cell.before.is_some() || cell.after.is_some());
        }
        cells
    }
}

/// One row as text per column.
type Row = Vec<(String, Option<String>)>;

/// The rows of one key on both sides that have no equal on the other.
fn left_over(group: &[(u128, u64, u128)]) -> (Vec<u128>, Vec<u128>) {
    let of = |side: u64| group.iter().filter(move |entry| entry.1 == side).map(|entry| entry.2);
    // Both are sorted, as the group is.
    let (mut before, mut after) = (of(BEFORE).peekable(), of(AFTER).peekable());
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    loop {
        match (before.peek(), after.peek()) {
            (Some(old), Some(row)) if old == row => {
                before.next();
                after.next();
            }
            (Some(old), Some(row)) if old < row => gone.extend(before.next()),
            (Some(_) | None, Some(_)) => new.extend(after.next()),
            (Some(_), None) => gone.extend(before.next()),
            (None, None) => return (gone, new),
        }
    }
}

/// The hashes of a batch's rows.
struct Hashes {
    keys: Vec<u128>,
    rows: Vec<u128>,
}

impl Hashes {
    fn of(batch: &RecordBatch, key: &[String]) -> Result<Self> {
        let mut rows = vec![0_u128; batch.num_rows()];
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if !META_COLUMNS.contains(&field.name().as_str()) {
                add_named(&mut rows, field.name(), column)?;
            }
        }
        if key.is_empty() {
            return Ok(Self { keys: rows.clone(), rows });
        }
        let mut keys = vec![0_u128; batch.num_rows()];
        for name in key {
            if let Some(column) = batch.column_by_name(name) {
                add_named(&mut keys, name, column)?;
            }
        }
        Ok(Self { keys, rows })
    }
}

fn add_named(sums: &mut [u128], name: &str, column: &ArrayRef) -> Result<()> {
    add_column(sums, column, xxh3_64(name.as_bytes()))
}

#[allow(clippy::cast_possible_truncation)] // the two halves are taken apart
fn split(hash: u128, words: &mut [u64]) {
    words[0] = (hash >> 64) as u64;
    words[1] = hash as u64;
}

/// The columns by which rows are told apart, if both sides have them all.
pub(super) fn common_key<'a>(key: &'a [String], before: Option<&SchemaRef>) -> &'a [String] {
    let has = |name: &String| before.is_none_or(|schema| schema.field_with_name(name).is_ok());
    if key.iter().all(has) { key } else { &[] }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use datafusion::prelude::SessionContext;

    use super::*;

    fn frame(rows: &[(i64, Option<&str>)]) -> DataFrame {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
        let names: ArrayRef = Arc::new(rows.iter().map(|r| r.1).collect::<StringArray>());
        let batch =
            RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("name", names, true)]);
        SessionContext::new().read_batch(batch.unwrap()).unwrap()
    }

    async fn compared(
        key: &[&str],
        before: Option<&[(i64, Option<&str>)]>,
        after: &[(i64, Option<&str>)],
        limit: usize,
    ) -> TableDiff {
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        let spill = std::env::temp_dir();
        let compare = Compare { table: "t", key: &key, examples: 2, spill: &spill, limit };
        compare.run(before.map(frame), frame(after)).await.unwrap()
    }

    fn counts(diff: &TableDiff) -> (u64, u64, u64) {
        (diff.added, diff.removed, diff.changed)
    }

    #[tokio::test]
    async fn rows_are_told_apart_by_key_and_shown_by_what_changes() {
        let before = [(1, Some("a")), (2, Some("b")), (3, None)];
        let after = [(1, Some("a")), (3, Some("c")), (4, Some("d"))];
        for limit in [usize::MAX, 0] {
            let diff = compared(&["id"], Some(&before), &after, limit).await;
            assert_eq!(counts(&diff), (1, 1, 1));
            assert_eq!((diff.rows_before, diff.rows_after), (Some(3), 3));
            let kinds: Vec<RowKind> = diff.examples.iter().map(|example| example.kind).collect();
            assert_eq!(kinds, [RowKind::Added, RowKind::Removed, RowKind::Changed]);
            let changed = &diff.examples[2].cells;
            assert_eq!(
                (changed[0].column.as_str(), changed[0].after.as_deref()),
                ("id", Some("3"))
            );
            assert_eq!((&changed[1].before, changed[1].after.as_deref()), (&None, Some("c")));
        }
        assert!(compared(&["id"], Some(&before), &before, usize::MAX).await.is_same());
        assert!(!compared(&["id"], None, &before, usize::MAX).await.is_same());
    }

    #[tokio::test]
    async fn rows_without_a_key_are_counted_as_often_as_they_are() {
        let before = [(1, Some("a")), (1, Some("a")), (2, None)];
        let after = [(1, Some("a")), (2, None), (2, None), (2, None)];
        let diff = compared(&[], Some(&before), &after, usize::MAX).await;
        assert_eq!(counts(&diff), (2, 1, 0));
        assert_eq!(diff.examples.len(), 2);
    }

    #[tokio::test]
    async fn no_more_examples_are_shown_than_asked_for() {
        let after: Vec<(i64, Option<&str>)> = (0..50).map(|id| (id, Some("x"))).collect();
        let diff = compared(&["id"], Some(&[]), &after, 64).await;
        assert_eq!((diff.added, diff.examples.len()), (50, 2));
    }
}
