//! What a service does beside its work: looks at what is watched, sends messages, shows its figures.

mod channel;
pub(crate) mod metrics;

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use huiliu_runner::{Hub, notice_text};
use huiliu_sdk::Result;
use huiliu_store::{Alert, Lease, Notice};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cli::AlertsCommand;
use crate::setup::{Failure, Setup};

/// How often is looked.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a message waits before it is tried again; twice as long each time.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// How often a message is tried: for about a day.
const TRIES: i64 = 12;

/// Watches until `cancel`, and at once when something `changed`.
pub(crate) async fn watch(hub: &Arc<Hub>, changed: &Notify, cancel: CancellationToken) {
    loop {
        if let Err(error) = look(hub, &cancel).await {
            tracing::warn!(%error, code = error.code(), "the watch could not look");
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
            () = changed.notified() => {}
        }
    }
}

/// Looks once, and sends what is due; of several hubs one does.
async fn look(hub: &Arc<Hub>, cancel: &CancellationToken) -> Result<()> {
    let Some(lease) = hub.take_watch().await? else { return Ok(()) };
    let looked = look_under(hub, &lease, cancel).await;
    hub.lake().store().release_lease(&lease).await?;
    looked
}

async fn look_under(hub: &Arc<Hub>, lease: &Lease, cancel: &CancellationToken) -> Result<()> {
    let looked = hub.watch().await;
    for (alert, is_on) in looked.iter().flatten() {
        let Alert { kind, object, detail, .. } = alert;
        tracing::warn!(kind, object, detail, is_on, "an alert changed");
    }
    // What is due is sent, whatever could not be looked at now.
    send_due(hub, lease, cancel).await?;
    looked.map(drop)
}

async fn send_due(hub: &Arc<Hub>, lease: &Lease, cancel: &CancellationToken) -> Result<()> {
    let store = hub.lake().store();
    for notice in store.due_notices(&hub.now()).await? {
        // Sending may take long, and nobody is to be told twice.
        hub.keep_watch(lease).await?;
        let sent = send(hub, &notice, cancel).await;
        if cancel.is_cancelled() {
            return Ok(());
        }
        match sent {
            Ok(()) => store.notice_sent(notice.notice_id, &hub.now()).await?,
            Err(error) => {
                let (channel, code) = (&notice.channel, error.code());
                tracing::warn!(%error, code, channel, "a message could not be sent");
                let tries = notice.attempts + 1;
                let wait = FIRST_WAIT * (1_i32 << notice.attempts.clamp(0, 12));
                let next = hub.clock().now() + wait;
                let next = next.to_rfc3339_opts(SecondsFormat::Millis, true);
                let next = (tries < TRIES).then_some(next);
                store.notice_failed(notice.notice_id, code, next.as_deref()).await?;
            }
        }
    }
    Ok(())
}

async fn send(hub: &Hub, notice: &Notice, cancel: &CancellationToken) -> Result<()> {
    let alerts = &hub.project.alerts;
    let name = &hub.project.hub.name;
    let text = notice_text(notice, name, alerts.config.language, hub.project.zone);
    let cx = hub.context(cancel.clone());
    channel::send(&cx, alerts.channel(&notice.channel)?, hub.data(), name, notice, &text).await
}

/// Shows what is on, or tries the channels.
pub(crate) async fn alerts(setup: &Setup, command: AlertsCommand) -> Result<u8, Failure> {
    let hub = setup.open().await?;
    let printer = setup.printer;
    match command {
        AlertsCommand::List => {
            let alerts = hub.conditions().await?;
            let streams = hub.stream_watches().await?;
            if printer.is_json() {
                printer.json(&json!({ "alerts": alerts, "streams": streams }));
            } else {
                for alert in &alerts {
                    printer.line(&format!("{} {}: {}", alert.kind, alert.object, alert.detail));
                }
                for watched in &streams {
                    let word = serde_json::to_value(watched.pauses.freshness);
                    let word = word.ok().and_then(|word| word.as_str().map(str::to_owned));
                    printer.line(&format!(
                        "{:<32} {:<16} {}",
                        watched.stream,
                        word.unwrap_or_default(),
                        watched.last_news.as_deref().unwrap_or("-")
                    ));
                }
            }
        }
        AlertsCommand::Test { channel } => {
            if let Some(channel) = &channel {
                hub.project.alerts.channel(channel)?;
            }
            let now = hub.now();
            for known in &hub.project.alerts.channels {
                if channel.as_ref().is_some_and(|channel| *channel != known.name) {
                    continue;
                }
                let alert = Alert {
                    kind: "test".into(),
                    object: known.name.clone(),
                    detail: setup.who(),
                    since: now.clone(),
                };
                let notice = Notice {
                    notice_id: 0,
                    channel: known.name.clone(),
                    is_on: true,
                    alert,
                    changed_at: now.clone(),
                    attempts: 0,
                };
                send(&hub, &notice, &setup.cancel).await?;
                printer.line(&format!("{}: {}", known.name, printer.pick("sent", "已发送")));
            }
        }
    }
    hub.close().await;
    Ok(0)
}
