//! One run: the selected nodes of the graph, streams first and side by side, then what is
//! computed from them and audited, then what is sent.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use huiliu_core::audit::Severity;
use huiliu_core::graph::{Node, NodeKind};
use huiliu_core::policy::{self, exit};
use huiliu_sdk::{Cx, Error, ErrorKind, Result, Window};
use huiliu_store::{Balance, OutboxCount, RunState, StepRow, VerdictRow};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Job, shared_steps, stream_step};
use crate::footprint::Footprint;
use crate::hub::Hub;
use crate::mover::{GuardPlan, Guards};
use crate::repair::{ReadyRepair, RepairDone, RepairOrder};
use crate::stop::{broken_off, unbroken, until_stopped};
use crate::together::repeated;
use crate::verdict;

/// Hears how a run goes.
pub trait Progress: Send + Sync {
    /// The run has got its number.
    fn begun(&self, _run: i64) {}
    /// A step begins.
    fn started(&self, node: &str);
    /// A step has read this many rows.
    fn rows(&self, node: &str, rows: u64);
    /// A step ended.
    fn finished(&self, step: &StepRow);
}

/// A listener that says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _node: &str) {}
    fn rows(&self, _node: &str, _rows: u64) {}
    fn finished(&self, _step: &StepRow) {}
}

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Its number.
    pub run_id: i64,
    /// How it ended.
    pub state: RunState,
    /// The exit code that says the same.
    pub exit_code: u8,
    /// Its steps in the order they ran.
    pub steps: Vec<StepRow>,
    /// What the outbox holds afterwards.
    pub outbox: Vec<OutboxCount>,
    /// What guards stopped, and the hashes that let it pass.
    pub plans: Vec<GuardPlan>,
    /// Hashes that were accepted although no plan of this run has them.
    pub unused_accepts: Vec<String>,
    /// What its audits found, in this run or, where nothing changed since, in an earlier one.
    pub audits: Vec<VerdictRow>,
    /// What it did for a repair.
    pub repair: Option<RepairDone>,
}

/// What the person or job that starts a run wants of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Systems are read in their quiet hours too.
    pub during_quiet_hours: bool,
    /// Hashes of plans that guards let pass.
    pub accepted: Vec<String>,
    /// Incremental streams are read from the start once more, for rows that came later than their
    /// overlap.
    pub whole: bool,
    /// This part of the selected streams is read instead of what is new.
    pub window: Option<Window>,
    /// Only what the plan of this hash showed is computed: nothing is read and nothing is sent.
    pub plan: Option<String>,
    /// A repair is applied or taken back: it is queued, and only the pushes it goes through run.
    pub repair: Option<RepairOrder>,
}

impl Hub {
    /// Runs what `selector` names. Errors of single steps are in the report; an error here
    /// means that nothing ran.
    pub async fn run(
        self: &Arc<Self>,
        selector: &str,
        job: Option<&str>,
        cancel: CancellationToken,
        progress: Arc<dyn Progress>,
    ) -> Result<RunReport> {
        Box::pin(self.run_with(selector, job, RunOptions::default(), cancel, progress)).await
    }

    /// Runs what `selector` names. Errors of single steps are in the report; an error here
    /// means that nothing ran.
    pub async fn run_with(
        self: &Arc<Self>,
        selector: &str,
        job: Option<&str>,
        options: RunOptions,
        cancel: CancellationToken,
        progress: Arc<dyn Progress>,
    ) -> Result<RunReport> {
        if selector.trim() == crate::maintain::SELECTOR {
            return Box::pin(self.maintain_run(job, cancel)).await;
        }
        let mut nodes: Vec<Node> =
            self.project.graph.select(selector)?.into_iter().cloned().collect();
        let footprint = match &options.repair {
            Some(_) => Footprint::everything(),
            None => Footprint::of(&nodes, &self.project.graph),
        };
        let entry = self.folder.enter(&self.data, &self.holder, footprint).await?;
        let store = self.lake().store();
        if let Some(plan) = &options.plan {
            self.check_plan(plan).await?;
            // What the plan says is unchanged has an equal fingerprint, and stays as it is.
            let is_beside =
                |kind| matches!(kind, NodeKind::Stream | NodeKind::Push | NodeKind::Report);
            nodes.retain(|node| !is_beside(node.kind));
        }
        let plan = options.plan.as_ref().map(|hash| format!("plan {}", hash.trim()));
        let ready = match &options.repair {
            Some(order) => Some(self.ready_repair(order).await?),
            None => None,
        };
        let of_repair = ready.as_ref().map(ReadyRepair::selector);
        if let Some(selector) = &of_repair {
            nodes = self.project.graph.select(selector)?.into_iter().cloned().collect();
        }
        let told = plan.as_deref().or(of_repair.as_deref()).unwrap_or(selector);
        let run_id = self.begin_run(told, job, entry.is_first).await?;
        progress.begun(run_id);
        let writing = entry.begun();
        let repair = match (&options.repair, ready) {
            (Some(order), Some(ready)) => match self.queue_repair(run_id, order, ready).await {
                Ok(done) => Some(done),
                Err(error) => {
                    let now = self.now();
                    store.finish_run(run_id, RunState::Failed, exit::FAILED, &now).await?;
                    return Err(error);
                }
            },
            _ => None,
        };
        let mut run = Run {
            hub: Arc::clone(self),
            run_id,
            cx: self.context(cancel),
            progress,
            guards: Arc::new(Guards::new(&options.accepted)),
            during_quiet_hours: options.during_quiet_hours,
            whole: options.whole,
            window: options.window.clone(),
            failed: BTreeSet::new(),
            postponed: BTreeSet::new(),
            not_ready: BTreeSet::new(),
            findings: false,
            audits: Vec::new(),
            steps: Vec::new(),
            unsaved: Vec::new(),
        };
        run.streams(&nodes).await?;
        for node in &nodes {
            match node.kind {
                NodeKind::Model => Box::pin(run.model(node)).await?,
                NodeKind::Reconcile => Box::pin(run.reconcile(node)).await?,
                NodeKind::Audit(severity) => Box::pin(run.audit(node, severity)).await?,
                NodeKind::Stream | NodeKind::Metric | NodeKind::Push | NodeKind::Report => {}
            }
        }
        let metrics: Vec<&Node> =
            nodes.iter().filter(|node| node.kind == NodeKind::Metric).collect();
        run.metrics(&metrics).await?;
        for node in nodes.iter().filter(|node| node.kind == NodeKind::Push) {
            run.push(node).await?;
        }
        if options.plan.is_some() {
            self.forget_orphans().await?;
        } else {
            // A run that works beside this one ends with it.
            let alone = writing.alone();
            let due = match alone {
                Some(_) => self.maintain_due(run_id, &run.cx).await,
                None => Ok(Vec::new()),
            };
            match due {
                Ok(steps) => run.steps.extend(steps),
                Err(error) => {
                    run.fail(self.new_step(run_id, "maintain", "maintain"), &error).await?;
                }
            }
        }
        // Last, and whatever failed: a page says so.
        for node in nodes.iter().filter(|node| node.kind == NodeKind::Report) {
            Box::pin(run.report(node)).await?;
        }
        let (state, exit_code) = run.outcome();
        if let Err(error) = run.close(state, exit_code).await {
            // The data is safe, and only how the run ended is not: that must not fail for room.
            if error.code() != "E-DISK-FULL" || !self.free_ballast() {
                return Err(error);
            }
            tracing::warn!("the disk is full; the room kept for the end of runs was given up");
            run.close(state, exit_code).await?;
        }
        let outbox = store.outbox_counts().await?;
        let (plans, unused_accepts) = (run.guards.stopped(), run.guards.unused());
        let Run { steps, audits, .. } = run;
        Ok(RunReport {
            run_id,
            state,
            exit_code,
            steps,
            outbox,
            plans,
            unused_accepts,
            audits,
            repair,
        })
    }

    /// Begins a run. One that has no room is stored and goes no further: what it wrote would take
    /// the room in which its end is stored.
    async fn begin_run(&self, selector: &str, job: Option<&str>, is_first: bool) -> Result<i64> {
        self.keep_ballast();
        let error = match self.store_run(selector, job, is_first).await {
            Err(error) if error.code() == "E-DISK-FULL" && self.free_ballast() => error,
            begun => return begun,
        };
        let run_id = self.store_run(selector, job, is_first).await?;
        let store = self.lake().store();
        store.finish_run(run_id, RunState::Failed, exit::FAILED, &self.now()).await?;
        Err(error)
    }

    /// Stores a new run. The folder's lock dies with its process, so the first of those who share
    /// it clears what dead ones left.
    async fn store_run(&self, selector: &str, job: Option<&str>, is_first: bool) -> Result<i64> {
        let store = self.lake().store();
        if is_first {
            store.end_leases().await?;
            store.end_slots("run of ").await?;
            store.close_abandoned_runs(&self.now()).await?;
        }
        self.lake().verify_sizes().await?.check()?;
        store.start_run(job, selector, &self.holder, &self.now()).await
    }

    pub(crate) fn new_step(&self, run_id: i64, node: &str, kind: &str) -> StepRow {
        StepRow {
            run_id,
            node: node.to_owned(),
            kind: kind.to_owned(),
            state: RunState::Running.as_str().to_owned(),
            balance: Balance::default(),
            snapshot_id: None,
            code: None,
            message: None,
            hint: None,
            started_at: self.now(),
            finished_at: None,
        }
    }
}

struct Run {
    hub: Arc<Hub>,
    run_id: i64,
    cx: Cx,
    progress: Arc<dyn Progress>,
    guards: Arc<Guards>,
    during_quiet_hours: bool,
    whole: bool,
    window: Option<Window>,
    failed: BTreeSet<String>,
    /// Those of `failed` that only wait for a better hour, or need something that does.
    postponed: BTreeSet<String>,
    /// Those of `failed` whose system could not be reached or did not let us in.
    not_ready: BTreeSet<String>,
    /// Whether differences are above their warn level, or an audit that only warns found rows.
    findings: bool,
    audits: Vec<VerdictRow>,
    steps: Vec<StepRow>,
    /// Those of `steps` that could not be stored yet, because the disk is full.
    unsaved: Vec<StepRow>,
}

impl Run {
    /// All streams, a few at a time; one that fails leaves the others alone. Those that a system
    /// delivers together are one of the few.
    async fn streams(&mut self, nodes: &[Node]) -> Result<()> {
        let places = Arc::new(tokio::sync::Semaphore::new(
            usize::try_from(self.hub.project.hub.parallel).unwrap_or(1).max(1),
        ));
        let mut tasks = tokio::task::JoinSet::new();
        let mut started: HashMap<tokio::task::Id, Vec<StepRow>> = HashMap::new();
        for group in self.groups(nodes) {
            let (hub, cx) = (Arc::clone(&self.hub), self.cx.clone());
            let (progress, places) = (Arc::clone(&self.progress), Arc::clone(&places));
            let (guards, during_quiet_hours) = (Arc::clone(&self.guards), self.during_quiet_hours);
            let whole = self.whole;
            let window = self.window.clone();
            let run_id = self.run_id;
            let new_steps = move |hub: &Hub| -> Vec<StepRow> {
                group.iter().map(|name| hub.new_step(run_id, name, "stream")).collect()
            };
            let first = new_steps(&self.hub);
            let task = tasks.spawn(async move {
                let permit = places.acquire_owned().await;
                let mut steps = new_steps(&hub);
                steps.iter().for_each(|step| progress.started(&step.node));
                let job = Job {
                    hub: &hub,
                    guards: &guards,
                    during_quiet_hours,
                    whole,
                    window: window.as_ref(),
                    progress: progress.as_ref(),
                };
                let ended = match (steps.pop(), steps.is_empty()) {
                    (Some(mut step), true) => {
                        let result = stream_step(job, &cx, &mut step).await;
                        vec![(step, result)]
                    }
                    (last, _) => {
                        steps.extend(last);
                        Box::pin(shared_steps(job, &cx, steps)).await
                    }
                };
                drop(permit);
                ended
            });
            started.insert(task.id(), first);
        }
        while let Some(joined) = tasks.join_next_with_id().await {
            let ended = match joined {
                Ok((_, ended)) => ended,
                // A panic in one stream must not take the others with it.
                Err(error) => {
                    let steps = started.remove(&error.id());
                    let steps = steps.ok_or_else(|| Error::internal("an unknown task ended"))?;
                    let error = broken_off(error);
                    let ended = steps.into_iter().map(|step| {
                        let error = repeated(&error).context(&step.node);
                        (step, Err(error))
                    });
                    ended.collect()
                }
            };
            for (step, result) in ended {
                self.end_stream(step, result).await?;
            }
        }
        self.steps.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(())
    }

    /// The streams, by those that are read together.
    fn groups(&self, nodes: &[Node]) -> Vec<Vec<String>> {
        let mut groups: Vec<Vec<String>> = Vec::new();
        let mut shared: HashMap<&str, usize> = HashMap::new();
        for node in nodes.iter().filter(|node| node.kind == NodeKind::Stream) {
            let system = node.name.split('.').next().unwrap_or_default();
            let is_shared =
                self.hub.project.systems.get(system).is_some_and(|system| system.is_shared);
            match shared.get(system) {
                Some(group) => groups[*group].push(node.name.clone()),
                None => {
                    if is_shared {
                        shared.insert(system, groups.len());
                    }
                    groups.push(vec![node.name.clone()]);
                }
            }
        }
        groups
    }

    async fn end_stream(&mut self, step: StepRow, result: Result<()>) -> Result<()> {
        if let Err(error) = result {
            return self.fail(step, &error).await;
        }
        if let Err(error) = self.hub.note_settings(&step.node, self.run_id).await {
            tracing::warn!(%error, node = step.node, "its settings could not be noted");
        }
        let still = step.balance.written == 0 && step.balance.deleted == 0;
        let state = if still && step.snapshot_id.is_none() {
            RunState::Unchanged
        } else {
            RunState::Succeeded
        };
        self.finish(step, state).await
    }

    /// Whether something this node needs failed in this run; then it is not tried.
    async fn blocked(&mut self, node: &Node, kind: &str) -> Result<bool> {
        let failed: Vec<String> = self
            .hub
            .project
            .graph
            .needs(&node.name)
            .filter(|need| self.failed.contains(*need))
            .map(str::to_owned)
            .collect();
        if failed.is_empty() {
            return Ok(false);
        }
        let mut step = self.hub.new_step(self.run_id, &node.name, kind);
        step.code = Some("E-BLOCKED".into());
        step.message = Some(format!("not run, because {} failed", failed.join(", ")));
        step.hint = Some("the last good result stays as it is".into());
        self.failed.insert(node.name.clone());
        if failed.iter().all(|need| self.postponed.contains(need)) {
            self.postponed.insert(node.name.clone());
        }
        self.finish(step, RunState::Blocked).await?;
        Ok(true)
    }

    async fn model(&mut self, node: &Node) -> Result<()> {
        if self.cx.cancel.is_cancelled() || self.blocked(node, "model").await? {
            return Ok(());
        }
        let step = self.hub.new_step(self.run_id, &node.name, "model");
        self.progress.started(&node.name);
        let built = Box::pin(self.hub.build_model(&self.cx, &node.name, step.clone()));
        match unbroken(built).await {
            Ok(Some(step)) => self.finish(step, RunState::Succeeded).await,
            Ok(None) => self.finish(step, RunState::Unchanged).await,
            Err(error) => self.fail(step, &error).await,
        }
    }

    async fn reconcile(&mut self, node: &Node) -> Result<()> {
        if self.cx.cancel.is_cancelled() || self.blocked(node, "reconcile").await? {
            return Ok(());
        }
        let step = self.hub.new_step(self.run_id, &node.name, "reconcile");
        self.progress.started(&node.name);
        let reconciled = Box::pin(self.hub.reconcile(&self.cx, &node.name, step.clone()));
        match unbroken(reconciled).await {
            Ok(done) => {
                self.findings |= done.is_finding;
                let state = if done.changed { RunState::Succeeded } else { RunState::Unchanged };
                match self.hub.reopen_unconfirmed(&node.name, self.run_id).await {
                    Ok(()) => self.finish(done.step, state).await,
                    Err(error) => self.fail(done.step, &error).await,
                }
            }
            Err(error) => self.fail(step, &error).await,
        }
    }

    async fn audit(&mut self, node: &Node, severity: Severity) -> Result<()> {
        if self.cx.cancel.is_cancelled() || self.blocked(node, "audit").await? {
            return Ok(());
        }
        let mut step = self.hub.new_step(self.run_id, &node.name, "audit");
        self.progress.started(&node.name);
        match unbroken(Box::pin(self.hub.run_audit(&self.cx, &node.name, &step))).await {
            Ok((verdict, is_new)) => {
                let blocks = verdict.row_count > 0 && severity == Severity::Block;
                let ended = if verdict.row_count == 0 {
                    None
                } else {
                    step.message = Some(verdict::verdict_text(&verdict));
                    self.hub.engine.pipelines().audits.get(&node.name)
                };
                let error = ended.filter(|_| blocks).map(|audit| verdict::found(audit, &verdict));
                self.findings |= verdict.row_count > 0;
                self.audits.push(verdict);
                match error {
                    Some(error) => self.fail(step, &error).await,
                    None if is_new => self.finish(step, RunState::Succeeded).await,
                    None => self.finish(step, RunState::Unchanged).await,
                }
            }
            Err(error) => self.fail(step, &error).await,
        }
    }

    /// Computes the figures of `nodes` that are not blocked; all others stay as they are.
    async fn metrics(&mut self, nodes: &[&Node]) -> Result<()> {
        let mut ready = BTreeSet::new();
        for node in nodes {
            if !self.blocked(node, "metric").await? {
                ready.insert(node.name.trim_start_matches("metrics.").to_owned());
            }
        }
        if ready.is_empty() || self.cx.cancel.is_cancelled() {
            return Ok(());
        }
        let step = self.hub.new_step(self.run_id, "metrics.figures", "metric");
        self.progress.started(&step.node);
        match unbroken(self.hub.compute_figures(&self.cx, &ready, step.clone())).await {
            Ok(Some(step)) => self.finish(step, RunState::Succeeded).await,
            Ok(None) => self.finish(step, RunState::Unchanged).await,
            Err(error) => self.fail(step, &error).await,
        }
    }

    async fn push(&mut self, node: &Node) -> Result<()> {
        if self.cx.cancel.is_cancelled() || self.blocked(node, "push").await? {
            return Ok(());
        }
        let mut step = self.hub.new_step(self.run_id, &node.name, "push");
        self.progress.started(&node.name);
        let sent = self.hub.send_push(&self.cx, &self.guards, &node.name, &mut step);
        match unbroken(sent).await {
            Ok(is_sent) => {
                let state = if is_sent { RunState::Succeeded } else { RunState::Unchanged };
                self.finish(step, state).await?;
            }
            Err(error) => {
                self.fail(step, &error).await?;
                // Of some records nobody knows whether they arrived; the others were answered.
                if error.code() != "E-PUSH-UNKNOWN" {
                    return Ok(());
                }
            }
        }
        // After every push, because a process may have died between the answer and this.
        let push = node.name.strip_prefix("push.").unwrap_or(&node.name);
        let marked = match self.hub.mark_fixed(push, self.run_id).await {
            Ok(()) => self.hub.settle_repairs(push, self.run_id).await,
            failed => failed,
        };
        if let Err(error) = marked {
            // Under a name of its own: the push has its step, and `push` alone is a stream.
            let name = format!("fixed.{push}");
            let step = self.hub.new_step(self.run_id, &name, "reconcile");
            self.fail(step, &error).await?;
        }
        Ok(())
    }

    async fn report(&mut self, node: &Node) -> Result<()> {
        if self.cx.cancel.is_cancelled() {
            return Ok(());
        }
        let mut step = self.hub.new_step(self.run_id, &node.name, "report");
        self.progress.started(&node.name);
        let (state, _) = self.outcome();
        let written = async {
            match node.name.strip_prefix(crate::report::NODES) {
                Some(name) if node.name != crate::daily::NODE => self.hub.write_report(name).await,
                _ => self.hub.write_daily_page(self.run_id, state).await,
            }
        };
        // Each of its files takes its place at once, when all has been computed.
        match unbroken(Box::pin(until_stopped(&self.cx, written))).await {
            Ok(file) => {
                step.message = Some(format!("written to {}", file.display()));
                self.finish(step, RunState::Succeeded).await
            }
            Err(error) => self.fail(step, &error).await,
        }
    }

    async fn fail(&mut self, mut step: StepRow, error: &Error) -> Result<()> {
        let state = if error.kind() == ErrorKind::Cancelled {
            RunState::Cancelled
        } else if policy::is_postponed(error) {
            self.postponed.insert(step.node.clone());
            RunState::Blocked
        } else {
            RunState::Failed
        };
        // However it ended, what it committed before is there.
        let steps = self.hub.lake().store().steps(Some(self.run_id)).await?;
        if let Some(stored) = steps.into_iter().find(|stored| stored.node == step.node) {
            (step.balance, step.snapshot_id) = (stored.balance, stored.snapshot_id);
        }
        step.code = Some(error.code().to_owned());
        step.message = Some(error.to_string());
        step.hint = error.hint_text().map(str::to_owned);
        self.failed.insert(step.node.clone());
        if policy::is_not_ready(error) {
            self.not_ready.insert(step.node.clone());
        }
        self.finish(step, state).await
    }

    async fn finish(&mut self, mut step: StepRow, state: RunState) -> Result<()> {
        step.state = state.as_str().to_owned();
        step.finished_at = Some(self.hub.now());
        match self.save(&[&step]).await {
            Err(error) if error.code() == "E-DISK-FULL" => self.unsaved.push(step.clone()),
            saved => saved?,
        }
        self.progress.finished(&step);
        self.steps.push(step);
        Ok(())
    }

    async fn save(&self, steps: &[&StepRow]) -> Result<()> {
        let mut tx = self.hub.lake().store().begin().await?;
        for step in steps {
            tx.put_step(step).await?;
        }
        tx.commit().await
    }

    /// Stores how the run ended, and the steps that could not be stored before.
    async fn close(&mut self, state: RunState, exit_code: u8) -> Result<()> {
        if !self.unsaved.is_empty() {
            self.save(&self.unsaved.iter().collect::<Vec<_>>()).await?;
            self.unsaved.clear();
        }
        let store = self.hub.lake().store();
        store.finish_run(self.run_id, state, exit_code, &self.hub.now()).await
    }

    fn outcome(&self) -> (RunState, u8) {
        if self.cx.cancel.is_cancelled() {
            return (RunState::Cancelled, exit::INTERRUPTED);
        }
        let bad = |step: &&StepRow| matches!(step.state.as_str(), "failed" | "blocked");
        // A page that was written is no part of the work: it may say that all of it failed.
        let work: Vec<&StepRow> =
            self.steps.iter().filter(|step| step.kind != "report" || bad(step)).collect();
        let failed: Vec<&StepRow> = work.iter().copied().filter(bad).collect();
        if failed.is_empty() {
            let code = if self.findings { exit::FINDINGS } else { exit::DONE };
            return (RunState::Succeeded, code);
        }
        if failed.iter().all(|step| self.postponed.contains(&step.node)) {
            return (RunState::Partial, exit::FINDINGS);
        }
        let stopped = self.guards.stopped();
        let is_guarded = |step: &StepRow| {
            matches!(step.code.as_deref(), Some("E-LOAD-UNKNOWN" | "E-PUSH-UNKNOWN"))
                || stopped.iter().any(|plan| plan.node == step.node)
        };
        if failed.iter().filter(|step| step.state == "failed").all(|step| is_guarded(step)) {
            let all = failed.len() == work.len();
            return (if all { RunState::Failed } else { RunState::Partial }, exit::GUARDED);
        }
        if failed.len() < work.len() {
            return (RunState::Partial, exit::PARTIAL);
        }
        let not_ready = failed
            .iter()
            .filter(|step| step.state == "failed")
            .all(|step| self.not_ready.contains(&step.node));
        let code = if not_ready { exit::NOT_READY } else { exit::FAILED };
        (RunState::Failed, code)
    }
}
