//! The last step of everything: streams with their balances, pushes, what failed or was held up.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use huiliu_core::config::Stage;
use huiliu_core::graph::NodeKind;
use huiliu_core::policy;
use huiliu_page::{Balance, Outbox, Push, Run, Step, StepState, Stopped, Stream, Trouble};
use huiliu_sdk::Result;
use huiliu_store::{QuarantineFilter, RunState, StepRow};

use super::moment::Today;
use super::schedule::{Jobs, news};
use crate::hub::{Hub, Meaning};

/// How far back steps are looked at for what is usual.
const LOOK_BACK_DAYS: u64 = 45;

/// What the page says of steps.
pub(super) struct Steps {
    pub(super) run: Option<Run>,
    pub(super) streams: Vec<Stream>,
    pub(super) pushes: Vec<Push>,
    pub(super) stopped: Vec<Stopped>,
}

/// What is known of each node's past.
#[derive(Default)]
struct Past {
    done: Option<DateTime<Utc>>,
    news: BTreeSet<NaiveDate>,
}

impl Hub {
    pub(super) async fn daily_steps(
        &self,
        today: &Today<'_>,
        current: Option<(i64, RunState)>,
    ) -> Result<Steps> {
        let store = self.lake().store();
        let last = store.last_steps().await?;
        let of_node: BTreeMap<&str, &StepRow> =
            last.iter().map(|step| (step.node.as_str(), step)).collect();
        let mut past = self.past(today, "stream").await?;
        past.extend(self.past(today, "push").await?);
        for step in &last {
            note(past.entry(step.node.clone()).or_default(), step, today);
        }
        let first_run = store.first_run_at().await?.and_then(|at| today.moment(&at));
        let jobs = Jobs::of(self, first_run)?;
        let step = |node: &str| of_node.get(node).map(|row| page_step(row, today, self.meaning));
        let unknown = Past::default();
        let of_past = |node: &str| past.get(node).unwrap_or(&unknown);

        let mut quarantine: BTreeMap<String, u64> = BTreeMap::new();
        for count in store.quarantine_counts(&QuarantineFilter::default()).await? {
            let node = format!("{}.{}", count.system, count.stream);
            *quarantine.entry(node).or_default() += u64::try_from(count.rows).unwrap_or(0);
        }
        let mut outbox: BTreeMap<String, Outbox> = BTreeMap::new();
        for count in store.outbox_counts().await? {
            let of_push = outbox.entry(format!("{}.{}", count.system, count.push)).or_default();
            match count.state.as_str() {
                "waiting" => {
                    of_push.waiting += count.records;
                    of_push.vain_attempts = count.attempts;
                }
                // Taken over, and waiting for the target's receipt.
                "delivered" => of_push.waiting += count.records,
                "accepted" => of_push.accepted = count.records,
                "rejected" => of_push.rejected = count.records,
                _ => of_push.unknown = count.records,
            }
        }

        let (mut streams, mut pushes) = (Vec::new(), Vec::new());
        let in_use = |stage| stage != Stage::Survey;
        for (id, system) in self.project.systems.iter().filter(|(_, s)| in_use(s.config.stage)) {
            let config = &system.config;
            for (settings, _) in &config.streams {
                let node = format!("{id}.{}", settings.name);
                streams.push(Stream {
                    system: config.title.clone(),
                    owner: config.owner.clone(),
                    last: step(&node),
                    quarantine: quarantine.remove(&node).unwrap_or(0),
                    timing: jobs.timing(&node, of_past(&node).done, today),
                    news: news(&of_past(&node).news, today),
                    node,
                });
            }
            for push in &config.pushes {
                let name = format!("{id}.{}", push.name);
                let node = format!("push.{name}");
                pushes.push(Push {
                    system: config.title.clone(),
                    owner: config.owner.clone(),
                    outbox: outbox.remove(&name).unwrap_or_default(),
                    last: step(&node),
                    timing: jobs.timing(&node, of_past(&node).done, today),
                    node,
                });
            }
        }
        let run = self.daily_run(today, current).await?;
        Ok(Steps { run, streams, pushes, stopped: self.stopped(&last, today) })
    }

    /// What the steps of one kind tell of each node.
    async fn past(&self, today: &Today<'_>, kind: &str) -> Result<BTreeMap<String, Past>> {
        let mut past: BTreeMap<String, Past> = BTreeMap::new();
        let Some(from) = today.days_ago(LOOK_BACK_DAYS).and_then(|day| today.end_of(day)) else {
            return Ok(past);
        };
        let from = from.to_rfc3339_opts(SecondsFormat::Millis, true);
        for step in self.lake().store().steps_since(kind, &from).await? {
            note(past.entry(step.node.clone()).or_default(), &step, today);
        }
        Ok(past)
    }

    /// The run that asks, or else the last one.
    async fn daily_run(
        &self,
        today: &Today<'_>,
        current: Option<(i64, RunState)>,
    ) -> Result<Option<Run>> {
        let runs = self.lake().store().runs(1).await?;
        Ok(runs.into_iter().next().map(|run| {
            let so_far = current.filter(|(number, _)| *number == run.run_id);
            Run {
                number: run.run_id,
                job: run.job,
                state: page_state(so_far.map_or(run.state.as_str(), |(_, state)| state.as_str())),
                started_at: today.text_of(&run.started_at),
            }
        }))
    }

    /// Whatever else failed or was held up when it last ran.
    fn stopped(&self, last: &[StepRow], today: &Today<'_>) -> Vec<Stopped> {
        let is_bad = |step: &&StepRow| matches!(step.state.as_str(), "failed" | "blocked");
        let mut good_runs: BTreeMap<&str, i64> = BTreeMap::new();
        for step in last.iter().filter(|step| !is_bad(step)) {
            let run = good_runs.entry(step.kind.as_str()).or_default();
            *run = step.run_id.max(*run);
        }
        let built: BTreeSet<&str> = self
            .project
            .graph
            .nodes()
            .iter()
            .filter(|node| {
                matches!(node.kind, NodeKind::Model | NodeKind::Reconcile | NodeKind::Audit(_))
            })
            .map(|node| node.name.as_str())
            .collect();
        // A good step of figures or of maintenance has another name than a bad one, so that there
        // a later run tells whether it is over.
        let is_there = |step: &&StepRow| {
            built.contains(step.node.as_str())
                || matches!(step.kind.as_str(), "metric" | "maintain")
                    && good_runs.get(step.kind.as_str()).is_none_or(|run| step.run_id >= *run)
        };
        last.iter()
            .filter(is_bad)
            .filter(is_there)
            .map(|row| Stopped {
                node: row.node.clone(),
                step: page_step(row, today, self.meaning),
            })
            .collect()
    }
}

/// Adds a step to what is known of its node.
fn note(past: &mut Past, step: &StepRow, today: &Today<'_>) {
    let is_good = matches!(step.state.as_str(), "succeeded" | "unchanged");
    let ended = step.finished_at.as_deref().and_then(|at| today.moment(at));
    let Some(ended) = ended.filter(|_| is_good) else { return };
    past.done = past.done.max(Some(ended));
    if step.balance.written > 0 || step.balance.deleted > 0 {
        past.news.insert(today.day_of(ended));
    }
}

fn page_step(row: &StepRow, today: &Today<'_>, meaning: Meaning) -> Step {
    let huiliu_store::Balance {
        read,
        written,
        unchanged,
        deduplicated,
        filtered,
        quarantined,
        echoed,
        deleted,
    } = row.balance;
    let trouble = row.code.as_deref().map(|code| {
        let (meaning, todo) = meaning(code).unwrap_or_default();
        Trouble {
            code: code.to_owned(),
            meaning: meaning.replace('`', ""),
            // Names stand in backquotes for a terminal.
            todo: todo.replace('`', ""),
            is_guard: policy::is_guard(code),
            is_blocked: code == "E-BLOCKED",
            is_postponed: code == "E-QUIET-HOURS",
        }
    });
    Step {
        run: row.run_id,
        at: today.text_of(row.finished_at.as_deref().unwrap_or(&row.started_at)),
        state: page_state(&row.state),
        balance: Balance {
            read,
            written,
            unchanged,
            deduplicated,
            filtered,
            quarantined,
            echoed,
            deleted,
        },
        trouble,
    }
}

fn page_state(state: &str) -> StepState {
    match state {
        "succeeded" => StepState::Succeeded,
        "unchanged" => StepState::Unchanged,
        "partial" => StepState::Partial,
        "blocked" => StepState::Blocked,
        "cancelled" => StepState::Cancelled,
        "running" => StepState::Running,
        _ => StepState::Failed,
    }
}
