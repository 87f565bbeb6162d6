//! The first page.

use std::collections::BTreeMap;

use chrono::{SecondsFormat, TimeDelta};
use huiliu_sdk::Result;
use huiliu_serve::data::{DifferenceTotal, Hub as _, Overview, PushTotal, QuarantineTotal, Run};

use super::{Doors, operate};

/// How far back a failed run needs a person.
const RECENT: TimeDelta = TimeDelta::hours(24);
/// Runs that are looked at for failed ones.
const LOOKED_AT: u32 = 500;

impl Doors {
    pub(super) async fn everything(&self) -> Result<Overview> {
        let store = self.hub.lake().store();
        let now = self.hub.clock().now();
        let since = (now - RECENT).to_rfc3339_opts(SecondsFormat::Millis, true);
        let runs: Vec<Run> =
            store.runs_before(None, LOOKED_AT).await?.into_iter().map(operate::run).collect();
        let last_run = runs.first().cloned();
        let has_failed = |run: &Run| matches!(run.state.as_str(), "failed" | "partial");
        let failed_runs =
            runs.into_iter().filter(|run| run.started_at >= since && has_failed(run)).collect();
        let mut set_aside: BTreeMap<String, u64> = BTreeMap::new();
        for count in self.quarantine_sums().await? {
            *set_aside.entry(count.stream).or_default() += count.rows;
        }
        let quarantine = set_aside.into_iter();
        let quarantine = quarantine.map(|(stream, rows)| QuarantineTotal { stream, rows });
        let today = now.with_timezone(&self.hub.project.zone);
        Ok(Overview {
            office: self.office(),
            at: today.format("%Y-%m-%d %H:%M:%S").to_string(),
            day: self.hub.today(),
            is_workday: self.hub.project.calendar.is_workday(today.date_naive()).ok(),
            snapshot: self.hub.lake().latest_snapshot().await?,
            figures: self.all_figures().await?,
            streams: self.all_streams().await?,
            last_run,
            failed_runs,
            alerts: self.alerts().await?,
            quarantine: quarantine.collect(),
            unknown_pushes: self.doubtful_pushes().await?,
            parked_jobs: self.all_jobs().await?.into_iter().filter(is_parked).collect(),
            differences: self.open_differences().await?,
        })
    }

    /// Pushes that need a decision, or do not add up.
    async fn doubtful_pushes(&self) -> Result<Vec<PushTotal>> {
        let mut totals: BTreeMap<String, PushTotal> = BTreeMap::new();
        for day in self.days_of_pushes().await? {
            let empty = PushTotal { push: day.push.clone(), unknown: 0, missing: 0 };
            let total = totals.entry(day.push).or_insert(empty);
            total.unknown += day.unknown;
            total.missing += day.missing;
        }
        Ok(totals.into_values().filter(|t| t.unknown != 0 || t.missing != 0).collect())
    }

    async fn open_differences(&self) -> Result<Vec<DifferenceTotal>> {
        let mut totals = Vec::new();
        for rec in self.all_reconciliations().await? {
            totals.push(DifferenceTotal {
                open: rec.states.get("open").copied().unwrap_or(0),
                oldest_workdays: rec.by_owner.iter().filter_map(|row| row.oldest_workdays).max(),
                reconciliation: rec.name,
                title: rec.title,
            });
        }
        Ok(totals)
    }
}

fn is_parked(job: &huiliu_serve::data::Job) -> bool {
    job.parked_at.is_some()
}
