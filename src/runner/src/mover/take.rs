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
use super::conform::{conform, declared, identities, marked, ops_of, take_rows};
use super::echo::Whose;

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
        let conformed = conform(&batch, &layout, &identities(self.settings), zone)?;
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
            ops = ops_of(ops, &kept);
            positions = kept.iter().filter_map(|row| positions.get(*row).copied()).collect();
        }
        if let Some(column) = &self.settings.deleted {
            ops = marked(&fitting, column, ops)?;
        }
        if self.echoes.is_none() {
            return self.gather(fitting, ops, &origin, &positions, bytes).await;
        }
        let count = fitting.num_rows().max(1);
        for (whose, rows) in self.whose(&fitting).await? {
            let part = fitting.slice(rows.start, rows.len());
            if whose == Whose::Marked {
                self.keep_keys(&part).await?;
                self.echoes.iter_mut().for_each(|echoes| echoes.leave_out(rows.len()));
                continue;
            }
            let ops = slice_ops(&ops, rows.start, rows.len());
            let positions = positions.get(rows.clone()).unwrap_or_default();
            let share = bytes / count * rows.len();
            if whose == Whose::Own {
                self.gather(part, ops, &origin, positions, share).await?;
                continue;
            }
            // Merged by themselves, so that it shows how many of them were new to the lake.
            self.settle().await?;
            let before = self.merged_rows();
            self.gather(part, ops, &origin, positions, share).await?;
            self.settle().await?;
            let written = self.merged_rows().saturating_sub(before);
            self.echoes.iter_mut().for_each(|echoes| echoes.count_written(written));
        }
        Ok(())
    }

    /// Rows that were merged as new since the last commit.
    fn merged_rows(&self) -> u64 {
        self.merge.as_ref().map_or(0, |merge| merge.balance().written)
    }

    /// Adds rows to those that wait to be merged.
    async fn gather(
        &mut self,
        fitting: RecordBatch,
        ops: Ops,
        origin: &Arc<str>,
        positions: &[u64],
        bytes: usize,
    ) -> Result<()> {
        let count = fitting.num_rows();
        let at_once = rows_at_once(count, bytes);
        let mut start = 0;
        while start < count {
            let rows = at_once.min(count - start);
            let part = fitting.slice(start, rows);
            let numbers = positions.iter().skip(start).take(rows).copied().collect();
            let share = bytes / count * rows;
            self.chunk.push(part, slice_ops(&ops, start, rows), origin, numbers, share);
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
        self.settle().await?;
        if !self.ensure_merge().await? {
            return Ok(());
        }
        let keys = self.columns_of(keys, &self.settings.key)?;
        self.with_merge(move |merge| merge.keys(&keys)).await
    }

    /// Whether rows are deleted because a read lacks their keys.
    fn deletes_what_is_lacking(&self) -> bool {
        self.scan.is_some() || !self.settings.group.is_empty()
    }

    /// Rows that are set aside are still at the source: their keys count as seen.
    async fn keep_keys(&mut self, rows: &RecordBatch) -> Result<()> {
        if !self.deletes_what_is_lacking() || rows.num_rows() == 0 {
            return Ok(());
        }
        let keys = self.columns_of(rows, &self.settings.key)?;
        let is_whole = |row: &usize| keys.columns().iter().all(|column| column.is_valid(*row));
        let (whole, lacking): (Vec<usize>, Vec<usize>) = (0..keys.num_rows()).partition(is_whole);
        if !lacking.is_empty() {
            if let Some(scan) = &mut self.scan {
                scan.keyless += lacking.len() as u64;
            }
            if !self.settings.group.is_empty() {
                let cases = take_rows(&self.columns_of(rows, &self.settings.group)?, &lacking)?;
                self.with_merge(move |merge| merge.spare_cases(Some(&cases))).await?;
            }
        }
        let keys = take_rows(&keys, &whole)?;
        self.with_merge(move |merge| merge.keys(&keys)).await
    }

    /// Some columns of `rows`, in the types of the lake.
    fn columns_of(&self, rows: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
        let layout = self.layout.as_ref();
        let layout = layout.ok_or_else(|| Error::internal("keys came before their columns"))?;
        let mut fields = Vec::with_capacity(names.len());
        for column in names {
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

    /// Keys, and where a key cannot be told the case, of rows that could not be decoded.
    async fn keep_rejected_keys(&mut self, rejected: &[Rejected]) -> Result<()> {
        if !self.deletes_what_is_lacking() || rejected.is_empty() {
            return Ok(());
        }
        let (keys, keyless) = self.read_back(rejected.iter(), &self.settings.key)?;
        if let Some(scan) = &mut self.scan {
            scan.keyless += keyless.len() as u64;
        }
        if !keyless.is_empty() && !self.settings.group.is_empty() {
            let (cases, caseless) = self.read_back(keyless.into_iter(), &self.settings.group)?;
            self.spares_all_cases |= !caseless.is_empty();
            if let Some(cases) = cases {
                self.with_merge(move |merge| merge.spare_cases(Some(&cases))).await?;
            }
        }
        match keys {
            Some(keys) => self.keep_keys(&keys).await,
            None => Ok(()),
        }
    }

    /// The columns `names` of rows that could not be decoded, and the rows in which one of these
    /// cannot be read either.
    fn read_back<'r>(
        &self,
        rejected: impl Iterator<Item = &'r Rejected>,
        names: &[String],
    ) -> Result<(Option<RecordBatch>, Vec<&'r Rejected>)> {
        let Some(mut builder) = self.builder(names) else {
            return Ok((None, rejected.collect()));
        };
        let mut unread = Vec::new();
        for row in rejected {
            let values = read_original(&row.raw).unwrap_or_default();
            let cells: Option<Vec<_>> = names
                .iter()
                .map(|column| values.iter().find(|(name, _)| name == column))
                .map(|found| found.map(|(_, value)| value.cell()))
                .collect();
            if cells.is_none_or(|cells| builder.push(row.position, &cells).is_err()) {
                unread.push(row);
            }
        }
        let (batch, _) = builder.finish()?;
        Ok((Some(batch), unread))
    }

    /// Reads columns of rows that could not be decoded; `None` when one is of a kind that has no
    /// text form.
    fn builder(&self, names: &[String]) -> Option<RowBuilder> {
        let layout = self.layout.as_ref()?;
        let mut columns: Vec<(String, ColumnType, bool)> = Vec::new();
        for column in names {
            let kind = layout.schema.field_with_name(column).ok()?.data_type();
            columns.push((column.clone(), declared(kind)?, false));
        }
        let hub_zone = self.hub.project.zone;
        let zone = self.settings.zone.as_deref().and_then(|zone| zone.parse().ok());
        Some(RowBuilder::new(&columns, zone.unwrap_or(hub_zone), hub_zone))
    }
}
