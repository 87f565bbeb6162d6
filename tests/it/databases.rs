//! Real database servers as sources: whatever they hold comes into the lake as it is, or is told.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};

use crate::beginning::Begun;
use crate::hub::{Hub, step};
use crate::lake;
use crate::office::{Office, execute};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Mysql,
    Sqlite,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }
}

/// A hub and a database of its own beside it, on the servers that `./test` names.
pub(crate) struct Source {
    pub(crate) office: Office,
    kind: Kind,
    name: String,
}

impl Source {
    /// A database made by `sql`, and a hub that knows no system.
    pub(crate) async fn new(kind: Kind, sql: &str) -> Self {
        let office = Office::new("sqlite", "path = \"office.db\"\n");
        std::fs::create_dir_all(office.hub.data()).unwrap();
        let folder = office.hub.data().parent().unwrap().file_name().unwrap().to_owned();
        let folder: String =
            folder.to_string_lossy().bytes().map(|byte| format!("{byte:02x}")).collect();
        let source = Self { office, kind, name: format!("huiliu_it_{folder}") };
        let name = &source.name;
        match kind {
            Kind::Postgres => on_postgres(&server(kind), &format!("create database {name}")).await,
            Kind::Mysql => on_mysql(&server(kind), &format!("create database `{name}`")).await,
            Kind::Sqlite => {}
        }
        let address = match kind {
            Kind::Sqlite => source.office.source().display().to_string(),
            _ => source.url(),
        };
        std::fs::write(source.office.hub.data().join("env"), format!("OFFICE={address}\n"))
            .unwrap();
        source.execute(sql).await;
        source
    }

    /// The same with a stream `t` over the table `t`.
    pub(crate) async fn with_stream(kind: Kind, sql: &str, settings: &str) -> Self {
        let source = Self::new(kind, sql).await;
        source.describe(settings);
        source
    }

    /// Other settings for the stream.
    pub(crate) fn describe(&self, settings: &str) {
        let place = match self.kind {
            Kind::Sqlite => "path",
            _ => "url",
        };
        let text = format!(
            "{place} = \"${{env:OFFICE}}\"\n[[streams]]\nname = \"t\"\ntable = \"t\"\n{settings}\n"
        );
        self.office.describe(self.kind.word(), &text);
    }

    pub(crate) fn url(&self) -> String {
        let server = server(self.kind);
        let (host, _) = server.rsplit_once('/').unwrap();
        format!("{host}/{}", self.name)
    }

    /// Changes the database.
    pub(crate) async fn execute(&self, sql: &str) {
        match self.kind {
            Kind::Postgres => on_postgres(&self.url(), sql).await,
            Kind::Mysql => on_mysql(&self.url(), sql).await,
            Kind::Sqlite => execute(&self.office.source(), sql).await,
        }
    }

    /// One number from the database.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Postgres => {
                let mut db = PgConnection::connect(&self.url()).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
            }
            Kind::Mysql => {
                let mut db = MySqlConnection::connect(&self.url()).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
            }
            Kind::Sqlite => {
                let mut db = lake::sqlite(&self.office.source()).await;
                sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
            }
        }
    }

    /// Runs everything; the step of the stream.
    pub(crate) fn run(&self, code: i32, arguments: &[&str]) -> Value {
        let report = self.office.hub.run_json(&[&["run"], arguments].concat()).expect(code).json();
        step(&report, "streams", "office.t").clone()
    }

    /// The first column of a query.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        let first = |row: &Value| match row.as_object().unwrap().values().next().unwrap() {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.office.hub.query(sql).iter().map(first).collect()
    }

    pub(crate) fn duckdb(&self, sql: &str) -> Vec<String> {
        lake::duckdb(&self.office.hub.database(), &[sql.to_owned()])
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let (kind, name) = (self.kind, self.name.clone());
        // A thread with a runtime of its own: this may run inside of one.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                match kind {
                    Kind::Postgres => {
                        let sql = format!("drop database if exists {name} with (force)");
                        on_postgres(&server(kind), &sql).await;
                        on_postgres(&server(kind), &format!("drop role if exists {name}")).await;
                    }
                    Kind::Mysql => {
                        on_mysql(&server(kind), &format!("drop database if exists `{name}`")).await;
                    }
                    Kind::Sqlite => {}
                }
            });
        });
        drop(dropping.join());
    }
}

/// The address of a test server.
pub(crate) fn server(kind: Kind) -> String {
    let (variable, usual) = match kind {
        Kind::Mysql => ("HUILIU_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/"),
        _ => ("HUILIU_TEST_PG_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    };
    std::env::var_os(variable).map_or_else(|| usual.to_owned(), |url| url.into_string().unwrap())
}

/// Executes statements on a PostgreSQL server.
pub(crate) async fn on_postgres(url: &str, sql: &str) {
    let mut db = PgConnection::connect(url)
        .await
        .unwrap_or_else(|e| panic!("{e}; tests need PostgreSQL at HUILIU_TEST_PG_URL"));
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

async fn on_mysql(url: &str, sql: &str) {
    let mut db = MySqlConnection::connect(url)
        .await
        .unwrap_or_else(|e| panic!("{e}; tests need MariaDB at HUILIU_TEST_MYSQL_URL"));
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

const ODD_POSTGRES: &str = "create table \"办件\" (\"编号\" text primary key, \"select\" int, \
      \"a\"\"b\" numeric(12,2), \"更新时间\" timestamp); \
    insert into \"办件\" values ('一', 1, 1.25, '2018-06-12 09:00:00'), ('二', null, null, null); \
    create table plain (id smallint primary key, note text, update_time timestamptz, is_sync char(1)); \
    insert into plain values (1, 'x', '2018-06-12 09:00:00+08', '0'); \
    create table \"no key;--\" (a int, b text); insert into \"no key;--\" values (1, 'x'), (1, 'x'); \
    create table vacant (id int primary key); \
    create table scores (score real primary key, accept_date timestamp); insert into scores values (1.5, null); \
    create schema \"前.置\"; create table \"前.置\".\"order\" (id int primary key, v float8, t timetz); \
    insert into \"前.置\".\"order\" values (1, 'NaN', '23:59:59+08'); analyze";

const ODD_MYSQL: &str = "set names utf8mb4; create table `办件` (`编号` varchar(20) primary key, \
      `select` int, `a\"b` decimal(12,2), `更新时间` datetime) default charset utf8mb4; \
    insert into `办件` values ('一', 1, 1.25, '2018-06-12 09:00:00'), ('二', null, null, null); \
    create table plain (id smallint primary key, note text, ts timestamp default now() on update now(), \
      is_sync char(1)); insert into plain (id, is_sync) values (1, '0'); \
    create table `no key;--` (a int, b text); insert into `no key;--` values (1, 'x'), (1, 'x'); \
    create table vacant (id int primary key); \
    create table scores (score float primary key, accept_date datetime); insert into scores values (1.5, null); \
    create table `order` (id bigint unsigned primary key, v bit(1)); insert into `order` values (18446744073709551615, b'1')";

const ODD_SQLITE: &str = "create table \"办件\" (\"编号\" text primary key, \"select\" int, \
      \"a\"\"b\" decimal(12,2), \"更新时间\" datetime); \
    insert into \"办件\" values ('一', 1, 1.25, '2018-06-12 09:00:00'), ('二', null, null, null); \
    create table plain (id smallint primary key, note text, update_time datetime, is_sync char(1)); \
    insert into plain values (1, 'x', '2018-06-12 09:00:00', '0'); \
    create table \"no key;--\" (a int, b text); insert into \"no key;--\" values (1, 'x'), (1, 'x'); \
    create table vacant (id int primary key); \
    create table scores (score real primary key, accept_date datetime); insert into scores values (1.5, null); \
    create table \"order\" (id integer primary key, v); insert into \"order\" values (1, 'x')";

/// What `discover` writes is checked, read, and added to without a word of a person.
async fn discovered_files_run_as_they_are(kind: Kind, sql: &str) {
    let source = Source::new(kind, sql).await;
    let hub = &source.office.hub;
    let place = match kind {
        Kind::Sqlite => ["--path", "${env:OFFICE}"],
        _ => ["--url-from", "env:OFFICE"],
    };
    let base = ["discover", "box", "--kind", kind.word(), "--owner", "测试科"];
    let shown = hub.run(&[&base[..], &place].concat()).expect(0).out;
    let file = hub.project().join("config/systems/box.toml");
    assert!(!file.exists(), "nothing is written unless it is asked for");
    let time = Begun::now();
    hub.run(&[&base[..], &place, &["--write"]].concat()).expect(0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(shown.contains(text.split_once("[[streams]]").unwrap().1.trim()), "{shown}\n{text}");
    assert!(text.contains("\"${env:OFFICE}\"") && !text.contains(&source.name), "{text}");
    assert!(text.contains("# about "), "{text}");
    // Types would only repeat what the source says, or widen it.
    assert!(!text.lines().any(|line| line.starts_with("columns.")), "{text}");
    assert!(text.contains("read = \"flagged\", flag = \"is_sync\""), "{text}");
    hub.run(&["check"]).expect(0);
    hub.run(&["preview", "box.plain"]).expect(0);
    let report = hub.run_json(&["run", "box.*"]).expect(0).json();
    time.has_rows(kind.word());
    assert_eq!(report["streams"].as_array().unwrap().len(), 6, "{text}");
    for (table, rows) in
        [("table", "2"), ("plain", "1"), ("no_key", "2"), ("vacant", "0"), ("scores", "1")]
    {
        let sql = format!("select count(*) from current.box_{table}");
        assert_eq!(source.query(&sql), [rows], "{table}: {text}");
    }
    assert_eq!(
        source.query("select \"a\"\"b\" from current.box_table where \"编号\" = '一'"),
        ["1.25"]
    );
    assert_eq!(source.query("select count(*) from current.box_order"), ["1"]);
    let again = hub.run_json(&["run", "box.*"]).expect(0).json();
    for stream in again["streams"].as_array().unwrap() {
        assert_eq!((&stream["written"], &stream["deleted"]), (&0.into(), &0.into()), "{stream}");
    }
    // What is added later is added to the file, and what is there stays as a person left it.
    let edited = text.replace("owner = \"测试科\"", "owner = \"别的科\"");
    std::fs::write(&file, &edited).unwrap();
    hub.run(&["discover", "box", "--write"]).expect(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
    source.execute("create table later (id int primary key); insert into later values (1)").await;
    hub.run(&["discover", "box", "--table", "no*", "--write"]).expect(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
    hub.run(&["discover", "box", "--table", "lat*", "--write"]).expect(0);
    let added = std::fs::read_to_string(&file).unwrap();
    assert!(added.starts_with(&edited) && added.contains("table = \"later\""), "{added}");
    hub.run(&["run", "box.later"]).expect(0);
    let refused = hub.run(&[&base[..], &place, &["--write"]].concat()).expect(2);
    assert!(refused.err.contains("E-SYSTEM-FILE"), "{}", refused.err);
}

#[tokio::test]
async fn a_discovered_postgres_file_runs_as_it_is() {
    discovered_files_run_as_they_are(Kind::Postgres, ODD_POSTGRES).await;
}

#[tokio::test]
async fn a_discovered_mysql_file_runs_as_it_is() {
    discovered_files_run_as_they_are(Kind::Mysql, ODD_MYSQL).await;
}

#[tokio::test]
async fn a_discovered_sqlite_file_runs_as_it_is() {
    discovered_files_run_as_they_are(Kind::Sqlite, ODD_SQLITE).await;
}

#[test]
fn a_password_never_gets_into_a_discovered_file() {
    let hub = Hub::edited();
    let url = "postgresql://reader:secret-0123@127.0.0.1:1/db";
    let refused =
        hub.run(&["discover", "box", "--kind", "postgres", "--url", url, "--write"]).expect(2);
    assert!(refused.err.contains("E-SECRET-INLINE"), "{}", refused.err);
    assert!(!refused.said().contains("secret-0123"), "{}", refused.said());
    assert!(!hub.project().join("config/systems/box.toml").exists());
    let nowhere = hub.run(&["discover", "box", "--kind", "postgres"]).expect(2);
    assert!(nowhere.err.contains("--url-from"), "{}", nowhere.err);
}

const CURSOR: &str =
    "key = [\"id\"]\nread = \"incremental\"\ncursor = \"c\"\noverlap = \"10m\"\nzone = \"UTC\"";

/// Rows that come later than the overlap are found by a whole read, which counts them.
async fn late_rows_are_found_and_counted(kind: Kind, create: &str) {
    let source = Source::with_stream(kind, create, CURSOR).await;
    source
        .execute(
            "insert into t values (1, 'a', '2018-06-12 09:00:00'), (2, 'b', '2018-06-12 08:00:00')",
        )
        .await;
    assert_eq!(source.run(0, &[])["written"], 2);
    source
        .execute(
            "insert into t values (3, 'late', '2018-06-12 08:00:00'); \
             insert into t values (4, 'within', '2018-06-12 08:55:00'); \
             update t set v = 'changed without a new time' where id = 2",
        )
        .await;
    assert_eq!(source.run(0, &[])["written"], 1);
    let step = source.run(0, &["--whole"]);
    assert_eq!((&step["written"], &step["read"]), (&2.into(), &6.into()), "{step}");
    assert!(step["message"].as_str().unwrap().contains("late: 2 rows"), "{step}");
    let again = source.run(0, &["--whole"]);
    assert_eq!((&again["written"], &again["message"]), (&0.into(), &Value::Null));
    assert_eq!(source.query("select v from current.office_t where id = 2").len(), 1);
    // The next read goes on from the mark and not from the start.
    assert_eq!(source.run(0, &[])["read"], 2);
}

#[tokio::test]
async fn late_rows_of_postgres_are_found_and_counted() {
    let create = "create table t (id int primary key, v varchar(30), c timestamp)";
    late_rows_are_found_and_counted(Kind::Postgres, create).await;
}

#[tokio::test]
async fn late_rows_of_mysql_are_found_and_counted() {
    let create = "create table t (id int primary key, v varchar(30), c datetime)";
    late_rows_are_found_and_counted(Kind::Mysql, create).await;
}

#[tokio::test]
async fn late_rows_of_sqlite_are_found_and_counted() {
    let create = "create table t (id int primary key, v text, c datetime)";
    late_rows_are_found_and_counted(Kind::Sqlite, create).await;
}

#[tokio::test]
async fn an_appending_stream_is_not_read_whole() {
    let create = "create table t (id int primary key, v text, c datetime); \
                  insert into t values (1, 'a', '2018-06-12 09:00:00')";
    let source =
        Source::with_stream(Kind::Sqlite, create, &format!("{CURSOR}\nwrite = \"append\"")).await;
    source.run(0, &[]);
    let step = source.run(0, &["--whole"]);
    assert!(step["message"].as_str().unwrap().contains("not read whole"), "{step}");
}

/// A key that changes is one delete and one insert in one snapshot; many deletes wait.
async fn keys_that_change_or_go(kind: Kind) {
    let create = "create table t (id int primary key, v varchar(20), c timestamp(6) null)";
    let source =
        Source::with_stream(kind, create, &format!("{CURSOR}\ndeletes = \"key_scan\"")).await;
    let rows: Vec<String> =
        (1..=100).map(|id| format!("({id}, 'a', '2018-06-12 09:00:00')")).collect();
    source.execute(&format!("insert into t values {}", rows.join(", "))).await;
    source.run(0, &[]);
    let snapshots =
        || async { source.office.number("select count(*) from ducklake_snapshot").await };
    let before = snapshots().await;
    source.execute("update t set id = 1000, c = '2018-06-12 09:00:01' where id = 7").await;
    let step = source.run(0, &[]);
    assert_eq!((&step["written"], &step["deleted"]), (&1.into(), &1.into()), "{step}");
    assert_eq!(snapshots().await, before + 1);
    assert_eq!(source.query("select count(*) from current.office_t"), ["100"]);
    assert!(source.query("select id from current.office_t where id = 7").is_empty());
    source.execute("delete from t where id <= 50").await;
    assert_eq!(source.run(5, &[])["code"], "E-MASS-DELETE");
    assert_eq!(source.query("select count(*) from current.office_t"), ["100"]);
}

#[tokio::test]
async fn keys_of_postgres_that_change_or_go() {
    keys_that_change_or_go(Kind::Postgres).await;
}

#[tokio::test]
async fn keys_of_mysql_that_change_or_go() {
    keys_that_change_or_go(Kind::Mysql).await;
}

#[tokio::test]
async fn lost_rights_hidden_rows_and_another_schema_never_empty_a_table() {
    let source = Source::new(
        Kind::Postgres,
        "create table t (id int primary key); insert into t select generate_series(1, 100)",
    )
    .await;
    let role = source.name.clone();
    source
        .execute(&format!("create role {role} login password 'x'; grant select on t to {role}"))
        .await;
    let url = source.url();
    let (_, host) = url.rsplit_once('@').unwrap();
    let env = format!("OFFICE=postgresql://{role}:x@{host}\n");
    std::fs::write(source.office.hub.data().join("env"), env).unwrap();
    source.describe("key = [\"id\"]\nwrite = \"replace\"");
    source.run(0, &[]);
    let stays = |code: i32, wanted: &str| {
        assert_eq!(source.run(code, &[])["code"], wanted);
        assert_eq!(source.query("select count(*) from current.office_t"), ["100"]);
    };
    source.execute(&format!("revoke select on t from {role}")).await;
    stays(6, "E-PERMISSION");
    source
        .execute(&format!("grant select on t to {role}; alter table t enable row level security"))
        .await;
    stays(5, "E-SHRINK");
    source.execute("alter table t disable row level security; alter table t rename to u").await;
    stays(6, "E-TABLE-MISSING");
    source.execute("alter table u rename to t; truncate t").await;
    stays(5, "E-SHRINK");
    source.execute(&format!("drop owned by {role}")).await;
}

#[tokio::test]
async fn columns_that_change_at_the_source_follow_the_contract() {
    let source = Source::with_stream(
        Kind::Postgres,
        "create table t (id int primary key, a int, b text not null, c int); \
         insert into t values (1, 1, 'x', 1)",
        "key = [\"id\"]",
    )
    .await;
    source.run(0, &[]);
    let mut row = 1;
    let mut next = async |sql: &str, code: i32| {
        row += 1;
        source.execute(&format!("{sql}; insert into t (id, b) values ({row}, 'x')")).await;
        source.run(code, &[])
    };
    next("alter table t add d numeric(9,2) default 1.5", 0).await;
    assert_eq!(source.query("select d from current.office_t where id = 1"), ["1.50"]);
    let step = next("alter table t drop c", 0).await;
    assert!(step["message"].as_str().unwrap().contains("no longer has c"), "{step}");
    assert_eq!(source.query("select count(*) from current.office_t where c is null"), ["3"]);
    next("alter table t alter a set default 5, alter d drop default", 0).await;
    let step = next("alter table t alter a type bigint", 5).await;
    assert_eq!(step["code"], "E-DRIFT");
    source.describe("key = [\"id\"]\ncontract = { types = \"evolve\" }");
    source.run(0, &[]);
    assert_eq!(source.query("select count(*) from current.office_t"), ["5"]);
    for (sql, back) in [
        ("alter table t rename a to a2", "alter table t rename a2 to a"),
        ("alter table t rename b to \"B\"", "alter table t rename \"B\" to b"),
        ("alter table t alter a type smallint", "alter table t alter a type bigint"),
    ] {
        source.execute(sql).await;
        let report = source.office.hub.run_json(&["run"]);
        let report = report.json();
        assert_eq!(step_of(&report)["code"], "E-DRIFT", "{sql}");
        source.execute(back).await;
        source.run(0, &[]);
    }
}

fn step_of(report: &Value) -> &Value {
    step(report, "streams", "office.t")
}

#[tokio::test]
async fn numbers_keep_every_bit_and_filters_still_find_them() {
    let source = Source::with_stream(
        Kind::Postgres,
        "create table t (id int primary key, f float8, g float4, n numeric(38,10), w numeric); \
         insert into t values (1, 'NaN', 'NaN', 1234567890123456789012345678.0123456789, 'NaN'), \
           (2, '-0', '-0', -0.0000000001, 'Infinity'), (3, 'Infinity', 'Infinity', 0, 1e100), \
           (4, '-Infinity', '-Infinity', null, 0.1), (5, '5e-324', '1e-45', 1, 2), \
           (6, '0', '0', 0, 0), (7, 1.7976931348623157e308, 3.4028235e38, 5, 5)",
        "key = [\"id\"]",
    )
    .await;
    source.run(0, &[]);
    let ids = |filter: &str| {
        let sql = format!("select id from current.office_t where {filter} order by id");
        let duck = format!("select id from lake.current.office_t where {filter} order by id");
        (source.query(&sql).join(" "), source.duckdb(&duck).join(" "))
    };
    let both = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(ids("isnan(f)"), both("1"));
    assert_eq!(ids("f = cast('Infinity' as double)"), both("3"));
    assert_eq!(ids("f < -1e308"), both("4"));
    assert_eq!(ids("f > 0 and f < 1e-300"), both("5"));
    assert_eq!(ids("g > 0 and g < 1e-40"), both("5"));
    assert_eq!(ids("f >= 1.7976931348623157e308 and not isnan(f)"), both("3 7"));
    assert_eq!(ids("n > 100"), both("1"));
    assert_eq!(ids("w = 'Infinity'"), both("2"));
    assert_eq!(ids("f = 0"), both("2 6"));
    assert_eq!(ids("f = cast('NaN' as double)"), both("1"));
    // Both zeros are there, and equal each other for both readers.
    let zeros = source
        .duckdb("select id, cast(f as varchar) from lake.current.office_t where f = 0 order by id");
    assert_eq!(zeros, ["2\t-0.0", "6\t0.0"]);
    let sums = source.duckdb("select w from lake.current.office_t where id = 3");
    assert_eq!(sums[0].len(), 101);
}

#[tokio::test]
async fn the_values_of_mariadb_reach_every_reader_as_they_are() {
    let source = Source::with_stream(
        Kind::Mysql,
        "set names utf8mb4; create table t (id int primary key, bu bigint unsigned, t tinyint(1), flag bit(1), \
           e enum('', 'a'), st set('x', 'y'), y year, v varchar(20) character set utf8mb4, g point); \
         insert into t values (1, 18446744073709551615, 2, b'1', '', 'x,y', 2024, '𠮷🏛', point(1, 2))",
        "key = [\"id\"]",
    )
    .await;
    source.run(0, &[]);
    for (column, value) in [
        ("bu", "18446744073709551615"),
        ("t", "2"),
        ("flag", "1"),
        ("e", ""),
        ("st", "x,y"),
        ("y", "2024"),
        ("v", "𠮷🏛"),
    ] {
        assert_eq!(source.query(&format!("select {column} from current.office_t")), [value]);
        let duck = format!("select {column} from lake.current.office_t");
        assert_eq!(source.duckdb(&duck).join(""), value, "{column}");
    }
}

/// Nothing is success, keeps the columns, and goes no further than the guard.
async fn an_empty_table_is_a_table(kind: Kind) {
    let source = Source::with_stream(
        kind,
        "create table t (id int primary key, v varchar(9), n int)",
        "key = [\"id\"]\nwrite = \"replace\"",
    )
    .await;
    let step = source.run(0, &[]);
    assert_eq!((&step["read"], &step["written"]), (&0.into(), &0.into()));
    assert_eq!(source.query("select count(v) from current.office_t where n is null"), ["0"]);
    let rows: Vec<String> = (0..20).map(|id| format!("({id}, null, null)")).collect();
    source.execute(&format!("insert into t values {}", rows.join(", "))).await;
    source.run(0, &[]);
    assert_eq!(source.query("select count(*) from current.office_t where v is null"), ["20"]);
    assert_eq!(
        source.duckdb("select count(*), count(v), max(n) from lake.current.office_t"),
        ["20\t0\t"]
    );
    source.execute("delete from t").await;
    assert_eq!(source.run(5, &[])["code"], "E-SHRINK");
    assert_eq!(source.query("select count(*) from current.office_t"), ["20"]);
}

#[tokio::test]
async fn an_empty_table_of_postgres_is_a_table() {
    an_empty_table_is_a_table(Kind::Postgres).await;
}

#[tokio::test]
async fn an_empty_table_of_mysql_is_a_table() {
    an_empty_table_is_a_table(Kind::Mysql).await;
}

#[tokio::test]
async fn an_empty_table_of_sqlite_is_a_table() {
    an_empty_table_is_a_table(Kind::Sqlite).await;
}

#[tokio::test]
async fn identity_numbers_rounded_by_a_spreadsheet_are_set_aside() {
    let source = Source::with_stream(
        Kind::Sqlite,
        "create table t (id text primary key, no text, phone text); \
         insert into t values ('007', '11010119900307109X', '013900000000'), \
           ('008', '110101199003070000', '1')",
        "key = [\"id\"]\ncolumns.no = { tag = \"id_number\" }\nquarantine = { rows = 10, percent = 100 }",
    )
    .await;
    let step = source.run(0, &[]);
    assert_eq!((&step["written"], &step["quarantined"]), (&1.into(), &1.into()));
    assert_eq!(source.query("select id || phone from current.office_t"), ["007013900000000"]);
    let listed = source.office.hub.run_json(&["quarantine", "list"]).expect(0).json();
    assert_eq!(listed["rows"][0]["code"], "E-EXCEL-ROUNDED");
    assert!(!listed.to_string().contains("1101011990"), "{listed}");
}

const FRONT: &str = "create table t (row_guid text primary key, project_no text, dataver int, \
      state text, is_sync char(1) default '0'); \
    insert into t (row_guid, project_no, dataver, state) values ('a1', 'A', 1, 'open'), \
      ('a2', 'A', 1, 'open'), ('b1', 'B', 1, 'open')";

#[tokio::test]
async fn a_front_database_is_claimed_read_marked_and_sent_again() {
    let source = Source::with_stream(
        Kind::Postgres,
        FRONT,
        "key = [\"row_guid\"]\ngroup = [\"project_no\"]\nversion = \"dataver\"\nread = \"flagged\"\n\
         flag = \"is_sync\"\nflag_claimed = \"8\"",
    )
    .await;
    assert_eq!(source.run(0, &[])["written"], 3);
    let flags = |wanted: &'static str| {
        let url = source.url();
        async move {
            let mut db = PgConnection::connect(&url).await.unwrap();
            let sql = "select string_agg(row_guid || is_sync, ' ' order by row_guid) from t";
            let held: String = sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap();
            db.close().await.unwrap();
            assert_eq!(held, wanted);
        }
    };
    flags("a11 a21 b11").await;
    // A case is deleted and sent again with other rows and a higher version; another vanishes.
    source
        .execute(
            "delete from t where project_no = 'A'; delete from t where row_guid = 'b1'; \
             insert into t (row_guid, project_no, dataver, state) values ('a1', 'A', 2, 'done'), \
               ('a3', 'A', 2, 'done')",
        )
        .await;
    let step = source.run(0, &[]);
    assert_eq!((&step["written"], &step["deleted"]), (&2.into(), &1.into()), "{step}");
    flags("a11 a31").await;
    let rows = source.query("select row_guid || state from current.office_t order by row_guid");
    assert_eq!(rows, ["a1done", "a3done", "b1open"]);
    // An older version that is sent late goes to history and is marked all the same.
    source
        .execute("update t set dataver = 1, state = 'open', is_sync = '0' where row_guid = 'a1'")
        .await;
    source.run(0, &[]);
    flags("a11 a31").await;
    assert_eq!(source.query("select state from current.office_t where row_guid = 'a1'"), ["done"]);
    // What another reader has marked in the middle is read whole with its case.
    source
        .execute("update t set is_sync = '0', dataver = 3, state = 'again' where row_guid = 'a3'")
        .await;
    assert_eq!(source.run(0, &[])["read"], 2);
    flags("a11 a31").await;
    assert_eq!(source.run(0, &[])["read"], 0);
}
