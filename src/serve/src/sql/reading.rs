//! What a statement reads that comes through no door, for the audit.

use std::collections::{BTreeMap, BTreeSet};

use huiliu_engine::Session;
use huiliu_sdk::Result;

use super::{statement, tables};

/// What a statement reads.
pub struct StatementRead {
    /// Its text with `?` in the place of values.
    pub shape: String,
    /// The columns it names of each table that holds data.
    pub columns: BTreeMap<String, BTreeSet<String>>,
}

/// What one reading statement would read in `session`.
pub async fn read_by_statement(session: &Session, sql: &str) -> Result<StatementRead> {
    let frame = session.query(sql).await?;
    let columns = tables::read_by(frame.logical_plan())?;
    Ok(StatementRead { shape: statement::shape(sql), columns })
}
