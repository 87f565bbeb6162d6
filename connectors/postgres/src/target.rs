//! The table a push goes to: its columns by name, and the statements that fill it.

use arrow::datatypes::SchemaRef;
use huiliu_sdk::{Cx, Error, ErrorKind, LoadMode, Result};
use sqlx::PgConnection;

use crate::catalog::{self, Declared};
use crate::config::Push;
use crate::database::{quote, quote_table};

/// The columns of a push beside those of its table.
pub(crate) struct Target {
    pub(crate) table: String,
    pub(crate) columns: Vec<Declared>,
    key: Vec<String>,
}

/// Looks the table up and refuses columns it does not have.
pub(crate) async fn look_up(
    db: &mut PgConnection,
    cx: &Cx,
    push: &Push,
    schema: &SchemaRef,
) -> Result<Target> {
    let table = catalog::table(db, cx, &push.table).await.map_err(|error| {
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        Error::new(ErrorKind::NotFound, "E-TABLE-MISSING", error.message().to_owned())
            .hint(format!("create it first, for example: {}", create(push, schema)))
    })?;
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = table.column(field.name())?;
        if column.is_generated {
            return Err(Error::new(
                ErrorKind::Schema,
                "E-COLUMN",
                format!("column `{}` of the target is computed by the database", column.name),
            )
            .hint("leave the column out of what is pushed"));
        }
        columns.push(column.clone());
    }
    for name in &push.key {
        table.column(name)?;
        if !columns.iter().any(|column| column.name == *name) {
            return Err(Error::new(
                ErrorKind::Schema,
                "E-COLUMN-MISSING",
                format!("the key column `{name}` is not among the columns to write"),
            )
            .hint("select the key columns in what is pushed"));
        }
    }
    Ok(Target { table: quote_table(&push.table), columns, key: push.key.clone() })
}

/// A statement that would make the table, for people to look at.
fn create(push: &Push, schema: &SchemaRef) -> String {
    use arrow::datatypes::DataType as Type;
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = match field.data_type() {
                Type::Boolean => "boolean".to_owned(),
                Type::Int8 | Type::Int16 | Type::UInt8 => "smallint".to_owned(),
                Type::Int32 | Type::UInt16 => "integer".to_owned(),
                Type::Int64 | Type::UInt32 => "bigint".to_owned(),
                Type::UInt64 => "numeric(20,0)".to_owned(),
                Type::Float32 => "real".to_owned(),
                Type::Float64 => "double precision".to_owned(),
                Type::Decimal128(precision, scale) => format!("numeric({precision},{scale})"),
                Type::Date32 => "date".to_owned(),
                Type::Timestamp(_, None) => "timestamp".to_owned(),
                Type::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
                Type::Binary | Type::LargeBinary | Type::BinaryView => "bytea".to_owned(),
                _ => "text".to_owned(),
            };
            format!("{} {kind}", quote(field.name()))
        })
        .collect();
    let key = push.key.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    let key = if key.is_empty() { key } else { format!(", primary key ({key})") };
    format!("create table {} ({}{key})", quote_table(&push.table), columns.join(", "))
}

impl Target {
    /// The columns, quoted and separated.
    pub(crate) fn names(&self) -> String {
        self.columns.iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// `insert ... select` of `values`, one per column, `from` somewhere. Rows of the same key are
    /// replaced.
    pub(crate) fn insert(&self, values: &[String], from: &str, mode: LoadMode) -> String {
        let mut sql = format!(
            "insert into {} ({}) overriding system value select {} from {from}",
            self.table,
            self.names(),
            values.join(", ")
        );
        if mode != LoadMode::Upsert || self.key.is_empty() {
            return sql;
        }
        let key: Vec<String> = self.key.iter().map(|name| quote(name)).collect();
        let set: Vec<String> = self
            .columns
            .iter()
            .filter(|column| !self.key.contains(&column.name))
            .map(|column| format!("{0} = excluded.{0}", quote(&column.name)))
            .collect();
        sql += &format!(" on conflict ({}) do ", key.join(", "));
        sql += &match set.is_empty() {
            true => "nothing".to_owned(),
            false => format!("update set {}", set.join(", ")),
        };
        sql
    }
}
