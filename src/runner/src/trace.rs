//! The whole life of one record over all systems, in the order of time.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use huiliu_core::config::Stage;
use huiliu_core::reconcile::Reconciliation;
use huiliu_engine::reconcile::read_events;
use huiliu_engine::{Session, record_text};
use huiliu_sdk::{Error, ErrorKind, Result, StreamSettings};
use serde::Serialize;
use serde_json::{Value, json};

use crate::hub::Hub;
use crate::reconcile::{golden_row, key_condition};

/// Something that happened to a record.
#[derive(Debug, Clone, Serialize)]
pub struct TraceEntry {
    /// When, as wall time in the hub's zone.
    pub at: String,
    /// `version`, `decision`, `difference` or `push`.
    pub kind: &'static str,
    /// The stream, table or push.
    pub of: String,
    /// The run, where there is one.
    pub run: Option<i64>,
    /// Details, in order; personal data as it is, with its tag.
    pub details: Vec<TraceDetail>,
}

/// One detail of an entry.
#[derive(Debug, Clone, Serialize)]
pub struct TraceDetail {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Which kind of personal data it is.
    #[serde(skip)]
    pub tag: Option<String>,
}

/// One value as a key given as text.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('|', "\\|")
}

fn detail(name: &str, value: impl Into<Value>) -> TraceDetail {
    TraceDetail { name: name.to_owned(), value: value.into(), tag: None }
}

impl Hub {
    /// Everything that was received, decided and sent about the record of a key, oldest first.
    pub async fn trace(&self, rec: &Reconciliation, key: &str) -> Result<Vec<TraceEntry>> {
        let session = self.engine.session(None).await?;
        self.trace_in(&session, rec, key).await
    }

    /// The same, of what `session` shows.
    pub async fn trace_in(
        &self,
        session: &Session,
        rec: &Reconciliation,
        key: &str,
    ) -> Result<Vec<TraceEntry>> {
        let golden = golden_row(session, rec, key).await?;
        let mut entries = Vec::new();
        let systems = self.project.systems.values();
        for system in systems.filter(|system| system.config.stage != Stage::Survey) {
            for (settings, _) in &system.config.streams {
                let stream = format!("{}.{}", system.config.id, settings.name);
                let table = format!("{}_{}", system.config.id, settings.name);
                let reading = Reading { hub: self, session, rec, key, golden: &golden };
                entries.extend(reading.versions(&stream, &table, settings).await?);
            }
        }
        entries.extend(decision(rec, &golden, self)?);
        for event in read_events(&self.engine, session, rec, key).await? {
            let mut details = vec![detail("rule", event.rule)];
            details.extend(event.field.map(|field| detail("field", field)));
            details.push(detail("in", event.system));
            details.extend(event.from_state.map(|state| detail("from", state)));
            details.push(detail("to", event.to_state));
            details.extend(event.found.map(|found| detail("found", found)));
            details.extend(event.expected.map(|expected| detail("expected", expected)));
            details.extend(event.who.map(|who| detail("who", who)));
            details.extend(event.reason.map(|reason| detail("reason", reason)));
            entries.push(TraceEntry {
                at: wall_text(event.at),
                kind: "difference",
                of: rec.differences(),
                run: event.run,
                details,
            });
        }
        for sent in self.lake().store().outbox_of(key).await? {
            let of = format!("push.{}.{}", sent.system, sent.push);
            entries.push(TraceEntry {
                at: self.local(&sent.created_at),
                kind: "push",
                of: of.clone(),
                run: Some(sent.run_id),
                details: vec![
                    detail("state", "queued"),
                    detail("idempotency_key", sent.idempotency_key),
                ],
            });
            let Some(settled) = &sent.settled_at else { continue };
            let mut details = vec![detail("state", sent.state), detail("attempts", sent.attempts)];
            details.extend(sent.code.map(|code| detail("code", code)));
            details.extend(sent.message.map(|message| detail("message", message)));
            entries.push(TraceEntry {
                at: self.local(settled),
                kind: "push",
                of,
                run: None,
                details,
            });
        }
        if entries.is_empty() {
            let message = format!("no system has anything about `{key}`");
            return Err(Error::new(ErrorKind::Config, "E-RECONCILE-KEY", message)
                .hint("write the key as the systems do; columns of one key are joined by |"));
        }
        // What happened at one moment stays in the order received, decided, sent.
        entries.sort_by(|a, b| a.at.cmp(&b.at));
        Ok(entries)
    }

    /// An instant as rows of the lake show it, as wall time.
    fn local_instant(&self, text: &str) -> String {
        let plain = text.get(..19).unwrap_or_default();
        NaiveDateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S")
            .map_or_else(|_| text.to_owned(), |time| self.local(&time.and_utc().to_rfc3339()))
    }

    /// A stored instant as wall time.
    fn local(&self, utc: &str) -> String {
        match DateTime::parse_from_rfc3339(utc) {
            Ok(time) => {
                let local = time.with_timezone(&self.project.zone).naive_local();
                local.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
            }
            Err(_) => utc.to_owned(),
        }
    }
}

fn wall_text(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(String::new, |time| {
        time.naive_utc().format("%Y-%m-%d %H:%M:%S%.3f").to_string()
    })
}

/// What the golden table says of the key now.
fn decision(
    rec: &Reconciliation,
    golden: &BTreeMap<String, Option<String>>,
    hub: &Hub,
) -> Result<Option<TraceEntry>> {
    let value = |name: &str| golden.get(name).cloned().flatten();
    let Some(class) = value("class") else { return Ok(None) };
    let mut details = vec![detail("class", class)];
    for field in &rec.fields {
        if let Some(taken) = value(&field.name) {
            let from = value(&format!("{}_from", field.name)).unwrap_or_default();
            details.push(detail(&field.name, json!({ "value": taken, "from": from })));
        }
    }
    let at = value("_received_at").unwrap_or_default();
    let at = hub.local_instant(&at);
    let run = value("_run").and_then(|run| run.parse().ok());
    Ok(Some(TraceEntry { at, kind: "decision", of: rec.table(), run, details }))
}

struct Reading<'a> {
    hub: &'a Hub,
    session: &'a Session,
    rec: &'a Reconciliation,
    key: &'a str,
    golden: &'a BTreeMap<String, Option<String>>,
}

impl Reading<'_> {
    /// The versions of the record that a stream brought, superseded ones too.
    async fn versions(
        &self,
        stream: &str,
        table: &str,
        settings: &StreamSettings,
    ) -> Result<Vec<TraceEntry>> {
        let raw = format!("raw.\"{}\"", table.replace('"', "\"\""));
        // A stream that was never read has no table, and nothing to say.
        let Ok(frame) = self.session.query(&format!("select * from {raw}")).await else {
            return Ok(Vec::new());
        };
        let columns: Vec<String> =
            frame.schema().as_arrow().fields().iter().map(|field| field.name().clone()).collect();
        let has = |name: &str| columns.iter().any(|column| column == name);
        let mut conditions = Vec::new();
        let keys: Vec<&str> = self.rec.key.iter().map(String::as_str).collect();
        if keys.iter().all(|column| has(column)) {
            conditions.extend(key_condition(&keys, self.key));
        }
        // A row without the key that was taken for this record by other means.
        for system in &self.rec.systems {
            let row = self.golden.get(&format!("{}_row", system.name)).cloned().flatten();
            if let (Some(column), Some(row)) = (&system.row, row)
                && has(column)
                && settings.key.iter().any(|key| key == column)
            {
                conditions.extend(key_condition(&[column], &escaped(&row)));
            }
        }
        if conditions.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("select * from {raw} where {}", conditions.join(" or "));
        let mut entries = Vec::new();
        for batch in self.session.collect(&sql, None).await? {
            for row in 0..batch.num_rows() {
                entries.push(self.version(stream, settings, record_text(&batch, row)?));
            }
        }
        Ok(entries)
    }

    fn version(
        &self,
        stream: &str,
        settings: &StreamSettings,
        record: Vec<(String, Option<String>)>,
    ) -> TraceEntry {
        let value =
            |name: &str| record.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.clone());
        // The source's own time says when it happened; the time of receipt only when we heard of it.
        let own = settings.cursor.as_deref().and_then(value);
        let received = || Some(self.hub.local_instant(&value("_received_at")?));
        let at = own.or_else(received).unwrap_or_default();
        let run = value("_run").and_then(|run| run.parse().ok());
        let mut details = Vec::new();
        for (name, value) in &record {
            let is_kept = !name.starts_with('_')
                || matches!(name.as_str(), "_received_at" | "_source_pos" | "_superseded");
            if let (true, Some(value)) = (is_kept, value) {
                let tag = settings.columns.get(name).and_then(|column| column.personal());
                let tag = tag.map(str::to_owned);
                details.push(TraceDetail { name: name.clone(), value: json!(value), tag });
            }
        }
        TraceEntry { at, kind: "version", of: stream.to_owned(), run, details }
    }
}
