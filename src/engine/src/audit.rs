//! Running an audit: how many rows its SELECT returns, and which.

use std::collections::BTreeSet;

use futures::StreamExt;
use huiliu_core::audit::Audit;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::failure::engine_error;
use crate::record_text;
use crate::session::Engine;

/// Rows that are kept as examples.
const EXAMPLES: usize = 5;
/// Characters of one value of an example.
const VALUE_CHARACTERS: usize = 80;

/// The keys of one row: column and text.
type ExampleKey = Vec<(String, Option<String>)>;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditOutcome {
    /// Hash over everything the rows were found in.
    pub fingerprint: String,
    /// Rows.
    pub row_count: i64,
    /// The keys of the first rows in the order of their keys; none if the audit names no key.
    pub examples: Vec<ExampleKey>,
}

impl Engine {
    /// Runs `audit`, unless nothing it reads has changed since `last` (the fingerprint of its last
    /// run).
    pub async fn audit(&self, audit: &Audit, last: Option<&str>) -> Result<Option<AuditOutcome>> {
        let versions = self.lake().table_versions().await?;
        let fingerprint = self.pipelines().origin(&audit.name, &versions, self.files());
        let fingerprint = fingerprint.to_string();
        if last == Some(fingerprint.as_str()) && !self.reads_the_hub(audit) {
            return Ok(None);
        }
        let session = self.session(None).await?;
        let frame = session.query(&audit.sql).await.map_err(|e| e.context(&audit.name))?;
        let columns = frame.schema().as_arrow().clone();
        if let Some(absent) =
            audit.header.key.iter().find(|name| columns.field_with_name(name).is_err())
        {
            let message = format!("{} has the key column {absent} and no such column", audit.name);
            return Err(Error::new(ErrorKind::Config, "E-AUDIT-KEY", message)
                .hint("correct `key` in the audit's header"));
        }
        let action = audit.name.as_str();
        let mut stream = frame.execute_stream().await.map_err(|e| engine_error(action, e))?;
        let mut row_count = 0;
        // Partitions end in any order; the first keys are the same in every run.
        let mut first: BTreeSet<ExampleKey> = BTreeSet::new();
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|e| engine_error(action, e))?;
            row_count += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
            if audit.header.key.is_empty() {
                continue;
            }
            for row in 0..batch.num_rows() {
                let mut record = record_text(&batch, row)?;
                record.retain(|(name, _)| audit.header.key.contains(name));
                for (_, text) in &mut record {
                    *text = text.take().map(|text| text.chars().take(VALUE_CHARACTERS).collect());
                }
                first.insert(record);
                if first.len() > EXAMPLES {
                    first.pop_last();
                }
            }
        }
        Ok(Some(AuditOutcome { fingerprint, row_count, examples: first.into_iter().collect() }))
    }

    /// Whether it reads what the hub writes about itself, which has no versions.
    fn reads_the_hub(&self, audit: &Audit) -> bool {
        let pipelines = self.pipelines();
        let mut open: Vec<&str> = pipelines.reads(&audit.name).collect();
        let mut seen = BTreeSet::new();
        while let Some(table) = open.pop() {
            if table.starts_with("ops.") || table.starts_with("quarantine.") {
                return true;
            }
            if seen.insert(table) {
                open.extend(pipelines.reads(table));
            }
        }
        false
    }
}
