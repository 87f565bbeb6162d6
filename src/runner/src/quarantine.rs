//! The operator's verbs on rows in quarantine that do not try them again: find, show, discard.

use huiliu_sdk::{Error, ErrorKind, OriginalValue, Result, read_original};
use huiliu_store::{QuarantineFilter, QuarantineRow, SealedRow};
use serde_json::json;

use crate::audit::{Change, Deed};
use crate::hub::Hub;
use crate::lock::FolderLock;

/// Rows in quarantine that an operator means: those of a stream or a run, or single ones.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `system.stream`.
    pub stream: Option<String>,
    /// The run that set them aside.
    pub run: Option<i64>,
    /// Their numbers.
    pub ids: Vec<i64>,
}

impl Selection {
    /// As the store asks for it.
    pub fn filter(&self, hub: &Hub) -> Result<QuarantineFilter> {
        let mut filter = QuarantineFilter { run: self.run, ..QuarantineFilter::default() };
        if let Some(node) = &self.stream {
            let (system, stream) = split(hub, node)?;
            (filter.system, filter.stream) = (Some(system), Some(stream));
        }
        Ok(filter)
    }
}

/// The parts of a stream's name. A stream that is not in the project any more may still have
/// rows.
pub(crate) fn split(hub: &Hub, node: &str) -> Result<(String, String)> {
    match node.split_once('.') {
        Some((system, stream)) => Ok((system.to_owned(), stream.to_owned())),
        None => hub.find_stream(node).map(|_| (String::new(), String::new())),
    }
}

/// A row in quarantine with its original. Not `Debug`, because it holds personal data.
pub struct OriginalView {
    /// What is known of it.
    pub row: QuarantineRow,
    /// Its columns as text; none when it could not be told apart into columns.
    pub columns: Option<Vec<(String, Option<String>)>>,
    /// The whole original as text.
    pub text: String,
}

impl Hub {
    /// One row in quarantine, opened. Reading it unmasked is noted in the audit by
    /// [`Hub::note_reveal`].
    pub async fn quarantined_original(&self, id: i64) -> Result<OriginalView> {
        let sealed = self.sealed(id).await?;
        let raw = self.key.open(&sealed.sealed)?;
        let columns = read_original(&raw)
            .map(|values| values.into_iter().map(|(name, value)| (name, plain(value))).collect());
        let text = String::from_utf8_lossy(&raw).into_owned();
        Ok(OriginalView { row: sealed.row, columns, text })
    }

    async fn sealed(&self, id: i64) -> Result<SealedRow> {
        self.lake().store().sealed_row(id).await?.ok_or_else(|| unknown(id))
    }

    /// Notes that somebody looked at a row unmasked, and at which columns. What cannot be noted is
    /// not shown.
    pub async fn note_reveal(&self, view: &OriginalView, deed: &Deed<'_>) -> Result<()> {
        let mut tx = self.lake().store().begin().await?;
        let OriginalView { row, columns, .. } = view;
        let object = format!("{}.{} #{}", row.system, row.stream, row.quarantine_id);
        let columns: Option<Vec<&str>> =
            columns.as_ref().map(|all| all.iter().map(|(name, _)| name.as_str()).collect());
        let after = Some(json!({ "columns": columns, "rows": 1 }));
        let change = Change { action: "quarantine reveal", object: &object, before: None, after };
        self.note(&mut tx, deed, change).await?;
        tx.commit().await
    }

    /// Takes a row out of quarantine for good.
    pub async fn discard(&self, id: i64, deed: &Deed<'_>) -> Result<QuarantineRow> {
        let _lock = FolderLock::take(&self.data, &self.holder)?;
        let row = self.sealed(id).await?.row;
        let mut tx = self.lake().store().begin().await?;
        if !tx.leave_quarantine(id).await? {
            return Err(unknown(id));
        }
        let object = format!("{}.{} #{id}", row.system, row.stream);
        let before = Some(json!(row));
        let change = Change { action: "quarantine discard", object: &object, before, after: None };
        self.note(&mut tx, deed, change).await?;
        tx.commit().await?;
        Ok(row)
    }
}

pub(crate) fn unknown(id: i64) -> Error {
    Error::new(ErrorKind::Config, "E-NO-ROW", format!("there is no row {id} in quarantine"))
        .hint("`huiliu quarantine list` shows them")
}

fn plain(value: OriginalValue) -> Option<String> {
    match value {
        OriginalValue::Null => None,
        OriginalValue::Text(text) => Some(text),
        OriginalValue::Bool(value) => Some(value.to_string()),
        OriginalValue::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("0x{hex}"))
        }
    }
}
