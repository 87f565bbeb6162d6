//! One stream of a read: its columns, and the rows that wait to be sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use chrono_tz::Tz;
use huiliu_sdk::{ColumnType, Event, Ops, Rejected, Result, RowBuilder, Rows, StreamId};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Wanted;
use crate::record::{RecordReader, original_without_columns};
use crate::schema;
use crate::source::Outlet;

pub(super) struct Lane<'a> {
    wanted: Wanted<'a>,
    origin: Arc<str>,
    hub_zone: Tz,
    table: Option<(RecordReader, RowBuilder)>,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
    /// Rows of this read, those that were refused included.
    rows: u64,
    /// Fields of records that no column was announced for.
    unknown: BTreeSet<String>,
    version: Versions,
    /// Whether rows were left out, because no more are wanted.
    is_cut: bool,
}

/// Which versions the rows of a read have, and which one counts.
#[derive(Default)]
struct Versions {
    /// Of the last row.
    last: Option<String>,
    /// Whether there were rows of another one.
    is_mixed: bool,
    active: Option<String>,
}

impl<'a> Lane<'a> {
    pub(super) fn new(wanted: Wanted<'a>, origin: Arc<str>, hub_zone: Tz) -> Self {
        Self {
            wanted,
            origin,
            hub_zone,
            table: None,
            rejected: Vec::new(),
            rejected_bytes: 0,
            rows: 0,
            unknown: BTreeSet::new(),
            version: Versions::default(),
            is_cut: false,
        }
    }

    pub(super) fn id(&self) -> &StreamId {
        &self.wanted.stream.id
    }

    pub(super) fn has_id(&self, name: &str) -> bool {
        self.wanted.chosen.id == name
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.wanted.chosen.name == name
    }

    /// Whether more rows are wanted.
    pub(super) fn is_open(&self, row_limit: Option<u64>) -> bool {
        row_limit.is_none_or(|limit| self.rows < limit)
    }

    /// A row came that is not wanted any more.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
    }

    /// Rows that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.rejected.len() + self.table.as_ref().map_or(0, |(_, builder)| builder.len())
    }

    /// Bytes that wait to be sent.
    pub(super) fn bytes(&self) -> usize {
        self.rejected_bytes + self.table.as_ref().map_or(0, |(_, builder)| builder.bytes())
    }

    /// Takes the columns of the rows that follow; taps say them again and again.
    pub(super) async fn announce(&mut self, outlet: &Outlet, schema: &Value) -> Result<()> {
        let stream = self.wanted.stream;
        let columns = schema::columns(schema, stream, &self.wanted.chosen.order)?;
        if self.table.as_ref().is_some_and(|(reader, _)| reader.columns() == columns) {
            return Ok(());
        }
        self.flush(outlet).await?;
        let fields: Vec<(String, ColumnType, bool)> = columns
            .iter()
            .map(|column| (column.name.clone(), column.kind, column.is_nullable()))
            .collect();
        let builder = RowBuilder::new(&fields, stream.zone, self.hub_zone);
        let announced = Event::Schema(stream.id.clone(), builder.schema());
        self.table = Some((RecordReader::new(columns), builder));
        outlet.send(announced).await
    }

    /// Takes in a record.
    pub(super) fn take(&mut self, line: u64, record: &RawValue, version: Option<&str>) {
        self.rows += 1;
        self.version.see(version);
        let Some((reader, builder)) = &mut self.table else {
            let reason = "the tap sent the record before its columns".to_owned();
            return self.refuse(line, "E-SINGER-ORDER", reason, original_without_columns(record));
        };
        if let Err(refusal) = reader.push(record, line, builder, &mut self.unknown) {
            let raw = reader.original(record);
            self.refuse(line, refusal.code, refusal.reason, raw);
        }
    }

    fn refuse(&mut self, position: u64, code: &'static str, reason: String, raw: Vec<u8>) {
        self.rejected_bytes += raw.len();
        self.rejected.push(Rejected { position, code, reason, raw });
    }

    /// The version under which everything was sent.
    pub(super) fn activate(&mut self, version: &str) {
        self.version.active = Some(version.to_owned());
    }

    /// Sends the rows that wait.
    pub(super) async fn flush(&mut self, outlet: &Outlet) -> Result<()> {
        if self.waiting() == 0 {
            return Ok(());
        }
        let (batch, positions) = match &mut self.table {
            Some((_, builder)) => builder.finish()?,
            None => (RecordBatch::new_empty(Arc::new(Schema::empty())), Vec::new()),
        };
        self.rejected_bytes = 0;
        outlet
            .send(Event::Rows(Rows {
                stream: self.id().clone(),
                batch,
                ops: Ops::Upsert,
                origin: Arc::clone(&self.origin),
                positions,
                rejected: std::mem::take(&mut self.rejected),
            }))
            .await
    }

    /// Whether the rows of this read are all rows there are.
    pub(super) fn is_complete(&self) -> bool {
        let Wanted { stream, chosen, is_fresh } = &self.wanted;
        let is_told = self.version.is_whole(self.rows).unwrap_or(chosen.is_full_table);
        stream.is_full && *is_fresh && self.table.is_some() && is_told && !self.is_cut
    }

    /// What a person should know about this read.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.table.is_none() {
            notes.push("the tap sent no columns for this stream".to_owned());
        }
        let mut unknown = self.unknown.iter().filter(|name| self.wanted.stream.wants(name));
        if unknown.next().is_some() {
            let names: Vec<String> =
                self.unknown.iter().map(|name| super::short(name.into())).collect();
            notes.push(format!(
                "fields that the tap announced no column for were not read: {}",
                names.join(", ")
            ));
        }
        if self.wanted.stream.is_full && self.version.is_whole(self.rows) == Some(false) {
            let note = "the tap did not say that the rows of this read are all there are \
                        (ACTIVATE_VERSION)";
            notes.push(note.to_owned());
        }
        notes
    }
}

impl Versions {
    fn see(&mut self, version: Option<&str>) {
        let Some(version) = version else { return };
        if self.last.as_deref() == Some(version) {
            return;
        }
        self.is_mixed |= self.last.is_some();
        self.last = Some(version.to_owned());
    }

    /// Whether the versions say that the rows are all there are; nothing if they do not speak.
    fn is_whole(&self, rows: u64) -> Option<bool> {
        match (&self.last, &self.active) {
            (Some(last), active) => Some(!self.is_mixed && active.as_ref() == Some(last)),
            (None, Some(_)) if rows == 0 => Some(true),
            (None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_all_there_are_only_when_their_one_version_was_activated() {
        let is_whole = |rows: &[&str], active: Option<&str>| {
            let mut versions = Versions::default();
            rows.iter().for_each(|version| versions.see(Some(version)));
            versions.active = active.map(str::to_owned);
            versions.is_whole(rows.len() as u64)
        };
        assert_eq!(is_whole(&["1", "1"], Some("1")), Some(true));
        assert_eq!(is_whole(&["1", "1"], None), Some(false));
        assert_eq!(is_whole(&["1", "2"], Some("2")), Some(false));
        assert_eq!(is_whole(&[], Some("2")), Some(true));
        assert_eq!(is_whole(&[], None), None);
    }
}
