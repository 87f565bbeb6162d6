//! Figures that were sealed: what was published, and what it takes to count it again.

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};
use crate::sql::Row;

const TABLE: &str = "create table if not exists huiliu_sealed_figure (
   seal_id bigint primary key,
   metric text not null,
   definition text not null,
   definition_hash text not null,
   day text not null,
   snapshot_id bigint not null,
   value text,
   numerator bigint not null,
   denominator bigint,
   row_count bigint not null,
   row_sum text not null,
   sealed_at text not null,
   sealed_by text not null,
   reason text not null
 )";

/// One sealed figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealedFigure {
    /// Its number.
    pub seal_id: i64,
    /// The metric's key.
    pub metric: String,
    /// What is frozen of the metric, as JSON.
    #[serde(skip)]
    pub definition: String,
    /// Hash of that.
    pub definition_hash: String,
    /// The day whose definition was in force.
    pub day: String,
    /// The snapshot it was computed from, which may have expired since.
    pub snapshot_id: i64,
    /// The value as it was published.
    pub value: Option<String>,
    /// What counted.
    pub numerator: i64,
    /// What it was counted against; none for counts.
    pub denominator: Option<i64>,
    /// Rows that were kept.
    pub row_count: i64,
    /// Sum of their hashes, in hexadecimal.
    pub row_sum: String,
    /// When, UTC.
    pub sealed_at: String,
    /// By whom.
    pub sealed_by: String,
    /// Why.
    pub reason: String,
}

const COLUMNS: &str = "seal_id, metric, definition, definition_hash, day, snapshot_id, value,
  numerator, denominator, row_count, row_sum, sealed_at, sealed_by, reason";

/// Makes the table if it is not there.
pub(crate) async fn prepare(tx: &mut Tx) -> Result<()> {
    tx.run("make its tables", TABLE, Vec::new()).await?;
    Ok(())
}

fn sealed_figure(row: &Row) -> Result<SealedFigure> {
    Ok(SealedFigure {
        seal_id: row.get(0)?,
        metric: row.get(1)?,
        definition: row.get(2)?,
        definition_hash: row.get(3)?,
        day: row.get(4)?,
        snapshot_id: row.get(5)?,
        value: row.get(6)?,
        numerator: row.get(7)?,
        denominator: row.get(8)?,
        row_count: row.get(9)?,
        row_sum: row.get(10)?,
        sealed_at: row.get(11)?,
        sealed_by: row.get(12)?,
        reason: row.get(13)?,
    })
}

impl Store {
    /// All sealed figures in the order in which they were sealed.
    pub async fn sealed_figures(&self) -> Result<Vec<SealedFigure>> {
        let sql = format!("select {COLUMNS} from huiliu_sealed_figure order by seal_id");
        let rows = self.all("list seals", crate::AssertSqlSafe(sql), args![]).await?;
        rows.iter().map(sealed_figure).collect()
    }
}

impl Tx {
    /// The number the next seal gets.
    pub async fn next_seal(&mut self) -> Result<i64> {
        let sql = "select coalesce(max(seal_id), 0) + 1 from huiliu_sealed_figure";
        let row = self.one("number a seal", sql, args![]).await?;
        row.map_or(Ok(1), |row| row.get(0))
    }

    /// Records a seal.
    pub async fn put_sealed_figure(&mut self, seal: &SealedFigure) -> Result<()> {
        self.run(
            "record a seal",
            "insert into huiliu_sealed_figure
               (seal_id, metric, definition, definition_hash, day, snapshot_id, value,
                numerator, denominator, row_count, row_sum, sealed_at, sealed_by, reason)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            args![
                seal.seal_id,
                &seal.metric,
                &seal.definition,
                &seal.definition_hash,
                &seal.day,
                seal.snapshot_id,
                &seal.value,
                seal.numerator,
                seal.denominator,
                seal.row_count,
                &seal.row_sum,
                &seal.sealed_at,
                &seal.sealed_by,
                &seal.reason,
            ],
        )
        .await?;
        Ok(())
    }
}
