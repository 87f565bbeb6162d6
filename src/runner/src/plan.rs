//! What a run would do to everything that is computed: tables, differences, figures, records to
//! push. A plan is computed beside the lake and writes nothing. It reads no system unless it is
//! asked to, and then it leaves the systems as they are.

mod hash;
mod live;
mod report;
mod stream;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use huiliu_core::graph::{Node, NodeKind};
use huiliu_core::identifier::mask_tagged;
use huiliu_core::model::{Metric, ModelKind};
use huiliu_core::policy;
use huiliu_engine::reconcile::ReconcileRequest;
use huiliu_engine::{
    Cause, CauseKind, FigureMove, Origin, PLANNED, Rehearsal, StoredFigure, TableDiff, record_text,
};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::ModelRow;
use tokio_util::sync::CancellationToken;

use crate::figures::{FIGURES, FigureOrigins};
use crate::hub::Hub;
use crate::models::Outgoing;

pub(crate) use hash::PlanHash;
pub use live::LiveStream;
pub use report::{
    DefinitionChange, FigurePlan, NodeState, Orphan, Plan, PlanError, PushPlan, ReconcilePlan,
    TablePlan,
};
pub use stream::{SettingChange, StreamChange, StreamPlan};

/// What to plan.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// How many rows of each kind are shown of a table that changes.
    pub examples: usize,
    /// The streams or systems to read for it; all where the list is empty, none without one.
    pub live: Option<Vec<String>>,
    /// Ends it.
    pub cancel: CancellationToken,
}

impl Hub {
    /// Plans what a run would compute anew. Nothing is written, and nothing is read from a system
    /// but what the request says.
    pub async fn plan(&self, request: PlanRequest) -> Result<Plan> {
        let builds = self.lake().store().models().await?;
        let mut rehearsal = self.engine.rehearse(request.examples).await?;
        let (mut hash, mut live) = (None, Vec::new());
        match &request.live {
            // Systems move on, so nobody can run what they had a moment ago.
            Some(which) => live = self.read_for_plan(&mut rehearsal, which, request.cancel).await?,
            None => hash = Some(self.plan_hash(rehearsal.snapshot(), &builds).to_string()),
        }
        let mut planning = Planning {
            hub: self,
            builds: builds.into_iter().map(|row| (row.name.clone(), row)).collect(),
            rehearsal,
            failed: BTreeSet::new(),
            plan: Plan::new(hash),
        };
        planning.plan.live = live;
        planning.plan.snapshot = planning.rehearsal.snapshot();
        for node in self.project.graph.nodes() {
            match node.kind {
                NodeKind::Model => planning.model(node).await?,
                NodeKind::Reconcile => planning.reconcile(node).await?,
                NodeKind::Metric
                | NodeKind::Stream
                | NodeKind::Push
                | NodeKind::Audit(_)
                | NodeKind::Report => {}
            }
        }
        planning.figures().await?;
        planning.loads();
        planning.no_longer_built();
        planning.plan.streams = self.plan_streams().await?;
        Ok(planning.plan)
    }

    /// Computes what a plan of this hash showed, if it is still the present one.
    pub(crate) async fn check_plan(&self, hash: &str) -> Result<()> {
        let asked: PlanHash = hash.parse()?;
        let builds = self.lake().store().models().await?;
        let snapshot = self.lake().latest_snapshot().await?;
        asked.check(&self.plan_hash(snapshot, &builds))
    }

    /// Builds of tables that nothing builds any more.
    pub(crate) fn orphans<'a>(
        &'a self,
        builds: impl Iterator<Item = &'a ModelRow> + 'a,
    ) -> impl Iterator<Item = &'a str> + 'a {
        let pipelines = self.engine.pipelines();
        builds.map(|row| row.name.as_str()).filter(move |name| {
            let is_model =
                pipelines.model(name).is_some_and(|model| model.header.kind == ModelKind::Table);
            let is_figures = *name == FIGURES && !pipelines.metrics.is_empty();
            !is_model && !is_figures && pipelines.reconciliation_of(name).is_none()
        })
    }

    /// Forgets the builds of tables that nothing builds any more. The tables stay.
    pub(crate) async fn forget_orphans(&self) -> Result<()> {
        let store = self.lake().store();
        let builds = store.models().await?;
        let mut tx = store.begin().await?;
        for name in self.orphans(builds.iter()) {
            tx.forget_model(name).await?;
        }
        tx.commit().await
    }
}

/// A plan in the making.
struct Planning<'a> {
    hub: &'a Hub,
    builds: BTreeMap<String, ModelRow>,
    rehearsal: Rehearsal<'a>,
    /// Nodes that cannot be computed, or need one that cannot.
    failed: BTreeSet<String>,
    plan: Plan,
}

impl Planning<'_> {
    /// Nodes that `node` needs and that cannot be computed.
    fn blocked_by(&mut self, node: &Node) -> Vec<String> {
        let needs = self.hub.project.graph.needs(&node.name);
        let blocked: Vec<String> =
            needs.filter(|need| self.failed.contains(*need)).map(str::to_owned).collect();
        if !blocked.is_empty() {
            self.failed.insert(node.name.clone());
        }
        blocked
    }

    /// Why something is computed again. `last` is what its last build was computed from.
    fn causes(&self, name: &str, now: &Origin) -> Vec<Cause> {
        let Some(build) = self.builds.get(name) else { return cause(CauseKind::New, name) };
        match Origin::parse(&build.fingerprint) {
            Some(last) => now.causes(&last),
            None => cause(CauseKind::Unknown, name),
        }
    }

    async fn model(&mut self, node: &Node) -> Result<()> {
        let hub = self.hub;
        let blocked_by = self.blocked_by(node);
        let model = hub.engine.pipelines().model(&node.name);
        let Some(model) = model else { return Ok(()) };
        if model.header.kind == ModelKind::View {
            self.rehearsal.pass_model(model).await;
            return Ok(());
        }
        let causes = self.causes(&node.name, &self.rehearsal.origin(&node.name));
        let mut table = TablePlan::new(&node.name, "model", causes, blocked_by);
        if table.state.is_computed() {
            match self.rehearsal.model(model).await {
                Ok(draft) => {
                    self.pushes(&node.name, &draft.columns).await?;
                    table.diff = Some(self.masked(&node.name, draft.diff));
                }
                Err(error) => self.fail(&mut table, error)?,
            }
        } else {
            self.rehearsal.pass_model(model).await;
        }
        self.plan.tables.push(table);
        Ok(())
    }

    async fn reconcile(&mut self, node: &Node) -> Result<()> {
        let hub = self.hub;
        let blocked_by = self.blocked_by(node);
        let rec = hub.engine.pipelines().reconciliation_of(&node.name);
        let rec =
            rec.ok_or_else(|| Error::internal(format!("no reconciliation makes {}", node.name)))?;
        let (wall_time, build) = (hub.wall_time(), self.builds.get(&node.name));
        let causes = match build {
            None => cause(CauseKind::New, &node.name),
            Some(build) => hub
                .engine
                .reconcile_causes(rec, self.rehearsal.versions(), &build.fingerprint, wall_time)
                .unwrap_or_else(|| cause(CauseKind::Unknown, &node.name)),
        };
        let mut table = TablePlan::new(&node.name, "reconcile", causes, blocked_by);
        if table.state.is_computed() {
            let request = ReconcileRequest {
                reconciliation: rec,
                run: 0,
                received_at: hub.clock.now().timestamp_micros(),
                wall_time,
                last: None,
                everything: true,
            };
            match self.rehearsal.reconcile(request).await {
                Ok(draft) => {
                    table.reconcile = Some(ReconcilePlan {
                        classes_before: draft.classes_before,
                        classes_after: draft.report.classes,
                        ledger: draft.report.ledger,
                    });
                    table.diff = Some(self.masked(&node.name, draft.diff));
                }
                Err(error) => self.fail(&mut table, error)?,
            }
        } else {
            self.rehearsal.pass_reconciliation(rec);
        }
        self.plan.tables.push(table);
        Ok(())
    }

    /// Notes that a table cannot be computed. What no edit can mend ends the plan.
    fn fail(&mut self, table: &mut TablePlan, error: Error) -> Result<()> {
        if policy::is_local(&error) || error.kind() == ErrorKind::Internal {
            return Err(error);
        }
        self.failed.insert(table.name.clone());
        table.state = NodeState::Failed;
        table.error = Some(PlanError::of(&error));
        Ok(())
    }

    /// The records that would be queued for pushes from the planned table `name`.
    async fn pushes(&mut self, name: &str, columns: &[String]) -> Result<()> {
        for (system, push, key) in self.hub.pushes_from(name) {
            let store = self.hub.lake().store();
            let mut known = store.outbox_keys(system, push).await?;
            let newest = store.newest_records(system, push).await?;
            let mut records = 0;
            let mut times: HashMap<String, u32> = HashMap::new();
            let mut returned = Vec::new();
            let mut scan = self.rehearsal.scan(name, columns).await?;
            while let Some(batch) = scan.next().await? {
                for row in 0..batch.num_rows() {
                    let record = record_text(&batch, row)?;
                    let outgoing = Outgoing::of(system, push, key, record)?;
                    let again = outgoing.returned(newest.get(&outgoing.record_key));
                    *times.entry(outgoing.record_key.clone()).or_default() += 1;
                    if known.insert(outgoing.idempotency_key) {
                        records += 1;
                    } else if let Some(again) = again {
                        returned.push((outgoing.record_key, again));
                    }
                }
            }
            returned.retain(|(key, _)| times.get(key) == Some(&1));
            records +=
                returned.into_iter().map(|(_, key)| u64::from(known.insert(key))).sum::<u64>();
            self.plan.pushes.push(PushPlan {
                push: format!("{system}.{push}"),
                from: name.to_owned(),
                records: Some(records),
            });
        }
        Ok(())
    }

    /// Pushes of whole tables that would be others.
    fn loads(&mut self) {
        for (system, push) in self.hub.whole_pushes() {
            if self.rehearsal.versions().get(&push.from) == Some(&PLANNED) {
                self.plan.pushes.push(PushPlan {
                    push: format!("{system}.{}", push.name),
                    from: push.from.clone(),
                    records: None,
                });
            }
        }
    }

    async fn figures(&mut self) -> Result<()> {
        let hub = self.hub;
        let stored = self.rehearsal.stored_figures().await?;
        let mut stored: BTreeMap<String, StoredFigure> =
            stored.into_iter().map(|figure| (figure.key.clone(), figure)).collect();
        let last = self.builds.get(FIGURES).map(|build| build.fingerprint.as_str());
        let last: Option<FigureOrigins> = last.and_then(|text| serde_json::from_str(text).ok());
        let now = hub.figure_origins(|from| self.rehearsal.rows_origin(from));
        for node in hub.project.graph.nodes().iter().filter(|node| node.kind == NodeKind::Metric) {
            let blocked_by = self.blocked_by(node);
            let metric = hub.metric(node.name.strip_prefix("metrics.").unwrap_or(&node.name))?;
            let (Some(origin), before) = (now.get(&metric.key), stored.remove(&metric.key)) else {
                return Err(Error::internal("a metric without an origin"));
            };
            let was = last.as_ref().map(|last| last.get(&metric.key));
            let causes = match was {
                Some(Some(was)) => {
                    let mut causes = origin.origin.causes(&was.origin);
                    if was.counted != origin.counted {
                        causes.insert(
                            0,
                            Cause { kind: CauseKind::Definition, of: node.name.clone() },
                        );
                    }
                    causes
                }
                Some(None) => cause(CauseKind::New, &node.name),
                None if before.is_some() => cause(CauseKind::Unknown, &node.name),
                None => cause(CauseKind::New, &node.name),
            };
            let mut figure = FigurePlan::new(metric, causes, blocked_by);
            figure.definition = was
                .flatten()
                .and_then(|was| DefinitionChange::between(&was.counted, &origin.counted));
            if figure.state.is_computed() {
                self.figure(&mut figure, metric, before).await?;
            } else {
                figure.before = before;
            }
            self.plan.figures.push(figure);
        }
        self.plan.removed_figures = stored.into_keys().collect();
        Ok(())
    }

    async fn figure(
        &mut self,
        figure: &mut FigurePlan,
        metric: &Metric,
        before: Option<StoredFigure>,
    ) -> Result<()> {
        match self.rehearsal.figure(metric, &self.hub.today()).await {
            Ok(after) => {
                let moved = FigureMove::of(metric, before, after);
                figure.is_moved = moved.is_moved();
                figure.change = moved.change;
                figure.exact_change = moved.exact_change;
                figure.before = moved.before;
                figure.after = Some(moved.after);
            }
            Err(error) if policy::is_local(&error) || error.kind() == ErrorKind::Internal => {
                return Err(error);
            }
            Err(error) => {
                figure.before = before;
                figure.state = NodeState::Failed;
                figure.error = Some(PlanError::of(&error));
            }
        }
        Ok(())
    }

    fn no_longer_built(&mut self) {
        let names: Vec<String> =
            self.hub.orphans(self.builds.values()).map(str::to_owned).collect();
        for name in names {
            let readers = self.hub.project.graph.nodes().iter();
            let readers = readers.filter(|node| node.reads.contains(&name));
            let read_by = readers.map(|node| node.name.clone()).collect();
            self.plan.no_longer_built.push(Orphan { table: name, read_by });
        }
    }

    /// A difference of `table` whose examples show no personal data.
    fn masked(&self, table: &str, mut diff: TableDiff) -> TableDiff {
        for cell in diff.examples.iter_mut().flat_map(|example| &mut example.cells) {
            let Some(tag) = self.rehearsal.personal(table, &cell.column) else { continue };
            for value in [&mut cell.before, &mut cell.after].into_iter().flatten() {
                *value = mask_tagged(tag, value);
            }
        }
        diff
    }
}

fn cause(kind: CauseKind, of: &str) -> Vec<Cause> {
    vec![Cause { kind, of: of.to_owned() }]
}
