//! The past of a stream again, in windows: what was mended behind the mark is found, the mark stays,
//! and a backfill that broke off goes on.

use serde_json::Value;

use crate::databases::{Kind, Source};
use crate::hub::Done;

const SETTINGS: &str = "key = [\"id\"]\nread = \"incremental\"\ncursor = \"changed\"\n";
const ROWS: &str = "insert into t values (1, 'a', '2018-01-10 09:00:00'),
    (2, 'b', '2018-02-10 09:00:00'), (3, 'c', '2018-03-31 23:59:59'),
    (4, 'd', '2018-04-01 00:00:00'), (5, 'e', '2018-12-10 09:00:00')";
const WINDOWS: [&str; 8] =
    ["backfill", "office.t", "--from", "2018-01-01", "--to", "2018-04-01", "--window", "31"];

fn written(report: &Value) -> Vec<i64> {
    let windows = report["windows"].as_array().unwrap();
    windows.iter().map(|w| w["run"]["streams"][0]["written"].as_i64().unwrap()).collect()
}

async fn the_past_is_read_again_in_windows(kind: Kind, create: &str) {
    let source = Source::with_stream(kind, create, SETTINGS).await;
    source.execute(ROWS).await;
    let hub = &source.office.hub;
    assert_eq!(source.run(0, &[])["written"], 5);
    let state = || hub.run_json(&["state", "show", "office.t"]).expect(0).json();
    let before = state();
    // The past is mended without moving the cursor, which no incremental read sees.
    source.execute("update t set name = upper(name) where id <= 4").await;
    assert_eq!(source.run(0, &[])["written"], 0);

    let json = [WINDOWS.as_slice(), &["--output", "json"]].concat();
    let mut broken = hub.command(&json);
    broken.env("FAILPOINTS", "mover::begun=1*off->return(error)");
    let broken = Done::of(broken.output().unwrap(), &json).expect(3).json();
    assert_eq!(written(&broken), [1, 0], "the second window broke off: {broken}");

    let rest = hub.run_json(&WINDOWS).expect(0).json();
    assert_eq!((&rest["resumed_at"], written(&rest)), (&"2018-02-01".into(), vec![1, 1]), "{rest}");
    assert!(written(&hub.run_json(&WINDOWS).expect(0).json()).is_empty(), "it was done");
    // The day behind the last one is no part of it.
    let names = source.query("select name from current.office_t order by id");
    assert_eq!(names, ["A", "B", "C", "d", "e"]);
    let after = state();
    assert_eq!(after["state"]["checkpoint"], before["state"]["checkpoint"], "the mark stays");
    let again = [WINDOWS.as_slice(), &["--restart"]].concat();
    assert_eq!(written(&hub.run_json(&again).expect(0).json()), [0, 0, 0]);
}

#[tokio::test]
async fn the_past_of_sqlite_is_read_again_in_windows() {
    let create = "create table t (id integer primary key, name text, changed text)";
    the_past_is_read_again_in_windows(Kind::Sqlite, create).await;
}

#[tokio::test]
async fn the_past_of_postgres_is_read_again_in_windows() {
    let create = "create table t (id bigint primary key, name text, changed timestamp)";
    the_past_is_read_again_in_windows(Kind::Postgres, create).await;
}

#[tokio::test]
async fn the_past_of_mysql_is_read_again_in_windows() {
    let create = "create table t (id bigint primary key, name varchar(20), changed datetime)";
    the_past_is_read_again_in_windows(Kind::Mysql, create).await;
}

#[tokio::test]
async fn what_has_no_windows_is_refused() {
    let create = "create table t (id integer primary key, name text, changed text)";
    let source = Source::with_stream(Kind::Sqlite, create, "key = [\"id\"]\nread = \"full\"").await;
    let hub = &source.office.hub;
    let whole = hub.run(&WINDOWS).expect(2).err;
    assert!(whole.contains("E-BACKFILL") && whole.contains("not read by a cursor"), "{whole}");
    source.describe(&format!("{SETTINGS}write = \"append\""));
    assert!(hub.run(&WINDOWS).expect(2).err.contains("appends"));
    source.describe(SETTINGS);
    let turned = ["backfill", "office.t", "--from", "2018-04-01", "--to", "2018-01-01"];
    assert!(hub.run(&turned).expect(2).err.contains("is not before"));
}
