//! Rows that wait to be merged together.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use huiliu_lake::Positions;
use huiliu_sdk::{Op, Ops, Result};

/// Rows merged at once.
const CHUNK_ROWS: usize = 65_536;
/// Bytes merged at once.
const CHUNK_BYTES: usize = 64 << 20;

/// Rows of one layout that wait to be merged together.
pub(super) struct Chunk {
    batches: Vec<RecordBatch>,
    positions: Positions,
    ops: Ops,
    rows: usize,
    bytes: usize,
}

/// What a chunk held.
pub(super) struct Taken {
    pub(super) batch: RecordBatch,
    pub(super) ops: Ops,
    pub(super) positions: Positions,
    pub(super) bytes: usize,
}

impl Chunk {
    pub(super) fn new() -> Self {
        Self {
            batches: Vec::new(),
            positions: Positions::new(),
            ops: Ops::Upsert,
            rows: 0,
            bytes: 0,
        }
    }

    /// Rows that wait.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether no more should be added.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }

    /// Adds rows, which came from `numbers` under `origin`.
    pub(super) fn push(
        &mut self,
        batch: RecordBatch,
        ops: Ops,
        origin: &Arc<str>,
        numbers: Vec<u64>,
        bytes: usize,
    ) {
        let rows = batch.num_rows();
        if self.rows == 0 {
            self.ops = ops;
        } else if self.ops != ops || matches!(ops, Ops::PerRow(_)) {
            let mut each = per_row(std::mem::replace(&mut self.ops, Ops::Upsert), self.rows);
            each.extend(per_row(ops, rows));
            self.ops = Ops::PerRow(each);
        }
        self.positions.push(Arc::clone(origin), numbers);
        self.rows += rows;
        self.bytes += bytes;
        self.batches.push(batch);
    }

    /// Takes what waits.
    pub(super) fn take(&mut self) -> Result<Option<Taken>> {
        let chunk = std::mem::replace(self, Self::new());
        let Some(first) = chunk.batches.first() else { return Ok(None) };
        let batch = match chunk.batches.as_slice() {
            [one] => one.clone(),
            several => concat_batches(&first.schema(), several)?,
        };
        let Self { ops, positions, bytes, .. } = chunk;
        Ok(Some(Taken { batch, ops, positions, bytes }))
    }
}

fn per_row(ops: Ops, rows: usize) -> Vec<Op> {
    match ops {
        Ops::Upsert => vec![Op::Upsert; rows],
        Ops::Delete => vec![Op::Delete; rows],
        Ops::PerRow(each) => each,
    }
}

/// How many rows of a batch of `rows` rows and `bytes` bytes are merged at once.
pub(super) fn rows_at_once(rows: usize, bytes: usize) -> usize {
    if bytes <= CHUNK_BYTES || rows <= 1 {
        return rows.max(1);
    }
    (CHUNK_BYTES / (bytes / rows).max(1)).clamp(1, rows)
}

/// The operations of `count` rows from `start` on.
pub(super) fn slice_ops(ops: &Ops, start: usize, count: usize) -> Ops {
    match ops {
        Ops::PerRow(each) => Ops::PerRow(each.iter().skip(start).take(count).copied().collect()),
        same => same.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn batch(values: Vec<i64>) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        RecordBatch::try_from_iter([("id", column)]).unwrap()
    }

    #[test]
    fn rows_of_different_operations_wait_together() {
        let mut chunk = Chunk::new();
        let origin: Arc<str> = "t".into();
        chunk.push(batch(vec![1, 2]), Ops::Upsert, &origin, vec![1, 2], 16);
        chunk.push(batch(vec![3]), Ops::Delete, &origin, vec![3], 8);
        let mixed = Ops::PerRow(vec![Op::Delete, Op::Upsert]);
        chunk.push(batch(vec![4, 5]), mixed, &origin, vec![4, 5], 16);
        let taken = chunk.take().unwrap().unwrap();
        assert_eq!((taken.batch.num_rows(), taken.bytes), (5, 40));
        let (upsert, delete) = (Op::Upsert, Op::Delete);
        assert_eq!(taken.ops, Ops::PerRow(vec![upsert, upsert, delete, delete, upsert]));
        assert!(chunk.take().unwrap().is_none());
    }

    #[test]
    fn a_batch_that_is_too_large_is_merged_in_pieces() {
        assert_eq!(rows_at_once(1000, 1000), 1000);
        assert_eq!(rows_at_once(1000, 1000 << 20), 64);
        assert_eq!(rows_at_once(3, usize::MAX), 1);
        assert_eq!(rows_at_once(0, 0), 1);
    }
}
