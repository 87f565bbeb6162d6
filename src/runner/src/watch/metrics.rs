//! Figures of the hub's own working, in the text format of Prometheus. Labels name jobs, streams,
//! systems and states of the project, never a person or a record.

use std::path::Path;

use huiliu_core::expectation::Freshness;
use huiliu_sdk::Result;
use huiliu_store::QuarantineFilter;

use crate::hub::Hub;
use crate::jobs::parse_time;

/// The text under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A figure with its samples: labels and value.
    fn add(&mut self, name: &str, help: &str, samples: Vec<(Vec<(&str, &str)>, f64)>) {
        if samples.is_empty() {
            return;
        }
        let mut text = format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            let labels: Vec<String> = labels
                .into_iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            text.push_str(&format!("{name}{labels} {value}\n"));
        }
        self.0.push_str(&text);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn timestamp(text: Option<&str>) -> Option<f64> {
    text.and_then(parse_time).map(|time| time.timestamp() as f64)
}

impl Hub {
    /// The figures of the hub's working as they are now.
    pub async fn metrics(&self) -> Result<String> {
        let mut page = Page::default();
        let one = |value: f64| vec![(Vec::new(), value)];
        let version = env!("CARGO_PKG_VERSION");
        page.add("huiliu_info", "The program.", vec![(vec![("version", version)], 1.0)]);
        self.process_figures(&mut page);
        self.job_figures(&mut page).await?;
        self.stream_figures(&mut page).await?;
        let store = self.lake().store();
        let runs = store.run_counts().await?;
        let runs = runs.iter().map(|(state, n)| (vec![("state", state.as_str())], *n as f64));
        page.add("huiliu_runs", "Runs by how they stand.", runs.collect());
        let outbox = store.outbox_counts().await?;
        let outbox = outbox.iter().map(|count| {
            let labels =
                [("system", &count.system), ("push", &count.push), ("state", &count.state)];
            (labels.map(|(label, text)| (label, text.as_str())).to_vec(), count.records as f64)
        });
        page.add("huiliu_outbox_records", "Records to push by state.", outbox.collect());
        page.add(
            "huiliu_snapshot",
            "The newest snapshot of the lake.",
            one(store.newest_snapshot().await? as f64),
        );
        let alerts = store.alerts().await?;
        page.add("huiliu_alerts", "Alerts that are on.", one(alerts.len() as f64));
        let (waiting, given_up) = store.notice_counts().await?;
        page.add("huiliu_notices_waiting", "Messages not sent yet.", one(waiting as f64));
        page.add("huiliu_notices_given_up", "Messages given up.", one(given_up as f64));
        Ok(page.0)
    }

    async fn job_figures(&self, page: &mut Page) -> Result<()> {
        let views = self.job_views().await?;
        let of = |value: &dyn Fn(&crate::JobView) -> Option<f64>| {
            views
                .iter()
                .filter_map(|view| Some((vec![("job", view.job.as_str())], value(view)?)))
                .collect()
        };
        let last = |view: &crate::JobView| view.last.clone();
        page.add(
            "huiliu_job_next_timestamp_seconds",
            "When a job runs next.",
            of(&|view| view.next.map(|at| at.timestamp() as f64)),
        );
        page.add(
            "huiliu_job_last_end_timestamp_seconds",
            "When a job last ended.",
            of(&|view| timestamp(last(view)?.finished_at.as_deref())),
        );
        page.add(
            "huiliu_job_last_ok",
            "Whether the last run of a job ended well.",
            of(&|view| Some(f64::from(last(view)?.state == "done"))),
        );
        page.add(
            "huiliu_job_parked",
            "Whether a job is parked.",
            of(&|view| Some(f64::from(view.parked_at.is_some()))),
        );
        page.add(
            "huiliu_job_open",
            "Whether a job waits or runs.",
            of(&|view| Some(f64::from(view.open.is_some()))),
        );
        let counts = self.lake().store().occurrence_counts().await?;
        let counts = counts.iter().map(|(job, state, count)| {
            (vec![("job", job.as_str()), ("state", state.as_str())], *count as f64)
        });
        let help = "Times of jobs by what became of them, of the last 90 days.";
        page.add("huiliu_job_occurrences", help, counts.collect());
        Ok(())
    }

    async fn stream_figures(&self, page: &mut Page) -> Result<()> {
        let watches = match self.stream_watches().await {
            Ok(watches) => watches,
            // It takes these figures only.
            Err(error) => {
                tracing::warn!(%error, "streams are not judged");
                Vec::new()
            }
        };
        let of = |value: &dyn Fn(&crate::StreamWatch) -> Option<f64>| {
            watches
                .iter()
                .filter_map(|watch| Some((vec![("stream", watch.stream.as_str())], value(watch)?)))
                .collect()
        };
        page.add(
            "huiliu_stream_last_news_timestamp_seconds",
            "When a stream last brought new rows.",
            of(&|watch| timestamp(watch.last_news.as_deref())),
        );
        page.add(
            "huiliu_stream_pause_working_seconds",
            "Working time since a stream last brought new rows.",
            of(&|watch| watch.pauses.seconds.map(|seconds| seconds as f64)),
        );
        page.add(
            "huiliu_stream_late",
            "0 fresh, 1 late but usual, 2 missing.",
            of(&|watch| match watch.pauses.freshness {
                Freshness::Unknown => None,
                Freshness::Fresh => Some(0.0),
                Freshness::LateButUsual => Some(1.0),
                Freshness::Missing => Some(2.0),
            }),
        );
        let filter = QuarantineFilter::default();
        let counts = self.lake().store().quarantine_counts(&filter).await?;
        let counts = counts.iter().map(|count| {
            let labels =
                [("system", &count.system), ("stream", &count.stream), ("code", &count.code)];
            (labels.map(|(label, text)| (label, text.as_str())).to_vec(), count.rows as f64)
        });
        page.add("huiliu_quarantine_rows", "Rows set aside.", counts.collect());
        Ok(())
    }

    fn process_figures(&self, page: &mut Page) {
        let one = |value: Option<f64>| value.map(|value| (Vec::new(), value)).into_iter().collect();
        page.add("process_resident_memory_bytes", "Memory in use.", one(resident_bytes()));
        page.add("process_open_fds", "Open files and connections.", one(open_files()));
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

fn open_files() -> Option<f64> {
    let count = std::fs::read_dir(Path::new("/proc/self/fd")).ok()?.count();
    // One of them is this look.
    Some(count.saturating_sub(1) as f64)
}
