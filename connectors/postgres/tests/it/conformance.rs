#![allow(clippy::unwrap_used)] // the system stands outside of #[test] functions
//! The suite that every connector passes, over a real server.

use arrow::datatypes::DataType;
use async_trait::async_trait;
use huiliu_connector_postgres::PostgresConnector;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{CANARY, Dialect, Refused, System, Table, Trouble};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::{Database, raw};

huiliu_testkit::conformance!(suite: Database);

const DIALECT: Dialect = Dialect {
    quote: '"',
    kind: |kind, _| match kind {
        DataType::Utf8 => "text".to_owned(),
        DataType::Int32 => "int4".to_owned(),
        DataType::Int64 => "int8".to_owned(),
        DataType::Float64 => "float8".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Binary => "bytea".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("numeric({precision},{scale})"),
        other => panic!("no column of {other}"),
    },
    bytes: |hex| format!("'\\x{hex}'::bytea"),
    text: |hex| format!("convert_from('\\x{hex}'::bytea, 'UTF8')"),
};

/// The address of a database, with the secret as the password where there is none.
fn with_secret(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap();
    if user.contains(':') { url.to_owned() } else { format!("{scheme}://{user}:{CANARY}@{rest}") }
}

#[async_trait]
impl System for Database {
    async fn fresh() -> Self {
        Self::with("").await
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(PostgresConnector)
    }

    fn config(&self) -> RawConfig {
        raw(&with_secret(&self.url()))
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let mut options = json!({ "table": table.name, "chunk_rows": 50 });
        if read == ReadMode::Flagged {
            options["flag"] = json!("flag");
            options["flag_batch"] = json!(90);
        }
        table.stream(read, options)
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let mut statements = vec![DIALECT.create(table, "")];
        statements.extend(DIALECT.insert(table));
        // Ranges are cut by the planner's statistics.
        statements.push(format!("analyze {}", DIALECT.name(&table.name)));
        for sql in statements {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.db).await;
            done.map_err(|cause| Refused(cause.to_string()))?;
        }
        Ok(())
    }

    async fn content(&mut self) -> String {
        let dump = "select coalesce(string_agg(c.relname || ' ' || query_to_xml(format( \
              'select md5(string_agg(t::text, '','' order by t::text)) as rows from %s t', \
              c.oid::regclass), true, false, '')::text, e'\\n' order by c.relname), '') \
            from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace";
        self.text(dump).await
    }

    async fn vanish(&mut self) {
        let others = "select pg_terminate_backend(pid) from pg_stat_activity \
                      where datname = current_database() and pid <> pg_backend_pid()";
        self.execute(others).await;
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        Some(match trouble {
            Trouble::Unreachable => raw(&format!("postgresql://u:{CANARY}@127.0.0.1:9/d")),
            // A server that trusts everybody still knows no such user.
            Trouble::Login => {
                let url = self.url();
                let (_, rest) = url.split_once('@').unwrap();
                raw(&format!("postgresql://huiliu_nobody:{CANARY}@{rest}"))
            }
            Trouble::Place => {
                let url = with_secret(&self.url());
                raw(&url.replace(self.name(), "huiliu_no_such_database"))
            }
        })
    }

    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        table.push(json!({ "to": table.name }))
    }

    async fn target(&mut self, table: &Table) {
        self.execute(&DIALECT.create(table, ", check (name <> '=refused')")).await;
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        let sql = format!("select id from {}", DIALECT.name(&table.name));
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.db).await.unwrap()
    }

    async fn end(self) {
        self.drop().await;
    }
}
