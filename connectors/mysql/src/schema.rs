//! The columns of a table: what the server declares, what the operator overrides.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use huiliu_sdk::{DeclaredColumn, Error, ErrorKind, Result};
use sqlx::Row;
use sqlx::mysql::{MySqlConnection, MySqlRow};

use crate::config::Stream;
use crate::database::{query, quote};
use crate::fault::fault;
use crate::slot::Slot;
use crate::wire::Wire;

const TABLE: &str = "select cast(table_name as char), cast(engine as char), \
     cast(table_rows as unsigned) from information_schema.tables \
     where table_schema = database() and table_name = ?";

pub(crate) const COLUMNS: &str = "select cast(table_name as char), cast(column_name as char), \
     cast(data_type as char), cast(column_type as char), is_nullable = 'YES', \
     cast(numeric_precision as unsigned), cast(numeric_scale as unsigned), \
     cast(datetime_precision as unsigned), cast(extra as char) \
     from information_schema.columns where table_schema = database()";

/// Indexes over parts of columns tell nothing of whole values.
pub(crate) const UNIQUE: &str = "select cast(table_name as char), cast(index_name as char), \
     cast(column_name as char), sub_part is null from information_schema.statistics \
     where table_schema = database() and non_unique = 0";

/// A table as the server declares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// None for views.
    pub(crate) engine: Option<String>,
    pub(crate) row_estimate: Option<u64>,
    pub(crate) columns: Vec<Column>,
    /// Columns of each unique index, by its name.
    pub(crate) unique: BTreeMap<String, Vec<String>>,
}

/// A column as the server declares it.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) data_type: String,
    /// None for types that this connector does not know.
    pub(crate) wire: Option<Wire>,
    pub(crate) nullable: bool,
    /// `auto_increment`, `on update current_timestamp()` and the like.
    pub(crate) extra: String,
}

impl Table {
    /// The columns of the primary key, in its order.
    pub(crate) fn primary_key(&self) -> &[String] {
        self.unique.get("PRIMARY").map_or(&[], Vec::as_slice)
    }

    /// Whether a transaction on it sees one moment and can be rolled back.
    pub(crate) fn is_transactional(&self) -> bool {
        self.engine.as_deref().is_some_and(|engine| engine.eq_ignore_ascii_case("innodb"))
    }

    pub(crate) fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let near = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            let hint = match near {
                Some(near) => format!("write it as the table does: `{}`", near.name),
                None => "run `discover` to see the columns".to_owned(),
            };
            let message = format!("table `{}` has no column `{name}`", self.name);
            Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message).hint(hint)
        })
    }
}

/// Reads the declaration of table or view `name`.
pub(crate) async fn table(db: &mut MySqlConnection, name: &str) -> Result<Table> {
    let what = format!("reading the columns of table `{name}`");
    let failed = |cause| fault(&what, cause);
    let rows = sqlx::query(TABLE).bind(name).fetch_all(&mut *db).await.map_err(failed)?;
    let mut found: Vec<Table> =
        rows.iter().map(table_of).collect::<sqlx::Result<_>>().map_err(failed)?;
    // Some servers tell names apart by case, some do not, and their catalog never does.
    let exact = found.iter().position(|table| table.name == name).unwrap_or(0);
    if found.is_empty() {
        return Err(missing(db, name).await);
    }
    let mut table = found.swap_remove(exact);
    let sql = format!("{COLUMNS} and table_name = ? order by ordinal_position");
    let rows = query(sql).bind(name).fetch_all(&mut *db).await.map_err(failed)?;
    for row in &rows {
        let (owner, column) = column_of(row).map_err(failed)?;
        if owner == table.name {
            table.columns.push(column);
        }
    }
    let sql = format!("{UNIQUE} and table_name = ? order by index_name, seq_in_index");
    let rows = query(sql).bind(name).fetch_all(&mut *db).await.map_err(failed)?;
    let mut partial = Vec::new();
    for row in &rows {
        let (owner, index, column, whole) = index_of(row).map_err(failed)?;
        if owner == table.name {
            if !whole {
                partial.push(index.clone());
            }
            table.unique.entry(index).or_default().push(column);
        }
    }
    table.unique.retain(|index, _| !partial.contains(index));
    Ok(table)
}

/// The catalog hides what we may not see, so only asking the table itself tells the two apart.
async fn missing(db: &mut MySqlConnection, name: &str) -> Error {
    let sql = format!("select 1 from {} limit 0", quote(name));
    match query(sql).execute(db).await {
        Err(cause) => fault(format!("looking for table `{name}`"), cause),
        Ok(_) => Error::new(
            ErrorKind::NotFound,
            "E-TABLE-MISSING",
            format!("the server does not describe table `{name}`"),
        ),
    }
}

pub(crate) fn table_of(row: &MySqlRow) -> sqlx::Result<Table> {
    Ok(Table {
        name: row.try_get(0)?,
        engine: row.try_get(1)?,
        row_estimate: row.try_get_unchecked(2)?,
        ..Table::default()
    })
}

pub(crate) fn column_of(row: &MySqlRow) -> sqlx::Result<(String, Column)> {
    let data_type: String = row.try_get(2)?;
    let column_type: String = row.try_get(3)?;
    let nullable: i64 = row.try_get_unchecked(4)?;
    let wire = Wire::declared(
        &data_type,
        &column_type,
        row.try_get_unchecked(5)?,
        row.try_get_unchecked(6)?,
        row.try_get_unchecked(7)?,
    );
    let extra: Option<String> = row.try_get(8)?;
    let extra = extra.unwrap_or_default().to_ascii_lowercase();
    let name = row.try_get(1)?;
    Ok((row.try_get(0)?, Column { name, data_type, wire, nullable: nullable != 0, extra }))
}

pub(crate) fn index_of(row: &MySqlRow) -> sqlx::Result<(String, String, String, bool)> {
    let whole: i64 = row.try_get_unchecked(3)?;
    // An index over an expression has no column.
    let column: Option<String> = row.try_get(2)?;
    let whole = whole != 0 && column.is_some();
    Ok((row.try_get(0)?, row.try_get(1)?, column.unwrap_or_default(), whole))
}

/// A stream laid over the table it names.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) table: Table,
    /// The columns to read, in order.
    pub(crate) columns: Vec<(Column, Option<DeclaredColumn>)>,
}

impl Layout {
    /// Builders for `names`, or for all columns to read.
    pub(crate) fn slots(&self, stream: &Stream, hub: Tz, names: Option<&[String]>) -> Vec<Slot> {
        let one = |column: &Column, declared: &Option<DeclaredColumn>| {
            let kind = declared.and_then(|declared| declared.kind);
            let nullable = declared.is_none_or(|declared| declared.nullable);
            let zones = (stream.zone, hub);
            let wire = column.wire?;
            Some(Slot::new(&column.name, wire, kind, nullable, stream.oddities, zones))
        };
        match names {
            None => self.columns.iter().filter_map(|(c, declared)| one(c, declared)).collect(),
            Some(names) => names
                .iter()
                .filter_map(|name| self.columns.iter().find(|(column, _)| &column.name == name))
                .filter_map(|(column, declared)| one(column, declared))
                .collect(),
        }
    }
}

/// Lays a stream over its table and refuses what the table does not have. `used` are columns the
/// read needs beside those the stream names.
pub(crate) async fn layout(
    db: &mut MySqlConnection,
    stream: &Stream,
    used: &[&String],
) -> Result<Layout> {
    let table = table(db, &stream.table).await?;
    let wanted = (stream.key.iter())
        .chain(&stream.version)
        .chain(stream.columns.keys())
        .chain(used.iter().copied());
    for name in wanted {
        table.column(name)?;
    }
    let mut columns = Vec::new();
    let all: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    for name in stream.select.as_ref().unwrap_or(&all) {
        let column = table.column(name)?.clone();
        if column.wire.is_none() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "E-MYSQL-TYPE",
                format!("column `{name}` is of type `{}`, which is not known", column.data_type),
            )
            .hint("leave it out by `select`"));
        }
        let declared = stream.columns.get(name).copied();
        columns.push((column, declared));
    }
    Ok(Layout { table, columns })
}
