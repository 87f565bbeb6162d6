//! The suite that every connector passes, over a real database file.

use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::datatypes::DataType;
use async_trait::async_trait;
use huiliu_connector_sqlite::SqliteConnector;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{Dialect, Refused, System, Table, Trouble};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::{Database, raw};

huiliu_testkit::conformance!(suite: Database);

const DIALECT: Dialect = Dialect {
    quote: '"',
    kind: |kind, _| match kind {
        DataType::Utf8 => "text".to_owned(),
        DataType::Int32 | DataType::Int64 => "integer".to_owned(),
        DataType::Float64 => "real".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Binary => "blob".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "datetime".to_owned(),
        // Beyond 15 digits SQLite keeps numbers exactly only as text.
        DataType::Decimal128(precision, _) if *precision > 15 => "text".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => panic!("no column of {other}"),
    },
    bytes: |hex| format!("x'{hex}'"),
    text: |hex| format!("cast(x'{hex}' as text)"),
};

#[async_trait]
impl System for Database {
    async fn fresh() -> Self {
        Self::with("pragma user_version = 1").await
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(SqliteConnector)
    }

    fn config(&self) -> RawConfig {
        raw(self.folder(), json!({ "path": "source.db" }), vec![])
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let mut options = json!({ "table": table.name });
        if read == ReadMode::Flagged {
            options["flag"] = json!("flag");
            options["flag_batch"] = json!(90);
        }
        let mut stream = table.stream(read, options);
        let exact = |kind: &str| kind == "decimal(38,10)";
        stream.settings.columns = (table.columns().into_iter())
            .filter(|(_, column)| column.data_type.as_deref().is_some_and(exact))
            .collect();
        stream
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let mut statements = vec![DIALECT.create(table, "")];
        statements.extend(DIALECT.insert(table));
        for sql in statements {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.db).await;
            done.map_err(|cause| Refused(cause.to_string()))?;
        }
        Ok(())
    }

    async fn content(&mut self) -> String {
        let mut files: Vec<_> =
            std::fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut content = String::new();
        for path in files {
            let mut hasher = DefaultHasher::new();
            std::fs::read(&path).unwrap().hash(&mut hasher);
            content += &format!("{} {:x}\n", path.display(), hasher.finish());
        }
        content
    }

    async fn vanish(&mut self) {
        std::fs::remove_file(self.folder().join("source.db")).unwrap();
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        let raw = raw(self.folder(), json!({ "path": "no_such.db" }), vec![]);
        (trouble == Trouble::Place).then_some(raw)
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
