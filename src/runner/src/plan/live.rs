//! Streams that are read for a plan.

use huiliu_core::config::Stage;
use huiliu_engine::Rehearsal;
use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::mover::{LiveRead, read_live};

/// A stream that was read for a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiveStream {
    /// The stream, as `system.stream`.
    pub stream: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many have the key of an earlier one, which they replace.
    pub repeated: u64,
    /// How many a run would set aside; they are in no table of the plan.
    pub set_aside: u64,
}

impl Hub {
    /// Reads streams side by side and puts them in the place of the lake's tables. `which` are
    /// streams or systems; none means all that are in use.
    pub(super) async fn read_for_plan(
        &self,
        rehearsal: &mut Rehearsal<'_>,
        which: &[String],
        cancel: CancellationToken,
    ) -> Result<Vec<LiveStream>> {
        let cx = &Cx { cancel, clock: self.clock.clone(), ..Cx::new() };
        let mut reads = Vec::new();
        for name in self.live_streams(which)? {
            let shared = &*rehearsal;
            reads.push(async move {
                let (id, stream) = name.split_once('.').unwrap_or((&name, ""));
                let missing = || Error::internal(format!("there is no stream {name}"));
                let system = self.project.systems.get(id).ok_or_else(missing)?;
                let streams = system.config.streams.iter();
                let settings = streams.map(|(settings, _)| settings).find(|s| s.name == stream);
                let settings = settings.ok_or_else(missing)?;
                let read = read_live(self, cx, system, settings, shared).await;
                let LiveRead { rows, set_aside } = read.map_err(|e| e.context(name.as_str()))?;
                let told = LiveStream {
                    stream: name,
                    rows: rows.rows,
                    repeated: rows.repeated,
                    set_aside,
                };
                Ok::<_, Error>((told, rows))
            });
        }
        let mut streams = Vec::new();
        for (told, rows) in futures::future::try_join_all(reads).await? {
            rehearsal.put_live(rows)?;
            streams.push(told);
        }
        rehearsal.live_is_there().await;
        Ok(streams)
    }

    /// The streams that are meant, by name.
    fn live_streams(&self, which: &[String]) -> Result<Vec<String>> {
        let in_use = self.project.systems.values().map(|system| &system.config);
        let in_use = in_use.filter(|config| config.stage != Stage::Survey);
        let all: Vec<String> = in_use
            .flat_map(|config| {
                let streams = config.streams.iter();
                streams.map(|(settings, _)| format!("{}.{}", config.id, settings.name))
            })
            .collect();
        for name in which {
            let is_it = |stream: &String| stream == name || stream.starts_with(&format!("{name}."));
            if !all.iter().any(is_it) {
                let known = all.iter().map(String::as_str);
                let hint = huiliu_core::config::closest(name, known)
                    .map(|close| format!("did you mean `{close}`?"))
                    .unwrap_or_else(|| "write it as system.stream; `huiliu check` lists them".into());
                let message = format!("`{name}` is no stream that is read");
                return Err(Error::new(ErrorKind::Config, "E-SELECTOR", message).hint(hint));
            }
        }
        let is_meant = |stream: &String| {
            which.is_empty()
                || which.iter().any(|name| {
                    stream == name || stream.starts_with(&format!("{name}."))
                })
        };
        Ok(all.into_iter().filter(is_meant).collect())
    }
}
