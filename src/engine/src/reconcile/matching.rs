//! Rows without a key find the entity they belong to: by ordered rules, over blocks of equal
//! values, within windows of time, one row to one entity.
//!
//! A match that still fits one of the rules stays, whatever else would fit now, so that entities
//! keep their rows from run to run. What changes is an event: a row that joins an entity, leaves
//! it, or moves to another one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use arrow::util::display::ArrayFormatter;
use futures::StreamExt;
use huiliu_core::reconcile::{MatchRule, Reconciliation};
use huiliu_lake::storage_batch;
use huiliu_sdk::{Error, Result};
use xxhash_rust::xxh3::xxh3_128;

use super::decide::text_options;
use super::findings::joined_key;
use super::ledger::{DifferenceEvent, Moment};
use super::plan::{Layout, SystemLayout};
use super::state::{has_table, quoted};
use crate::failure::engine_error;
use crate::hash::{Identity, add_column};
use crate::session::{Engine, Session};

/// The rule under which matches are noted among the events.
const MATCH: &str = "match";
const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// A row without key that belongs to an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) system: String,
    /// What tells the row apart.
    pub(super) row: String,
    pub(super) entity_key: String,
    /// The rule that fits, from 1.
    pub(super) rule: i64,
    pub(super) since: i64,
    pub(super) since_run: i64,
}

/// The matches of all systems.
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) rows: Vec<Match>,
    pub(super) events: Vec<DifferenceEvent>,
    /// For each system by its position, the key of each matched row.
    pub(super) keys: BTreeMap<usize, HashMap<String, u128>>,
}

/// The columns of the matches.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(vec![
        text("system"),
        text("row_id"),
        text("entity_key"),
        number("match_rule"),
        Field::new("since", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        number("since_run"),
    ]))
}

/// Matches as a batch.
pub(super) fn batch(rows: &[Match]) -> Result<RecordBatch> {
    let texts = |value: fn(&Match) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
    };
    let numbers = |value: fn(&Match) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(value)))
    };
    let since = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.since));
    let columns = vec![
        texts(|row| &row.system),
        texts(|row| &row.row),
        texts(|row| &row.entity_key),
        numbers(|row| row.rule),
        Arc::new(since),
        numbers(|row| row.since_run),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

async fn stored(engine: &Engine, session: &Session, rec: &Reconciliation) -> Result<Vec<Match>> {
    let table = rec.matches();
    if !has_table(engine, &table).await? {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for batch in session.collect(&format!("select * from {}", quoted(&table)), None).await? {
        let batch = storage_batch(&batch, &schema())?;
        let text =
            |place: usize, row: usize| batch.column(place).as_string::<i32>().value(row).to_owned();
        let number =
            |place: usize, row: usize| batch.column(place).as_primitive::<Int64Type>().value(row);
        for row in 0..batch.num_rows() {
            let since = batch.column(4).as_primitive::<TimestampMicrosecondType>();
            rows.push(Match {
                system: text(0, row),
                row: text(1, row),
                entity_key: text(2, row),
                rule: number(3, row),
                since: since.value(row),
                since_run: number(5, row),
            });
        }
    }
    Ok(rows)
}

/// A row without key, or one that could be its entity, in one block.
#[derive(Debug, Clone)]
struct Side {
    /// The row, or the key as text.
    name: String,
    /// The hash of the key.
    key: u128,
    /// For each window of the rule the time, in microseconds.
    times: Vec<Option<i64>>,
}

/// The rows of one rule by block.
type Blocks = HashMap<u128, Vec<Side>, Identity>;

/// Matches the rows without key of all systems that have rules.
pub(super) async fn find(
    engine: &Engine,
    session: &Session,
    rec: &Reconciliation,
    layout: &Layout,
    moment: Moment,
) -> Result<Matches> {
    let mut matches = Matches::default();
    if rec.systems.iter().all(|system| system.rules.is_empty()) {
        return Ok(matches);
    }
    let before = stored(engine, session, rec).await?;
    for (number, system) in rec.systems.iter().enumerate() {
        let known: HashMap<&str, &Match> = before
            .iter()
            .filter(|row| row.system == system.name)
            .map(|row| (row.row.as_str(), row))
            .collect();
        let now = of_system(rec, layout, number, &known).await?;
        let mut keys = HashMap::with_capacity(now.len());
        for (row, found) in now {
            let old = known.get(row.as_str()).copied();
            let is_same = old.is_some_and(|old| old.entity_key == found.entity_key);
            if !is_same {
                let from = old.map(|old| old.entity_key.clone());
                matches.events.push(moved(rec, number, &row, from, &found.entity_key, moment));
            }
            let (since, since_run) = match old.filter(|_| is_same) {
                Some(old) => (old.since, old.since_run),
                None => (moment.at, moment.run),
            };
            keys.insert(row.clone(), found.key);
            matches.rows.push(Match {
                system: system.name.clone(),
                row,
                entity_key: found.entity_key,
                rule: found.rule,
                since,
                since_run,
            });
        }
        for old in known.values().filter(|old| !keys.contains_key(&old.row)) {
            let from = Some(old.entity_key.clone());
            matches.events.push(moved(rec, number, &old.row, from, "", moment));
        }
        matches.keys.insert(number, keys);
    }
    matches.events.sort_by(|a, b| a.difference_id.cmp(&b.difference_id));
    Ok(matches)
}

/// The event of a row that now belongs to another entity; to none with an empty key.
fn moved(
    rec: &Reconciliation,
    system: usize,
    row: &str,
    from: Option<String>,
    to: &str,
    moment: Moment,
) -> DifferenceEvent {
    let system = rec.systems[system].name.clone();
    let identity = [rec.entity.as_str(), MATCH, &system, row].join("\0");
    let to_state = match (&from, to) {
        (_, "") => "split",
        (None, _) => "merged",
        (Some(_), _) => "moved",
    };
    DifferenceEvent {
        difference_id: format!("{:032x}", xxh3_128(identity.as_bytes())),
        entity_key: if to.is_empty() { from.clone().unwrap_or_default() } else { to.to_owned() },
        rule: MATCH.to_owned(),
        field: None,
        system,
        from_state: from,
        to_state: to_state.to_owned(),
        found: Some(row.to_owned()),
        expected: None,
        at: moment.at,
        run: Some(moment.run),
        who: None,
        reason: None,
    }
}

/// What a row was matched with.
struct Found {
    entity_key: String,
    key: u128,
    rule: i64,
}

async fn of_system(
    rec: &Reconciliation,
    layout: &Layout,
    number: usize,
    known: &HashMap<&str, &Match>,
) -> Result<BTreeMap<String, Found>> {
    let system = &rec.systems[number];
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    // Entities that a row of this system has already, by its own key or by a match.
    let mut taken: HashSet<u128, Identity> = HashSet::default();
    let mut rules = Vec::with_capacity(system.rules.len());
    for (place, rule) in system.rules.iter().enumerate() {
        let mut rows = Blocks::default();
        let own = &layout.systems[number];
        let keyed = place == 0;
        scan(rec, own, rule, |block, side, is_keyed| {
            if is_keyed {
                if keyed {
                    taken.insert(side.key);
                }
            } else if let Some(block) = block {
                rows.entry(block).or_default().push(side);
            }
        })
        .await?;
        let mut entities = Blocks::default();
        let mut seen: HashSet<u128, Identity> = HashSet::default();
        let others = layout.systems.iter().enumerate().filter(|(other, _)| *other != number);
        for (_, other) in others.filter(|(other, _)| rec.has_fields(*other, rule)) {
            let mut here: HashSet<u128, Identity> = HashSet::default();
            scan(rec, other, rule, |block, side, is_keyed| {
                // A system that comes first says what the entity is like; later ones only add
                // others.
                if !is_keyed || seen.contains(&side.key) {
                    return;
                }
                here.insert(side.key);
                if let Some(block) = block.filter(|block| rows.contains_key(block)) {
                    entities.entry(block).or_default().push(side);
                }
            })
            .await?;
            seen.extend(here);
        }
        rules.push((rule, rows, entities));
    }
    for (place, (rule, rows, entities)) in rules.iter().enumerate() {
        keep(rule, place, rows, entities, known, &mut taken, &mut found);
    }
    for (place, (rule, rows, entities)) in rules.iter().enumerate() {
        pair(rule, place, rows, entities, &mut taken, &mut found);
    }
    Ok(found)
}

/// Blocks in an order that does not depend on how they were read.
fn in_order(blocks: &Blocks) -> Vec<(&u128, &Vec<Side>)> {
    let mut sorted: Vec<(&u128, &Vec<Side>)> = blocks.iter().collect();
    sorted.sort_unstable_by_key(|(block, _)| **block);
    sorted
}

/// Whether the times of both lie within the rule's windows.
fn distance(rule: &MatchRule, one: &Side, other: &Side) -> Option<i64> {
    let mut sum = 0_i64;
    for ((_, apart), (one, other)) in rule.within.iter().zip(one.times.iter().zip(&other.times)) {
        let distance = (*one)?.checked_sub((*other)?)?.checked_abs()?;
        if distance > *apart {
            return None;
        }
        sum = sum.saturating_add(distance);
    }
    Some(sum)
}

/// Keeps the matches of the last run that still fit.
fn keep(
    rule: &MatchRule,
    place: usize,
    rows: &Blocks,
    entities: &Blocks,
    known: &HashMap<&str, &Match>,
    taken: &mut HashSet<u128, Identity>,
    found: &mut BTreeMap<String, Found>,
) {
    for (block, rows) in in_order(rows) {
        for row in rows {
            let Some(old) = known.get(row.name.as_str()) else { continue };
            if found.contains_key(&row.name) {
                continue;
            }
            let entity = entities.get(block).into_iter().flatten().find(|entity| {
                entity.name == old.entity_key
                    && !taken.contains(&entity.key)
                    && distance(rule, row, entity).is_some()
            });
            if let Some(entity) = entity {
                taken.insert(entity.key);
                found.insert(row.name.clone(), of(entity, place));
            }
        }
    }
}

fn of(entity: &Side, place: usize) -> Found {
    Found {
        entity_key: entity.name.clone(),
        key: entity.key,
        rule: i64::try_from(place + 1).unwrap_or(i64::MAX),
    }
}

/// Pairs what is left, the nearest first.
fn pair(
    rule: &MatchRule,
    place: usize,
    rows: &Blocks,
    entities: &Blocks,
    taken: &mut HashSet<u128, Identity>,
    found: &mut BTreeMap<String, Found>,
) {
    for (block, rows) in in_order(rows) {
        let Some(entities) = entities.get(block) else { continue };
        let mut pairs: Vec<(i64, &Side, &Side)> = Vec::new();
        for row in rows.iter().filter(|row| !found.contains_key(&row.name)) {
            for entity in entities.iter().filter(|entity| !taken.contains(&entity.key)) {
                pairs.extend(distance(rule, row, entity).map(|apart| (apart, row, entity)));
            }
        }
        // The same pairs in whatever order the rows were read.
        pairs.sort_by(|a, b| {
            (a.0, &a.1.times, &a.1.name, &a.2.name).cmp(&(b.0, &b.1.times, &b.1.name, &b.2.name))
        });
        for (_, row, entity) in pairs {
            if !found.contains_key(&row.name) && taken.insert(entity.key) {
                found.insert(row.name.clone(), of(entity, place));
            }
        }
    }
}

/// Reads the rows of a system as one rule sees them: block, row, whether it has a key.
async fn scan(
    rec: &Reconciliation,
    system: &SystemLayout,
    rule: &MatchRule,
    mut take: impl FnMut(Option<u128>, Side, bool),
) -> Result<()> {
    let failed = |e| engine_error("reading rows to match", e);
    let place = |field: &String| {
        let field = rec.field(field);
        field
            .and_then(|field| system.matched[field])
            .ok_or_else(|| Error::internal("a rule names a field that is not there"))
    };
    let equal: Vec<usize> = rule.on.iter().map(place).collect::<Result<_>>()?;
    let days: Vec<usize> = rule.day.iter().map(place).collect::<Result<_>>()?;
    let windows: Vec<usize> =
        rule.within.iter().map(|(field, _)| place(field)).collect::<Result<_>>()?;
    let mut stream = system.frame().execute_stream().await.map_err(failed)?;
    while let Some(batch) = stream.next().await {
        let batch = system.typed(&batch.map_err(failed)?)?;
        let (keys, unkeyed) = system.own_keys(&batch)?;
        let mut blocks = vec![0_u128; batch.num_rows()];
        let mut has_block = vec![true; batch.num_rows()];
        for (column, seed) in equal.iter().zip(1_u64..) {
            block_column(&mut blocks, &mut has_block, batch.column(*column), seed)?;
        }
        for (column, seed) in days.iter().zip(1_000_u64..) {
            let day = cast(&micros(batch.column(*column))?, &DataType::Int64)?;
            let day: Int64Array = day
                .as_primitive::<Int64Type>()
                .iter()
                .map(|micros| micros.map(|micros| micros.div_euclid(MICROS_OF_A_DAY)))
                .collect();
            let day: ArrayRef = Arc::new(day);
            block_column(&mut blocks, &mut has_block, &day, seed)?;
        }
        let mut times = Vec::with_capacity(windows.len());
        for column in &windows {
            times.push(cast(&micros(batch.column(*column))?, &DataType::Int64)?);
        }
        let options = text_options();
        let mut texts = Vec::with_capacity(rec.key.len());
        for place in 0..rec.key.len() {
            texts.push(ArrayFormatter::try_new(batch.column(place).as_ref(), &options)?);
        }
        let names = system.row.map(|place| batch.column(place).as_string::<i32>());
        for row in 0..batch.num_rows() {
            let block = has_block[row].then_some(blocks[row]);
            let is_keyed = !unkeyed[row];
            let name = if is_keyed {
                let mut parts = Vec::with_capacity(texts.len());
                for text in &texts {
                    parts.push(text.value(row).try_to_string()?);
                }
                joined_key(parts)
            } else {
                match names.filter(|names| names.is_valid(row)) {
                    Some(names) => names.value(row).to_owned(),
                    None => continue,
                }
            };
            let time = |column: &ArrayRef| {
                let values = column.as_primitive::<Int64Type>();
                values.is_valid(row).then(|| values.value(row))
            };
            let times = times.iter().map(time).collect();
            take(block, Side { name, key: keys[row], times }, is_keyed);
        }
    }
    Ok(())
}

fn micros(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?)
}

/// Adds a column to the blocks; a row without a value there is in no block.
fn block_column(
    blocks: &mut [u128],
    has_block: &mut [bool],
    column: &ArrayRef,
    seed: u64,
) -> Result<()> {
    add_column(blocks, column, seed)?;
    if let Some(nulls) = column.logical_nulls() {
        for (row, has_block) in has_block.iter_mut().enumerate() {
            *has_block &= nulls.is_valid(row);
        }
    }
    Ok(())
}
