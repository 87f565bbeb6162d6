//! Taking in rows and keys: under the lake's columns, or set aside.

use std::sync::Arc;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use huiliu_lake::{UnkeyedRow, storage_batch};
use huiliu_sdk::{
    Cell, ColumnType, Error, ErrorKind, Ops, Policy, Rejected, Result, RowBuilder, Rows, original,
    read_original,
};
use huiliu_store::QuarantinedRow;

use super::Mover;
use super::aside::original_row;
use super::chunk::{rows_at_once, slice_ops};
use super::conform::{conform, declared, marked, take_rows};

impl Mover<'_> {
    pub(super) async fn take(&mut self, rows: Rows) -> Result<()> {
        let Rows { batch, ops, origin, mut positions, rejected, .. } = rows;
        self.since_checkpoint += (batch.num_rows() + rejected.len()) as u64;
        self.keep_rejected_keys(&rejected).await?;
        for row in rejected {
            self.put_aside(&origin, row.position, row.code, row.reason, &row.raw)?;
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let layout = self.layout.clone();
        let layout =
            layout.ok_or_else(|| Error::internal("the source sent rows before their columns"))?;
        let zone = self.hub.project.zone;
        let bytes = batch.get_array_memory_size();
        let tags = self.settings.columns.iter();
        let identities: Vec<&str> = tags
            .filter(|(_, spec)| spec.tag.as_deref() == Some("id_number"))
            .map(|(name, _)| name.as_str())
            .collect();
        let conformed = conform(&batch, &layout, &identities, zone)?;
        let mut ops = ops;
        let mut fitting = conformed.batch.clone();
        if let Some(kept) = conformed.fitting() {
            let lost: Vec<usize> = conformed.misfits.iter().map(|misfit| misfit.row).collect();
            self.keep_keys(&take_rows(&conformed.batch, &lost)?).await?;
            for misfit in conformed.misfits {
                let raw = original_row(&batch, misfit.row, zone)?;
                let position = positions.get(misfit.row).copied().unwrap_or_default();
                self.put_aside(&origin, position, misfit.code, misfit.reason, &raw)?;
            }
            fitting = take_rows(&conformed.batch, &kept)?;
            if let Ops::PerRow(each) = &ops {
                ops = Ops::PerRow(kept.iter().filter_map(|row| each.get(*row).copied()).collect());
            }
            positions = kept.iter().filter_map(|row| positions.get(*row).copied()).collect();
        }
        if let Some(column) = &self.settings.deleted {
            ops = marked(&fitting, column, ops)?;
        }
        let count = fitting.num_rows();
        let at_once = rows_at_once(count, bytes);
        let mut start = 0;
        while start < count {
            let rows = at_once.min(count - start);
            let part = fitting.slice(start, rows);
            let numbers = positions.iter().skip(start).take(rows).copied().collect();
            let share = bytes / count * rows;
            self.chunk.push(part, slice_ops(&ops, start, rows), &origin, numbers, share);
            if self.chunk.is_full() {
                self.flush().await?;
            }
            start += rows;
        }
        Ok(())
    }

    /// Sets a row aside that was not merged, unless the contract wants the stream to stop.
    fn put_aside(
        &mut self,
        origin: &Arc<str>,
        position: u64,
        code: &str,
        reason: String,
        raw: &[u8],
    ) -> Result<()> {
        self.set_aside += 1;
        self.quarantine(origin, position, code, reason, raw)
    }

    fn quarantine(
        &mut self,
        origin: &str,
        position: u64,
        code: &str,
        reason: String,
        raw: &[u8],
    ) -> Result<()> {
        if self.settings.contract.rows == Policy::Freeze {
            return Err(Error::new(
                ErrorKind::Data,
                "E-CONTRACT-ROW",
                format!("a row does not fit ({code}): {origin}:{position} {reason}"),
            )
            .hint("nothing was committed since the last checkpoint; have the row corrected, or set the stream's `contract.rows` to quarantine"));
        }
        self.quarantined.push(QuarantinedRow {
            origin: origin.to_owned(),
            position,
            code: code.to_owned(),
            reason,
            sealed: self.hub.key.seal(raw)?,
        });
        Ok(())
    }

    /// Sets a row aside that the merge could not tell apart; it is in the merge's balance.
    pub(super) fn put_unkeyed(&mut self, row: UnkeyedRow) -> Result<()> {
        let cells = row
            .row
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().map_or(Cell::Null, Cell::Text)));
        let raw = original(cells);
        let reason = format!("the key column {} has no value", row.column);
        self.quarantine(&row.origin, row.position, "E-NULL-KEY", reason, &raw)
    }

    /// Keys the source holds now.
    pub(super) async fn take_keys(&mut self, keys: &RecordBatch) -> Result<()> {
        let Some(scan) = &mut self.scan else {
            return Err(Error::internal("the source sent keys that nobody asked for"));
        };
        scan.has_keys = true;
        self.flush().await?;
        if !self.ensure_merge().await? {
            return Ok(());
        }
        let keys = self.key_columns(keys)?;
        self.with_merge(move |merge| merge.keys(&keys)).await
    }

    /// Rows that are set aside are still at the source: their keys count as seen.
    async fn keep_keys(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.scan.is_none() || rows.num_rows() == 0 {
            return Ok(());
        }
        let keys = self.key_columns(rows)?;
        let whole: Vec<usize> = (0..keys.num_rows())
            .filter(|row| keys.columns().iter().all(|column| column.is_valid(*row)))
            .collect();
        if let Some(scan) = &mut self.scan {
            scan.keyless += (keys.num_rows() - whole.len()) as u64;
        }
        let keys = take_rows(&keys, &whole)?;
        self.with_merge(move |merge| merge.keys(&keys)).await
    }

    /// The key columns of `rows`, in the types of the lake.
    fn key_columns(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let layout = self.layout.as_ref();
        let layout = layout.ok_or_else(|| Error::internal("keys came before their columns"))?;
        let mut fields = Vec::with_capacity(self.settings.key.len());
        for column in &self.settings.key {
            if rows.column_by_name(column).is_none() {
                return Err(Error::new(
                    ErrorKind::Schema,
                    "E-COLUMN-MISSING",
                    format!("the source's keys have no column {column}"),
                )
                .hint("check `key` in the system file against `huiliu discover`"));
            }
            fields.push(layout.schema.field_with_name(column)?.clone());
        }
        storage_batch(rows, &Arc::new(arrow::datatypes::Schema::new(fields)))
    }

    async fn keep_rejected_keys(&mut self, rejected: &[Rejected]) -> Result<()> {
        if self.scan.is_none() || rejected.is_empty() {
            return Ok(());
        }
        let Some(mut keys) = self.key_builder() else {
            if let Some(scan) = &mut self.scan {
                scan.keyless += rejected.len() as u64;
            }
            return Ok(());
        };
        let mut keyless = 0;
        for row in rejected {
            let values = read_original(&row.raw).unwrap_or_default();
            let cells: Option<Vec<_>> = self
                .settings
                .key
                .iter()
                .map(|column| values.iter().find(|(name, _)| name == column))
                .map(|found| found.map(|(_, value)| value.cell()))
                .collect();
            let is_known = cells.is_some_and(|cells| keys.push(row.position, &cells).is_ok());
            keyless += u64::from(!is_known);
        }
        if let Some(scan) = &mut self.scan {
            scan.keyless += keyless;
        }
        let (keys, _) = keys.finish()?;
        self.keep_keys(&keys).await
    }

    /// Reads keys of rows that could not be decoded; `None` when a key is of a kind that has no
    /// text form.
    fn key_builder(&self) -> Option<RowBuilder> {
        let layout = self.layout.as_ref()?;
        let mut columns: Vec<(String, ColumnType, bool)> = Vec::new();
        for column in &self.settings.key {
            let kind = layout.schema.field_with_name(column).ok()?.data_type();
            columns.push((column.clone(), declared(kind)?, false));
        }
        let hub_zone = self.hub.project.zone;
        let zone = self.settings.zone.as_deref().and_then(|zone| zone.parse().ok());
        Some(RowBuilder::new(&columns, zone.unwrap_or(hub_zone), hub_zone))
    }
}
