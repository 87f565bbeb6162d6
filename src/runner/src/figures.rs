//! Computing all figures into `metrics.figures`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use huiliu_core::model::{Definition, Metric, Unit};
use huiliu_engine::{Explanation, Figure, Origin, Session};
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use huiliu_store::{Lease, ModelRow, StepRow};
use serde::{Deserialize, Serialize};

use crate::daily::end_of;
use crate::hub::Hub;
use crate::stop::until_stopped;

/// The table the figures are kept in, and its name among the builds.
pub(crate) const FIGURES: &str = "metrics.figures";

/// What figures were computed from, by metric.
pub(crate) type FigureOrigins = BTreeMap<String, FigureOrigin>;

/// What one figure was computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FigureOrigin {
    /// Its table.
    pub(crate) origin: Origin,
    /// What was counted in it, and under which name.
    pub(crate) counted: Counted,
}

/// What decides about a figure beside its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its name.
    pub title: String,
    /// Its unit.
    pub unit: Unit,
    /// Digits after the point.
    pub digits: u8,
    /// Who answers for it.
    pub owner: String,
    /// The table.
    pub from: String,
    /// The definition in force.
    pub definition: Option<Definition>,
}

/// The origins as they are stored.
fn text(origins: &FigureOrigins) -> Result<String> {
    serde_json::to_string(origins)
        .map_err(|e| Error::internal("the origin of figures could not be written").cause(e))
}

impl Hub {
    /// Computes the figures of the metrics in `ready` and leaves all others as they are; `None`
    /// when nothing they are computed from has changed.
    pub(crate) async fn compute_figures(
        &self,
        cx: &Cx,
        ready: &BTreeSet<String>,
        step: StepRow,
    ) -> Result<Option<StepRow>> {
        let versions = self.lake().table_versions().await?;
        let store = self.lake().store();
        let last = store.models().await?.into_iter().find(|row| row.name == FIGURES);
        let before: FigureOrigins =
            last.and_then(|row| serde_json::from_str(&row.fingerprint).ok()).unwrap_or_default();
        let mut after = self.figure_origins(|from| {
            self.engine.pipelines().rows_origin(from, &versions, &self.project.files)
        });
        after.retain(|key, _| ready.contains(key) || before.contains_key(key));
        for (key, origin) in &before {
            if let Some(kept) = after.get_mut(key).filter(|_| !ready.contains(key)) {
                kept.clone_from(origin);
            }
        }
        if before == after {
            return Ok(None);
        }
        let fingerprint = text(&after)?;
        let lease = self.table_lease(FIGURES).await?;
        let done = self.figures_leased(cx, ready, fingerprint, &lease, step).await;
        store.release_lease(&lease).await?;
        done
    }

    async fn figures_leased(
        &self,
        cx: &Cx,
        ready: &BTreeSet<String>,
        fingerprint: String,
        lease: &Lease,
        mut step: StepRow,
    ) -> Result<Option<StepRow>> {
        let computed = async {
            let session = self.engine.session(None).await?;
            let today = self.today();
            let mut stored = session.stored_figures().await?;
            let mut figures = Vec::new();
            for metric in self.engine.pipelines().metrics.values() {
                if ready.contains(&metric.key) {
                    figures.push(session.figure(metric, &today).await?);
                } else {
                    figures.extend(stored.remove(&metric.key));
                }
            }
            self.engine.figure_table(&figures).await
        };
        let table = until_stopped(cx, Box::pin(computed)).await?;
        let mut tx = self.lake().store().begin().await?;
        tx.check_lease(lease).await?;
        let snapshot_id = table.commit.write(&mut tx).await?;
        step.balance.read = u64::try_from(table.row_count).unwrap_or(0);
        step.balance.written = step.balance.read;
        step.snapshot_id = Some(snapshot_id);
        tx.put_model(&ModelRow {
            name: FIGURES.to_owned(),
            fingerprint,
            snapshot_id,
            row_count: table.row_count,
            run_id: step.run_id,
            built_at: self.now(),
        })
        .await?;
        tx.put_step(&step).await?;
        tx.commit().await?;
        Ok(Some(step))
    }

    /// What each figure is computed from today, `origin` telling it of tables.
    pub(crate) fn figure_origins(&self, origin: impl Fn(&str) -> Origin) -> FigureOrigins {
        let today = self.today();
        let of = |metric: &Metric| FigureOrigin {
            origin: origin(&metric.from),
            counted: Counted {
                title: metric.title.clone(),
                unit: metric.unit,
                digits: metric.digits(),
                owner: metric.owner.clone(),
                from: metric.from.clone(),
                definition: metric.definition_on(&today).cloned(),
            },
        };
        let metrics = self.engine.pipelines().metrics.values();
        metrics.map(|metric| (metric.key.clone(), of(metric))).collect()
    }

    /// All figures, computed in `session`.
    pub async fn figures(&self, session: &Session) -> Result<Vec<Figure>> {
        let today = self.today();
        let mut figures = Vec::new();
        for metric in self.engine.pipelines().metrics.values() {
            figures.push(session.figure(metric, &today).await?);
        }
        Ok(figures)
    }

    /// Explains how a figure moved from one moment to another, each a snapshot's number or a day
    /// (`YYYY-MM-DD`, its end in the hub's zone). Without `to`, up to now.
    pub async fn explain_figure(
        &self,
        key: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<Explanation> {
        let metric = self.metric(key)?;
        let (before, first_day) = self.moment(from).await?;
        let (after, last_day) = match to {
            Some(to) => self.moment(to).await?,
            None => (self.lake().latest_snapshot().await?, self.today()),
        };
        self.engine.explain(metric, (before, &first_day), (after, &last_day)).await
    }

    /// The snapshot that a person means by its number or by a day, and that day.
    async fn moment(&self, text: &str) -> Result<(i64, String)> {
        if let Ok(snapshot) = text.parse::<i64>() {
            return Ok((snapshot, self.day_of(snapshot).await?));
        }
        let wrong = || {
            Error::new(ErrorKind::Config, "E-MOMENT", format!("`{text}` is no snapshot and no day"))
                .hint("write a snapshot's number, or a day such as 2018-12-13")
        };
        let day: NaiveDate = text.parse().map_err(|_| wrong())?;
        let end = end_of(self.project.zone, day).ok_or_else(wrong)?;
        let snapshot = self.lake().snapshot_before(end).await?.ok_or_else(|| {
            let message = format!("no snapshot of {text} or before it is kept");
            Error::new(ErrorKind::Config, "E-SNAPSHOT-GONE", message)
                .hint("name a later day; `maintenance` in config/hub.toml says how long they stay")
        })?;
        Ok((snapshot, text.to_owned()))
    }

    /// The day on which a snapshot was made, in the hub's zone.
    pub(crate) async fn day_of(&self, snapshot: i64) -> Result<String> {
        let time = self.lake().snapshot_time(snapshot).await?.ok_or_else(|| {
            let message = format!("there is no snapshot {snapshot}");
            Error::new(ErrorKind::Config, "E-SNAPSHOT-GONE", message)
                .hint("it was forgotten by maintenance, or never was; name a later one")
        })?;
        Ok(time.with_timezone(&self.project.zone).format("%Y-%m-%d").to_string())
    }

    /// The metric called `key`.
    pub fn metric(&self, key: &str) -> Result<&Metric> {
        let metrics = &self.engine.pipelines().metrics;
        metrics.get(key).ok_or_else(|| {
            let known: Vec<&str> = metrics.keys().map(String::as_str).collect();
            Error::new(ErrorKind::Config, "E-METRIC", format!("no metric is called `{key}`"))
                .hint(format!("there are: {}", known.join(", ")))
        })
    }
}
