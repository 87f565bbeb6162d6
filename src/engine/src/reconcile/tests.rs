//! Random systems against a naive model of what a reconciliation is, and incremental runs against
//! full ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use huiliu_core::calendar::Calendar;
use huiliu_core::code_table::CodeTables;
use huiliu_core::reconcile::Reconciliation;
use huiliu_lake::{Commit, FileWriter, Lake, TableChange};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::function::DomainFunctions;
use crate::pipeline::Pipelines;
use crate::record_text;
use crate::session::{Engine, EngineOptions};

/// Microseconds of a minute.
const MINUTE: i64 = 60_000_000;

/// A row of one system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    /// Two key columns.
    place: Option<String>,
    number: Option<i64>,
    state: Option<String>,
    /// Minutes.
    time: Option<i64>,
    /// Hundredths.
    fee: Option<i64>,
    marks: Option<String>,
    /// Tells rows apart.
    id: i64,
}

fn config(systems: usize) -> Reconciliation {
    let mut text = String::from(
        "version = 1\nentity = \"case\"\ntitle = \"办件\"\nkey = [\"place\", \"number\"]\n\
         time = \"time\"\nas_of = \"s0\"\n",
    );
    for number in 0..systems {
        write!(text, "[systems.s{number}]\ntable = \"standard.s{number}\"\nrow = \"id\"\n")
            .unwrap();
        if number == 1 {
            text.push_str("lag = \"5m\"\n");
        }
    }
    text.push_str(
        "[fields.state]\nnormalise = [\"trim\", \"case\"]\ntrust = [\"s1\"]\n\
         [fields.time]\ncompare = { within = \"2m\" }\n\
         [fields.fee]\ncompare = { within = 0.01 }\nsystems = [\"s0\", \"s1\"]\n\
         [fields.marks]\ncompare = \"set\"\n",
    );
    Reconciliation::parse(Path::new("case.toml"), &text).unwrap()
}

struct World {
    _folder: TempDir,
    engine: Engine,
    rec: Reconciliation,
    run: i64,
    last: Option<String>,
}

impl World {
    async fn new(systems: usize, memory_bytes: usize) -> Self {
        Self::of(config(systems), memory_bytes).await
    }

    async fn of(rec: Reconciliation, memory_bytes: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(folder.path()).await.unwrap();
        let holidays = include_str!("../../../../config/calendar/holidays.csv");
        let functions = DomainFunctions {
            calendar: Arc::new(Calendar::parse(holidays, "holidays.csv").unwrap()),
            codes: Arc::new(CodeTables::default()),
        };
        let pipelines = Pipelines::new(Vec::new(), Vec::new())
            .unwrap()
            .with_reconciliations(vec![rec.clone()])
            .unwrap();
        let options = EngineOptions {
            memory_bytes,
            spill: folder.path().to_owned(),
            partitions: 2,
            zone: chrono_tz::Asia::Shanghai,
        };
        let engine = Engine::new(lake, pipelines, functions, options, BTreeMap::new());
        Self { _folder: folder, engine, rec, run: 0, last: None }
    }

    async fn put(&self, system: usize, rows: &[Row]) {
        let texts = |value: fn(&Row) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(value).collect::<StringArray>())
        };
        let numbers = |value: fn(&Row) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(value).collect::<Int64Array>())
        };
        let times = rows.iter().map(|row| row.time.map(|time| time * MINUTE));
        let fee =
            arrow::compute::cast(&numbers(|row| row.fee), &DataType::Decimal128(20, 0)).unwrap();
        let fee = fee
            .as_primitive::<arrow::datatypes::Decimal128Type>()
            .clone()
            .with_precision_and_scale(20, 2)
            .unwrap();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("place", texts(|row| row.place.as_deref()), true),
            ("number", numbers(|row| row.number), true),
            ("state", texts(|row| row.state.as_deref()), true),
            ("time", Arc::new(times.collect::<TimestampMicrosecondArray>()) as ArrayRef, true),
            ("fee", Arc::new(fee) as ArrayRef, true),
            ("marks", texts(|row| row.marks.as_deref()), true),
            ("id", numbers(|row| Some(row.id)), true),
        ])
        .unwrap();
        let lake = self.engine.lake();
        let mut tx = lake.store().begin().await.unwrap();
        let name = format!("s{system}");
        let table = lake.ensure_table(&mut tx, "standard", &name, &batch.schema()).await.unwrap();
        let mut change = TableChange::new(table.clone());
        change.replace = true;
        // A table without any file has no folder, which the commit syncs.
        std::fs::create_dir_all(&table.folder).unwrap();
        if batch.num_rows() > 0 {
            let mut writer = FileWriter::create(&table).unwrap();
            writer.write(&batch).unwrap();
            change.added.push((writer.finish().unwrap(), None));
        }
        let commit = Commit { changes: vec![change], author: "test".into(), message: "put".into() };
        commit.write(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn reconcile(&mut self, everything: bool) -> Option<ReconcileReport> {
        self.run += 1;
        let request = ReconcileRequest {
            reconciliation: &self.rec,
            run: self.run,
            received_at: self.run,
            wall_time: self.run,
            last: self.last.as_deref(),
            everything,
        };
        let done = self.engine.reconcile(request).await.unwrap()?;
        done.balance.check().unwrap();
        if !done.commit.is_empty() {
            let mut tx = self.engine.lake().store().begin().await.unwrap();
            done.commit.write(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
        }
        self.last = Some(done.fingerprint);
        Some(done.report)
    }

    /// Rows of a query as text.
    async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let session = self.engine.session(None).await.unwrap();
        let mut rows = Vec::new();
        for batch in session.collect(sql, None).await.unwrap() {
            for row in 0..batch.num_rows() {
                let values = record_text(&batch, row).unwrap();
                rows.push(
                    values.into_iter().map(|(_, v)| v.unwrap_or_else(|| "-".into())).collect(),
                );
            }
        }
        rows.sort();
        rows
    }

    /// Everything that must not depend on how it was computed.
    async fn content(&self) -> [Vec<Vec<String>>; 2] {
        let golden = "select * exclude (_run, _seq, _op, _received_at, _source_pos) \
                      from reconciled.cases";
        let ledger = "select difference_id, entity_key, rule, field, system, found, expected, \
                      all_values, state from reconciled.case_differences where state <> 'closed'";
        [self.rows(golden).await, self.rows(ledger).await]
    }
}

/// What a reconciliation must say, computed the slow way.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    classes: BTreeMap<(String, i64), String>,
    golden: BTreeMap<(String, i64), (Option<String>, Option<i64>)>,
    mismatches: BTreeSet<(String, String, String)>,
    unkeyed: usize,
}

/// The members of a row's set.
fn marks(row: &Row) -> Option<BTreeSet<&str>> {
    let marks = row.marks.as_ref()?;
    Some(marks.split('^').filter(|mark| !mark.is_empty()).collect())
}

fn naive(systems: &[Vec<Row>]) -> Expected {
    let mut keys: BTreeMap<(String, i64), Vec<Vec<&Row>>> = BTreeMap::new();
    let mut unkeyed = 0;
    for (number, rows) in systems.iter().enumerate() {
        for row in rows {
            let (Some(place), Some(key)) = (&row.place, row.number) else {
                unkeyed += 1;
                continue;
            };
            let entry = keys.entry((place.clone(), key));
            let entry = entry.or_insert_with(|| vec![Vec::new(); systems.len()]);
            entry[number].push(row);
        }
    }
    let newest = systems[0].iter().filter_map(|row| row.time).max();
    let (mut classes, mut golden) = (BTreeMap::new(), BTreeMap::new());
    let mut mismatches = BTreeSet::new();
    for (key, rows) in keys {
        let one = |system: usize| -> Option<&Row> {
            rows[system].iter().min_by_key(|row| row.id.to_string()).copied()
        };
        let by = |order: &[usize], has: &dyn Fn(&Row) -> bool| -> Option<usize> {
            order.iter().copied().find(|system| one(*system).is_some_and(has))
        };
        let all: Vec<usize> = (0..systems.len()).collect();
        let mut by_state = vec![1];
        by_state.extend(all.iter().filter(|system| **system != 1));
        let state = by(&by_state, &|row| row.state.is_some());
        let time = by(&all, &|row| row.time.is_some());
        let is_repeated = rows.iter().any(|rows| rows.len() > 1);
        let mut differs = false;
        if !is_repeated {
            let folded = |row: &Row| row.state.as_ref().map(|s| s.trim().to_lowercase());
            let near = |a: Option<i64>, b: Option<i64>, most: i64| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() <= most,
                (a, b) => a == b,
            };
            for other in all.iter().copied().filter(|system| one(*system).is_some()) {
                let row = one(other).unwrap();
                let mut check = |field: &str, agrees: bool| {
                    if !agrees {
                        differs = true;
                        let place = key.0.replace('\\', "\\\\").replace('|', "\\|");
                        let key = format!("{place}|{}", key.1);
                        mismatches.insert((key, field.to_owned(), format!("s{other}")));
                    }
                };
                let reference = |source: Option<usize>| source.and_then(one);
                if let Some(taken) = reference(state) {
                    check("state", folded(taken) == folded(row));
                }
                if let Some(taken) = reference(time) {
                    check("time", near(taken.time, row.time, 2));
                }
                let fee = by(&[0, 1], &|row| row.fee.is_some());
                if let (Some(taken), true) = (reference(fee), other < 2) {
                    check("fee", near(taken.fee, row.fee, 1));
                }
                let source = by(&all, &|row| row.marks.is_some());
                if let Some(taken) = reference(source) {
                    check("marks", marks(taken) == marks(row));
                }
            }
        }
        let missing = all.iter().copied().find(|system| one(*system).is_none());
        let taken_time = time.and_then(one).and_then(|row| row.time);
        let is_young = one(1).is_none()
            && taken_time.zip(newest).is_some_and(|(time, newest)| time + 5 > newest);
        let class = match missing {
            _ if is_repeated => "duplicate_key".to_owned(),
            _ if is_young => "pending".to_owned(),
            Some(system) => format!("missing_in_s{system}"),
            None if differs => "mismatch".to_owned(),
            None => "matched".to_owned(),
        };
        let taken_state = state.and_then(one).and_then(|row| row.state.clone());
        golden.insert(key.clone(), (taken_state, taken_time));
        classes.insert(key, class);
    }
    Expected { classes, golden, mismatches, unkeyed }
}

async fn found(world: &World) -> Expected {
    let mut classes = BTreeMap::new();
    let mut golden = BTreeMap::new();
    let sql = "select place, number, class, state, cast(\"time\" as bigint) / 60000000 as t \
               from reconciled.cases";
    for row in world.rows(sql).await {
        let key = (row[0].clone(), row[1].parse().unwrap());
        classes.insert(key.clone(), row[2].clone());
        let some = |text: &String| (text != "-").then(|| text.clone());
        golden.insert(key, (some(&row[3]), some(&row[4]).map(|t| t.parse().unwrap())));
    }
    let sql = "select entity_key, field, system from reconciled.case_differences \
               where rule = 'mismatch' and state <> 'closed'";
    let rows = world.rows(sql).await.into_iter();
    let mismatches = rows.map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect();
    let sql = "select entity_key from reconciled.case_differences \
               where rule = 'unkeyed' and state <> 'closed'";
    let unkeyed = world.rows(sql).await.len();
    Expected { classes, golden, mismatches, unkeyed }
}

fn optional<T: Clone + std::fmt::Debug + 'static>(
    values: Vec<T>,
    none: u32,
) -> impl Strategy<Value = Option<T>> {
    let value = proptest::sample::select(values);
    prop_oneof![none => Just(None), 10 => value.prop_map(Some)]
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn row() -> impl Strategy<Value = Row> {
    (
        optional(words(&["a", "b|c", "d\\"]), 1),
        optional((0..8).collect(), 1),
        optional(words(&["50", "51", " 50", "x", "X "]), 2),
        optional((0..12).collect(), 1),
        optional(vec![100, 101, 102, 105], 1),
        optional(words(&["1^2", "2^1", "1", "2^2^1", ""]), 1),
    )
        .prop_map(|(place, number, state, time, fee, marks)| Row {
            place,
            number,
            state,
            time,
            fee,
            marks,
            id: 0,
        })
}

/// Rows of 2 to 4 systems, each row with a number of its own.
fn systems() -> impl Strategy<Value = Vec<Vec<Row>>> {
    proptest::collection::vec(proptest::collection::vec(row(), 0..24), 2..5).prop_map(|systems| {
        let mut id = 0;
        let numbered = systems.into_iter().map(|mut rows| {
            for row in &mut rows {
                id += 1;
                row.id = id;
            }
            rows
        });
        numbered.collect()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_systems_give_what_a_naive_model_gives(before in systems(), after in systems()) {
        let count = before.len();
        let mut after = after;
        after.resize(count, Vec::new());
        runtime().block_on(async {
            let mut world = World::new(count, 64 << 20).await;
            for (number, rows) in before.iter().enumerate() {
                world.put(number, rows).await;
            }
            world.reconcile(false).await.unwrap();
            assert_eq!(found(&world).await, naive(&before));
            assert!(world.reconcile(false).await.is_none(), "nothing changed");
            // Only some systems change, so that some keys stay what they were.
            for (number, rows) in after.iter().enumerate().skip(1) {
                world.put(number, rows).await;
            }
            let mut mixed = after.clone();
            mixed[0].clone_from(&before[0]);
            world.reconcile(false).await.unwrap();
            assert_eq!(found(&world).await, naive(&mixed));
            let incremental = world.content().await;
            let mut fresh = World::new(count, 64 << 20).await;
            for (number, rows) in mixed.iter().enumerate() {
                fresh.put(number, rows).await;
            }
            let report = fresh.reconcile(true).await.unwrap();
            assert_eq!(incremental, fresh.content().await);
            // Without a golden table the same differences open and close.
            let rec = Reconciliation { golden: false, ..config(count) };
            let mut lean = World::of(rec, 64 << 20).await;
            for (number, rows) in before.iter().enumerate() {
                lean.put(number, rows).await;
            }
            lean.reconcile(false).await.unwrap();
            for (number, rows) in mixed.iter().enumerate() {
                lean.put(number, rows).await;
            }
            let counted = lean.reconcile(false).await.unwrap();
            assert_eq!(counted.classes, report.classes);
            assert_eq!(lean.content().await[1], incremental[1]);
            // Looking at everything again finds nothing to write.
            let golden = world.rows("select * from reconciled.cases").await;
            world.reconcile(true).await.unwrap();
            assert_eq!(golden, world.rows("select * from reconciled.cases").await);
            assert_eq!(incremental, world.content().await);
        });
    }
}

fn plain(number: i64, state: &str) -> Row {
    Row {
        place: Some("a".into()),
        number: Some(number),
        state: Some(state.into()),
        time: Some(number % 50),
        fee: Some(1),
        marks: None,
        id: number,
    }
}

#[tokio::test]
async fn only_changed_keys_are_recomputed() {
    let mut world = World::new(2, 64 << 20).await;
    let mut rows: Vec<Row> = (0..5000).map(|number| plain(number, "50")).collect();
    world.put(0, &rows).await;
    world.put(1, &rows).await;
    let first = world.reconcile(false).await.unwrap();
    assert_eq!((first.keys, first.recomputed, first.classes["matched"]), (5000, 5000, 5000));
    rows[17].state = Some("51".into());
    rows.remove(40);
    rows.push(plain(9000, "50"));
    world.put(1, &rows).await;
    let second = world.reconcile(false).await.unwrap();
    assert_eq!((second.keys, second.recomputed), (5001, 3));
    assert_eq!(second.classes["mismatch"], 1);
    assert_eq!((second.classes["missing_in_s0"], second.classes["missing_in_s1"]), (1, 1));
    assert_eq!(second.ledger.opened, 3);
    let written = world.rows("select number from reconciled.cases where _run = 2").await;
    assert_eq!(written.len(), 3);
    world.put(1, &(0..5000).map(|number| plain(number, "50")).collect::<Vec<Row>>()).await;
    let third = world.reconcile(false).await.unwrap();
    assert_eq!((third.keys, third.classes["matched"], third.ledger.closed), (5000, 5000, 3));
}

#[tokio::test]
async fn little_memory_gives_the_same_result() {
    let mut results = Vec::new();
    for memory in [64 << 20, 3 << 20] {
        let mut world = World::new(3, memory).await;
        for system in 0..3 {
            let state = |number: i64| if number % 97 == system { "51" } else { "50" };
            let rows: Vec<Row> = (0..20_000)
                .filter(|number| number % 101 != system)
                .map(|number| plain(number, state(number)))
                .collect();
            world.put(usize::try_from(system).unwrap(), &rows).await;
        }
        let report = world.reconcile(false).await.unwrap();
        results.push((report, world.content().await));
    }
    assert_eq!(results[0], results[1]);
    assert!(results[0].0.classes["mismatch"] > 300);
}

fn matching() -> Reconciliation {
    let text = r#"
version = 1
entity = "case"
title = "办件"
key = ["place", "number"]
[systems.s0]
table = "standard.s0"
[systems.s1]
table = "standard.s1"
row = "id"
match = [
    { on = ["state"], within = { time = "3m" } },
    { on = ["fee"], day = ["time"] },
]
[fields.state]
normalise = ["trim", "case"]
[fields.time]
compare = "none"
[fields.fee]
compare = "none"
"#;
    Reconciliation::parse(Path::new("case.toml"), text).unwrap()
}

fn side(number: Option<i64>, state: &str, time: i64, id: i64) -> Row {
    Row { number, time: Some(time), fee: Some(id * 1000), id, ..plain(0, state) }
}

/// Row and key of each match, and what happened to rows so far.
async fn matched(world: &World) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let events = "select run, found, to_state, entity_key from reconciled.case_events \
                  where rule = 'match'";
    let matches = "select row_id, entity_key, match_rule, since_run from reconciled.case_matches";
    (world.rows(matches).await, world.rows(events).await)
}

#[tokio::test]
async fn rows_without_a_key_find_their_entity_and_keep_it() {
    let mut world = World::of(matching(), 64 << 20).await;
    let far = side(None, "x", 30, 8);
    let near = side(None, "X ", 11, 7);
    let mut here = vec![side(Some(1), "x", 10, 1), side(Some(2), "x", 20, 2)];
    world.put(0, &here).await;
    world.put(1, &[far.clone(), near.clone()]).await;
    let first = world.reconcile(false).await.unwrap();
    assert_eq!((first.classes["unkeyed"], first.classes["matched"]), (1, 1));
    let (matches, events) = matched(&world).await;
    assert_eq!(matches, [["7", "a|1", "1", "1"]]);
    assert_eq!(events, [["1", "7", "merged", "a|1"]]);
    let golden = "select number, class, s1_row from reconciled.cases";
    let rows = world.rows(golden).await;
    assert_eq!(rows, [["1", "matched", "7"], ["2", "missing_in_s1", "-"]]);

    // Another entity is nearer now; the row stays where it was.
    here.push(side(Some(3), "x", 11, 3));
    world.put(0, &here).await;
    world.reconcile(false).await.unwrap();
    assert_eq!(matched(&world).await.0, [["7", "a|1", "1", "1"]]);
    let before = world.content().await;
    world.reconcile(true).await.unwrap();
    assert_eq!(world.content().await, before);

    // Its entity is gone: it moves to the nearest one left.
    here.remove(0);
    world.put(0, &here).await;
    world.reconcile(false).await.unwrap();
    let (matches, events) = matched(&world).await;
    assert_eq!(matches, [["7", "a|3", "1", "4"]]);
    assert_eq!(events[1], ["4", "7", "moved", "a|3"]);
    let rows = world.rows(golden).await;
    assert_eq!(rows, [["2", "missing_in_s1", "-"], ["3", "matched", "7"]]);

    // Nothing fits any more; the second rule needs an equal fee on one day.
    let other = Row { state: Some("y".into()), fee: Some(2000), ..near };
    world.put(1, &[far.clone(), other]).await;
    world.reconcile(false).await.unwrap();
    assert_eq!(matched(&world).await.0, [["7", "a|2", "2", "5"]]);
    world.put(1, &[far]).await;
    let last = world.reconcile(false).await.unwrap();
    let (matches, events) = matched(&world).await;
    assert!(matches.is_empty());
    assert_eq!(events[3], ["6", "7", "split", "a|2"]);
    assert_eq!(last.classes["missing_in_s1"], 2);
}

#[tokio::test]
async fn one_row_takes_one_entity_and_a_key_of_its_own_comes_first() {
    let mut world = World::of(matching(), 64 << 20).await;
    let here = vec![side(Some(1), "x", 10, 1), side(Some(2), "x", 11, 2)];
    world.put(0, &here).await;
    // Three rows for two entities, one of which has its key already.
    let there = [side(Some(2), "x", 11, 4), side(None, "x", 11, 5), side(None, "x", 10, 6)];
    world.put(1, &there).await;
    let report = world.reconcile(false).await.unwrap();
    assert_eq!(matched(&world).await.0, [["6", "a|1", "1", "1"]]);
    assert_eq!((report.classes["matched"], report.classes["unkeyed"]), (2, 1));
}

#[tokio::test]
async fn ages_are_counted_to_the_present_of_the_hubs_zone() {
    let world = World::new(2, 64 << 20).await;
    let session = world.engine.session(None).await.unwrap();
    // Whatever the time is, it is eight hours later on the clocks there.
    let sql = format!(
        "select cast(to_local_time({} at time zone 'Asia/Shanghai') - now() as varchar) as ahead",
        view::NOW
    );
    let found = session.collect(&sql, None).await.unwrap();
    let (_, ahead) = record_text(&found[0], 0).unwrap().remove(0);
    let ahead = ahead.unwrap();
    assert!(ahead.starts_with("0 days 8 hours 0 mins"), "{ahead}");
}
