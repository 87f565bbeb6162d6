//! Computing all figures into `metrics.figures`.

use chrono::NaiveDate;
use huiliu_engine::{Explanation, Figure, Session};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Lease, ModelRow, StepRow};

use crate::daily::end_of;
use crate::hub::Hub;

/// The table the figures are kept in, and its name among the builds.
const FIGURES: &str = "metrics.figures";

impl Hub {
    /// Computes all figures; `None` when nothing they are computed from has changed.
    pub(crate) async fn compute_figures(&self, step: StepRow) -> Result<Option<StepRow>> {
        let pipelines = self.engine.pipelines();
        let versions = self.lake().table_versions().await?;
        let mut fingerprint = String::new();
        let today = self.today();
        for metric in pipelines.metrics.values() {
            let from = pipelines.fingerprint(&metric.from, &versions, &self.project.salt);
            let definition = metric.definition_on(&today);
            fingerprint.push_str(&format!("{}{from}{definition:?}", metric.key));
        }
        let store = self.lake().store();
        let last = store.models().await?.into_iter().find(|row| row.name == FIGURES);
        if last.is_some_and(|row| row.fingerprint == fingerprint) {
            return Ok(None);
        }
        let lease = self.table_lease(FIGURES).await?;
        let done = self.figures_leased(fingerprint, &lease, step).await;
        store.release_lease(&lease).await?;
        done
    }

    async fn figures_leased(
        &self,
        fingerprint: String,
        lease: &Lease,
        mut step: StepRow,
    ) -> Result<Option<StepRow>> {
        let session = self.engine.session(None).await?;
        let figures = self.figures(&session).await?;
        let table = self.engine.figure_table(&figures).await?;
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
    pub fn metric(&self, key: &str) -> Result<&huiliu_core::model::Metric> {
        let metrics = &self.engine.pipelines().metrics;
        metrics.get(key).ok_or_else(|| {
            let known: Vec<&str> = metrics.keys().map(String::as_str).collect();
            Error::new(ErrorKind::Config, "E-METRIC", format!("no metric is called `{key}`"))
                .hint(format!("there are: {}", known.join(", ")))
        })
    }
}
