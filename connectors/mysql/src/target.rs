//! A table that is written: what fits into it, and the statements that put it there.

use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use chrono_tz::Tz;
use huiliu_sdk::{Error, ErrorKind, LoadMode, Result};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row};

use crate::config::Push;
use crate::database::quote;
use crate::fault::{fault, named_column, reason};
use crate::schema::{Table, table};
use crate::value::{Bound, bound, fits};
use crate::wire::Wire;

/// Values one prepared statement takes.
const VALUES_AT_MOST: usize = 65_535;

/// Rows of one statement; more make the server slower, not faster.
const ROWS_AT_MOST: usize = 1_000;

/// What the server keeps of a packet for itself.
const PACKET_OVERHEAD: usize = 4_096;

/// A table and the columns of it that are written.
pub(crate) struct Target {
    pub(crate) table: String,
    columns: Vec<(String, Wire)>,
    types: Vec<DataType>,
    /// `insert into ... values`.
    head: String,
    /// `(?, ?, ...)`.
    row: String,
    /// ` on duplicate key update ...`, or nothing.
    tail: String,
    packet: usize,
    hub: Tz,
}

impl Target {
    /// Looks at the table and refuses what does not fit into it.
    pub(crate) async fn plan(
        db: &mut MySqlConnection,
        push: &Push,
        schema: &Schema,
        mode: LoadMode,
        hub: Tz,
    ) -> Result<Self> {
        let table = table(db, &push.table).await?;
        if !table.is_transactional() {
            let message = format!("table `{}` cannot be written in a transaction", table.name);
            return Err(Error::new(ErrorKind::Unsupported, "E-MYSQL-ENGINE", message)
                .hint("let the table's owner change its engine to InnoDB"));
        }
        let mut columns = Vec::new();
        for field in schema.fields() {
            let declared = table.column(field.name())?;
            match declared.wire.filter(|wire| fits(field.data_type(), *wire)) {
                Some(wire) => columns.push((declared.name.clone(), wire)),
                None => {
                    let message = format!(
                        "column `{}` of type {} does not fit into a column of type {}",
                        field.name(),
                        field.data_type(),
                        declared.data_type,
                    );
                    return Err(Error::new(ErrorKind::Schema, "E-MYSQL-FIT", message)
                        .hint("cast the column where the push takes its rows from"));
                }
            }
        }
        if mode == LoadMode::Upsert {
            check_key(&table, push, &columns)?;
        }
        let row = sqlx::query("select cast(@@max_allowed_packet as unsigned)")
            .fetch_one(&mut *db)
            .await
            .map_err(|cause| fault("asking for the size of packets", cause))?;
        let packet: u64 = row.try_get_unchecked(0).unwrap_or(1 << 20);
        let names: Vec<String> = columns.iter().map(|(name, _)| quote(name)).collect();
        Ok(Self {
            head: format!("insert into {} ({}) values ", quote(&table.name), names.join(", ")),
            row: format!("({})", vec!["?"; columns.len()].join(", ")),
            tail: if mode == LoadMode::Upsert { update(push, &columns) } else { String::new() },
            table: table.name,
            columns,
            types: schema.fields().iter().map(|field| field.data_type().clone()).collect(),
            packet: usize::try_from(packet).unwrap_or(usize::MAX).saturating_sub(PACKET_OVERHEAD),
            hub,
        })
    }

    /// Whether batches of `schema` go through the same statements.
    pub(crate) fn is_for(&self, schema: &Schema) -> bool {
        let names = self.columns.iter().map(|(name, _)| name);
        schema.fields().len() == self.columns.len()
            && schema
                .fields()
                .iter()
                .zip(names.zip(&self.types))
                .all(|(field, (name, kind))| field.name() == name && field.data_type() == kind)
    }

    /// The values of a row, or the column that cannot be sent and why.
    pub(crate) fn values<'a>(
        &self,
        batch: &'a RecordBatch,
        row: usize,
    ) -> Result<Vec<Bound<'a>>, (String, &'static str)> {
        let mut size = 0;
        let mut values = Vec::with_capacity(self.columns.len());
        for ((name, wire), array) in self.columns.iter().zip(batch.columns()) {
            let value = bound(array.as_ref(), row, *wire, self.hub)
                .map_err(|reason| (name.clone(), reason))?;
            size += value.size();
            if size > self.packet {
                return Err((name.clone(), "the row is larger than the server takes"));
            }
            values.push(value);
        }
        Ok(values)
    }

    /// Cuts rows into parts of which each is one statement.
    pub(crate) fn parts(&self, rows: &[Vec<Bound<'_>>]) -> Vec<Range<usize>> {
        let most = (VALUES_AT_MOST / self.columns.len().max(1)).clamp(1, ROWS_AT_MOST);
        let mut parts = Vec::new();
        let (mut start, mut size) = (0, 0);
        for (index, row) in rows.iter().enumerate() {
            let bytes: usize = row.iter().map(Bound::size).sum::<usize>() + self.row.len();
            if index > start && (index - start >= most || size + bytes > self.packet / 2) {
                parts.push(start..index);
                (start, size) = (index, 0);
            }
            size += bytes;
        }
        if start < rows.len() {
            parts.push(start..rows.len());
        }
        parts
    }

    /// Writes rows by one statement: all of them or none.
    pub(crate) async fn insert(
        &self,
        db: &mut MySqlConnection,
        rows: &[Vec<Bound<'_>>],
    ) -> sqlx::Result<()> {
        let values = vec![self.row.as_str(); rows.len()].join(", ");
        let sql = format!("{}{values}{}", self.head, self.tail);
        // The longest statement is sent again and again, and is worth keeping on the server.
        let mut statement = sqlx::query(AssertSqlSafe(sql)).persistent(rows.len() >= ROWS_AT_MOST);
        for value in rows.iter().flatten() {
            statement = value.clone().bind(statement);
        }
        statement.execute(db).await.map(|_| ())
    }

    /// What the server has against a row, without any value of it.
    pub(crate) fn complaint(&self, cause: &sqlx::Error) -> String {
        let reason = reason(cause);
        match named_column(cause, self.columns.iter().map(|(name, _)| name.as_str())) {
            Some(column) => format!("column `{column}`: {reason}"),
            None => reason.to_owned(),
        }
    }
}

/// The server updates whatever row stands in the way, so there must be one unique index only by
/// which rows can meet, and it must be the push's key.
fn check_key(table: &Table, push: &Push, columns: &[(String, Wire)]) -> Result<()> {
    let refuse = |message: String, hint: &'static str| {
        Err(Error::new(ErrorKind::Config, "E-MYSQL-KEY", message).hint(hint))
    };
    let written = |name: &String| columns.iter().any(|(column, _)| column == name);
    let name = &table.name;
    if push.key.is_empty() || !push.key.iter().all(written) {
        return refuse(
            format!("rows for table `{name}` come without the push's key"),
            "name in `key` the columns that identify a row, and send them",
        );
    }
    let is_key = |index: &Vec<String>| {
        index.len() == push.key.len() && index.iter().all(|column| push.key.contains(column))
    };
    if !table.unique.values().any(is_key) {
        return refuse(
            format!("table `{name}` has no unique index over the push's key"),
            "let the table's owner add one, or correct `key`",
        );
    }
    let numbered = |name: &String| {
        table.column(name).is_ok_and(|column| column.extra.contains("auto_increment"))
    };
    let in_the_way = table.unique.iter().find(|(_, index)| {
        !is_key(index) && !index.iter().any(|column| !written(column) && numbered(column))
    });
    match in_the_way {
        None => Ok(()),
        Some((index, _)) => refuse(
            format!("table `{name}` has a second unique index, `{index}`"),
            "a row could overwrite that of another key; write to a table with one unique index",
        ),
    }
}

fn update(push: &Push, columns: &[(String, Wire)]) -> String {
    let mut sets: Vec<String> = columns
        .iter()
        .filter(|(name, _)| !push.key.contains(name))
        .map(|(name, _)| format!("{0} = values({0})", quote(name)))
        .collect();
    if sets.is_empty() {
        sets = push.key.iter().take(1).map(|name| format!("{0} = {0}", quote(name))).collect();
    }
    format!(" on duplicate key update {}", sets.join(", "))
}
