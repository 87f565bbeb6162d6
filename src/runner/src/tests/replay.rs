//! Rows in quarantine that are tried again: what held when they were read holds still.

use std::sync::Arc;

use arrow::array::BooleanArray;
use huiliu_sdk::{Cell, Rejected, original};

use super::script::{
    Play, batch, checkpoint, end, ints, items, maybe_texts, read_of, rows_with, schema, texts,
};
use super::world::World;
use crate::audit::Deed;
use crate::quarantine::Selection;

const SETTINGS: &str = "key = [\"id\"]\nquarantine = { rows = 10, percent = 100.0 }";
const OWN: &str = "* exclude (_run, _seq, _op, _received_at, _source_pos, _row_hash)";
/// An identity number, and one as a spreadsheet rounds it.
const NUMBER: &str = "11010119900307109X";
const ROUNDED: &str = "110101199003070000";

/// A row that nobody could decode when it was read, and anybody can now.
fn set_aside<'a>(values: impl IntoIterator<Item = (&'a str, Cell<'a>)>) -> Rejected {
    Rejected { position: 9, code: "E-TYPE", reason: "not then".into(), raw: original(values) }
}

/// A read of rows, and of one that is set aside.
fn read_with(rows: arrow::record_batch::RecordBatch, rejected: Rejected) -> Vec<Play> {
    vec![schema(rows.schema()), rows_with(rows, vec![rejected]), checkpoint(2), end(true)]
}

/// Tries all rows again: how many were written, deleted, and stay.
async fn replay(world: &World) -> (u64, u64, u64) {
    let hub = world.hub().await;
    let deed = Deed { who: "tester", reason: "a test wants it" };
    let reports = Box::pin(hub.replay(&Selection::default(), &deed)).await.unwrap();
    hub.close().await;
    assert_eq!(reports.len(), 1);
    let balance = reports[0].step.balance;
    balance.check().unwrap();
    (balance.written, balance.deleted, balance.quarantined)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_its_source_marks_as_deleted_does_not_come_alive() {
    let world = World::new(&format!("{SETTINGS}\ndeletes = \"soft\"\ndeleted = \"gone\""));
    let alive = |ids: Vec<i64>| {
        let gone = BooleanArray::from(vec![false; ids.len()]);
        let names = texts(vec!["a"; ids.len()]);
        batch(vec![("id", ints(ids)), ("name", names), ("gone", Arc::new(gone))])
    };
    world.good_read(read_of(alive(vec![0, 1, 2]))).await;
    let marked = [("id", Cell::Text("1")), ("name", Cell::Text("b")), ("gone", Cell::Bool(true))];
    let step = world.good_read(read_with(alive(vec![0, 2]), set_aside(marked))).await;
    assert_eq!((step.balance.quarantined, step.balance.deleted), (1, 0));
    assert_eq!(replay(&world).await, (0, 1, 0));
    assert_eq!(world.query("select id from current.s_t order by id").await, ["0", "2"]);
    assert_eq!(world.query("select id, name from history.s_t").await, ["1|a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_contract_keeps_out_stays_out_until_the_contract_is_another() {
    let strict = "contract = { columns = \"quarantine\" }\ncolumns.no = { tag = \"id_number\" }";
    let world = World::new(&format!("{SETTINGS}\n{strict}"));
    world.good_read(read_of(batch(vec![("id", ints([1])), ("no", texts([NUMBER]))]))).await;
    let wide = batch(vec![
        ("id", ints(2..5)),
        ("no", texts([NUMBER, ROUNDED, NUMBER])),
        ("secret", maybe_texts([None, None, Some("x")])),
    ]);
    let balance = world.good_read(read_of(wide)).await.balance;
    assert_eq!((balance.written, balance.quarantined), (1, 2));
    let codes = async || {
        let rows = world.quarantine().await;
        rows.into_iter().map(|row| row.code).collect::<Vec<String>>()
    };
    let before = codes().await;
    assert_eq!(before, ["E-EXCEL-ROUNDED", "E-CONTRACT-COLUMN"]);
    let held = format!("select {OWN} from current.s_t order by id");
    assert_eq!(replay(&world).await, (0, 0, 2));
    assert_eq!(codes().await, before);
    assert_eq!(world.query(&held).await, [format!("1|{NUMBER}"), format!("2|{NUMBER}")]);

    world.configure(SETTINGS);
    assert_eq!(replay(&world).await, (2, 0, 0));
    assert_eq!(
        world.query(&held).await,
        [
            format!("1|{NUMBER}|-"),
            format!("2|{NUMBER}|-"),
            format!("3|{ROUNDED}|-"),
            format!("4|{NUMBER}|x")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_snapshot_joins_its_day_and_leaves_other_days_alone() {
    let world = World::new(&format!("{SETTINGS}\nwrite = \"snapshot\""));
    let on = |day: u32| {
        let time = format!("2018-12-{day}T10:00:00+08:00").parse().unwrap();
        *world.stage.time.lock().unwrap() = Some(time);
    };
    on(12);
    world.good_read(read_of(items(0..3, "a"))).await;
    on(13);
    let late = [("id", Cell::Text("2")), ("name", Cell::Text("b"))];
    world.good_read(read_with(items(0..2, "b"), set_aside(late))).await;
    on(14);
    assert_eq!(replay(&world).await, (1, 0, 0));
    let held = "select cast(_snapshot as varchar), id, name from current.s_t order by 1, 2";
    assert_eq!(
        world.query(held).await,
        [
            "2018-12-12|0|a",
            "2018-12-12|1|a",
            "2018-12-12|2|a",
            "2018-12-13|0|b",
            "2018-12-13|1|b",
            "2018-12-13|2|b"
        ]
    );
}
