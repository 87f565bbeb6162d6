//! The operator's verbs on streams: see where each one stands, put it elsewhere, start it over.

use huiliu_core::config::closest;
use huiliu_sdk::{
    Checkpoint, Error, ErrorKind, ReadMode, Result, Scope, StreamId, StreamSettings, WriteMode,
};
use huiliu_store::{Lease, StreamCommit, StreamState};
use serde::Serialize;
use serde_json::json;

use crate::audit::{Change, Deed};
use crate::hub::Hub;
use crate::lock::FolderLock;
use crate::project::System;

/// Version of checkpoints that a person writes without saying which.
const CHECKPOINT_VERSION: u16 = 1;
/// Commits that are shown of a stream.
const SHOWN: u32 = 10;

/// Where a stream stands.
#[derive(Debug, Clone, Serialize)]
pub struct StreamView {
    /// `system.stream`.
    pub stream: String,
    /// Its state; none before its first commit.
    pub state: Option<StreamState>,
    /// Attempts that began and never came to an end.
    pub open_attempts: i64,
    /// Whether it waits for `state unpark`.
    pub parked: bool,
    /// Whether it is in the project; the state of a stream that was removed stays.
    pub configured: bool,
    /// Its last commits, newest first; only where one stream is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<StreamCommit>,
}

/// To where a stream is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// It is read from the start.
    Start,
    /// It goes on from the checkpoint that was committed with this snapshot, or before it.
    Snapshot(i64),
}

impl Hub {
    /// A stream of the project by its name `system.stream`.
    pub fn find_stream(&self, node: &str) -> Result<(&System, &StreamSettings)> {
        let found = node.split_once('.').and_then(|(system, stream)| {
            let system = self.project.systems.get(system)?;
            let mut streams = system.config.streams.iter();
            let (settings, _) = streams.find(|(settings, _)| settings.name == stream)?;
            Some((system, settings))
        });
        found.ok_or_else(|| {
            let known: Vec<String> = self.stream_names().collect();
            let hint = match closest(node, known.iter().map(String::as_str)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "`huiliu state list` shows them".to_owned(),
            };
            let message = format!("there is no stream `{node}`");
            Error::new(ErrorKind::Config, "E-SELECTOR", message).hint(hint)
        })
    }

    fn stream_names(&self) -> impl Iterator<Item = String> {
        self.project.systems.values().flat_map(|system| {
            let id = &system.config.id;
            system.config.streams.iter().map(move |(stream, _)| format!("{id}.{}", stream.name))
        })
    }

    /// Where all streams stand.
    pub async fn stream_views(&self) -> Result<Vec<StreamView>> {
        let mut names: Vec<String> = self.stream_names().collect();
        let configured = names.len();
        for state in self.lake().store().stream_states().await? {
            let name = format!("{}.{}", state.system, state.stream);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut views = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            views.push(self.view(name, index < configured).await?);
        }
        views.sort_by(|a, b| a.stream.cmp(&b.stream));
        Ok(views)
    }

    /// Where one stream stands, with its last commits.
    pub async fn stream_view(&self, node: &str) -> Result<StreamView> {
        let is_configured = self.find_stream(node).is_ok();
        let mut view = self.view(node, is_configured).await?;
        if let Some(state) = &view.state {
            let store = self.lake().store();
            view.commits = store.commits(&state.system, &state.stream, SHOWN).await?;
        } else if !is_configured {
            self.find_stream(node)?;
        }
        Ok(view)
    }

    async fn view(&self, node: &str, configured: bool) -> Result<StreamView> {
        let (system, stream) = node.split_once('.').unwrap_or((node, ""));
        let store = self.lake().store();
        let open_attempts = store.attempts(system, stream).await?;
        let park_after = i64::from(self.project.hub.park_after);
        Ok(StreamView {
            stream: node.to_owned(),
            state: store.stream_state(system, stream).await?,
            open_attempts,
            parked: park_after > 0 && open_attempts >= park_after,
            configured,
            commits: Vec::new(),
        })
    }

    /// Puts a stream's checkpoint where a person wants it: the connector's own notes, or a whole
    /// checkpoint as `state show` prints it.
    pub async fn set_checkpoint(
        &self,
        node: &str,
        text: &str,
        deed: &Deed<'_>,
    ) -> Result<StreamState> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Config, "E-STATE-JSON", "the checkpoint is not valid JSON")
                .hint("copy it from `huiliu state show`, and change what has to change")
                .cause(e)
        })?;
        let state = self.known_state(node).await?;
        let checkpoint = if value.get("scope").is_some() {
            serde_json::from_value(value).map_err(|e| {
                Error::new(ErrorKind::Config, "E-STATE-JSON", "this is not a checkpoint")
                    .hint("copy it from `huiliu state show`, and change what has to change")
                    .cause(e)
            })?
        } else {
            let version = state.checkpoint.as_ref().map_or(CHECKPOINT_VERSION, |old| old.version);
            let scope = Scope::Stream(StreamId::new(state.stream.as_str()));
            Checkpoint { scope, version, state: value }
        };
        let next = StreamState { checkpoint: Some(checkpoint), ..state.clone() };
        self.place(node, "state set", &state, next, None, deed).await
    }

    /// Starts a stream over, or follows a lake that was taken back. What is in the lake stays;
    /// so does the number of the last commit. Rows of a stream that appends without a cursor would
    /// be in the lake twice, so that must be wanted.
    pub async fn reset_stream(
        &self,
        node: &str,
        to: ResetTo,
        doubled_rows_are_fine: bool,
        deed: &Deed<'_>,
    ) -> Result<StreamState> {
        let state = self.known_state(node).await?;
        let doubles = self.find_stream(node).is_ok_and(|(_, settings)| {
            // What is read again by a cursor is compared with what is there.
            let compares = settings.read == ReadMode::Incremental && settings.cursor.is_some();
            settings.write == WriteMode::Append && !compares
        });
        if doubles && !doubled_rows_are_fine {
            let message = format!("{node} appends: rows that are read again would be there twice");
            return Err(Error::new(ErrorKind::Config, "E-DOUBLED", message)
                .hint("if that is what you want, say --yes"));
        }
        let table = format!("{}_{}", state.system, state.stream);
        let table_id = self.lake().store().live_table("current", &table).await?.unwrap_or(0);
        let next = match to {
            ResetTo::Start => {
                StreamState { table_id, snapshot_id: 0, checkpoint: None, ..state.clone() }
            }
            ResetTo::Snapshot(snapshot) => {
                let store = self.lake().store();
                let commit = store.commit_at(&state.system, &state.stream, snapshot).await?;
                let Some(commit) = commit else {
                    let message = format!("no commit of {node} at snapshot {snapshot} is known");
                    return Err(Error::new(ErrorKind::Config, "E-NO-COMMIT", message).hint(
                        "`huiliu state show` lists the last commits; --from-start always works",
                    ));
                };
                StreamState {
                    table_id,
                    snapshot_id: commit.snapshot_id,
                    checkpoint: commit.checkpoint,
                    ..state.clone()
                }
            }
        };
        let keep = match to {
            ResetTo::Start => None,
            ResetTo::Snapshot(_) => Some(next.snapshot_id),
        };
        self.place(node, "state reset", &state, next, keep, deed).await
    }

    /// Lets a parked stream be tried again.
    pub async fn unpark_stream(&self, node: &str, deed: &Deed<'_>) -> Result<()> {
        let (system, settings) = self.find_stream(node)?;
        let (lock, lease) = self.hold_stream(node).await?;
        let store = self.lake().store();
        let died = store.attempts(&system.config.id, &settings.name).await?;
        let mut tx = store.begin().await?;
        tx.check_lease(&lease).await?;
        let before = Some(json!({ "open_attempts": died }));
        let change = Change { action: "state unpark", object: node, before, after: None };
        self.note(&mut tx, deed, change).await?;
        tx.forget_attempts(&system.config.id, &settings.name).await?;
        tx.commit().await?;
        store.release_lease(&lease).await?;
        drop(lock);
        Ok(())
    }

    /// Keeps everybody else from writing, and this stream's lease from being taken.
    pub(crate) async fn hold_stream(&self, node: &str) -> Result<(FolderLock, Lease)> {
        let lock = FolderLock::take(&self.data, &self.holder)?;
        let hold_ms = self.heartbeat.hold_ms();
        let store = self.lake().store();
        let lease = store.take_lease(node, &self.holder, hold_ms).await?;
        Ok((lock, lease))
    }

    async fn known_state(&self, node: &str) -> Result<StreamState> {
        let (system, stream) = node.split_once('.').unwrap_or((node, ""));
        if let Some(state) = self.lake().store().stream_state(system, stream).await? {
            return Ok(state);
        }
        self.find_stream(node)?;
        let message = format!("{node} was never committed, so it has no state");
        Err(Error::new(ErrorKind::Config, "E-NO-STATE", message)
            .hint("its first run reads it from the start"))
    }

    async fn place(
        &self,
        node: &str,
        action: &str,
        state: &StreamState,
        next: StreamState,
        keep_until: Option<i64>,
        deed: &Deed<'_>,
    ) -> Result<StreamState> {
        let (lock, lease) = self.hold_stream(node).await?;
        let store = self.lake().store();
        let next = StreamState { updated_at: self.now(), ..next };
        let placed = async {
            // Nobody can move it any more, so what was looked at must still be so.
            let now = store.stream_state(&state.system, &state.stream).await?;
            if now.is_none_or(|now| now.seq != state.seq) {
                let message = format!("{node} was moved by another process in between");
                return Err(Error::new(ErrorKind::Conflict, "E-SEQ", message)
                    .hint("look at it with `huiliu state show` and try again"));
            }
            let mut tx = store.begin().await?;
            tx.check_lease(&lease).await?;
            if let Some(snapshot) = keep_until {
                tx.forget_commits_after(&state.system, &state.stream, snapshot).await?;
            }
            tx.place_state(&next).await?;
            let (before, after) = (Some(json!(state)), Some(json!(next)));
            self.note(&mut tx, deed, Change { action, object: node, before, after }).await?;
            tx.commit().await
        };
        let placed = placed.await;
        store.release_lease(&lease).await?;
        drop(lock);
        placed.map(|()| next)
    }
}
