use std::collections::{BTreeMap, HashSet};

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::accumulator::Pairs;
use super::*;
use crate::memory::LendingPool;

/// Rows with nulls everywhere, in no order.
fn rows(seed: u64, count: usize) -> RecordBatch {
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = |values: u32| -> StringArray {
        let value = |_| (!random.random_bool(0.1)).then(|| random.random_range(0..values));
        (0..count).map(value).map(|v| v.map(|v| format!("v{v}"))).collect()
    };
    let (division, person, item) = (text(7), text(200), text(30));
    let mut random = StdRng::seed_from_u64(seed + 1);
    let days: Int64Array =
        (0..count).map(|_| random.random_bool(0.9).then(|| random.random_range(0..40))).collect();
    let fees: Decimal128Array =
        (0..count).map(|_| random.random_bool(0.9).then(|| random.random_range(0..9999))).collect();
    let fees = fees.with_precision_and_scale(12, 2).unwrap();
    let fields = vec![
        Field::new("division", DataType::Utf8, true),
        Field::new("person", DataType::Utf8, true),
        Field::new("item", DataType::Utf8, true),
        Field::new("days", DataType::Int64, true),
        Field::new("fee", DataType::Decimal128(12, 2), true),
    ];
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![Arc::new(division), Arc::new(person), Arc::new(item), Arc::new(days), Arc::new(fees)],
    )
    .unwrap()
}

fn context(with_rules: bool, memory: usize) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(LendingPool::new(memory)));
    let state = SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(2))
        .with_runtime_env(runtime.build_arc().unwrap())
        .with_default_features();
    let state = if with_rules {
        state
            .with_optimizer_rule(Arc::new(CountDistinctByGroups))
            .with_physical_optimizer_rule(Arc::new(CountWhereGroupsAre))
    } else {
        state
    };
    SessionContext::new_with_state(state.build())
}

async fn answer(with_rule: bool, batch: &RecordBatch, sql: &str) -> (String, bool) {
    let context = context(with_rule, 64 << 20);
    context.register_batch("cases", batch.clone()).unwrap();
    let frame = context.sql(sql).await.unwrap();
    let plan = frame.clone().into_optimized_plan().unwrap();
    let plan = plan.display_indent().to_string();
    let mut steps = plan.lines().map(str::trim).filter(|step| step.starts_with("Aggregate:"));
    let has_sets = steps.any(|step| step.contains("count(DISTINCT"));
    (pretty_format_batches(&frame.collect().await.unwrap()).unwrap().to_string(), has_sets)
}

#[tokio::test]
async fn grouping_counts_as_sets_do() {
    let queries = [
        "select division, count(*), count(days), sum(days), min(days), max(fee), sum(fee), \
         count(distinct person) from cases group by division order by division",
        "select division, days / 10 as decade, avg(days) as mean, count(distinct person) as people, \
         count(distinct item) as items, sum(case when days > 3 then 1 else 0 end) as late \
         from cases where days is distinct from 7 group by 1, 2 order by 1, 2",
        "select count(distinct person), count(distinct item), count(*) from cases",
        "select division, count(distinct person) as p, count(distinct item) as i, \
         avg(case when days >= 3 then 1.0 else 0.0 end) as share from cases \
         group by division order by division",
        "select count(distinct case when days > 3 then person end) as a, \
         count(distinct case when days > 9 then person end) as b from cases",
        "select division, count(distinct person) filter (where days > 20), sum(days) filter (where days < 9) \
         from cases group by division order by division",
        "select division as d, count(distinct division) as one, count(distinct item) as many \
         from cases as c group by division order by d",
        "select count(distinct person) as people, count(*) as n, sum(fee) as fee from cases where days > 99",
        "select count(distinct person) as people, count(distinct item) as items, avg(days) as m \
         from cases where days > 99",
        "select division, count(distinct person) as p, count(distinct item) as i from cases \
         where days > 99 group by division",
        "select division, count(distinct person) as p, count(distinct item) as i from cases \
         group by division having count(*) > 10 order by count(distinct person), division",
        "select k, count(distinct person) as p, count(distinct item) as i from (select a.division as k, \
         a.person, b.item from cases as a inner join cases as b on a.person = b.person) as j group by k order by k",
        "select person, count(distinct days) as d, count(distinct fee) as f, count(distinct days > 9) as late \
         from cases group by person order by person",
    ];
    for seed in [1, 2] {
        let batch = rows(seed, 3000);
        for sql in queries {
            let (expected, _) = answer(false, &batch, sql).await;
            let (found, has_sets) = answer(true, &batch, sql).await;
            assert_eq!(found, expected, "seed {seed}: {sql}");
            assert!(!has_sets, "the rule did not apply: {sql}");
        }
    }
}

#[tokio::test]
async fn what_it_cannot_do_stays_as_it_is() {
    let batch = rows(3, 1000);
    for sql in [
        "select division, sum(distinct days) as s, count(distinct item) as i from cases group by 1 order by 1",
        "select division, item, count(distinct person) as p, count(distinct days) as d from cases \
         group by rollup (division, item) order by 1, 2",
        // Two passes would see other rows.
        "select count(distinct person) as p, count(distinct item) as i from cases where random() >= 0",
        // Its input would be computed twice.
        "select count(distinct person) as p, count(distinct item) as i from (select a.person, b.item \
         from cases as a inner join cases as b on a.person = b.person) as j",
    ] {
        let (found, has_sets) = answer(true, &batch, sql).await;
        assert_eq!(found, answer(false, &batch, sql).await.0, "{sql}");
        assert!(has_sets, "the rule applied: {sql}");
    }
}

/// Many values in many groups, and what each group has.
fn many(seed: u64, rows: usize) -> (RecordBatch, Vec<(String, i64, i64)>) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut divisions, mut people, mut days) = (Vec::new(), Vec::new(), Vec::new());
    let mut sets: BTreeMap<String, (HashSet<String>, HashSet<i64>)> = BTreeMap::new();
    for _ in 0..rows {
        let division = format!("{:06}", random.random_range(0..2000));
        let person = format!("a person with the number {}", random.random_range(0..50_000));
        let day: i64 = random.random_range(0..1_000_000);
        let set = sets.entry(division.clone()).or_default();
        set.0.insert(person.clone());
        set.1.insert(day);
        divisions.push(division);
        people.push(person);
        days.push(day);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("division", Arc::new(StringArray::from(divisions))),
        ("person", Arc::new(StringArray::from(people))),
        ("days", Arc::new(Int64Array::from(days))),
    ];
    let counted = sets.into_iter().map(|(k, (p, d))| (k, p.len() as i64, d.len() as i64));
    (RecordBatch::try_from_iter(columns).unwrap(), counted.collect())
}

#[tokio::test]
async fn one_step_counts_and_what_does_not_fit_is_spilled() {
    let (batch, expected) = many(7, 200_000);
    let sql = "select division, count(distinct person) as people, count(distinct days) as days, \
               avg(days) as mean from cases group by division order by division";
    for (memory, spills) in [(256 << 20, false), (20 << 20, true)] {
        let context = context(true, memory);
        let parts = (0..batch.num_rows()).step_by(8192);
        let parts = parts.map(|at| batch.slice(at, 8192.min(batch.num_rows() - at))).collect();
        let table = MemTable::try_new(batch.schema(), vec![parts]).unwrap();
        context.register_table("cases", Arc::new(table)).unwrap();
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        assert!(shown.contains("AggregateExec: mode=SinglePartitioned"), "{shown}");
        assert!(!shown.contains("mode=Partial"), "{shown}");
        assert!(
            shown.contains("Batches: rows=128") && shown.contains("Batches: rows=8192"),
            "{shown}"
        );
        let found = collect(Arc::clone(&plan), context.task_ctx()).await.unwrap();
        let mut rows = Vec::new();
        for batch in &found {
            let text = batch.column(0).as_string::<i32>();
            let number = |at: usize| batch.column(at).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                rows.push((text.value(row).to_owned(), number(1).value(row), number(2).value(row)));
            }
        }
        assert_eq!(rows, expected, "{memory} bytes");
        assert_eq!(spilled(plan.as_ref()) > 0, spills, "{memory} bytes");
    }
}

fn spilled(plan: &dyn ExecutionPlan) -> usize {
    let own = match plan.name() {
        "AggregateExec" => plan.metrics().and_then(|m| m.spill_count()).unwrap_or(0),
        _ => 0,
    };
    own + plan.children().into_iter().map(|child| spilled(child.as_ref())).sum::<usize>()
}

#[test]
fn groups_that_leave_early_take_their_values_along() {
    let mut pairs = Pairs::new(DataType::Utf8).unwrap();
    let values: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a"),
        Some("b"),
        None,
        Some("b"),
        Some("b"),
        Some("c"),
    ]));
    pairs.update_batch(&[values], &[0, 1, 1, 2, 2, 2], None, 3).unwrap();
    let first = pairs.state(EmitTo::First(1)).unwrap();
    let more: ArrayRef = Arc::new(StringArray::from(vec!["b", "c", "d"]));
    let filter = BooleanArray::from(vec![Some(true), Some(true), None]);
    pairs.update_batch(&[more], &[0, 0, 1], Some(&filter), 2).unwrap();
    assert_eq!(counts(&mut pairs, EmitTo::First(1)), [2]);
    let rest = pairs.state(EmitTo::All).unwrap();
    // What was put down comes back: the groups of a are 0, of b and c 1.
    pairs.merge_batch(&first, &[0], 1).unwrap();
    pairs.merge_batch(&rest, &[1], 2).unwrap();
    pairs.merge_batch(&rest, &[0], 2).unwrap();
    assert_eq!(counts(&mut pairs, EmitTo::All), [3, 2]);
    // And so do rows that were never counted.
    let rows: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("a")]));
    let filter = BooleanArray::from(vec![Some(true), Some(true), Some(false), Some(true)]);
    let states = pairs.convert_to_state(&[rows], Some(&filter)).unwrap();
    pairs.merge_batch(&states, &[0, 0, 1, 1], 2).unwrap();
    assert_eq!(counts(&mut pairs, EmitTo::All), [1, 1]);
    // A value stays known in its other groups when the one it was first met in has left.
    let one: ArrayRef = Arc::new(StringArray::from(vec!["a"; 3]));
    pairs.update_batch(&[Arc::clone(&one)], &[0, 1, 2], None, 3).unwrap();
    assert_eq!(counts(&mut pairs, EmitTo::First(1)), [1]);
    pairs.update_batch(&[one], &[0, 1, 1], None, 2).unwrap();
    assert_eq!(counts(&mut pairs, EmitTo::All), [1, 1]);
}

fn counts(pairs: &mut Pairs, groups: EmitTo) -> Vec<i64> {
    pairs.evaluate(groups).unwrap().as_primitive::<Int64Type>().values().to_vec()
}
