//! What the database says of a table.

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use sqlx::PgConnection;

use crate::config::TableName;
use crate::database::{get, rows};

/// A table as the database declares it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: TableName,
    pub(crate) columns: Vec<Declared>,
    /// Whether it keeps its rows itself, so that it can be sampled.
    pub(crate) is_plain: bool,
    /// Whether its rows have versions and can be changed.
    pub(crate) is_table: bool,
    /// Whether a value may be larger than what fits a page when compressed.
    pub(crate) may_be_large: bool,
}

/// A column as the database declares it. Domains are looked through.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) not_null: bool,
    /// Whether rows cannot give it a value.
    pub(crate) is_generated: bool,
    /// The number of its base type.
    pub(crate) type_oid: i64,
    /// What was declared beside the base type, such as precision and scale.
    pub(crate) modifier: i32,
    pub(crate) is_enum: bool,
    /// As people write it.
    pub(crate) shown: String,
    /// As a cast that cuts and rounds nothing writes it.
    pub(crate) cast: String,
}

const TABLE: &str = "select c.oid::int8, c.relkind::text, c.relhassubclass, \
    coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0) \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'v', 'm', 'f', 'p')";

const NEAR: &str = "select n.nspname::text || '.' || c.relname::text \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where lower(c.relname::text) = lower($1) and c.relkind in ('r', 'v', 'm', 'f', 'p') \
    order by 1 limit 1";

const COLUMNS: &str = "with recursive base as ( \
      select a.attnum, a.attname::text as name, a.attnotnull as required, \
        coalesce(to_jsonb(a) ->> 'attgenerated', '') <> '' as generated, a.atttypid as type, a.atttypmod as modifier, \
        a.atttypid as declared, a.atttypmod as declared_modifier \
      from pg_catalog.pg_attribute a \
      where a.attrelid = $1::int8::oid and a.attnum > 0 and not a.attisdropped \
      union all \
      select b.attnum, b.name, b.required or d.typnotnull, b.generated, d.typbasetype, d.typtypmod, \
        b.declared, b.declared_modifier \
      from base b join pg_catalog.pg_type d on d.oid = b.type and d.typtype = 'd') \
    select b.name, b.required, b.generated, b.type::int8, b.modifier, t.typtype = 'e', \
      pg_catalog.format_type(b.declared, b.declared_modifier), \
      pg_catalog.format_type(b.declared, -1) \
    from base b join pg_catalog.pg_type t on t.oid = b.type and t.typtype <> 'd' \
    order by b.attnum";

/// Reads the declaration of a table or view.
pub(crate) async fn table(db: &mut PgConnection, cx: &Cx, name: &TableName) -> Result<Table> {
    let what = format!("looking up table `{name}`");
    let names = [Some(name.schema.as_str()), Some(name.name.as_str())];
    let found = rows(db, cx, &what, TABLE, &names).await?;
    let Some(found) = found.first() else { return Err(missing(db, cx, name).await) };
    let oid: i64 = get(found, 0)?;
    let kind: String = get(found, 1)?;
    let has_children: bool = get(found, 2)?;
    let outside: i64 = get(found, 3)?;
    let columns = columns(db, cx, name, oid).await?;
    let is_plain = matches!(kind.as_str(), "r" | "m");
    Ok(Table {
        name: name.clone(),
        columns,
        is_plain,
        is_table: matches!(kind.as_str(), "r" | "p"),
        // A view may compute anything, and parts of a table keep their large values themselves.
        may_be_large: !is_plain || has_children || outside > 0,
    })
}

/// The columns of the table with this number, in order.
pub(crate) async fn columns(
    db: &mut PgConnection,
    cx: &Cx,
    name: &TableName,
    oid: i64,
) -> Result<Vec<Declared>> {
    let what = format!("looking up the columns of table `{name}`");
    let oid = oid.to_string();
    let mut columns = Vec::new();
    for row in rows(db, cx, &what, COLUMNS, &[Some(&oid)]).await? {
        columns.push(Declared {
            name: get(&row, 0)?,
            not_null: get(&row, 1)?,
            is_generated: get(&row, 2)?,
            type_oid: get(&row, 3)?,
            modifier: get(&row, 4)?,
            is_enum: get(&row, 5)?,
            shown: get(&row, 6)?,
            cast: get(&row, 7)?,
        });
    }
    Ok(columns)
}

async fn missing(db: &mut PgConnection, cx: &Cx, name: &TableName) -> Error {
    let near = rows(db, cx, "looking for tables", NEAR, &[Some(&name.name)]).await;
    let near = near.ok().and_then(|rows| get::<String>(rows.first()?, 0).ok());
    let hint = match near {
        Some(near) => format!("write it as the database does: `{near}`"),
        None => "run `discover` to see the tables, and correct the name".to_owned(),
    };
    Error::new(ErrorKind::NotFound, "E-TABLE-MISSING", format!("there is no table `{name}`"))
        .hint(hint)
}

impl Table {
    /// The column of this name.
    pub(crate) fn column(&self, name: &str) -> Result<&Declared> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let near = self
                .columns
                .iter()
                .find(|column| column.name.to_lowercase() == name.to_lowercase());
            let hint = match near {
                Some(near) => format!("write it as the table does: `{}`", near.name),
                None => "run `discover` to see the columns".to_owned(),
            };
            Error::new(
                ErrorKind::Schema,
                "E-COLUMN-MISSING",
                format!("table `{}` has no column `{name}`", self.name),
            )
            .hint(hint)
        })
    }
}
