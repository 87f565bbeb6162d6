//! Real taps: of PostgreSQL (Meltano's SDK), of MariaDB (PipelineWise), and of dBASE files.

use std::sync::Arc;

use huiliu_sdk::{Cx, Endpoint};
use serde_json::{Value, json};

use crate::servers::{MariaDb, Postgres};
use crate::support::{Outcome, endpoint, installed, read, request};

const CASES: &str = "
    create table cases (
        id bigint primary key, name text, amount numeric(12,2), free numeric, at timestamptz,
        day date, ok boolean, j jsonb, f float8, arr int[], update_time timestamp);
    create table items (id int primary key, code text);
    insert into cases values
        (1, '王\"芳', 12.30, 1e30, '2018-06-12 09:00:00.123456+08', '2018-06-12', true,
         '{\"a\": [1, null]}', 0.1, '{1,2}', '2018-06-12 09:00'),
        (9007199254740993, null, null, 12345678901234567890.123456789, null, null, null, null,
         null, null, '2018-06-13 09:00');
    insert into items values (1, '0042'), (2, '0043')";

fn postgres(database: &Postgres, streams: Vec<Value>) -> Arc<dyn Endpoint> {
    let mut config = database.config();
    config["filter_schemas"] = json!(["public"]);
    let command = [installed("tap-postgres", "tap-postgres")];
    endpoint(json!({ "command": command, "config": config }), streams, vec![])
}

async fn read_all(endpoint: &dyn Endpoint, names: &[&str]) -> Outcome {
    let streams: Vec<_> = names.iter().map(|name| (*name, None)).collect();
    let read = read(endpoint, &Cx::new(), request(&streams)).await;
    assert!(read.error.is_none(), "{:?}", read.error);
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_postgres_lists_and_delivers_several_streams_at_once() {
    let database = Postgres::with(CASES);
    let cases = json!({
        "name": "cases", "stream": "public-cases", "key": ["id"],
        "columns": { "amount": { "type": "decimal(12,2)" }, "free": { "type": "text" } }
    });
    let items =
        json!({ "name": "items", "stream": "public-items", "key": ["id"], "select": ["id"] });
    let endpoint = postgres(&database, vec![cases, items]);
    let offered = endpoint.discover(&Cx::new()).await.unwrap();
    let names: Vec<&str> = offered.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["public-cases", "public-items"]);
    assert_eq!(
        (&offered[0].key[..], offered[0].changed.as_deref()),
        (&["id".to_owned()][..], Some("update_time"))
    );
    let read = read_all(&*endpoint, &["cases", "items"]).await;
    let first = |name: &str| read.column("cases", name)[0].clone();
    assert_eq!(read.column("cases", "id"), ["1", "9007199254740993"]);
    assert_eq!((first("name"), first("amount")), ("王\"芳".into(), "12.30".into()));
    assert_eq!(first("at"), "2018-06-12T09:00:00.123456");
    assert_eq!(
        (first("day"), first("ok"), first("f")),
        ("2018-06-12".into(), "true".into(), "0.1".into())
    );
    assert_eq!(first("j"), "{\"a\":[1,null]}");
    assert_eq!(first("arr"), "[1,2]");
    let free = ["1000000000000000000000000000000", "12345678901234567890.123456789"];
    assert_eq!(read.column("cases", "free"), free);
    assert_eq!(read.column("items", "id"), ["1", "2"]);
    assert_eq!(read.schemas.iter().find(|(name, _)| name == "items").unwrap().1.fields().len(), 1);
    assert!(read.rejected.is_empty() && read.notes.is_empty(), "{}", read.words());
    assert_eq!(read.complete, [("cases".to_owned(), true), ("items".to_owned(), true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_a_float_would_round_is_set_aside_until_its_type_is_declared() {
    let database = Postgres::with(CASES);
    let cases = json!({ "name": "cases", "stream": "public-cases", "key": ["id"] });
    let read = read_all(&*postgres(&database, vec![cases]), &["cases"]).await;
    assert_eq!(read.column("cases", "id"), ["1"]);
    assert_eq!((read.rejected.len(), read.rejected[0].code), (1, "E-RANGE"));
    assert!(read.rejected[0].reason.contains("free"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_postgres_goes_on_from_its_state() {
    let database = Postgres::with(CASES);
    let cases = json!({
        "name": "cases", "stream": "public-cases", "key": ["id"], "read": "incremental",
        "cursor": "update_time", "select": ["id", "update_time"]
    });
    let endpoint = postgres(&database, vec![cases]);
    let first = read_all(&*endpoint, &["cases"]).await;
    assert_eq!(first.column("cases", "id").len(), 2);
    database.query("insert into cases (id, update_time) values (3, '2018-06-14 09:00')");
    let next = read(&*endpoint, &Cx::new(), request(&[("cases", first.last())])).await;
    assert!(next.error.is_none(), "{:?}", next.error);
    // The bound is inclusive.
    assert_eq!(next.column("cases", "id"), ["9007199254740993", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_that_is_not_let_in_is_told_without_its_password() {
    let database = Postgres::with(CASES);
    let mut config = database.config();
    config["database"] = json!("canary_database");
    let command = [installed("tap-postgres", "tap-postgres")];
    let stream = json!({ "name": "cases", "stream": "public-cases", "key": ["id"] });
    let endpoint = endpoint(json!({ "command": command, "config": config }), vec![stream], vec![]);
    let read = read(&*endpoint, &Cx::new(), request(&[("cases", None)])).await;
    assert_eq!(read.code(), "E-SINGER-EXIT");
    let words = read.words();
    assert!(words.contains("does not exist") && !words.contains("canary"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_mariadb_delivers_whole_tables_by_version() {
    let database = MariaDb::with(
        "create table cases (id bigint primary key, name varchar(50), amount decimal(12,2),
             big decimal(38,10), dt datetime, n tinyint, ub bigint unsigned, day date);
         insert into cases values
             (1, '王芳', 12.30, 1.0000000001, '2018-06-12 09:00:00', 5, 18446744073709551615,
              '2018-06-12'),
             (9007199254740993, null, null, 1234567890123456789012345678.1234567890, null, null,
              null, null)",
    );
    let name = format!("{}-cases", database.name);
    let command = [installed("tap-mysql", "tap-mysql")];
    let system = json!({ "command": command, "config": database.config() });
    let stream = json!({
        "name": "cases", "stream": name, "key": ["id"], "columns": { "day": { "type": "date" } }
    });
    let whole = endpoint(system.clone(), vec![stream.clone()], vec![]);
    let offered = whole.discover(&Cx::new()).await.unwrap();
    assert_eq!(
        (offered[0].name.as_str(), &offered[0].key[..]),
        (name.as_str(), &["id".to_owned()][..])
    );
    let read_whole = read_all(&*whole, &["cases"]).await;
    assert_eq!(read_whole.column("cases", "id"), ["1", "9007199254740993"]);
    assert_eq!(read_whole.column("cases", "amount"), ["12.30", "-"]);
    let big = ["1.0000000001", "1234567890123456789012345678.1234567890"];
    assert_eq!(read_whole.column("cases", "big"), big);
    assert_eq!(read_whole.column("cases", "ub"), ["18446744073709551615", "-"]);
    assert_eq!(read_whole.column("cases", "day"), ["2018-06-12", "-"]);
    assert!(read_whole.rejected.is_empty(), "{}", read_whole.words());
    // The columns come in the order of the table, whatever the order of the tap's messages.
    let fields = read_whole.schemas[0].1.fields().iter();
    let fields: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
    assert_eq!(fields, ["id", "name", "amount", "big", "dt", "n", "ub", "day"]);
    assert_eq!(read_whole.complete, [("cases".to_owned(), true)]);
    let mut partly = stream;
    partly["read"] = json!("incremental");
    partly["cursor"] = json!("id");
    let partly = endpoint(system, vec![partly], vec![]);
    let first = read_all(&*partly, &["cases"]).await;
    database.query("insert into cases (id, name) values (9007199254740994, '李')");
    let next = read(&*partly, &Cx::new(), request(&[("cases", first.last())])).await;
    assert_eq!(next.column("cases", "id"), ["9007199254740993", "9007199254740994"]);
}

/// A dBASE file of a text and a number, in GBK.
fn dbf(rows: &[(&[u8], &str)]) -> Vec<u8> {
    let mut file = vec![3, 126, 11, 30];
    file.extend(u32::try_from(rows.len()).unwrap().to_le_bytes());
    file.extend((32_u16 + 2 * 32 + 1).to_le_bytes());
    file.extend((1_u16 + 10 + 8).to_le_bytes());
    file.extend([0; 17]);
    file.extend([0x4d, 0, 0]);
    for (name, kind, length, places) in [("NAME", b'C', 10, 0), ("AMOUNT", b'N', 8, 2)] {
        let mut field = name.as_bytes().to_vec();
        field.resize(11, 0);
        field.extend([kind, 0, 0, 0, 0, length, places]);
        field.resize(32, 0);
        file.extend(field);
    }
    file.push(b'\r');
    for (name, amount) in rows {
        let mut row = vec![b' '];
        row.extend_from_slice(name);
        row.resize(11, b' ');
        row.extend(format!("{amount:>8}").bytes());
        file.extend(row);
    }
    file.push(0x1a);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_of_dbase_files_delivers_what_no_other_connector_reads() {
    let folder = tempfile::tempdir().unwrap();
    // 王芳 in GBK.
    let rows: [(&[u8], &str); 2] = [(&[0xcd, 0xf5, 0xb7, 0xbc], "12.30"), (b"A1", "")];
    std::fs::write(folder.path().join("cases.dbf"), dbf(&rows)).unwrap();
    let config = json!({ "path": folder.path().join("*.dbf") });
    let command = [installed("tap-dbf", "tap-dbf")];
    let stream = json!({ "name": "cases", "write": "replace", "select": ["NAME", "AMOUNT"] });
    let endpoint = endpoint(json!({ "command": command, "config": config }), vec![stream], vec![]);
    let probe = endpoint.probe(&Cx::new()).await.unwrap();
    assert_eq!(probe.summary, "tap-dbf, 1 streams");
    let read = read_all(&*endpoint, &["cases"]).await;
    assert_eq!(read.column("cases", "NAME"), ["王芳", "A1"]);
    assert_eq!(read.column("cases", "AMOUNT"), ["12.3", "-"]);
    assert_eq!(read.complete, [("cases".to_owned(), true)]);
}
