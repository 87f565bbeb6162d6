//! What the pipelines' audits found, each time they looked.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};
use crate::sql::Row;

const TABLE: &str = "create table if not exists huiliu_verdict (
   audit text not null,
   run_id bigint not null,
   severity text not null,
   fingerprint text not null,
   row_count bigint not null,
   examples text not null,
   found_at text not null,
   primary key (audit, run_id)
 )";
/// Beyond this the oldest are not shown.
const SHOWN: u32 = 10_000;

/// What one audit found in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictRow {
    /// The audit, as `audits.NAME`.
    pub audit: String,
    /// The run in which it looked.
    pub run_id: i64,
    /// `block` or `warn`.
    pub severity: String,
    /// Hash over its definition and the versions of what it read.
    #[serde(skip)]
    pub fingerprint: String,
    /// Rows it found.
    pub row_count: i64,
    /// Keys of some of them, as a JSON list of objects.
    pub examples: String,
    /// When, UTC.
    pub found_at: String,
}

/// Makes the table if it is not there.
pub(crate) async fn prepare(tx: &mut Tx) -> Result<()> {
    tx.run("make its tables", TABLE, Vec::new()).await?;
    Ok(())
}

impl Store {
    /// What audits found, newest first.
    pub async fn verdicts(&self) -> Result<Vec<VerdictRow>> {
        let rows = self
            .all(
                "list what audits found",
                "select audit, run_id, severity, fingerprint, row_count, examples, found_at
                 from huiliu_verdict order by run_id desc, audit limit ?",
                args![SHOWN],
            )
            .await?;
        rows.iter().map(verdict).collect()
    }

    /// What an audit found when it looked last.
    pub async fn last_verdict(&self, audit: &str) -> Result<Option<VerdictRow>> {
        let rows = self
            .all(
                "read what an audit found",
                "select audit, run_id, severity, fingerprint, row_count, examples, found_at
                 from huiliu_verdict where audit = ? order by run_id desc limit 1",
                args![audit],
            )
            .await?;
        rows.first().map(verdict).transpose()
    }
}

fn verdict(row: &Row) -> Result<VerdictRow> {
    Ok(VerdictRow {
        audit: row.get(0)?,
        run_id: row.get(1)?,
        severity: row.get(2)?,
        fingerprint: row.get(3)?,
        row_count: row.get(4)?,
        examples: row.get(5)?,
        found_at: row.get(6)?,
    })
}

impl Tx {
    /// Records what an audit found.
    pub async fn put_verdict(&mut self, verdict: &VerdictRow) -> Result<()> {
        self.run(
            "record what an audit found",
            "insert into huiliu_verdict
               (audit, run_id, severity, fingerprint, row_count, examples, found_at)
             values (?, ?, ?, ?, ?, ?, ?)",
            args![
                &verdict.audit,
                verdict.run_id,
                &verdict.severity,
                &verdict.fingerprint,
                verdict.row_count,
                &verdict.examples,
                &verdict.found_at,
            ],
        )
        .await?;
        Ok(())
    }
}
