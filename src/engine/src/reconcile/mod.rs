//! Reconciliation: the rows of several systems, key by key.
//!
//! The first pass reads every row and keeps a few words of it: the hash of its key, of what is
//! compared, of everything. Joined by key they say which keys are what they were in the last run,
//! and need nothing more. The rows of the others are read again, a range of keys at a time so
//! that memory stays bounded, compared field by field, and written: the golden table, the ledger
//! of differences, its events and the coverage of codes, all in one commit.

mod agree;
mod coverage;
mod decide;
mod draft;
mod findings;
mod golden;
mod keys;
mod ledger;
mod matching;
mod output;
mod plan;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod view;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use huiliu_core::reconcile::Reconciliation;
use huiliu_lake::Commit;
use huiliu_sdk::{Error, Result};
use huiliu_store::Balance;
use serde::Serialize;

use self::decide::{Context, Decision, Judge};
use self::findings::{KeyText, Unkeyed};
use self::golden::Golden;
use self::keys::{Entry, KeyStore};
use self::ledger::{Ledger, Moment};
use self::matching::Matches;
use self::output::{Output, Target};
use self::plan::{Layout, SystemLayout};
use self::rows::{Entity, Loaded};
use self::state::{Fingerprint, Scope};
use self::wanted::Wanted;
use crate::buckets::BUCKETS;
use crate::failure::engine_error;
use crate::hash::Identity;
use crate::origin::{Cause, FileHashes};
use crate::session::{Engine, Session};

pub use ledger::{Difference, DifferenceEvent, LedgerCounts, event};
pub use output::{read_differences, read_events};
pub(crate) use view::ledger_views;

/// What a run asks for.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileRequest<'a> {
    /// What is reconciled.
    pub reconciliation: &'a Reconciliation,
    /// The run.
    pub run: i64,
    /// Now, in microseconds since 1970 UTC.
    pub received_at: i64,
    /// Now, in microseconds of wall time in the hub's zone.
    pub wall_time: i64,
    /// The fingerprint of the last time.
    pub last: Option<&'a str>,
    /// Whether keys that are what they were are looked at too.
    pub everything: bool,
}

/// What came of a reconciliation, written and not committed.
#[derive(Debug)]
pub struct Reconciled {
    /// What to commit; empty when nothing changed.
    pub commit: Commit,
    /// What the next time is compared with.
    pub fingerprint: String,
    /// What was found.
    pub report: ReconcileReport,
    /// What became of the rows of the golden table.
    pub balance: Balance,
}

/// What a reconciliation found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReconcileReport {
    /// Rows of each system.
    pub rows: BTreeMap<String, u64>,
    /// Keys of all systems together.
    pub keys: u64,
    /// Keys that were looked at again.
    pub recomputed: u64,
    /// Keys in each class.
    pub classes: BTreeMap<String, u64>,
    /// What the run did to the ledger.
    pub ledger: LedgerCounts,
}

/// What the first pass found out.
struct FirstPass {
    wanted: Wanted,
    wanted_keys: u64,
    /// Keys that no system has any more.
    gone: HashSet<u128, Identity>,
    unkeyed: BTreeSet<Unkeyed>,
    /// Keys in each class, of those that are left as they are.
    kept: Vec<u64>,
    keys: u64,
    rows: Vec<u64>,
    bytes: u64,
}

impl Engine {
    /// Reconciles from the latest snapshot, unless nothing that it depends on has changed.
    pub async fn reconcile(&self, request: ReconcileRequest<'_>) -> Result<Option<Reconciled>> {
        let rec = request.reconciliation;
        let versions = self.lake().table_versions().await?;
        let now = Fingerprint::of_inputs(self.pipelines(), rec, &versions, self.files());
        let last = request.last.and_then(Fingerprint::parse);
        let is_same = |last: &Fingerprint| last.causes(&now, rec, request.wall_time).is_empty();
        if !request.everything && last.as_ref().is_some_and(is_same) {
            return Ok(None);
        }
        let session = self.session(None).await?;
        let action = format!("reconciliation {}", rec.name);
        let done = Reconciling { engine: self, session: &session, request }.run(now, last).await;
        done.map(Some).map_err(|e| e.context(action))
    }

    /// Why `rec` would be looked at again, had the tables these versions; nothing when it would
    /// not. `last` is the fingerprint of the last time.
    pub fn reconcile_causes(
        &self,
        rec: &Reconciliation,
        versions: &BTreeMap<String, i64>,
        last: &str,
        wall_time: i64,
    ) -> Option<Vec<Cause>> {
        let now = Fingerprint::of_inputs(self.pipelines(), rec, versions, self.files());
        Fingerprint::parse(last).map(|last| last.causes(&now, rec, wall_time))
    }

    /// Whether the tables of `rec` were made by what its file and the views before it say now.
    /// `last` is the fingerprint of the last time.
    pub(crate) fn is_reconciled_as(&self, rec: &Reconciliation, last: &str) -> bool {
        let now =
            Fingerprint::of_inputs(self.pipelines(), rec, &BTreeMap::new(), &FileHashes::new());
        Fingerprint::parse(last)
            .is_some_and(|last| last.origin.definitions == now.origin.definitions)
    }
}

/// What was decided so far.
struct Tally {
    classes: Vec<u64>,
    due: Option<i64>,
}

impl Tally {
    fn add(&mut self, decision: &Decision) {
        if let Some(count) = self.classes.get_mut(usize::from(decision.class)) {
            *count += 1;
        }
        if let Some(due) = decision.due {
            self.due = Some(self.due.map_or(due, |first| first.min(due)));
        }
    }
}

/// What is known before something is written.
struct Ready {
    layout: Layout,
    matching: Matches,
    context: Context,
    first: FirstPass,
    ledger: Ledger,
}

/// What was found.
struct Found {
    report: ReconcileReport,
    due: Option<i64>,
    /// Keys that were left as they are.
    left: u64,
}

struct Reconciling<'a> {
    engine: &'a Engine,
    session: &'a Session,
    request: ReconcileRequest<'a>,
}

impl Reconciling<'_> {
    fn rec(&self) -> &Reconciliation {
        self.request.reconciliation
    }

    async fn run(&self, mut now: Fingerprint, last: Option<Fingerprint>) -> Result<Reconciled> {
        let ready = self.prepare(&mut now, last).await?;
        let mut output = Output::new(self.engine, self.request, &ready.layout).await?;
        let found = self.look(ready, &mut output).await?;
        now.due = found.due;
        let (changes, mut balance) = output.finish().await?;
        balance.read += found.left;
        balance.unchanged += found.left;
        let commit = Commit {
            changes,
            author: format!("run {}", self.request.run),
            message: format!("reconcile {}", self.rec().name),
        };
        Ok(Reconciled { commit, fingerprint: now.text()?, report: found.report, balance })
    }

    /// Everything up to where something is written.
    async fn prepare(&self, now: &mut Fingerprint, last: Option<Fingerprint>) -> Result<Ready> {
        let rec = self.rec();
        let mut layout = Layout::new(rec, self.session).await?;
        let moment = Moment { at: self.request.wall_time, run: self.request.run };
        let mut matching = matching::find(self.engine, self.session, rec, &layout, moment).await?;
        layout.assign(std::mem::take(&mut matching.keys))?;
        let context = self.context(now).await?;
        let scope = now.scope(last.as_ref(), rec, self.request.everything);
        let first = self.first_pass(&layout, scope).await?;
        // Before the tables are made, which the session's snapshot does not have then.
        let rows = read_differences(self.engine, self.session, rec).await?;
        let ledger = Ledger::new(&rec.entity, moment, rows);
        Ok(Ready { layout, matching, context, first, ledger })
    }

    /// Looks at the keys that need it, and writes what is found to `output`.
    async fn look(&self, ready: Ready, output: &mut impl Target) -> Result<Found> {
        let rec = self.rec();
        let Ready { layout, matching, context, first, mut ledger } = ready;
        for rows in output::gone(self.session, rec, &first.gone).await? {
            for key in output::key_texts(&rows)? {
                ledger.meet(&key, Vec::new());
            }
            output.remove(rows).await?;
        }
        let mut tally = Tally { classes: first.kept.clone(), due: None };
        for range in self.ranges(&first) {
            let loaded = rows::load(&layout, &first.wanted, range).await?;
            let schema = Arc::clone(output.schema());
            let batches =
                self.judge(&layout, &loaded, &context, &schema, &mut ledger, &mut tally)?;
            drop(loaded);
            output.golden(batches).await?;
        }
        if !rec.golden {
            // Keys that were not looked at agree.
            ledger.meet_the_rest();
        }
        ledger.meet_unkeyed(findings::unkeyed(rec, &first.unkeyed));
        let coverage = coverage::coverage(rec, self.session).await?;
        let counts = ledger.counts;
        ledger.events.extend(matching.events);
        output.ledger(ledger).await?;
        output.matches(&matching.rows).await?;
        output.coverage(coverage).await?;
        output.classes(&tally.classes).await?;
        Ok(Found {
            report: self.report(&first, &tally.classes, counts),
            due: tally.due,
            left: first.keys.saturating_sub(first.wanted_keys),
        })
    }

    /// Decides about the loaded keys, and gives their golden rows.
    fn judge(
        &self,
        layout: &Layout,
        loaded: &Loaded,
        context: &Context,
        schema: &SchemaRef,
        ledger: &mut Ledger,
        tally: &mut Tally,
    ) -> Result<Vec<RecordBatch>> {
        let rec = self.rec();
        let options = decide::text_options();
        let judge = Judge::new(rec, layout, loaded, context, &options)?;
        let keys = KeyText::new(rec, loaded, &options)?;
        let mut decisions = Vec::with_capacity(loaded.entities.len());
        for entity in &loaded.entities {
            let decision = judge.decide(entity)?;
            tally.add(&decision);
            if !(decision.is_clean(entity) && ledger.is_empty()) {
                let key = keys.of(entity)?;
                let found = findings::findings(rec, &judge, entity, &decision, &key)?;
                ledger.meet(&key, found);
            }
            decisions.push(decision);
        }
        let decided: Vec<(&Entity, &Decision)> = loaded.entities.iter().zip(&decisions).collect();
        if !rec.golden {
            return Ok(Vec::new());
        }
        let classes = rec.classes();
        let golden = Golden { rec, layout, loaded, judge: &judge, schema, classes: &classes };
        output::chunks(&golden, &decided)
    }

    fn report(&self, first: &FirstPass, classes: &[u64], ledger: LedgerCounts) -> ReconcileReport {
        let rec = self.rec();
        let mut counted: BTreeMap<String, u64> =
            rec.classes().into_iter().zip(classes.iter().copied()).collect();
        counted.insert(ledger::UNKEYED.to_owned(), first.unkeyed.len() as u64);
        let names = rec.systems.iter().map(|system| system.name.clone());
        ReconcileReport {
            rows: names.zip(first.rows.iter().copied()).collect(),
            keys: first.keys,
            recomputed: first.wanted_keys + first.gone.len() as u64,
            classes: counted,
            ledger,
        }
    }

    /// What decisions depend on beside the rows; its hash goes into the fingerprint.
    async fn context(&self, now: &mut Fingerprint) -> Result<Context> {
        let rec = self.rec();
        let mut expects = Vec::with_capacity(rec.systems.len());
        for system in &rec.systems {
            let Some(expected) = &system.expects else {
                expects.push(None);
                continue;
            };
            let column = expected.column.as_deref().unwrap_or(&expected.field);
            let values = state::values(self.session, &expected.from, column).await?;
            now.add_context(&values);
            expects.push(Some(values));
        }
        let as_of = match (rec.as_of, &rec.time) {
            _ if rec.systems.iter().all(|system| system.lag_micros.is_none()) => None,
            (Some(system), Some(time)) => {
                let system = &rec.systems[system];
                state::newest(self.session, &system.table, system.column(time)).await?
            }
            _ => Some(self.request.wall_time),
        };
        now.as_of = as_of;
        let calendar = Arc::clone(&self.engine.functions().calendar);
        Ok(Context { as_of, expects, calendar })
    }

    /// Reads all rows as entries, and joins them.
    async fn first_pass(&self, layout: &Layout, scope: Scope) -> Result<FirstPass> {
        let rec = self.rec();
        let options = self.engine.options();
        let limit = options.memory_bytes / 4;
        let store = KeyStore::new(&options.spill, layout.groups.len(), limit);
        let store = Arc::new(Mutex::new(store));
        let mut unkeyed = BTreeSet::new();
        let (mut rows, mut bytes) = (Vec::with_capacity(rec.systems.len()), 0);
        for (number, system) in layout.systems.iter().enumerate() {
            let read = entries(rec, system, number, &store).await?;
            unkeyed.extend(read.unkeyed);
            rows.push(read.rows);
            bytes += read.bytes;
        }
        let golden = u8::try_from(rec.systems.len()).unwrap_or(u8::MAX);
        if rec.golden {
            state::entries(self.engine, self.session, rec, &store, golden).await?;
        }
        let mut store = Arc::try_unwrap(store)
            .map_err(|_| Error::internal("keys are still being read"))?
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let groups: Vec<u8> = layout.groups.iter().map(|(mask, _)| *mask).collect();
        let mut wanted: HashSet<u128, Identity> = HashSet::default();
        let mut first = FirstPass {
            wanted: Wanted::All,
            wanted_keys: 0,
            gone: HashSet::default(),
            unkeyed,
            kept: Vec::new(),
            keys: 0,
            rows,
            bytes,
        };
        let everywhere = (1_u8 << (golden - 1) << 1).wrapping_sub(1);
        let matched = rec.classes().len() - 1;
        first.kept.resize(matched + 1, 0);
        for number in 0..BUCKETS {
            for facts in store.join(number, &groups, golden)?.keys {
                if facts.present == 0 {
                    first.gone.insert(facts.key);
                    continue;
                }
                first.keys += 1;
                if !rec.golden {
                    // What agrees as it stands needs no second look.
                    let is_open =
                        facts.differs || facts.present != everywhere || facts.repeated != 0;
                    if is_open {
                        first.wanted_keys += 1;
                        wanted.insert(facts.key);
                    } else {
                        first.kept[matched] += 1;
                    }
                    continue;
                }
                let same = facts.before.filter(|(inputs, class)| {
                    scope == Scope::Changed && *inputs == facts.inputs && *class != state::PENDING
                });
                if let Some((_, class)) = same {
                    if let Some(count) = first.kept.get_mut(usize::from(class)) {
                        *count += 1;
                    }
                } else {
                    first.wanted_keys += 1;
                    if scope == Scope::Changed {
                        wanted.insert(facts.key);
                    }
                }
            }
        }
        if scope == Scope::Changed || !rec.golden {
            first.wanted = Wanted::of(wanted, first.keys);
        }
        Ok(first)
    }

    /// Ranges of buckets whose wanted rows fit into memory together.
    fn ranges(&self, first: &FirstPass) -> Vec<std::ops::Range<usize>> {
        if first.wanted_keys == 0 {
            return Vec::new();
        }
        let share = first.bytes.saturating_mul(first.wanted_keys) / first.keys.max(1);
        // The rows, once more as golden ones, and some air.
        let need = share.saturating_mul(3);
        let budget = (self.engine.options().memory_bytes as u64 / 2).max(1);
        let rounds = usize::try_from(need.div_ceil(budget)).unwrap_or(BUCKETS).clamp(1, BUCKETS);
        let size = BUCKETS.div_ceil(rounds);
        (0..BUCKETS).step_by(size).map(|from| from..(from + size).min(BUCKETS)).collect()
    }
}

/// What was read of one system in the first pass.
struct Read {
    rows: u64,
    bytes: u64,
    unkeyed: Vec<Unkeyed>,
}

/// One value as text.
fn cell_text(batch: &RecordBatch, column: Option<usize>, row: usize) -> Result<Option<String>> {
    let Some(column) = column else { return Ok(None) };
    let one = arrow::compute::cast(&batch.column(column).slice(row, 1), &DataType::Utf8)?;
    let one = one.as_string::<i32>();
    Ok(one.is_valid(0).then(|| one.value(0).to_owned()))
}

/// Reads one system's rows as entries, its partitions side by side.
async fn entries(
    rec: &Reconciliation,
    system: &Arc<SystemLayout>,
    number: usize,
    store: &Arc<Mutex<KeyStore>>,
) -> Result<Read> {
    let owner = rec.systems[number].owner_field.as_deref().and_then(|field| rec.field(field));
    let owner = owner.and_then(|field| system.values[field]);
    let failed = |e| engine_error("reading a system's rows", e);
    let mut all = Read { rows: 0, bytes: 0, unkeyed: Vec::new() };
    let mut parts = tokio::task::JoinSet::new();
    for stream in system.frame().execute_stream_partitioned().await.map_err(failed)? {
        let (system, store) = (Arc::clone(system), Arc::clone(store));
        parts.spawn(async move { part_entries(&system, number, owner, stream, &store).await });
    }
    while let Some(part) = parts.join_next().await {
        let part = part.map_err(|e| Error::internal("reading rows ended early").cause(e))??;
        all.rows += part.rows;
        all.bytes += part.bytes;
        all.unkeyed.extend(part.unkeyed);
    }
    Ok(all)
}

async fn part_entries(
    system: &SystemLayout,
    number: usize,
    owner: Option<usize>,
    mut stream: SendableRecordBatchStream,
    store: &Mutex<KeyStore>,
) -> Result<Read> {
    let failed = |e| engine_error("reading a system's rows", e);
    let source = u8::try_from(number).unwrap_or(u8::MAX);
    let mut read = Read { rows: 0, bytes: 0, unkeyed: Vec::new() };
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        read.rows += batch.num_rows() as u64;
        read.bytes += batch.get_array_memory_size() as u64;
        let hashes = system.hashes(&batch)?;
        for row in (0..batch.num_rows()).filter(|row| hashes.unkeyed[*row]) {
            let name = cell_text(&batch, system.row, row)?;
            let owner = cell_text(&batch, owner, row)?;
            let row = name.unwrap_or_else(|| format!("{:016x}", hashes.full[row]));
            read.unkeyed.push(Unkeyed { system: number, row, owner });
        }
        let mut groups = vec![0_u64; hashes.groups.len()];
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        for row in (0..batch.num_rows()).filter(|row| !hashes.unkeyed[*row]) {
            for (group, sums) in groups.iter_mut().zip(&hashes.groups) {
                *group = sums[row];
            }
            let entry =
                Entry { key: hashes.keys[row], source, full: hashes.full[row], groups: &groups };
            store.push(entry);
            if hashes.copied[row] {
                store.push(entry);
            }
        }
        store.settle()?;
    }
    Ok(read)
}
