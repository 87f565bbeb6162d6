//! A table that is written: what fits into it, the statement that puts a row there, and what
//! SQLite has against one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use chrono_tz::Tz;
use huiliu_sdk::{Error, ErrorKind, LoadMode, Result};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::config::Push;
use crate::database::{fault, number, primary, quote};
use crate::schema::{self, Table, require_column};
use crate::stored::Stored;
use crate::value::Slot;

const UNIQUE: &str = "select l.name, i.name from pragma_index_list(?) as l, \
                      pragma_index_info(l.name) as i where l.\"unique\" = 1 and l.partial = 0";

/// A table and the columns of it that are written.
pub(crate) struct Target {
    pub(crate) table: String,
    slots: Vec<Slot>,
    types: Vec<DataType>,
    /// The columns of the key, which have to have values; none where rows are only added.
    key: Vec<String>,
    /// Inserts a row, or updates that of its key.
    sql: Arc<str>,
    hub: Tz,
}

impl Target {
    /// Looks at the table and refuses what does not fit into it.
    pub(crate) async fn plan(
        db: &mut SqliteConnection,
        push: &Push,
        schema: &Schema,
        mode: LoadMode,
        hub: Tz,
    ) -> Result<Self> {
        let table = schema::named(db, &push.table).await?;
        let mut slots = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            require_column(&table, &push.table, field.name())?;
            let declared = table.columns.iter().find(|column| column.name == *field.name());
            let declared = declared.map(|column| column.declared.as_str()).unwrap_or_default();
            let slot = Slot::new(field.name(), declared);
            if !slot.fits(field.data_type()) {
                let message = format!(
                    "column `{}` of type {} does not fit into a column of type `{declared}`",
                    field.name(),
                    field.data_type(),
                );
                return Err(Error::new(ErrorKind::Schema, "E-SQLITE-FIT", message)
                    .hint("cast the column where the push takes its rows from"));
            }
            slots.push(slot);
        }
        let is_upsert = mode == LoadMode::Upsert;
        if is_upsert {
            check_key(db, &table, push, &slots).await?;
        }
        let key = if is_upsert { push.key.clone() } else { Vec::new() };
        Ok(Self {
            sql: statement(&push.table, &slots, &key).into(),
            table: push.table.clone(),
            slots,
            types: schema.fields().iter().map(|field| field.data_type().clone()).collect(),
            key,
            hub,
        })
    }

    /// Whether batches of `schema` go through the same statement.
    pub(crate) fn is_for(&self, schema: &Schema) -> bool {
        let known = self.slots.iter().zip(&self.types);
        schema.fields().len() == self.slots.len()
            && (schema.fields().iter().zip(known)).all(|(field, (slot, kind))| {
                *field.name() == slot.name && field.data_type() == kind
            })
    }

    /// The values of a row, or the column that cannot be kept and why.
    pub(crate) fn values(
        &self,
        batch: &RecordBatch,
        row: usize,
    ) -> Result<Vec<Stored>, (String, &'static str)> {
        let mut values = Vec::with_capacity(self.slots.len());
        for (slot, array) in self.slots.iter().zip(batch.columns()) {
            let refused = |reason| (slot.name.clone(), reason);
            let value = slot.value(array.as_ref(), row, self.hub).map_err(refused)?;
            // SQLite lets a key without a value in, beside all others.
            if value.is_null() && self.key.contains(&slot.name) {
                return Err(refused("a value is missing where one is required"));
            }
            values.push(value);
        }
        Ok(values)
    }

    /// Writes one row.
    pub(crate) async fn insert(
        &self,
        db: &mut SqliteConnection,
        values: &[Stored],
    ) -> sqlx::Result<()> {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)));
        let query = values.iter().fold(query, |query, value| value.bind(query));
        query.execute(db).await.map(|_| ())
    }

    /// What SQLite has against a row, without any value of it.
    pub(crate) fn complaint(&self, cause: &sqlx::Error) -> String {
        let reason = reason(cause);
        // "NOT NULL constraint failed: t.a"; other words of it may be a trigger's own.
        let message = match number(cause) {
            Some(1299) => cause.as_database_error().map(|error| error.message()),
            _ => None,
        };
        let is_named = |slot: &&Slot| {
            message.is_some_and(|message| message.ends_with(&format!(".{}", slot.name)))
        };
        match self.slots.iter().find(is_named) {
            Some(slot) => format!("column `{}`: {reason}", slot.name),
            None => reason.to_owned(),
        }
    }
}

/// Whether SQLite refuses a row for what is in it, and not the statement or the file.
pub(crate) fn of_row(cause: &sqlx::Error) -> bool {
    // Too big, a constraint, a row number that is no number.
    matches!(primary(cause), Some(18..=20))
}

fn reason(cause: &sqlx::Error) -> &'static str {
    match number(cause) {
        Some(275) => "it breaks a check of the table",
        Some(787) => "it refers to a row that does not exist",
        Some(1299) => "a value is missing where one is required",
        Some(1555 | 2067 | 2579) => "another row has the same value where it must be unique",
        Some(1811) => "a trigger of the table refuses it",
        Some(20 | 3091) => "a value does not fit its column",
        Some(18) => "a value is larger than SQLite keeps",
        _ => "the database refuses it",
    }
}

/// A row is updated only where its key stands in the way, so there must be a unique index over
/// just that key.
async fn check_key(
    db: &mut SqliteConnection,
    table: &Table,
    push: &Push,
    slots: &[Slot],
) -> Result<()> {
    let refuse = |message: String, hint: &'static str| {
        Err(Error::new(ErrorKind::Config, "E-SQLITE-KEY", message).hint(hint))
    };
    let is_written = |name: &String| slots.iter().any(|slot| slot.name == *name);
    if push.key.is_empty() || !push.key.iter().all(is_written) {
        return refuse(
            format!("rows for table `{}` come without the push's key", push.table),
            "name in `key` the columns that identify a row, and send them",
        );
    }
    let failed = |cause| fault(format!("reading the indexes of table `{}`", push.table), cause);
    let found =
        sqlx::query(UNIQUE).bind(push.table.as_str()).fetch_all(db).await.map_err(failed)?;
    let mut indexes: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for row in &found {
        let index: String = row.try_get(0).map_err(failed)?;
        // An index over an expression has no column.
        indexes.entry(index).or_default().push(row.try_get(1).map_err(failed)?);
    }
    let primary = table.primary_key().into_iter().map(|column| Some(column.name.clone()));
    let is_key = |index: &Vec<Option<String>>| {
        index.len() == push.key.len()
            && index.iter().all(|name| name.as_ref().is_some_and(|name| push.key.contains(name)))
    };
    if is_key(&primary.collect()) || indexes.values().any(is_key) {
        return Ok(());
    }
    refuse(
        format!("table `{}` has no unique index over the push's key", push.table),
        "let the table's owner add one, or correct `key`",
    )
}

fn statement(table: &str, slots: &[Slot], key: &[String]) -> String {
    let names: Vec<String> = slots.iter().map(|slot| quote(&slot.name)).collect();
    let mut sql = format!(
        "insert into main.{} ({}) values ({})",
        quote(table),
        names.join(", "),
        vec!["?"; slots.len()].join(", ")
    );
    if key.is_empty() {
        return sql;
    }
    let conflict: Vec<String> = key.iter().map(|name| quote(name)).collect();
    let sets: Vec<String> = (slots.iter().filter(|slot| !key.contains(&slot.name)))
        .map(|slot| format!("{0} = excluded.{0}", quote(&slot.name)))
        .collect();
    sql += &format!(" on conflict ({}) do ", conflict.join(", "));
    sql += &match sets.is_empty() {
        true => "nothing".to_owned(),
        false => format!("update set {}", sets.join(", ")),
    };
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_known_key_replaces_it() {
        let slots = ["id", "a\"b"].map(|name| Slot::new(name, "text"));
        let key = ["id".to_owned()];
        let insert = "insert into main.\"t\" (\"id\", \"a\"\"b\") values (?, ?)";
        assert_eq!(statement("t", &slots, &[]), insert);
        assert_eq!(
            statement("t", &slots, &key),
            format!("{insert} on conflict (\"id\") do update set \"a\"\"b\" = excluded.\"a\"\"b\"")
        );
        assert!(statement("t", &slots[..1], &key).ends_with("(\"id\") do nothing"));
    }
}
