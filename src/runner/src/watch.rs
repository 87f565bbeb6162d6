//! What the hub watches by itself: jobs that fail, streams that bring nothing, records nobody knows
//! of. What changes is told, what stays as it is is not.

mod metrics;
mod stream;
mod text;

use huiliu_core::config::{AlertLanguage, AlertsFile, ChannelKind, Resolver};
use huiliu_core::expectation::{Freshness, Volume};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Alert, Lease, OccurrenceRow};

pub use self::stream::StreamWatch;
pub use self::text::notice_text;

use crate::hub::Hub;

/// For how long one hub of several watches without a sign of life.
const HOLD_MS: i64 = 120_000;
/// The lease of the hub that watches.
const LEASE: &str = "job /watch";

/// A way to tell somebody, with its references resolved. It prints no secret.
#[derive(Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What kind of channel it is.
    pub kind: ChannelKind,
    /// Where messages are sent.
    pub url: Option<String>,
    /// What messages are signed with.
    pub secret: Option<String>,
    /// The file, from the data folder.
    pub file: Option<String>,
    /// A reference of it without a value, which makes it unusable.
    pub missing: Option<String>,
}

/// `config/alerts.toml`, ready to be used.
#[derive(Clone, Default)]
pub struct Alerts {
    /// What is watched.
    pub config: AlertsFile,
    /// Whom the hub tells.
    pub channels: Vec<Channel>,
}

impl Alerts {
    /// Puts values in place of the references in channels.
    pub(crate) fn new(config: AlertsFile, resolver: &Resolver) -> Self {
        let channels = config.channels.iter().map(|channel| {
            let mut missing = None;
            let mut resolved = |text: &Option<String>| {
                let mut value = serde_json::Value::String(text.clone()?);
                let unknown = resolver.resolve(&mut value).into_iter().next();
                missing = missing.take().or(unknown.map(|unknown| unknown.reference));
                value.as_str().map(str::to_owned)
            };
            let (url, secret) = (resolved(&channel.url), resolved(&channel.secret));
            let (name, kind, file) = (channel.name.clone(), channel.kind, channel.file.clone());
            Channel { name, kind, url, secret, file, missing }
        });
        Self { channels: channels.collect(), config }
    }

    /// The channel of this name.
    pub fn channel(&self, name: &str) -> Result<&Channel> {
        self.channels.iter().find(|channel| channel.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.channels.iter().map(|c| c.name.as_str()).collect();
            let message = format!("no channel is called `{name}`");
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Error::new(ErrorKind::Config, "E-CHANNEL", message)
                .hint(format!("config/alerts.toml has: {there}"))
        })
    }
}

impl Hub {
    /// Takes the watch, unless another hub on the same database has it. It is given back as any
    /// lease is.
    pub async fn take_watch(&self) -> Result<Option<Lease>> {
        match self.lake().store().take_lease(LEASE, &self.holder, HOLD_MS).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if error.code() == "E-LEASE-BUSY" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the watch, or says that another hub has it now.
    pub async fn keep_watch(&self, lease: &Lease) -> Result<()> {
        self.lake().store().renew_lease(lease, HOLD_MS).await
    }

    /// Looks once at all that is watched and puts down what is to be told. Says what changed.
    pub async fn watch(&self) -> Result<Vec<(Alert, bool)>> {
        let store = self.lake().store();
        let now_on = self.conditions().await?;
        let alerts = &self.project.alerts;
        let channels: Vec<&str> = alerts.channels.iter().map(|c| c.name.as_str()).collect();
        store.change_alerts(&now_on, &channels, &self.now()).await
    }

    /// Everything a person should know now.
    pub async fn conditions(&self) -> Result<Vec<Alert>> {
        let store = self.lake().store();
        let before = store.alerts().await?;
        let was_on = |kind: &str, object: &str| {
            before.iter().find(|alert| alert.kind == kind && alert.object == object)
        };
        let mut found: Vec<(&str, String, String)> = Vec::new();
        for job in self.job_views().await? {
            if job.parked_at.is_some() {
                let detail = self.say(
                    format!("进程在运行途中意外结束 {} 次，已停放", job.deaths),
                    format!("parked: its process ended {} times in the middle of it", job.deaths),
                );
                found.push(("job_parked", job.job.clone(), detail));
            }
            if let Some(last) = &job.last {
                let detail = match last.state.as_str() {
                    "failed" => Some(self.failed_text(last)),
                    // One that was stopped says nothing about whether the job is well again.
                    "killed" | "cancelled" => {
                        was_on("job_failed", &job.job).map(|alert| alert.detail.clone())
                    }
                    _ => None,
                };
                found.extend(detail.map(|detail| ("job_failed", job.job.clone(), detail)));
            }
            if let Some(warning) = job.warning {
                let detail = self.say(
                    format!("工作日历即将用完或缺少年份，届时作业不会运行：{warning}"),
                    warning.clone(),
                );
                found.push(("calendar_ends", job.job, detail));
            }
        }
        for watched in self.stream_watches().await? {
            let stream = &watched.stream;
            let was_missing = was_on("stream_missing", stream);
            let missing = match watched.pauses.freshness {
                Freshness::Missing => Some(self.missing_text(&watched)),
                // That its past was forgotten, or that nobody knows the working days, is no news.
                Freshness::Unknown => was_missing
                    .filter(|alert| watched.brought_nothing_since(&alert.since))
                    .map(|alert| alert.detail.clone()),
                Freshness::Fresh | Freshness::LateButUsual => None,
            };
            found.extend(missing.map(|detail| ("stream_missing", stream.clone(), detail)));
            let volume = match watched.volume {
                Volume::Low | Volume::High => Some(self.volume_text(&watched)),
                Volume::Unknown => was_on("stream_volume", stream)
                    .filter(|alert| watched.brought_nothing_since(&alert.since))
                    .map(|alert| alert.detail.clone()),
                Volume::Usual => None,
            };
            found.extend(volume.map(|detail| ("stream_volume", stream.clone(), detail)));
        }
        for count in store.outbox_counts().await?.iter().filter(|count| count.state == "unknown") {
            let detail = self.say(
                format!("{} 条记录已发出而应答丢失，需人工核实", count.records),
                format!("{} records may have arrived; a person has to look", count.records),
            );
            found.push(("push_unknown", format!("{}.{}", count.system, count.push), detail));
        }
        let now = self.now();
        let alert = |(kind, object, detail): (&str, String, String)| {
            let since = was_on(kind, &object).map_or(&now, |alert| &alert.since).clone();
            Alert { kind: kind.to_owned(), object, detail, since }
        };
        Ok(found.into_iter().map(alert).collect())
    }

    /// What is told of a job that failed: what an error says may quote what a system holds, and is
    /// left to those who may look at the run.
    fn failed_text(&self, last: &OccurrenceRow) -> String {
        let code = last.code.as_deref().unwrap_or("E-INTERNAL");
        let meaning = (self.meaning)(code).map(|(meaning, _)| format!(" {meaning}"));
        let meaning = meaning.unwrap_or_default();
        let look = match last.run_id {
            Some(run) => format!("`huiliu runs show {run}`"),
            None => format!("`huiliu jobs history {}`", last.occurrence.job),
        };
        self.say(
            format!("{code}{meaning}，详见 {look}"),
            format!("it failed with {code}; {look} says more"),
        )
    }

    /// The text of the language that messages are in.
    fn say(&self, zh: String, en: String) -> String {
        match self.project.alerts.config.language {
            AlertLanguage::Zh => zh,
            AlertLanguage::En => en,
        }
    }
}
