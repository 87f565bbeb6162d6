//! Cases that are replaced whole, some of whose rows do not fit.

use huiliu_sdk::{Cell, Rejected, original};

use super::script::{Play, batch, checkpoint, end, ints, read_of, rows_with, schema, texts};
use super::world::World;

const CASES: &str = "key = [\"id\"]\ngroup = [\"case_no\"]\n\
    quarantine = { rows = 10, percent = 100.0 }\nguard = { delete_percent = 100.0 }";

fn parts(rows: &[(i64, &str, &str)]) -> arrow::record_batch::RecordBatch {
    batch(vec![
        ("id", ints(rows.iter().map(|row| row.0))),
        ("case_no", texts(rows.iter().map(|row| row.1))),
        ("name", texts(rows.iter().map(|row| row.2))),
    ])
}

fn read_with(rows: &[(i64, &str, &str)], rejected: Vec<Rejected>) -> Vec<Play> {
    let rows = parts(rows);
    vec![schema(rows.schema()), rows_with(rows, rejected), checkpoint(2), end(false)]
}

/// A row that could not be decoded, of which these columns could.
fn undecoded(known: &[(&str, &str)]) -> Rejected {
    let cells = known.iter().map(|(name, value)| (*name, Cell::Text(value)));
    let raw = original(cells.chain([("name", Cell::Bytes(&[0xff]))]));
    Rejected { position: 9, code: "E-ENCODING", reason: "not text".into(), raw }
}

async fn two_cases() -> World {
    let world = World::new(CASES);
    let all = [(1, "A", "a"), (2, "A", "a"), (3, "A", "a"), (4, "B", "b"), (5, "B", "b")];
    world.good_read(read_of(parts(&all))).await;
    world
}

async fn ids(world: &World) -> Vec<String> {
    world.query("select id, name from current.s_t order by id").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_of_a_row_that_is_set_aside_stays_and_what_vanished_goes() {
    let world = two_cases().await;
    let two = undecoded(&[("id", "2"), ("case_no", "A")]);
    let step = world.good_read(read_with(&[(1, "A", "new")], vec![two])).await;
    assert_eq!((step.balance.quarantined, step.balance.deleted), (1, 1));
    assert_eq!(ids(&world).await, ["1|new", "2|a", "4|b", "5|b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_with_a_row_whose_key_is_unknown_loses_nothing_and_others_do() {
    let world = two_cases().await;
    let some = undecoded(&[("case_no", "A")]);
    let rows = [(1, "A", "new"), (4, "B", "new")];
    world.good_read(read_with(&rows, vec![some])).await;
    assert_eq!(ids(&world).await, ["1|new", "2|a", "3|a", "4|new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_an_unknown_case_keeps_every_case_whole_and_the_step_says_so() {
    let world = two_cases().await;
    let any = undecoded(&[]);
    let rows = [(1, "A", "new"), (4, "B", "new")];
    let step = world.good_read(read_with(&rows, vec![any])).await;
    assert!(step.message.unwrap().contains("nothing was deleted from cases"));
    assert_eq!(ids(&world).await, ["1|new", "2|a", "3|a", "4|new", "5|b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_key_keeps_its_case_whole() {
    let world = two_cases().await;
    let ids_of = std::sync::Arc::new(arrow::array::Int64Array::from(vec![Some(1), None, Some(4)]));
    let rows = batch(vec![
        ("id", ids_of),
        ("case_no", texts(["A", "A", "B"])),
        ("name", texts(["new"; 3])),
    ]);
    let plays = vec![schema(rows.schema()), rows_with(rows, Vec::new()), checkpoint(2), end(false)];
    let step = world.good_read(plays).await;
    assert_eq!((step.balance.quarantined, step.balance.deleted), (1, 1));
    assert_eq!(ids(&world).await, ["1|new", "2|a", "3|a", "4|new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_after_the_files_are_complete_leaves_none() {
    let world = two_cases().await;
    let before = world.files();
    world.configure(&CASES.replace("rows = 10", "rows = 0"));
    let two = undecoded(&[("id", "2"), ("case_no", "A")]);
    let step = world.read(read_with(&[(1, "A", "new")], vec![two])).await;
    assert_eq!(step.code.as_deref(), Some("E-QUARANTINE-BUDGET"));
    assert_eq!(world.files(), before);
    // What whole cases lack is known only when the files are complete.
    let all: Vec<_> = (1..=40).map(|id| (id, "A", "a")).collect();
    world.configure(&CASES.replace("100.0 }\nguard = { delete_percent = 100.0", "100.0"));
    world.good_read(read_of(parts(&all))).await;
    let before = world.files();
    let step = world.read(read_of(parts(&[(1, "A", "new")]))).await;
    assert_eq!(step.code.as_deref(), Some("E-MASS-DELETE"));
    assert_eq!(world.files(), before);
    assert_eq!(world.count().await, "40");
}
