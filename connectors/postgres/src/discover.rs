//! Looking at a database without reading its data.

use huiliu_sdk::{ColumnSpec, Cx, Probe, Result, StreamSpec, says_when_changed};
use sqlx::PgConnection;

use crate::catalog::{self, Declared};
use crate::column::Wire;
use crate::config::{Settings, TableName};
use crate::database::{self, get, rows};
use crate::layout::natural;

/// Tables and views that people made; parts of partitioned tables belong to the whole.
const TABLES: &str = "select c.oid::int8, n.nspname::text, c.relname::text, c.reltuples::float8, \
      c.relkind in ('r', 'm', 'p') \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where c.relkind in ('r', 'v', 'm', 'f', 'p') \
      and coalesce(to_jsonb(c) ->> 'relispartition', 'false') <> 'true' \
      and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' \
      and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') \
    order by 2, 3";

/// The columns of the primary key, else of the first unique index over columns without nulls.
const KEY: &str = "select a.attname::text from ( \
      select i.* from pg_catalog.pg_index i \
      where i.indrelid = $1::int8::oid and i.indisunique and i.indisvalid \
        and i.indpred is null and i.indexprs is null \
        and not exists (select from pg_catalog.pg_attribute a \
          where a.attrelid = i.indrelid and a.attnum = any (i.indkey) and not a.attnotnull) \
      order by i.indisprimary desc, i.indnatts, i.indexrelid limit 1) as i \
    cross join lateral unnest(i.indkey::int2[]) with ordinality as k (number, place) \
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number \
    where k.place <= coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts) \
    order by k.place";

/// Columns by which an index can find rows.
const INDEXED: &str = "select distinct a.attname::text from pg_catalog.pg_index i \
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] \
    where i.indrelid = $1::int8::oid and i.indisvalid and i.indpred is null";

/// Asks for the version and counts the tables.
pub(crate) async fn probe(settings: &Settings, cx: &Cx) -> Result<Probe> {
    let mut session = database::connect(settings, cx, chrono_tz::UTC).await?;
    let count = rows(&mut session.db, cx, "listing the tables", TABLES, &[]).await?.len();
    let noun = if count == 1 { "table" } else { "tables" };
    Ok(Probe { summary: format!("PostgreSQL {}, {count} {noun}", session.version_text) })
}

/// Lists the tables and views.
pub(crate) async fn streams(settings: &Settings, cx: &Cx) -> Result<Vec<StreamSpec>> {
    let default_schema = settings.schema.as_str();
    let mut session = database::connect(settings, cx, chrono_tz::UTC).await?;
    let db = &mut session.db;
    let mut streams = Vec::new();
    for row in rows(db, cx, "listing the tables", TABLES, &[]).await? {
        let oid: i64 = get(&row, 0)?;
        let table = TableName { schema: get(&row, 1)?, name: get(&row, 2)? };
        let known: f64 = get(&row, 3)?;
        let has_rows: bool = get(&row, 4)?;
        // A table that was never looked at has a count below zero.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let row_estimate = (has_rows && known >= 0.0).then_some(known as u64);
        let columns = catalog::columns(db, cx, &table, oid).await?;
        let key = names(db, cx, KEY, oid).await?;
        let indexed = names(db, cx, INDEXED, oid).await?;
        let cursors = cursors(&columns, &indexed);
        streams.push(StreamSpec {
            name: if table.schema == default_schema {
                table.name.clone()
            } else {
                format!("{}_{}", table.schema, table.name)
            },
            options: serde_json::json!({ "table": shown(&table, default_schema) }),
            columns: columns.iter().map(describe).collect(),
            key,
            changed: cursors.first().filter(|name| says_when_changed(name)).cloned(),
            cursors,
            row_estimate,
        });
    }
    Ok(streams)
}

async fn names(db: &mut PgConnection, cx: &Cx, sql: &str, oid: i64) -> Result<Vec<String>> {
    let oid = oid.to_string();
    let found = rows(db, cx, "looking up the indexes", sql, &[Some(&oid)]).await?;
    found.iter().map(|row| get(row, 0)).collect()
}

/// The table as a system file names it.
fn shown(table: &TableName, default_schema: &str) -> String {
    let part = |name: &str| {
        if name.contains(['.', '"']) {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.to_owned()
        }
    };
    if table.schema == default_schema {
        part(&table.name)
    } else {
        format!("{}.{}", part(&table.schema), part(&table.name))
    }
}

fn describe(column: &Declared) -> (String, ColumnSpec) {
    let data_type = match natural(column, chrono_tz::UTC, chrono_tz::UTC) {
        Some(Wire::Bool) => Some("bool".to_owned()),
        Some(Wire::Int16 | Wire::Int32 | Wire::Int64 | Wire::Oid) => Some("int".to_owned()),
        Some(Wire::Float32 | Wire::Float64) => Some("float".to_owned()),
        Some(Wire::Decimal(precision, scale)) => Some(format!("decimal({precision},{scale})")),
        Some(Wire::Bytes) => Some("binary".to_owned()),
        Some(Wire::Date) => Some("date".to_owned()),
        Some(Wire::WallTime(..)) => Some("timestamp".to_owned()),
        // Declared as a timestamp it would lose its zone, so it is left to what the source says.
        Some(Wire::Instant | Wire::InstantAsWall(_)) => None,
        Some(Wire::Text) | None if matches!(column.type_oid, 114 | 3802) => Some("json".to_owned()),
        Some(Wire::Text) | None => Some("text".to_owned()),
    };
    let nullable = column.not_null.then_some(false);
    (column.name.clone(), ColumnSpec { data_type, tag: None, nullable })
}

/// Columns that may say when a row changed, the likeliest first: by name, then by index.
fn cursors(columns: &[Declared], indexed: &[String]) -> Vec<String> {
    let mut found: Vec<&Declared> = columns
        .iter()
        .filter(|column| {
            let is_time = matches!(column.type_oid, 1114 | 1184);
            let may_be = matches!(column.type_oid, 1082 | 25 | 1043 | 20);
            is_time || (may_be && says_when_changed(&column.name))
        })
        .collect();
    found.sort_by_key(|column| (!says_when_changed(&column.name), !indexed.contains(&column.name)));
    found.into_iter().map(|column| column.name.clone()).collect()
}
