#![allow(clippy::unwrap_used)] // the system stands outside of #[test] functions
//! The suite that every connector passes, over a real server.

use arrow::datatypes::DataType;
use async_trait::async_trait;
use huiliu_connector_mysql::MySqlConnector;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{CANARY, Dialect, Refused, System, Table, Trouble};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};

use crate::support::{Database, raw, server};

huiliu_testkit::conformance!(suite: Database);

const DIALECT: Dialect = Dialect {
    quote: '`',
    kind: |kind, in_key| match kind {
        DataType::Utf8 if in_key => "varchar(50)".to_owned(),
        DataType::Utf8 => "longtext".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Binary => "longblob".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "datetime(6)".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => panic!("no column of {other}"),
    },
    bytes: |hex| format!("x'{hex}'"),
    text: |hex| format!("x'{hex}'"),
};

/// `user:password@host` of the server, with a user of the database's own, whose password is the
/// secret.
fn with_secret(database: &Database) -> String {
    let server = server();
    let host = server.rsplit(['@', '/']).next().unwrap();
    format!("mysql://{}:{CANARY}@{host}/{}", database.name, database.name)
}

fn system(url: String) -> RawConfig {
    raw(json!({ "url": url }), vec![])
}

#[async_trait]
impl System for Database {
    async fn fresh() -> Self {
        let mut database = Self::with("set session sql_mode = 'STRICT_ALL_TABLES'").await;
        let name = database.name.clone();
        let user = format!(
            "create or replace user `{name}` identified by '{CANARY}'; \
             grant all on `{name}`.* to `{name}`"
        );
        database.execute(&user).await;
        database
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(MySqlConnector)
    }

    fn config(&self) -> RawConfig {
        system(with_secret(self))
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let mut options = json!({ "table": table.name });
        match read {
            ReadMode::Full => options["chunk_rows"] = json!(70),
            ReadMode::Flagged => {
                options["flag"] = json!("flag");
                options["flag_batch"] = json!(90);
            }
            _ => {}
        }
        table.stream(read, options)
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let mut statements = vec![DIALECT.create(table, "")];
        statements.extend(DIALECT.insert(table));
        // Whether a table is read in chunks is told by its statistics.
        statements.push(format!("analyze table {}", DIALECT.name(&table.name)));
        for sql in statements {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.db).await;
            done.map_err(|cause| Refused(cause.to_string()))?;
        }
        Ok(())
    }

    async fn content(&mut self) -> String {
        let mut content = String::new();
        for table in self.texts("show tables").await {
            let sql = format!("checksum table {}", DIALECT.name(&table));
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.db).await.unwrap();
            let sum: Vec<u8> = rows[0].try_get_unchecked(1).unwrap();
            content += &format!("{table} {sum:?}\n");
        }
        content
    }

    async fn vanish(&mut self) {
        let name = self.name.clone();
        let others = format!(
            "select cast(id as char) from information_schema.processlist
             where db = '{name}' and id <> connection_id()"
        );
        for id in self.texts(&others).await {
            // One that has ended meanwhile is as gone as it should be.
            let kill = AssertSqlSafe(format!("kill {id}"));
            drop(sqlx::raw_sql(kill).execute(&mut self.db).await);
        }
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        let url = with_secret(self);
        Some(system(match trouble {
            Trouble::Unreachable => format!("mysql://u:{CANARY}@127.0.0.1:9/d"),
            Trouble::Login => url.replacen(&format!("//{}:", self.name), "//huiliu_nobody:", 1),
            // Who may see nothing else is told no more than that; who may see all, that it is gone.
            Trouble::Place => format!("{}/huiliu_no_such_database", server()),
        }))
    }

    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        table.push(json!({ "to": table.name }))
    }

    async fn target(&mut self, table: &Table) {
        self.execute(&DIALECT.create(table, ", check (name <> '=refused')")).await;
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        self.texts(&format!("select id from {}", DIALECT.name(&table.name))).await
    }
}
