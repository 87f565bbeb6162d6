//! Front databases on real servers: the same tables as in the SQLite files, copied there once.

use std::collections::BTreeSet;
use std::path::Path;

use futures::TryStreamExt;
use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, MySql, MySqlConnection, PgConnection, Postgres,
    QueryBuilder, Row, TypeInfo, ValueRef,
};

use crate::folder::{FORMAT, database_path, finished, made};
use crate::seed::hash;
use crate::stores::database::{existing, failed};

/// Values in one statement, below what both servers take.
const VALUES_PER_STATEMENT: usize = 30_000;

/// Addresses of the two servers.
#[derive(Clone)]
pub struct Servers {
    /// A database of PostgreSQL.
    pub postgres: String,
    /// MariaDB, without a database.
    pub mysql: String,
}

/// Where a front database is.
pub struct Front {
    /// The file it was copied from, without its ending.
    pub database: &'static str,
    /// `postgres` or `mysql`.
    pub kind: &'static str,
    /// Its address.
    pub url: String,
    /// Its schema on PostgreSQL.
    pub schema: Option<String>,
}

/// The national tables are of MySQL by their published definition; the others go to PostgreSQL.
const ON_MYSQL: [&str; 4] = ["operation", "items", "catalog", "planning"];
const ON_POSTGRES: [&str; 6] = ["linked", "realestate", "parallel", "fund", "housing", "land"];

/// A cell as SQLite holds it.
enum Cell {
    Null,
    Number(i64),
    Text(String),
}

struct Column {
    name: String,
    kind: String,
    is_required: bool,
    is_key: bool,
    is_indexed: bool,
}

struct Table {
    name: String,
    columns: Vec<Column>,
}

/// Copies the front databases of the finished city in `dir` to the servers, unless they are there.
pub async fn copy_to_servers(dir: &Path, servers: &Servers) -> Result<Vec<Front>> {
    let options = finished(dir)?;
    let name = name(dir);
    // Rows that are marked as fetched are not fetched by a hub that begins anew, with a new city in
    // the place of this one.
    let mark = format!("{FORMAT}/{}/{}/{}", options.seed, options.scale, made(dir)?);
    let (mut postgres, mut mysql) = (postgres(servers).await?, mysql(servers).await?);
    if !is_copied_to_postgres(&mut postgres, &name, &mark).await {
        let begin = format!("drop schema if exists {name} cascade; create schema {name}");
        on_postgres(&mut postgres, begin).await?;
        on_postgres(&mut postgres, format!("set search_path to {name}")).await?;
        for database in ON_POSTGRES {
            let mut file = open(dir, database).await?;
            for table in tables(&mut file).await? {
                on_postgres(&mut postgres, definition(&table, '"', postgres_kind)).await?;
                fill_postgres(&mut file, &mut postgres, &table).await?;
            }
        }
        let end = format!("create table copied as select '{mark}'::text as mark");
        on_postgres(&mut postgres, end).await?;
    }
    if !is_copied_to_mysql(&mut mysql, &name, &mark).await {
        let begin = format!(
            "drop database if exists {name}; create database {name} character set utf8mb4; use {name}"
        );
        on_mysql(&mut mysql, begin).await?;
        for database in ON_MYSQL {
            let mut file = open(dir, database).await?;
            for table in tables(&mut file).await? {
                on_mysql(&mut mysql, definition(&table, '`', mysql_kind)).await?;
                fill_mysql(&mut file, &mut mysql, &table).await?;
            }
        }
        on_mysql(&mut mysql, format!("create table copied as select '{mark}' as mark")).await?;
    }
    postgres.close().await.map_err(failed("leave PostgreSQL"))?;
    mysql.close().await.map_err(failed("leave MariaDB"))?;
    let front =
        |database, kind, url: &str, schema| Front { database, kind, url: url.to_owned(), schema };
    let on_mysql = format!("{}/{name}", servers.mysql.trim_end_matches('/'));
    let mut fronts: Vec<Front> =
        ON_MYSQL.map(|database| front(database, "mysql", &on_mysql, None)).into();
    fronts.extend(
        ON_POSTGRES
            .map(|database| front(database, "postgres", &servers.postgres, Some(name.clone()))),
    );
    Ok(fronts)
}

/// Takes the copies off the servers.
pub async fn remove_from_servers(dir: &Path, servers: &Servers) -> Result<()> {
    let name = name(dir);
    let mut postgres = postgres(servers).await?;
    on_postgres(&mut postgres, format!("drop schema if exists {name} cascade")).await?;
    let mut mysql = mysql(servers).await?;
    on_mysql(&mut mysql, format!("drop database if exists {name}")).await
}

/// The schema and the database of the city in `dir`, of which several may be on one server.
pub(crate) fn name(dir: &Path) -> String {
    format!("huiliu_city_{:016x}", hash(&dir.to_string_lossy()))
}

pub(crate) async fn postgres(servers: &Servers) -> Result<PgConnection> {
    let options =
        servers.postgres.parse::<PgConnectOptions>().map(|o| o.disable_statement_logging());
    let connected = async { options?.connect().await };
    connected.await.map_err(unreachable("PostgreSQL", "HUILIU_DEMO_POSTGRES_URL"))
}

async fn mysql(servers: &Servers) -> Result<MySqlConnection> {
    let options =
        servers.mysql.parse::<MySqlConnectOptions>().map(|o| o.disable_statement_logging());
    let connected = async { options?.connect().await };
    connected.await.map_err(unreachable("MariaDB", "HUILIU_DEMO_MYSQL_URL"))
}

fn unreachable(server: &'static str, variable: &'static str) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| {
        Error::new(ErrorKind::Unreachable, "E-CITY-SERVER", format!("{server} is not reached"))
            .cause(error)
            .hint(format!("start it, or say in {variable} where it is"))
    }
}

async fn open(dir: &Path, database: &str) -> Result<SqliteConnection> {
    // Reading a whole table takes longer than a statement usually may.
    let options = existing(&database_path(dir, database))?.disable_statement_logging();
    options.connect().await.map_err(failed("open a database of the city"))
}

async fn is_copied_to_postgres(server: &mut PgConnection, name: &str, mark: &str) -> bool {
    let sql = AssertSqlSafe(format!("select mark from {name}.copied"));
    let copied: Result<String, sqlx::Error> = sqlx::query_scalar(sql).fetch_one(server).await;
    copied.is_ok_and(|copied| copied == mark)
}

async fn is_copied_to_mysql(server: &mut MySqlConnection, name: &str, mark: &str) -> bool {
    let sql = AssertSqlSafe(format!("select mark from {name}.copied"));
    let copied: Result<String, sqlx::Error> = sqlx::query_scalar(sql).fetch_one(server).await;
    copied.is_ok_and(|copied| copied == mark)
}

async fn on_postgres(server: &mut PgConnection, sql: String) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(server).await;
    done.map(drop).map_err(failed("prepare tables on PostgreSQL"))
}

async fn on_mysql(server: &mut MySqlConnection, sql: String) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(server).await;
    done.map(drop).map_err(failed("prepare tables on MariaDB"))
}

/// The tables of a file with their columns, keys and indexes.
async fn tables(file: &mut SqliteConnection) -> Result<Vec<Table>> {
    let names: Vec<String> =
        sqlx::query_scalar("select name from sqlite_master where type = 'table' order by name")
            .fetch_all(&mut *file)
            .await
            .map_err(failed("list tables"))?;
    let mut tables = Vec::new();
    for name in names {
        let indexed: Vec<String> = sqlx::query_scalar(
            "select i.name from pragma_index_list($1) as l, pragma_index_info(l.name) as i",
        )
        .bind(&name)
        .fetch_all(&mut *file)
        .await
        .map_err(failed("list indexes"))?;
        let indexed: BTreeSet<String> = indexed.into_iter().collect();
        let rows: Vec<(String, String, i64, i64)> =
            sqlx::query_as("select name, type, \"notnull\", pk from pragma_table_info($1)")
                .bind(&name)
                .fetch_all(&mut *file)
                .await
                .map_err(failed("list columns"))?;
        let columns = rows
            .into_iter()
            .map(|(name, kind, required, key)| Column {
                is_indexed: indexed.contains(&name),
                is_required: required != 0,
                is_key: key != 0,
                kind: kind.to_lowercase(),
                name,
            })
            .collect();
        tables.push(Table { name, columns });
    }
    Ok(tables)
}

/// Whole numbers are as long as SQLite's.
fn postgres_kind(column: &Column) -> String {
    if column.kind.starts_with("int") { "bigint".to_owned() } else { "text".to_owned() }
}

/// What is part of an index has a length; long texts are kept outside the row, which has a limit.
fn mysql_kind(column: &Column) -> String {
    let length = column.kind.strip_prefix("varchar(").and_then(|rest| rest.strip_suffix(')'));
    let length = length.and_then(|length| length.parse::<u32>().ok());
    match column.kind.as_str() {
        "integer" => "bigint".to_owned(),
        "text" if column.is_key || column.is_indexed => "varchar(100)".to_owned(),
        _ if length.is_some_and(|length| length > 255) => "text".to_owned(),
        kind => kind.to_owned(),
    }
}

fn definition(table: &Table, quote: char, kind: fn(&Column) -> String) -> String {
    let quoted = |name: &str| format!("{quote}{name}{quote}");
    let mut parts: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let rule = if column.is_required || column.is_key { " not null" } else { "" };
            format!("{} {}{rule}", quoted(&column.name), kind(column))
        })
        .collect();
    let keys: Vec<String> =
        table.columns.iter().filter(|c| c.is_key).map(|c| quoted(&c.name)).collect();
    if !keys.is_empty() {
        parts.push(format!("primary key ({})", keys.join(", ")));
    }
    let name = quoted(&table.name);
    let mut sql = format!("create table {name} ({})", parts.join(", "));
    for column in table.columns.iter().filter(|column| column.is_indexed && !column.is_key) {
        let index = quoted(&format!("{}_{}", table.name, column.name));
        sql.push_str(&format!("; create index {index} on {name} ({})", quoted(&column.name)));
    }
    sql
}

/// A row's cells. A row with text in no encoding of the server's is one that it would refuse.
fn cells(row: &SqliteRow) -> Result<Option<Vec<Cell>>, sqlx::Error> {
    let mut cells = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        let raw = row.try_get_raw(index)?;
        cells.push(if raw.is_null() {
            Cell::Null
        } else {
            match raw.type_info().name() {
                "INTEGER" => Cell::Number(row.try_get_unchecked(index)?),
                "BLOB" => return Ok(None),
                _ => Cell::Text(row.try_get_unchecked(index)?),
            }
        });
    }
    Ok(Some(cells))
}

macro_rules! fill {
    ($name:ident, $database:ty, $connection:ty, $quote:literal, $server:literal) => {
        async fn $name(
            file: &mut SqliteConnection,
            server: &mut $connection,
            table: &Table,
        ) -> Result<()> {
            let quote = $quote;
            let names: Vec<String> =
                table.columns.iter().map(|c| format!("{quote}{}{quote}", c.name)).collect();
            let head = format!("insert into {quote}{}{quote} ({}) ", table.name, names.join(", "));
            let most = (VALUES_PER_STATEMENT / table.columns.len().max(1)).max(1);
            let sql = AssertSqlSafe(format!("select * from \"{}\"", table.name));
            let mut rows = sqlx::query(sql).fetch(file);
            let mut batch = Vec::with_capacity(most);
            loop {
                let row = rows.try_next().await.map_err(failed("read a table"))?;
                let is_last = row.is_none();
                if let Some(row) = row {
                    batch.extend(cells(&row).map_err(failed("read a row"))?);
                }
                if batch.len() == most || (is_last && !batch.is_empty()) {
                    let mut insert = QueryBuilder::<$database>::new(&head);
                    insert.push_values(batch.drain(..), |mut values, row: Vec<Cell>| {
                        for cell in row {
                            match cell {
                                Cell::Null => values.push("null"),
                                Cell::Number(number) => values.push_bind(number),
                                Cell::Text(text) => values.push_bind(text),
                            };
                        }
                    });
                    let done = insert.build().persistent(false).execute(&mut *server).await;
                    done.map_err(failed(concat!("fill a table on ", $server)))?;
                }
                if is_last {
                    return Ok(());
                }
            }
        }
    };
}

fill!(fill_postgres, Postgres, PgConnection, '"', "PostgreSQL");
fill!(fill_mysql, MySql, MySqlConnection, '`', "MariaDB");
