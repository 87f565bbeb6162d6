//! The suite that every connector passes, over real databases and their drivers.

use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::datatypes::DataType;
use async_trait::async_trait;
use huiliu_connector_odbc::OdbcConnector;
use huiliu_sdk::{Connector, RawConfig, RawPush, RawStream, ReadMode};
use huiliu_testkit::{CANARY, Dialect, Refused, System, Table, Trouble};
use serde_json::{Value, json};

use crate::support::{Database, Kind};

huiliu_testkit::conformance!(on_postgres: Postgres);
huiliu_testkit::conformance!(on_sqlite: Sqlite);

const POSTGRES: Dialect = Dialect {
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

const SQLITE: Dialect = Dialect {
    quote: '"',
    kind: |kind, _| match kind {
        DataType::Utf8 => "text".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Binary => "blob".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        // Beyond 15 digits SQLite keeps numbers exactly only as text.
        DataType::Decimal128(precision, _) if *precision > 15 => "text".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => panic!("no column of {other}"),
    },
    bytes: |hex| format!("x'{hex}'"),
    text: |hex| format!("cast(x'{hex}' as text)"),
};

fn config(database: &Database, connection: &str) -> RawConfig {
    let mut raw = database.config(json!({}), json!({}));
    raw.streams.clear();
    raw.options = json!({ "connection": connection, "connect_timeout": "5s" });
    raw
}

/// The keys of a stream over a table of that name.
fn options(table: &str, read: ReadMode) -> Value {
    let mut options = json!({ "table": table });
    if read == ReadMode::Flagged {
        options["flag"] = json!("flag");
        options["flag_batch"] = json!(90);
    }
    options
}

async fn put(database: &Database, statements: Vec<String>) -> Result<(), Refused> {
    database.try_execute(&statements).await.map_err(|cause| Refused(cause.to_string()))
}

struct Postgres(Database);

#[async_trait]
impl System for Postgres {
    async fn fresh() -> Self {
        Self(Database::with(Kind::Postgres, "").await)
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(OdbcConnector)
    }

    fn config(&self) -> RawConfig {
        config(&self.0, &format!("{};Pwd={CANARY}", self.0.connection()))
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        table.stream(read, options(&table.name, read))
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        let mut statements = vec![POSTGRES.create(table, "")];
        statements.extend(POSTGRES.insert(table));
        put(&self.0, statements).await
    }

    async fn content(&mut self) -> String {
        let dump = "select coalesce(string_agg(c.relname || ' ' || query_to_xml(format( \
              'select md5(string_agg(t::text, '','' order by t::text)) as rows from %s t', \
              c.oid::regclass), true, false, '')::text, e'\\n' order by c.relname), '') \
            from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace";
        self.0.texts(dump).await.concat()
    }

    async fn vanish(&mut self) {
        let others = "select pg_terminate_backend(pid) from pg_stat_activity \
                      where datname = current_database() and pid <> pg_backend_pid()";
        self.0.execute(others).await;
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        let good = format!("{};Pwd={CANARY}", self.0.connection());
        let bad = match trouble {
            Trouble::Unreachable => format!(
                "Driver={{PostgreSQL Unicode}};Server=127.0.0.1;Port=9;Database=d;Uid=u;Pwd={CANARY}"
            ),
            // A server that trusts everybody still knows no such user.
            Trouble::Login => good.replace("Uid=postgres", "Uid=huiliu_nobody"),
            Trouble::Place => good.replace(self.0.name(), "huiliu_no_such_database"),
        };
        Some(config(&self.0, &bad))
    }

    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        table.push(json!({ "to": table.name }))
    }

    async fn target(&mut self, table: &Table) {
        self.0.execute(&POSTGRES.create(table, ", check (name <> '=refused')")).await;
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        self.0.texts(&format!("select id from {}", POSTGRES.name(&table.name))).await
    }

    async fn end(self) {
        self.0.drop().await;
    }
}

struct Sqlite(Database);

/// The view that gives the floats of a table with all their digits, as the driver does not; nothing
/// if it has none.
fn exact(table: &Table) -> Option<(String, String)> {
    let schema = table.batch.schema();
    if schema.fields().iter().all(|field| *field.data_type() != DataType::Float64) {
        return None;
    }
    let columns: Vec<String> = (schema.fields().iter())
        .map(|field| {
            let name = SQLITE.name(field.name());
            match field.data_type() {
                DataType::Float64 => format!(
                    "case when {name} is null then null else printf('%!.18g', {name}) end as {name}"
                ),
                _ => name,
            }
        })
        .collect();
    let view = format!("{}_exact", table.name);
    let sql = format!(
        "drop view if exists {view}; create view {view} as select {} from {}",
        columns.join(", "),
        SQLITE.name(&table.name)
    );
    Some((view, sql))
}

impl Sqlite {
    fn connection(&self) -> String {
        self.0.connection()
    }
}

#[async_trait]
impl System for Sqlite {
    async fn fresh() -> Self {
        Self(Database::with(Kind::Sqlite, "pragma user_version = 1").await)
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(OdbcConnector)
    }

    fn config(&self) -> RawConfig {
        let mut raw = config(&self.0, &format!("{};Pwd={CANARY}", self.connection()));
        raw.options["text"] = json!("utf8");
        raw
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        let exact = exact(table);
        let from = exact.as_ref().map_or(&table.name, |(view, _)| view);
        let mut stream = table.stream(read, options(from, read));
        // The driver cuts names at a dot, unless it is known what they are.
        if table.names().iter().any(|name| name.contains('.')) {
            stream.options["select"] = json!(table.names());
        }
        let is_text = |kind: &str| kind == "decimal(38,10)" || kind == "float";
        stream.settings.columns = (table.columns().into_iter())
            .filter(|(_, column)| column.data_type.as_deref().is_some_and(is_text))
            .collect();
        stream
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        if table.rows().iter().flatten().flatten().any(|text| text.contains('\0')) {
            return Err(Refused("the driver ends a text where it holds a NUL character".into()));
        }
        let mut statements = vec![SQLITE.create(table, "")];
        statements.extend(SQLITE.insert(table));
        statements.extend(exact(table).map(|(_, sql)| sql));
        put(&self.0, statements).await
    }

    async fn content(&mut self) -> String {
        let mut files: Vec<_> = std::fs::read_dir(self.0.folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
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
        std::fs::remove_file(self.0.folder().join("s.db")).unwrap();
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        let gone = self.connection().replace("s.db", "no_such.db");
        (trouble == Trouble::Place).then(|| config(&self.0, &format!("{gone};Pwd={CANARY}")))
    }

    fn memory(&self) -> Option<usize> {
        // The driver of SQLite fetches all rows before it gives the first.
        None
    }

    fn push(&self, table: &Table, _whole: bool) -> RawPush {
        table.push(json!({ "to": table.name }))
    }

    async fn target(&mut self, table: &Table) {
        let mut statements = vec![SQLITE.create(table, ", check (name <> '=refused')")];
        statements.extend(exact(table).map(|(_, sql)| sql));
        self.0.try_execute(&statements).await.unwrap();
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        self.0.texts(&format!("select id from {}", SQLITE.name(&table.name))).await
    }
}
