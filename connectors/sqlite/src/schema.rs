//! The columns of a table: what the database declares, what the operator overrides.

use huiliu_sdk::{ColumnType, Error, ErrorKind, Result};
use sqlx::{Row, SqliteConnection};

use crate::config::Stream;
use crate::database::fault;

/// A table as the database declares it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    /// Whether its rows are its own; those of a view are others'.
    pub(crate) is_table: bool,
    /// The name under which the row number can be read, if there is one.
    pub(crate) rowid: Option<&'static str>,
}

/// A column as the database declares it.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) declared: String,
    pub(crate) not_null: bool,
    /// Place in the primary key, from 1; 0 outside of it.
    pub(crate) key_place: i64,
}

/// The columns to read, in order, with what else a read needs to know.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<(String, ColumnType, bool)>,
    /// Index of the cursor in `columns`.
    pub(crate) cursor: Option<usize>,
    pub(crate) rowid: Option<&'static str>,
}

/// Reads the declaration of `name`, or nothing if there is no such table or view.
pub(crate) async fn table(db: &mut SqliteConnection, name: &str) -> Result<Option<Table>> {
    let failed = |cause| fault(format!("reading the columns of table `{name}`"), cause);
    let listed = sqlx::query(
        "select type, wr from pragma_table_list where schema = 'main' and name = ? collate nocase",
    )
    .bind(name)
    .fetch_optional(&mut *db)
    .await
    .map_err(failed)?;
    let Some(listed) = listed else { return Ok(None) };
    let kind: String = listed.try_get(0).map_err(failed)?;
    let without_rowid: bool = listed.try_get(1).map_err(failed)?;

    // Hidden columns (1) belong to virtual tables; generated ones (2, 3) are data.
    let rows = sqlx::query(
        "select name, type, \"notnull\", pk from pragma_table_xinfo(?) where hidden <> 1 order by cid",
    )
    .bind(name)
    .fetch_all(&mut *db)
    .await
    .map_err(failed)?;
    let mut columns = Vec::with_capacity(rows.len());
    for row in rows {
        columns.push(Column {
            name: row.try_get(0).map_err(failed)?,
            declared: row.try_get(1).map_err(failed)?,
            not_null: row.try_get(2).map_err(failed)?,
            key_place: row.try_get(3).map_err(failed)?,
        });
    }
    let is_table = kind == "table";
    let has_rowid = is_table && !without_rowid;
    // A column may bear one of these names and hide the row number behind it.
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|alias| {
        has_rowid && !columns.iter().any(|column| column.name.eq_ignore_ascii_case(alias))
    });
    Ok(Some(Table { columns, is_table, rowid }))
}

impl Table {
    /// The columns of its primary key, in the key's order.
    pub(crate) fn primary_key(&self) -> Vec<&Column> {
        let mut key: Vec<&Column> =
            self.columns.iter().filter(|column| column.key_place > 0).collect();
        key.sort_by_key(|column| column.key_place);
        key
    }
}

/// The table called `name`, which has to be there.
pub(crate) async fn named(db: &mut SqliteConnection, name: &str) -> Result<Table> {
    table(db, name).await?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "E-TABLE-MISSING", format!("there is no table `{name}`"))
            .hint("run `discover` to see the tables, and correct the name")
    })
}

/// Lays a stream over the table it names and refuses what the table does not have.
pub(crate) async fn layout(db: &mut SqliteConnection, stream: &Stream) -> Result<Layout> {
    lay(&named(db, &stream.table).await?, stream)
}

/// Lays a stream over its table. The flag of a flagged stream is none of its columns: our own
/// marks would make its rows look changed.
pub(crate) fn lay(table: &Table, stream: &Stream) -> Result<Layout> {
    let name = &stream.table;
    let flags = stream.flags.as_ref();
    let wanted = (stream.select.iter().flatten())
        .chain(&stream.key)
        .chain(&stream.cursor)
        .chain(stream.columns.keys())
        .chain(flags.map(|flags| &flags.column))
        .chain(flags.iter().flat_map(|flags| flags.group.iter().chain(&flags.version)));
    for column in wanted {
        require_column(table, name, column)?;
    }
    let selected: Vec<&Column> = match &stream.select {
        Some(select) => select
            .iter()
            .filter_map(|name| table.columns.iter().find(|column| &column.name == name))
            .collect(),
        None => table.columns.iter().collect(),
    };
    let selected: Vec<&Column> = selected
        .into_iter()
        .filter(|column| flags.is_none_or(|flags| flags.column != column.name))
        .collect();
    let cursor = stream
        .cursor
        .as_ref()
        .and_then(|name| selected.iter().position(|column| &column.name == name));
    let columns = selected
        .into_iter()
        .map(|column| {
            let declared = stream.columns.get(&column.name);
            let kind = declared
                .and_then(|declared| declared.kind)
                .unwrap_or_else(|| column_type(&column.declared));
            (column.name.clone(), kind, declared.is_none_or(|declared| declared.nullable))
        })
        .collect();
    Ok(Layout { columns, cursor, rowid: table.rowid })
}

pub(crate) fn require_column(table: &Table, table_name: &str, name: &str) -> Result<()> {
    if table.columns.iter().any(|column| column.name == name) {
        return Ok(());
    }
    let near = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    let hint = match near {
        Some(near) => format!("write it as the table does: `{}`", near.name),
        None => "run `discover` to see the columns".to_owned(),
    };
    Err(Error::new(
        ErrorKind::Schema,
        "E-COLUMN-MISSING",
        format!("table `{table_name}` has no column `{name}`"),
    )
    .hint(hint))
}

/// The column type that fits a declared one.
///
/// SQLite takes any words as a type; what says nothing certain stays text, which every number
/// fits too.
pub(crate) fn column_type(declared: &str) -> ColumnType {
    let declared = declared.trim().to_ascii_lowercase();
    let (words, arguments) = match declared.split_once('(') {
        Some((words, rest)) => (words.trim(), rest.trim_end_matches(')').trim()),
        None => (declared.as_str(), ""),
    };
    let first = words.split_whitespace().next().unwrap_or("");
    match first {
        "datetime" | "datetime2" | "smalldatetime" | "timestamp" => ColumnType::Timestamp,
        "date" => ColumnType::Date,
        "decimal" | "numeric" | "number" => decimal(arguments),
        "real" | "double" | "float" => ColumnType::Float,
        "bool" | "boolean" => ColumnType::Bool,
        "json" => ColumnType::Json,
        "blob" | "binary" | "varbinary" | "bytea" => ColumnType::Binary,
        "integer" | "int" | "bigint" | "smallint" | "tinyint" | "mediumint" | "int2" | "int4"
        | "int8" | "unsigned" => ColumnType::Int,
        _ => ColumnType::Text,
    }
}

fn decimal(arguments: &str) -> ColumnType {
    let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
    match (precision.trim().parse::<u8>(), scale.trim().parse::<i8>()) {
        (Ok(precision @ 1..=38), Ok(scale @ 0..)) if scale.unsigned_abs() <= precision => {
            ColumnType::Decimal(precision, scale)
        }
        // Without a precision there is no exact type that surely holds all values.
        _ => ColumnType::Text,
    }
}

/// A type as it is written in a configuration.
pub(crate) fn type_name(kind: ColumnType) -> String {
    match kind {
        ColumnType::Text => "text".into(),
        ColumnType::Int => "int".into(),
        ColumnType::Float => "float".into(),
        ColumnType::Bool => "bool".into(),
        ColumnType::Date => "date".into(),
        ColumnType::Timestamp => "timestamp".into(),
        ColumnType::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
        ColumnType::Json => "json".into(),
        ColumnType::Binary => "binary".into(),
    }
}

#[cfg(test)]
mod tests {
    use huiliu_sdk::parse_type;

    use super::*;

    #[test]
    fn declared_types_map_to_column_types() {
        let cases = [
            ("varchar(50)", ColumnType::Text),
            ("CHARACTER VARYING (20)", ColumnType::Text),
            ("clob", ColumnType::Text),
            ("", ColumnType::Text),
            ("uuid", ColumnType::Text),
            ("time", ColumnType::Text),
            ("int(10)", ColumnType::Int),
            ("BIGINT", ColumnType::Int),
            ("unsigned big int", ColumnType::Int),
            ("datetime", ColumnType::Timestamp),
            ("timestamp without time zone", ColumnType::Timestamp),
            ("DATE", ColumnType::Date),
            ("decimal(12, 2)", ColumnType::Decimal(12, 2)),
            ("numeric(5)", ColumnType::Decimal(5, 0)),
            ("decimal", ColumnType::Text),
            ("decimal(99,2)", ColumnType::Text),
            ("double precision", ColumnType::Float),
            ("blob", ColumnType::Binary),
            ("boolean", ColumnType::Bool),
        ];
        for (declared, kind) in cases {
            assert_eq!(column_type(declared), kind, "{declared}");
            assert_eq!(parse_type(&type_name(kind)).ok(), Some(kind));
        }
    }
}
