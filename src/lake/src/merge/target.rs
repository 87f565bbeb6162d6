//! The files a table has, and finding rows in them by key.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use huiliu_sdk::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use crate::file::Deleted;
use crate::filter::{FilterCache, KeyFilter};
use crate::hash::{Identity, RowHasher};
use crate::parallel::side_by_side;
use crate::{DataFile, NewDataFile, io_error, parquet_error};

/// Stands where a file that the catalog does not know has no id.
const NO_FILE: i64 = -1;
/// A live file of the table.
pub(super) struct Target {
    pub(super) file: DataFile,
    /// Deleted rows, sorted by position.
    pub(super) deleted: Vec<Deleted>,
    /// Whether this merge deleted any of them.
    pub(super) touched: bool,
    filter: Option<Arc<KeyFilter>>,
}

impl Target {
    pub(super) fn new(file: DataFile, deleted: Vec<Deleted>, filters: &FilterCache) -> Self {
        let filter = filters.get(&file.path);
        Self { file, deleted, touched: false, filter }
    }

    /// A file that is complete and in no snapshot yet.
    pub(super) fn of_stage(
        file: &NewDataFile,
        deleted: Vec<Deleted>,
        filter: Option<KeyFilter>,
    ) -> Self {
        let file = DataFile {
            data_file_id: NO_FILE,
            path: file.path.clone(),
            record_count: file.record_count,
            deletes: None,
        };
        Self { file, deleted, touched: false, filter: filter.map(Arc::new) }
    }

    /// Lets later merges of this process use the filter.
    pub(super) fn keep_filter(self, filters: &FilterCache) {
        if let Some(filter) = self.filter {
            filters.put(self.file.path, filter);
        }
    }

    /// Marks rows, sorted by position, as superseded by `run`.
    pub(super) fn delete(&mut self, positions: &[u64], run: i64) {
        if positions.is_empty() {
            return;
        }
        self.deleted.extend(positions.iter().map(|position| Deleted { position: *position, run }));
        self.deleted.sort_unstable_by_key(|deleted| deleted.position);
        self.touched = true;
    }

    /// Whether the file may hold any of `keys`.
    pub(super) fn may_hold<V>(&self, keys: &HashMap<u128, V, Identity>) -> bool {
        match &self.filter {
            None => true,
            Some(filter) => keys.keys().any(|key| filter.may_hold(*key)),
        }
    }
}

/// The values of the first key column of a chunk, sorted, to leave out row groups by their bounds.
pub(super) struct KeyRange {
    column: String,
    converter: RowConverter,
    sorted: Vec<Box<[u8]>>,
}

impl KeyRange {
    pub(super) fn new(column: &str, values: &ArrayRef) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
        let rows = converter.convert_columns(std::slice::from_ref(values))?;
        let mut sorted: Vec<Box<[u8]>> = rows.iter().map(|row| row.as_ref().into()).collect();
        sorted.sort_unstable();
        Ok(Self { column: column.to_owned(), converter, sorted })
    }

    /// The row groups of a file whose bounds let them hold one of the keys.
    fn row_groups(&self, metadata: &ArrowReaderMetadata) -> Vec<usize> {
        let all = || (0..metadata.metadata().num_row_groups()).collect();
        self.within_bounds(metadata).unwrap_or_else(all)
    }

    /// `None` when the file says nothing about its bounds.
    fn within_bounds(&self, metadata: &ArrowReaderMetadata) -> Option<Vec<usize>> {
        let schema = metadata.parquet_schema();
        let statistics =
            StatisticsConverter::try_new(&self.column, metadata.schema(), schema).ok()?;
        let groups = metadata.metadata().row_groups();
        let bounds = |values: ArrayRef| self.converter.convert_columns(&[values]).ok();
        let (mins, maxes) =
            (statistics.row_group_mins(groups).ok()?, statistics.row_group_maxes(groups).ok()?);
        let unknown: Vec<bool> =
            (0..groups.len()).map(|group| mins.is_null(group) || maxes.is_null(group)).collect();
        let (mins, maxes) = (bounds(mins)?, bounds(maxes)?);
        let fits = |group: &usize| {
            let (min, max) = (mins.row(*group), maxes.row(*group));
            let first = self.sorted.partition_point(|key| key.as_ref() < min.as_ref());
            let inside = self.sorted.get(first).is_some_and(|key| key.as_ref() <= max.as_ref());
            unknown[*group] || inside
        };
        Some((0..groups.len()).filter(fits).collect())
    }
}

/// One row group to look through.
struct Unit {
    target: usize,
    group: usize,
    /// Position of its first row in the file.
    start: u64,
    metadata: ArrowReaderMetadata,
}

/// Looks through `columns` of the chosen row groups of the targets on a few threads. `visit` gets
/// the target, the position of the first row and the rows; what it gives comes back in order.
fn scan<T: Send>(
    targets: &[Target],
    units: &[Unit],
    columns: &[&str],
    visit: impl Fn(&Target, u64, &RecordBatch) -> Result<T> + Sync,
) -> Result<Vec<(usize, Vec<T>)>> {
    side_by_side(units.len(), |number| {
        let unit = &units[number];
        let target = &targets[unit.target];
        let path = &target.file.path;
        let opened = File::open(path).map_err(|e| io_error("open the lake file", path, e))?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(opened, unit.metadata.clone());
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let reader = builder
            .with_row_groups(vec![unit.group])
            .with_projection(mask)
            .with_batch_size(16_384)
            .build()
            .map_err(|e| parquet_error("read", path, e))?;
        let mut start = unit.start;
        let mut results = Vec::new();
        for batch in reader {
            let batch = batch?;
            results.push(visit(target, start, &batch)?);
            start += batch.num_rows() as u64;
        }
        Ok((unit.target, results))
    })
}

/// The row groups of the targets that `chosen` picks.
fn units(
    targets: &[Target],
    skip: impl Fn(&Target) -> bool,
    chosen: impl Fn(&ArrowReaderMetadata) -> Vec<usize>,
) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        if skip(target) {
            continue;
        }
        let metadata = metadata(&target.file.path)?;
        let groups = chosen(&metadata);
        let mut start = 0;
        for (group, content) in metadata.metadata().row_groups().iter().enumerate() {
            if groups.contains(&group) {
                units.push(Unit { target: index, group, start, metadata: metadata.clone() });
            }
            start += u64::try_from(content.num_rows()).unwrap_or(0);
        }
    }
    Ok(units)
}

fn metadata(path: &Path) -> Result<ArrowReaderMetadata> {
    let file = File::open(path).map_err(|e| io_error("open the lake file", path, e))?;
    ArrowReaderMetadata::load(&file, parquet::arrow::arrow_reader::ArrowReaderOptions::new())
        .map_err(|e| parquet_error("open", path, e))
}

/// Rows of one target: positions in order, each with its key.
#[derive(Default)]
pub(super) struct Found {
    pub(super) target: usize,
    pub(super) positions: Vec<u64>,
    pub(super) keys: Vec<u128>,
}

/// The live rows of `targets` whose key is in `wanted`.
pub(super) fn find<V: Sync>(
    targets: &[Target],
    hasher: &RowHasher,
    range: &KeyRange,
    wanted: &HashMap<u128, V, Identity>,
) -> Result<Vec<Found>> {
    let units = units(targets, |target| !target.may_hold(wanted), |file| range.row_groups(file))?;
    let schema = KeySchema::of(hasher);
    let columns: Vec<&str> = hasher.columns().collect();
    let sieve = Sieve::new(wanted.keys().copied(), wanted.len());
    let rows = scan(targets, &units, &columns, |target, start, batch| {
        let keys = hasher.hash(&schema.fill(batch)?)?;
        Ok(live(target, start, keys, |key| sieve.passes(key) && wanted.contains_key(&key)))
    })?;
    Ok(gather(rows))
}

/// Says of most keys that they are not wanted, at the price of one bit that is near.
struct Sieve {
    bits: Vec<u64>,
}

impl Sieve {
    fn new(keys: impl Iterator<Item = u128>, count: usize) -> Self {
        let mut bits = vec![0; (count / 4).next_power_of_two()];
        for key in keys {
            let (word, bit) = place(key, bits.len());
            bits[word] |= bit;
        }
        Self { bits }
    }

    fn passes(&self, key: u128) -> bool {
        let (word, bit) = place(key, self.bits.len());
        self.bits[word] & bit != 0
    }
}

#[allow(clippy::cast_possible_truncation)] // some of the bits of a hash
fn place(key: u128, words: usize) -> (usize, u64) {
    let part = (key >> 64) as usize;
    ((part >> 6) & (words - 1), 1 << (part & 63))
}

/// The live rows of `targets` that `gone` picks by key.
pub(super) fn find_gone(
    targets: &[Target],
    hasher: &RowHasher,
    gone: impl Fn(u128) -> bool + Sync,
) -> Result<Vec<Found>> {
    let units = units(targets, |_| false, every_group)?;
    let schema = KeySchema::of(hasher);
    let columns: Vec<&str> = hasher.columns().collect();
    let rows = scan(targets, &units, &columns, |target, start, batch| {
        let keys = hasher.hash(&schema.fill(batch)?)?;
        Ok(live(target, start, keys, &gone))
    })?;
    Ok(gather(rows))
}

/// The live rows of `targets` that belong to one of `groups` and whose key `gone` picks.
pub(super) fn find_in_groups(
    targets: &[Target],
    hasher: &RowHasher,
    grouping: &RowHasher,
    in_group: impl Fn(u128) -> bool + Sync,
    gone: impl Fn(u128) -> bool + Sync,
) -> Result<Vec<Found>> {
    let units = units(targets, |_| false, every_group)?;
    let mut columns: Vec<&str> = hasher.columns().chain(grouping.columns()).collect();
    columns.sort_unstable();
    columns.dedup();
    let rows = scan(targets, &units, &columns, |target, start, batch| {
        let groups = grouping.hash(batch)?;
        let keys = hasher.hash(batch)?;
        let member = |row: usize| groups.get(row).is_some_and(|group| in_group(*group));
        Ok(live_where(target, start, keys, |row, key| member(row) && gone(key)))
    })?;
    Ok(gather(rows))
}

/// Visits `columns` of all live rows: batches, each with whether a row of it is live.
pub(super) fn visit_live<T: Send>(
    targets: &[Target],
    columns: &[&str],
    visit: impl Fn(&RecordBatch, &dyn Fn(usize) -> bool) -> Result<T> + Sync,
) -> Result<Vec<(usize, Vec<T>)>> {
    let units = units(targets, |_| false, every_group)?;
    scan(targets, &units, columns, |target, start, batch| {
        let is_live = |row: usize| {
            let position = start + row as u64;
            target.deleted.binary_search_by_key(&position, |d| d.position).is_err()
        };
        visit(batch, &is_live)
    })
}

fn every_group(file: &ArrowReaderMetadata) -> Vec<usize> {
    (0..file.metadata().num_row_groups()).collect()
}

fn live(target: &Target, start: u64, keys: Vec<u128>, wanted: impl Fn(u128) -> bool) -> Rows {
    live_where(target, start, keys, |_, key| wanted(key))
}

/// Positions and keys of the rows that are wanted and not deleted.
fn live_where(
    target: &Target,
    start: u64,
    keys: Vec<u128>,
    wanted: impl Fn(usize, u128) -> bool,
) -> Rows {
    let mut found = (Vec::new(), Vec::new());
    for (row, key) in keys.into_iter().enumerate() {
        if !wanted(row, key) {
            continue;
        }
        let position = start + row as u64;
        if target.deleted.binary_search_by_key(&position, |d| d.position).is_err() {
            found.0.push(position);
            found.1.push(key);
        }
    }
    found
}

/// Positions and keys of rows.
type Rows = (Vec<u64>, Vec<u128>);

fn gather(rows: Vec<(usize, Vec<Rows>)>) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for (target, pieces) in rows {
        if all.last().is_none_or(|found| found.target != target) {
            all.push(Found { target, ..Found::default() });
        }
        let Some(found) = all.last_mut() else { continue };
        for (positions, keys) in pieces {
            found.positions.extend(positions);
            found.keys.extend(keys);
        }
    }
    all.retain(|found| !found.positions.is_empty());
    all
}

/// Key columns in the order of the key; a file may have them in another.
struct KeySchema {
    names: Vec<String>,
}

impl KeySchema {
    fn of(hasher: &RowHasher) -> Self {
        Self { names: hasher.columns().map(str::to_owned).collect() }
    }

    fn fill(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let missing = self.names.iter().find(|name| batch.column_by_name(name).is_none());
        match missing {
            None => Ok(batch.clone()),
            Some(name) => Err(Error::new(
                huiliu_sdk::ErrorKind::Schema,
                "E-COLUMN-MISSING",
                format!("a file of the table lacks the key column {name}"),
            )
            .hint("a column that was added later cannot be the key; reset the stream")),
        }
    }
}

/// Values of some columns at `positions` of a file, in one batch.
pub(super) fn values_at(
    path: &Path,
    columns: &[&str],
    positions: &[u64],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut batches = Vec::new();
    for batch in crate::file::read_columns_at(path, columns, positions)? {
        batches.push(crate::storage_batch(&batch?, schema)?);
    }
    Ok(arrow::compute::concat_batches(schema, &batches)?)
}
