//! Systems and streams.

use std::collections::BTreeMap;

use huiliu_core::expectation::Freshness as Known;
use huiliu_sdk::Result;
use huiliu_serve::data::{Freshness, Register, Stream, System, SystemDetail};

use super::{Doors, operate, word};
use crate::inspect::find_system;
use crate::systems::{self, Line, Totals};

impl Doors {
    pub(super) async fn register(&self) -> Result<Register> {
        let lines = systems::lines(&self.hub).await?;
        let totals = Totals::of(&lines);
        Ok(Register {
            systems: lines.into_iter().map(|line| self.listed(line)).collect(),
            departments: totals.departments,
            live: totals.live,
            trial: totals.trial,
            survey: totals.survey,
            items: totals.items,
        })
    }

    fn listed(&self, line: Line) -> System {
        let known = line.id.as_ref().and_then(|id| self.hub.project.systems.get(id));
        System {
            kind: known.map(|system| system.config.kind.clone()),
            id: line.id,
            title: line.title,
            owner: line.owner,
            stage: line.stage,
            registered_stage: line.registered,
            deadline: line.deadline,
            items: line.items,
            last_contact: line.last_contact,
        }
    }

    pub(super) async fn one_system(&self, id: &str) -> Result<SystemDetail> {
        let config = &find_system(&self.hub.project, id)?.config;
        let lines = systems::lines(&self.hub).await?;
        let line = lines.into_iter().find(|line| line.id.as_deref() == Some(id));
        let system = line.map(|line| self.listed(line));
        let system =
            system.ok_or_else(|| huiliu_sdk::Error::internal("a system is not in its list"))?;
        let prefix = format!("{id}.");
        let streams = self.all_streams().await?;
        let pushes = self.all_pushes().await?;
        Ok(SystemDetail {
            system,
            missing: config.missing.iter().map(|missing| missing.reference.clone()).collect(),
            connections: config.limits.connections,
            requests_per_minute: config.limits.requests_per_minute,
            quiet_hours: config.limits.quiet_hours.clone(),
            streams: streams.into_iter().filter(|s| s.stream.starts_with(&prefix)).collect(),
            pushes: pushes.into_iter().filter(|p| p.push.starts_with(&prefix)).collect(),
        })
    }

    pub(super) async fn all_streams(&self) -> Result<Vec<Stream>> {
        let store = self.hub.lake().store();
        let views = self.hub.stream_views().await?;
        let mut watches: BTreeMap<String, _> = BTreeMap::new();
        for watch in self.hub.stream_watches().await? {
            watches.insert(watch.stream.clone(), watch);
        }
        let mut counts = BTreeMap::new();
        for step in store.last_steps().await?.into_iter().filter(|step| step.kind == "stream") {
            counts.insert(step.node.clone(), operate::counts(&step));
        }
        let mut set_aside: BTreeMap<String, u64> = BTreeMap::new();
        for count in self.quarantine_sums().await? {
            *set_aside.entry(count.stream).or_default() += count.rows;
        }
        let mut streams = Vec::new();
        for view in views.into_iter().filter(|view| view.configured) {
            let (system, settings) = self.hub.find_stream(&view.stream)?;
            let watch = watches.get(&view.stream);
            let freshness =
                watch.map_or(Freshness::Unknown, |watch| match watch.pauses.freshness {
                    Known::Unknown => Freshness::Unknown,
                    Known::Fresh => Freshness::Fresh,
                    Known::LateButUsual => Freshness::LateButUsual,
                    Known::Missing => Freshness::Missing,
                });
            streams.push(Stream {
                system_title: system.config.title.clone(),
                table: format!("current.{}_{}", system.config.id, settings.name),
                read: word(settings.read),
                freshness,
                last_news: watch.and_then(|watch| watch.last_news.clone()),
                silent_seconds: watch.and_then(|watch| watch.pauses.seconds),
                rows: watch.filter(|watch| watch.day.is_some()).map(|watch| watch.rows),
                usual_rows: watch.and_then(|watch| watch.usual),
                committed_at: view.state.map(|state| state.updated_at),
                last_counts: counts.get(&view.stream).copied(),
                is_parked: view.parked,
                quarantined: set_aside.get(&view.stream).copied().unwrap_or(0),
                stream: view.stream,
            });
        }
        Ok(streams)
    }
}
