//! The second pass: the rows of the keys that are looked at, all systems of one range of buckets
//! in memory at once.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use huiliu_sdk::Result;

use super::plan::{Layout, SystemLayout};
use super::wanted::Wanted;
use crate::buckets::bucket;
use crate::failure::engine_error;
use crate::hash::Identity;

/// The rows of one system.
pub(super) struct Rows {
    pub(super) batch: RecordBatch,
    pub(super) full: Vec<u64>,
}

/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// The rows of one key: of each system one, and how many there are.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    pub(super) rows: [u32; 8],
    pub(super) copies: [i64; 8],
    pub(super) inputs: u64,
}

/// What was loaded of one range of buckets.
pub(super) struct Loaded {
    pub(super) systems: Vec<Rows>,
    pub(super) entities: Vec<Entity>,
}

impl Loaded {
    /// The first system whose row has the key itself, and was not given it by a match.
    pub(super) fn keyed(&self, entity: &Entity, columns: usize) -> Option<usize> {
        let has_key = |system: &usize| {
            let (rows, row) = (&self.systems[*system].batch, entity.rows[*system]);
            row != NONE && (0..columns).all(|place| rows.column(place).is_valid(row as usize))
        };
        (0..self.systems.len()).find(has_key)
    }
}

/// Reads the wanted rows of the buckets in `range`.
pub(super) async fn load(layout: &Layout, wanted: &Wanted, range: Range<usize>) -> Result<Loaded> {
    let mut systems = Vec::with_capacity(layout.systems.len());
    let mut entities: Vec<Entity> = Vec::new();
    let mut index: HashMap<u128, usize, Identity> = HashMap::default();
    for (number, system) in layout.systems.iter().enumerate() {
        let (rows, keys, copied) = load_system(system, wanted, &range).await?;
        let order = RowOrder::new(system, &rows);
        for (row, key) in keys.into_iter().enumerate() {
            let slot = *index.entry(key).or_insert(entities.len());
            if slot == entities.len() {
                entities.push(Entity { rows: [NONE; 8], copies: [0; 8], inputs: 0 });
            }
            let entity = &mut entities[slot];
            let place = u32::try_from(row).unwrap_or(NONE);
            let seen = entity.rows[number];
            if seen == NONE || order.is_before(row, seen as usize) {
                entity.rows[number] = place;
            }
            entity.copies[number] += system.copies(&rows.batch, row);
            // Like the first pass, which counts a row that stands for several twice.
            let times = if copied[row] { 2 } else { 1 };
            for _ in 0..times {
                let salted = crate::hash::salted(rows.full[row], number as u64 + 1);
                entity.inputs = entity.inputs.wrapping_add(salted);
            }
        }
        systems.push(rows);
    }
    Ok(Loaded { systems, entities })
}

async fn load_system(
    system: &SystemLayout,
    wanted: &Wanted,
    range: &Range<usize>,
) -> Result<(Rows, Vec<u128>, Vec<bool>)> {
    let failed = |e| engine_error("reading a system's rows", e);
    let frame = system.frame_of(wanted, range)?;
    let mut stream = frame.execute_stream().await.map_err(failed)?;
    let (mut batches, mut keys, mut full, mut copied) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        let (found, unkeyed) = system.keys(&batch)?;
        let takes = |row: usize| {
            let key = found[row];
            !unkeyed[row] && range.contains(&bucket(key)) && wanted.has(key)
        };
        let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(takes(row))).collect();
        let taken = filter_record_batch(&batch, &mask)?;
        if taken.num_rows() > 0 {
            let hashes = system.hashes(&taken)?;
            keys.extend(hashes.keys);
            full.extend(hashes.full);
            copied.extend(hashes.copied);
            batches.push(system.typed(&taken)?);
        }
    }
    let batch = concat_batches(system.schema(), &batches)?;
    Ok((Rows { batch, full }, keys, copied))
}

/// Which of several rows of one key stands for it: always the same one, in whatever order they
/// are read.
struct RowOrder<'a> {
    names: Option<&'a arrow::array::StringArray>,
    full: &'a [u64],
}

impl<'a> RowOrder<'a> {
    fn new(system: &SystemLayout, rows: &'a Rows) -> Self {
        let names = system.row.and_then(|place| rows.batch.column(place).as_string_opt::<i32>());
        Self { names, full: &rows.full }
    }

    fn is_before(&self, row: usize, other: usize) -> bool {
        let name = |row: usize| {
            self.names.filter(|names| names.is_valid(row)).map(|names| names.value(row))
        };
        (name(row), self.full[row]) < (name(other), self.full[other])
    }
}
