//! Quiet hours that begin while a stream is being read.

use chrono::{DateTime, Utc};

use super::script::{Play, checkpoint, end, items, read_of, rows, schema};
use super::world::{World, step};

const QUIET: &str = "limits = { quiet_hours = \"08:00-18:00\" }";

/// A time of day in the hub's zone, Asia/Shanghai.
fn at(hour: u32) -> DateTime<Utc> {
    format!("2018-12-13T{hour:02}:30:00+08:00").parse().unwrap()
}

/// A read of two parts, with quiet hours beginning in the second.
fn into_quiet_hours() -> Vec<Play> {
    let (first, second) = (items(0..10, "a"), items(10..20, "a"));
    let begin = vec![Play::At(at(7)), schema(first.schema()), rows(first), checkpoint(1)];
    let more = vec![rows(second.clone()), Play::At(at(9)), rows(items(20..25, "a")), checkpoint(2)];
    [begin, more, vec![rows(items(25..30, "a")), checkpoint(3), end(true)]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_meets_quiet_hours_ends_at_its_next_checkpoint_committed() {
    let world = World::new("");
    world.configure_system(QUIET, "write = \"append\"");
    world.stage.script("t", vec![into_quiet_hours()]);
    *world.stage.time.lock().unwrap() = Some(at(7));
    let report = world.run(&[]).await;
    let stopped = step(&report);
    assert_eq!(
        (stopped.state.as_str(), stopped.code.as_deref()),
        ("blocked", Some("E-QUIET-HOURS"))
    );
    assert!(stopped.message.unwrap().contains("until 18:00"));
    assert_eq!((stopped.balance.read, stopped.balance.written, report.exit_code), (25, 25, 1));
    assert_eq!(world.count().await, "25");
    let acknowledged = world.stage.acknowledged.lock().unwrap().last().cloned().unwrap();
    assert_eq!(acknowledged.state["at"], 2);
    // Nothing is asked of the source until they are over.
    assert_eq!(step(&world.run(&[]).await).code.as_deref(), Some("E-QUIET-HOURS"));
    assert_eq!(world.count().await, "25");
    *world.stage.time.lock().unwrap() = Some(at(19));
    let rest = items(25..30, "a");
    let plays = vec![schema(rest.schema()), rows(rest), checkpoint(3), end(true)];
    world.good_read(plays).await;
    assert_eq!(world.query("select count(distinct id) from current.s_t").await, ["30"]);
    assert_eq!(world.count().await, "30");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_written_as_a_whole_stays_as_it_was_when_quiet_hours_begin() {
    let world = World::new("");
    world.configure_system(QUIET, "write = \"replace\"");
    *world.stage.time.lock().unwrap() = Some(at(7));
    world.good_read(read_of(items(0..40, "old"))).await;
    let before = world.files();
    let stopped = world.read(into_quiet_hours()).await;
    assert_eq!(
        (stopped.state.as_str(), stopped.code.as_deref()),
        ("blocked", Some("E-QUIET-HOURS"))
    );
    assert!(stopped.message.unwrap().contains("with its table as it was"));
    assert_eq!(
        world.query("select name, count(*) from current.s_t group by name").await,
        ["old|40"]
    );
    assert_eq!(world.files(), before);
}
