//! Figures over a real lake: breakdown, explanation, seals.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use huiliu_core::calendar::Calendar;
use huiliu_core::code_table::CodeTables;
use huiliu_lake::{FileWriter, Lake, TableChange};
use tempfile::TempDir;

use super::*;
use crate::function::DomainFunctions;
use crate::{EngineOptions, Pipelines};

const HOLIDAYS: &str = include_str!("../../../../config/calendar/holidays.csv");

/// One row: id, kind, online.
type Row = (i64, &'static str, Option<bool>);

struct World {
    engine: Engine,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(&folder.path().join("data")).await.unwrap();
        let functions = DomainFunctions {
            calendar: Arc::new(Calendar::parse(HOLIDAYS, "holidays").unwrap()),
            codes: Arc::new(CodeTables::from_files(Vec::new()).unwrap()),
        };
        let spill = folder.path().join("spill");
        std::fs::create_dir_all(&spill).unwrap();
        let options = EngineOptions {
            memory_bytes: 256 << 20,
            spill,
            partitions: 2,
            zone: chrono_tz::Asia::Shanghai,
        };
        let pipelines = Pipelines::new(Vec::new(), Vec::new()).unwrap();
        let engine = Engine::new(lake, pipelines, functions, options, crate::FileHashes::new());
        let nothing = crate::Tags::new();
        let engine = engine.with_personal([("things".to_owned(), nothing)].into());
        Self { engine, _folder: folder }
    }

    /// Puts the rows in place of those the table has, and gives the snapshot.
    async fn put(&self, rows: &[Row]) -> i64 {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
        let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
        let online: ArrayRef = Arc::new(rows.iter().map(|r| r.2).collect::<BooleanArray>());
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("id", ids, true),
            ("kind", kinds, true),
            ("online", online, true),
        ])
        .unwrap();
        let lake = self.engine.lake();
        let mut tx = lake.store().begin().await.unwrap();
        let table = lake.ensure_table(&mut tx, "current", "things", &batch.schema()).await.unwrap();
        let mut change = TableChange::new(table.clone());
        change.replace = true;
        if !rows.is_empty() {
            let mut writer = FileWriter::create(&table).unwrap();
            writer.write(&batch).unwrap();
            change.added.push((writer.finish().unwrap(), None));
        }
        let commit =
            Commit { changes: vec![change], author: "test".into(), message: String::new() };
        let snapshot = commit.write(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        snapshot
    }

    /// Seals the figure and commits its rows.
    async fn seal(&self, metric: &Metric, seal: i64, is_personal: bool) -> (SealPlan, Content) {
        let session = self.engine.session(None).await.unwrap();
        let plan = self.engine.plan_seal(&session, metric, DAY, |_| is_personal).await.unwrap();
        let pseudonym = |text: &str| Ok(format!("<{text}>"));
        let rows = self.engine.seal_rows(&session, &plan, seal, pseudonym).await.unwrap();
        let mut tx = self.engine.lake().store().begin().await.unwrap();
        let commit =
            Commit { changes: vec![rows.change], author: "test".into(), message: String::new() };
        commit.write(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        (plan, rows.content)
    }

    async fn recount(&self, plan: &SealPlan, seal: i64) -> Recount {
        let session = self.engine.session(None).await.unwrap();
        session.recount(&plan.sealed, seal).await.unwrap()
    }
}

const DAY: &str = "2018-06-01";
const LATER: &str = "2018-12-13";

fn metric(text: &str) -> Metric {
    let head = "version = 1\ntitle = \"网上可办\"\nowner = \"科\"\nfrom = \"current.things\"\n";
    Metric::parse(Path::new("ratio.toml"), &format!("{head}{text}")).unwrap()
}

fn ratio_metric() -> Metric {
    metric(
        "unit = \"percent\"\nrow_key = [\"id\"]\ndimensions = { kind = \"kind\" }\n\
         [[definition]]\nvalid_from = \"2018-01-01\"\ntext = \"甲\"\nnumerator = \"online\"\n\
         [[definition]]\nvalid_from = \"2018-07-01\"\ntext = \"乙\"\n\
         denominator = \"kind <> 'x'\"\nnumerator = \"online\"\n",
    )
}

/// The mean of `id` over what is online, and with another weight later.
fn weighed_metric() -> Metric {
    let mut weighed = metric(
        "unit = \"mean\"\ndecimals = 2\nrow_key = [\"id\"]\n\
         [[definition]]\nvalid_from = \"2018-01-01\"\ntext = \"均值\"\n\
         denominator = \"online\"\nmeasure = \"id\"\n\
         [[definition]]\nvalid_from = \"2018-07-01\"\ntext = \"加权\"\n\
         denominator = \"online\"\nmeasure = \"id * 10\"\nweight = \"case when kind = 'a' then 2 end\"\n",
    );
    weighed.key = "weighed".to_owned();
    weighed
}

const BEFORE: [Row; 6] = [
    (1, "a", Some(true)),
    (2, "a", Some(false)),
    (3, "b", Some(true)),
    (4, "b", None),
    (5, "x", Some(true)),
    (6, "a", Some(true)),
];

#[tokio::test]
async fn a_figure_breaks_down_by_its_dimensions() {
    let world = World::new().await;
    world.put(&BEFORE).await;
    let session = world.engine.session(None).await.unwrap();
    let breakdown = session.breakdown(&ratio_metric(), DAY, &["kind".to_owned()]).await.unwrap();
    let groups: Vec<_> = breakdown
        .groups
        .iter()
        .map(|g| (g.of[0].as_deref().unwrap(), g.numerator, g.denominator, g.value.as_deref()))
        .collect();
    assert_eq!(
        groups,
        [
            ("a", 2, Some(3), Some("66.67")),
            ("b", 1, Some(2), Some("50.00")),
            ("x", 1, Some(1), Some("100.00"))
        ]
    );
    let sum: i64 = breakdown.groups.iter().map(|group| group.numerator).sum();
    assert_eq!(sum, breakdown.figure.numerator);
    let error = session.breakdown(&ratio_metric(), DAY, &["kin".to_owned()]).await.unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean `kind`?"));
}

#[tokio::test]
async fn rows_add_what_their_measure_and_weight_say() {
    let world = World::new().await;
    world.put(&BEFORE).await;
    let session = world.engine.session(None).await.unwrap();
    let mean = session.figure(&weighed_metric(), DAY).await.unwrap();
    // 1, 3, 5 and 6 are online.
    assert_eq!((mean.numerator, mean.denominator), (15, Some(4)));
    assert_eq!(mean.value.as_deref(), Some("3.75"));
    let later = session.figure(&weighed_metric(), LATER).await.unwrap();
    // Only 1 and 6 are of kind a; a weight of null adds nothing.
    assert_eq!((later.numerator, later.denominator), (150, Some(4)));
    assert_eq!(later.value.as_deref(), Some("37.50"));
    let sum = metric(
        "unit = \"count\"\n[[definition]]\nvalid_from = \"2018-01-01\"\ntext = \"合计\"\n\
         numerator = \"online\"\nmeasure = \"id\"\n",
    );
    let sum = session.figure(&sum, DAY).await.unwrap();
    assert_eq!((sum.numerator, sum.denominator, sum.value.as_deref()), (15, None, Some("15")));
    world.put(&[]).await;
    let empty = world.engine.session(None).await.unwrap();
    let empty = empty.figure(&weighed_metric(), DAY).await.unwrap();
    assert_eq!((empty.numerator, empty.value), (0, None), "nothing to divide by");
}

#[test]
fn measures_that_mean_nothing_are_refused() {
    let refused = |text: &str| {
        let head = "version = 1\ntitle = \"甲\"\nowner = \"科\"\nfrom = \"current.things\"\n";
        let tail = "[[definition]]\nvalid_from = \"2018-01-01\"\ntext = \"甲\"\n";
        let (unit, definition) = text.split_once(' ').unwrap();
        let text = format!("{head}unit = \"{unit}\"\n{tail}{definition}");
        let faults = Metric::parse(Path::new("m.toml"), &text).unwrap_err();
        faults.0.iter().map(|fault| fault.message.clone()).collect::<Vec<_>>().join("; ")
    };
    assert!(refused("mean weight = \"id\"").contains("needs a `numerator` or a `measure`"));
    assert!(refused("count weight = \"id\"").contains("nothing below the line"));
    let both = refused("count measure = \"id\"\ndistinct = \"kind\"");
    assert!(both.contains("goes with no `measure`"), "{both}");
}

#[tokio::test]
async fn a_change_is_taken_apart_into_steps_that_sum_to_it() {
    let world = World::new().await;
    let before = world.put(&BEFORE).await;
    let after = world
        .put(&[
            (1, "a", Some(true)),
            (2, "a", Some(true)),
            (3, "b", None),
            (6, "x", Some(true)),
            (7, "b", Some(true)),
            (8, "x", Some(true)),
        ])
        .await;
    let explanation =
        world.engine.explain(&ratio_metric(), (before, DAY), (after, LATER)).await.unwrap();
    let steps: Vec<_> = explanation
        .steps
        .iter()
        .map(|s| (s.step, s.rows, s.numerator, s.denominator.unwrap()))
        .collect();
    assert_eq!(
        steps,
        [
            // Row 5 is of kind x, which the new definition leaves out.
            ("definition", 1, 3, 5),
            // Rows 4 and 5 are gone, but 5 no longer counted.
            ("gone", 1, 3, 4),
            // 2 is online now, 3 is not, 6 became x.
            ("corrected", 3, 2, 3),
            ("new", 1, 3, 4),
        ]
    );
    assert_eq!((explanation.from.numerator, explanation.from.denominator), (4, Some(6)));
    assert_eq!((explanation.to.numerator, explanation.to.denominator), (3, Some(4)));
    let exact: Vec<String> =
        explanation.steps.iter().map(|s| s.exact_change.unwrap().to_string()).collect();
    assert_eq!(exact, ["-1/15", "3/20", "-1/12", "1/12"]);
    // -4/60 + 9/60 - 5/60 + 5/60 = 5/60
    assert_eq!(explanation.exact_change.unwrap().to_string(), "1/12");
    assert_eq!(explanation.change.as_deref(), Some("8.33"));
}

#[tokio::test]
async fn steps_end_at_the_figure_for_random_tables() {
    let seed = 20_181_213_u64;
    println!("seed {seed}");
    let mut state = seed;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let metrics = [
        ratio_metric(),
        metric(
            "unit = \"count\"\nrow_key = [\"id\"]\n[[definition]]\nvalid_from = \"2018-01-01\"\n\
             text = \"计数\"\nnumerator = \"online or kind = 'a'\"\n",
        ),
        metric(
            "unit = \"percent\"\n[[definition]]\nvalid_from = \"2018-01-01\"\ntext = \"去重\"\n\
             distinct = \"kind\"\nnumerator = \"online\"\n",
        ),
        weighed_metric(),
    ];
    let world = World::new().await;
    let mut snapshots = Vec::new();
    for size in [0_i64, 20, 60, 45, 3] {
        let mut rows: Vec<Row> = Vec::new();
        for id in 0..size {
            let (is_there, online, kind) = (next(3) > 0, next(3), next(3));
            let online = [None, Some(true), Some(false)][usize::try_from(online).unwrap()];
            if is_there {
                rows.push((id, ["a", "b", "x"][usize::try_from(kind).unwrap()], online));
            }
        }
        snapshots.push(world.put(&rows).await);
    }
    for metric in &metrics {
        for from in &snapshots {
            for to in &snapshots {
                // `explain` itself fails where the steps do not end at the figure.
                let explained =
                    world.engine.explain(metric, (*from, DAY), (*to, LATER)).await.unwrap();
                let gone = &explained.steps[1];
                if from == to {
                    assert!(explained.steps[1..].iter().all(|step| step.rows == 0));
                }
                assert!(gone.rows >= 0);
            }
        }
    }
}

#[tokio::test]
async fn a_seal_recounts_after_the_table_changed_and_shows_when_its_rows_did() {
    let world = World::new().await;
    world.put(&BEFORE).await;
    for (seal, is_personal) in [(1, false), (2, true)] {
        let (plan, content) = world.seal(&ratio_metric(), seal, is_personal).await;
        assert_eq!(plan.sealed.columns.is_some(), !is_personal);
        assert_eq!(content.rows, 6);
        world.put(&BEFORE[..2]).await;
        let again = world.recount(&plan, seal).await;
        assert_eq!((again.numerator, again.denominator), (4, Some(6)));
        assert_eq!(again.content, content);
        assert_eq!(again.value(&plan.sealed).as_deref(), Some("66.67"));
        world.put(&BEFORE).await;
    }
    let distinct = metric(
        "unit = \"count\"\nrow_key = [\"id\"]\n[[definition]]\nvalid_from = \"2018-01-01\"\n\
         text = \"去重\"\ndistinct = \"kind\"\nnumerator = \"online\"\n",
    );
    let (plan, _) = world.seal(&distinct, 3, false).await;
    let again = world.recount(&plan, 3).await;
    assert_eq!((plan.figure.numerator, again.numerator), (3, 3));
    for (seal, is_personal) in [(4, false), (5, true)] {
        let (plan, _) = world.seal(&weighed_metric(), seal, is_personal).await;
        world.put(&BEFORE[..2]).await;
        let again = world.recount(&plan, seal).await;
        assert_eq!((again.numerator, again.denominator), (15, Some(4)));
        assert_eq!(again.value(&plan.sealed).as_deref(), Some("3.75"));
        world.put(&BEFORE).await;
    }
    // Another seal's rows are not this one's.
    assert_eq!(world.recount(&plan, 9).await.content, Content::default());
    let kept = world
        .engine
        .session(None)
        .await
        .unwrap()
        .collect("select * from metrics.sealed_ratio limit 1", None)
        .await
        .unwrap();
    let names: Vec<String> =
        kept[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_seal", "_row_key", "_value", "_counted", "online"]);
}

#[tokio::test]
async fn a_seal_of_rows_of_which_nothing_is_known_keeps_outcomes_only() {
    let world = World::new().await;
    world.put(&BEFORE).await;
    let session = world.engine.session(None).await.unwrap();
    let unknown = world.engine.clone().with_personal([].into());
    let plan = unknown.plan_seal(&session, &ratio_metric(), DAY, |_| false).await.unwrap();
    assert_eq!(plan.sealed.columns, None);
}
