//! Columns, types and rows that are not what was agreed.

use std::sync::Arc;

use arrow::array::{Array, Float64Array};

use super::script::{
    Play, batch, checkpoint, end, ints, items, maybe_texts, read_of, rejected, rows, rows_with,
    schema, small_ints, texts,
};
use super::world::{World, step};

const UPSERT: &str = "key = [\"id\"]";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_is_added_and_one_that_is_gone_is_kept_with_a_note() {
    let world = World::new(UPSERT);
    world.good_read(read_of(items(1..3, "a"))).await;
    let wide =
        batch(vec![("id", ints(1..3)), ("name", texts(["a", "a"])), ("count", ints([5, 6]))]);
    assert_eq!(world.good_read(read_of(wide)).await.message, None);
    let step = world.good_read(read_of(items(2..4, "b"))).await;
    assert!(step.message.unwrap().contains("no longer has count"));
    let rows = world.query("select id, name, count from current.s_t order by id").await;
    assert_eq!(rows, ["1|a|5", "2|b|-", "3|b|-"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_columns_stop_before_anything_is_committed_and_go_on_when_accepted() {
    let world = World::new(&format!("{UPSERT}\ncontract = {{ columns = \"freeze\" }}"));
    world.good_read(read_of(items(1..3, "a"))).await;
    let wide = batch(vec![("id", ints(1..4)), ("name", texts(["b"; 3])), ("count", ints(1..4))]);
    world.stage.script("t", vec![read_of(wide)]);
    let report = world.run(&[]).await;
    let stopped = step(&report);
    assert_eq!(stopped.code.as_deref(), Some("E-DRIFT"));
    assert!(stopped.message.unwrap().contains("count is new"));
    assert_eq!(report.exit_code, 5);
    assert_eq!(world.query("select * exclude (_run, _seq, _op, _received_at, _source_pos, _row_hash) from current.s_t order by id").await, ["1|a", "2|a"]);
    let again = world.run(&["000000000000"]).await;
    assert_eq!(again.plans, report.plans);
    let report = world.run(&[&report.plans[0].hash]).await;
    assert_eq!((step(&report).state.as_str(), report.exit_code), ("succeeded", 0));
    assert_eq!(world.query("select sum(count) from current.s_t").await, ["6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_is_asked_about_and_one_of_case_only_always_stops() {
    let world = World::new(UPSERT);
    world.good_read(read_of(items(1..3, "a"))).await;
    world.stage.script("t", vec![read_of(batch(vec![("id", ints([1])), ("title", texts(["a"]))]))]);
    let report = world.run(&[]).await;
    assert_eq!((step(&report).code.as_deref(), report.exit_code), (Some("E-DRIFT"), 5));
    let cased = batch(vec![("id", ints([1])), ("Name", texts(["a"]))]);
    world.stage.script("t", vec![read_of(cased)]);
    let report = world.run(&[]).await;
    assert_eq!((step(&report).code.as_deref(), report.exit_code), (Some("E-DRIFT"), 3));
    assert!(report.plans.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_a_column_nobody_agreed_to_sets_its_row_aside() {
    let world = World::new(&format!("{UPSERT}\ncontract = {{ columns = \"quarantine\" }}"));
    world.good_read(read_of(items(1..3, "a"))).await;
    let wide = batch(vec![
        ("id", ints(1..4)),
        ("name", texts(["a", "a", "c"])),
        ("secret", maybe_texts([None, Some("x"), None])),
    ]);
    let step = world.good_read(read_of(wide)).await;
    let balance = step.balance;
    assert_eq!(
        (balance.read, balance.written, balance.unchanged, balance.quarantined),
        (3, 1, 1, 1)
    );
    assert_eq!(world.quarantine().await[0].code, "E-CONTRACT-COLUMN");
    assert_eq!(world.count().await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn wider_types_are_followed_and_old_rows_read_the_same() {
    let world = World::new(&format!("{UPSERT}\ncontract = {{ types = \"evolve\" }}"));
    let small = batch(vec![("id", small_ints(1..4)), ("count", small_ints(11..14))]);
    world.good_read(read_of(small)).await;
    let wide = batch(vec![("id", ints(3..5)), ("count", ints([13, i64::MAX]))]);
    world.good_read(read_of(wide)).await;
    let rows = world.query("select id, count from current.s_t order by id").await;
    assert_eq!(rows, ["1|11", "2|12", "3|13", "4|9223372036854775807"]);
    let narrow = batch(vec![("id", ints([1])), ("count", small_ints([1]))]);
    assert_eq!(world.read(read_of(narrow)).await.code.as_deref(), Some("E-DRIFT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_type_stops_or_sets_aside_what_does_not_fit() {
    let world = World::new(UPSERT);
    let numbers = batch(vec![("id", ints(1..3)), ("count", ints([5, 6]))]);
    world.good_read(read_of(numbers)).await;
    let words = batch(vec![("id", ints(1..4)), ("count", texts(["5", "many", "7"]))]);
    assert_eq!(world.read(read_of(words.clone())).await.code.as_deref(), Some("E-DRIFT"));
    assert_eq!(world.count().await, "2");
    world.configure(&format!("{UPSERT}\ncontract = {{ types = \"quarantine\" }}"));
    let balance = world.good_read(read_of(words)).await.balance;
    assert_eq!((balance.written, balance.unchanged, balance.quarantined), (1, 1, 1));
    let rows = world.query("select id, count from current.s_t order by id").await;
    assert_eq!(rows, ["1|5", "2|6", "3|7"]);
    assert_eq!(world.quarantine().await[0].code, "E-CONTRACT-TYPE");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bad_row_stops_a_stream_whose_rows_are_frozen() {
    let world = World::new(&format!("{UPSERT}\ncontract = {{ rows = \"freeze\" }}"));
    let good = items(1..3, "a");
    let mut plays = read_of(good.clone());
    plays[1] = rows_with(good, vec![rejected(3, "3")]);
    let step = world.read(plays).await;
    assert_eq!(step.code.as_deref(), Some("E-CONTRACT-ROW"));
    assert!(step.message.unwrap().contains("script:3"));
    assert_eq!(world.query("select count(*) from ops.streams").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_change_in_the_middle_of_a_read_lose_and_double_nothing() {
    let wide = || batch(vec![("id", ints(4..6)), ("name", texts(["b"; 2])), ("more", ints(1..3))]);
    let narrow = || items(1..4, "a");
    let (first, second) = (|| schema(narrow().schema()), || schema(wide().schema()));
    // With and without a checkpoint between the two, and for every way of writing.
    for settings in ["write = \"append\"", UPSERT, "write = \"replace\""] {
        for between in [vec![checkpoint(1)], Vec::new()] {
            let world = World::new(settings);
            let mut plays = vec![first(), rows(narrow())];
            plays.extend(between.clone());
            plays.extend([second(), rows(wide()), first(), rows(items(6..8, "c"))]);
            plays.extend([checkpoint(2), end(true)]);
            world.good_read(plays).await;
            let rows = world.query("select id, name, more from current.s_t order by id").await;
            let expected = ["1|a|-", "2|a|-", "3|a|-", "4|b|1", "5|b|2", "6|c|-", "7|c|-"];
            assert_eq!(rows, expected, "{settings}, {} checkpoints", between.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_float_is_no_key() {
    let world = World::new(UPSERT);
    let floats: Arc<dyn Array> = Arc::new(Float64Array::from(vec![1.0]));
    let step = world.read(read_of(batch(vec![("id", floats)]))).await;
    assert_eq!(step.code.as_deref(), Some("E-KEY-TYPE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_too_large_is_set_aside_and_a_large_batch_is_not() {
    let world = World::new(&format!("{UPSERT}\nquarantine = {{ percent = 100.0 }}"));
    let huge = "x".repeat(65 << 20);
    let large = "y".repeat(9 << 20);
    let mut texts_of: Vec<&str> = vec![large.as_str(); 9];
    texts_of.push(&huge);
    let rows = batch(vec![("id", ints(0..10)), ("name", texts(texts_of))]);
    let balance = world.good_read(read_of(rows)).await.balance;
    assert_eq!((balance.written, balance.quarantined), (9, 1));
    assert_eq!(world.quarantine().await[0].code, "E-ROW-SIZE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_stream_only_and_the_step_has_its_name() {
    let world = World::new(&format!("{UPSERT}\n\n[[streams]]\nname = \"other\"\n{UPSERT}"));
    world.stage.script("other", vec![read_of(items(1..3, "a"))]);
    let broken = vec![schema(items(1..2, "a").schema()), rows(items(1..2, "a")), Play::Panic];
    world.stage.script("t", vec![broken]);
    let report = world.run(&[]).await;
    let failed = step(&report);
    assert_eq!((failed.code.as_deref(), failed.state.as_str()), (Some("E-PANIC"), "failed"));
    let other = report.steps.iter().find(|step| step.node == "s.other").unwrap();
    assert_eq!(other.state, "succeeded");
    // What the panic left behind is in nobody's way.
    world.good_read(read_of(items(1..3, "a"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_stops_without_an_end_has_not_ended() {
    let world = World::new(UPSERT);
    let some = items(1..3, "a");
    let step = world.read(vec![schema(some.schema()), rows(some), checkpoint(1)]).await;
    assert_eq!(step.state, "failed");
    assert_eq!(world.query("select count(*) from ops.streams").await, ["0"]);
}
