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
    // Begun anew and broken off at once, it is not done any more.
    let anew = [WINDOWS.as_slice(), &["--output", "json", "--restart"]].concat();
    source.execute("update t set name = lower(name) where id <= 3").await;
    let mut broken = hub.command(&anew);
    broken.env("FAILPOINTS", "mover::begun=return(error)");
    Done::of(broken.output().unwrap(), &anew).expect(3);
    assert_eq!(written(&hub.run_json(&WINDOWS).expect(0).json()), [1, 1, 1]);
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

/// The first instant is of 1 January 2018 in the stream's zone, the second of 1 April.
async fn days_are_those_of_the_zone(kind: Kind, create: &str, instant: &str) {
    let source = Source::with_stream(kind, create, SETTINGS).await;
    let at = |seconds: &str| instant.replace("{}", seconds);
    let rows = format!(
        "insert into t values (1, 'a', {}), (2, 'b', {})",
        at("1514737800"),
        at("1522513800")
    );
    source.execute(&rows).await;
    source.run(0, &[]);
    source.execute("update t set name = upper(name)").await;
    source.office.hub.run_json(&WINDOWS).expect(0);
    let names = source.query("select name from current.office_t order by id");
    assert_eq!(names, ["A", "b"]);
}

#[tokio::test]
async fn days_of_instants_in_postgres_are_those_of_the_zone() {
    let create = "create table t (id bigint primary key, name text, changed timestamptz)";
    days_are_those_of_the_zone(Kind::Postgres, create, "to_timestamp({})").await;
}

#[tokio::test]
async fn days_of_instants_in_mysql_are_those_of_the_zone() {
    let create = "create table t (id bigint primary key, name varchar(20), changed timestamp null)";
    days_are_those_of_the_zone(Kind::Mysql, create, "from_unixtime({})").await;
}

#[tokio::test]
async fn a_cursor_that_is_no_time_has_no_days() {
    let create = "create table t (id bigint primary key, name varchar(20), changed bigint)";
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::Mysql] {
        let source = Source::with_stream(kind, create, SETTINGS).await;
        source.execute("insert into t values (1, 'a', 7)").await;
        source.run(0, &[]);
        let refused = source.office.hub.run(&WINDOWS);
        assert!(refused.out.contains("E-BACKFILL"), "{kind:?}: {}", refused.said());
        assert_ne!(refused.code, Some(0), "{kind:?}");
    }
}
