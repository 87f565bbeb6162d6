//! Reading the past of a stream again, a window at a time: each window is a run of its own, and a
//! backfill that was stopped goes on behind the last one that ended well.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use huiliu_core::graph::NodeKind;
use huiliu_core::policy::exit;
use huiliu_sdk::{Error, ErrorKind, ReadMode, Result, StreamSettings, Window, WriteMode};
use huiliu_store::BackfillRow;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::run::{Progress, RunOptions, RunReport};

/// What a backfill is asked for.
#[derive(Debug, Clone)]
pub struct BackfillOptions {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// The first day.
    pub from: NaiveDate,
    /// The day behind the last one.
    pub to: NaiveDate,
    /// How many days one window has.
    pub days: u32,
    /// Whether it begins anew where an earlier one of the same days stopped.
    pub restart: bool,
    /// Whether what is made from the stream is built at the end.
    pub build: bool,
}

/// A window that was read.
#[derive(Debug, Clone)]
pub struct WindowReport {
    /// Its first day.
    pub from: NaiveDate,
    /// The day behind its last one.
    pub to: NaiveDate,
    /// The run that read it.
    pub run: RunReport,
}

/// How a backfill ended.
#[derive(Debug, Clone)]
pub struct BackfillReport {
    /// The day from which it went on; its own first day when nothing was done before.
    pub resumed_at: NaiveDate,
    /// The windows it read.
    pub windows: Vec<WindowReport>,
    /// The run that built what is made from the stream.
    pub built: Option<RunReport>,
    /// The worst exit code of its runs.
    pub exit_code: u8,
}

impl Hub {
    /// Reads the days from `from` to `to` of a stream again. A window that fails ends it; the next
    /// backfill of the same days goes on there.
    pub async fn backfill(
        self: &Arc<Self>,
        options: &BackfillOptions,
        cancel: CancellationToken,
        progress: Arc<dyn Progress>,
    ) -> Result<BackfillReport> {
        let (_, settings) = self.find_stream(&options.stream)?;
        check(options, settings)?;
        let store = self.lake().store();
        let mut row = BackfillRow {
            stream: options.stream.clone(),
            from_day: options.from.to_string(),
            to_day: options.to.to_string(),
            done_until: options.from.to_string(),
        };
        if options.restart {
            // Before the first window, which may break off.
            store.put_backfill(&row, &self.now()).await?;
        } else if let Some(done) = store.backfill(&row.stream, &row.from_day, &row.to_day).await? {
            row.done_until = done;
        }
        let mut day = row.done_until.parse().unwrap_or(options.from);
        let mut report =
            BackfillReport { resumed_at: day, windows: Vec::new(), built: None, exit_code: 0 };
        while day < options.to {
            let next = day.checked_add_days(Days::new(u64::from(options.days)));
            let next = next.map_or(options.to, |next| next.min(options.to));
            let window = Window { from: day.to_string(), to: next.to_string() };
            let asked = RunOptions { window: Some(window), ..RunOptions::default() };
            let (cancel, progress) = (cancel.clone(), Arc::clone(&progress));
            let run =
                Box::pin(self.run_with(&options.stream, None, asked, cancel, progress)).await?;
            report.exit_code = report.exit_code.max(run.exit_code);
            let is_well = run.exit_code <= exit::FINDINGS;
            report.windows.push(WindowReport { from: day, to: next, run });
            if !is_well {
                return Ok(report);
            }
            day = next;
            row.done_until = day.to_string();
            store.put_backfill(&row, &self.now()).await?;
        }
        if options.build {
            let made = self.made_from(&options.stream)?;
            if !made.is_empty() {
                let asked = RunOptions::default();
                let run = Box::pin(self.run_with(&made, None, asked, cancel, progress)).await?;
                report.exit_code = report.exit_code.max(run.exit_code);
                report.built = Some(run);
            }
        }
        Ok(report)
    }

    /// A selector of what is built from a stream, pushes and reports aside.
    fn made_from(&self, stream: &str) -> Result<String> {
        let nodes = self.project.graph.select(&format!("{stream}+"))?;
        let is_built =
            |kind| matches!(kind, NodeKind::Model | NodeKind::Reconcile | NodeKind::Metric);
        let built = nodes.into_iter().filter(|node| is_built(node.kind));
        Ok(built.map(|node| node.name.as_str()).collect::<Vec<_>>().join(" "))
    }
}

fn check(options: &BackfillOptions, settings: &StreamSettings) -> Result<()> {
    let refused = |message: String, hint: &str| {
        Err(Error::new(ErrorKind::Config, "E-BACKFILL", message).hint(hint))
    };
    let stream = &options.stream;
    if settings.read != ReadMode::Incremental {
        let message = format!("{stream} is not read by a cursor, so it has no windows");
        return refused(message, "run it: a stream that is read whole has all its rows anyway");
    }
    if !matches!(settings.write, WriteMode::Upsert | WriteMode::Scd2) {
        let message = format!("{stream} appends: rows that are read again would be there twice");
        return refused(message, "give it a `key` and `write = \"upsert\"`");
    }
    if options.from >= options.to {
        let message = format!("{} is not before {}", options.from, options.to);
        return refused(message, "--from is the first day, --to the day behind the last one");
    }
    if options.days == 0 {
        return refused("a window has at least one day".into(), "write --window 1 or more");
    }
    Ok(())
}
