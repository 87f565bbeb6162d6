//! What people see of pushes, and decide about records of which nobody knows whether they arrived.

use huiliu_core::config::closest;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{OutboxState, SentRow};
use serde_json::json;

use crate::audit::{Change, Deed};
use crate::hub::Hub;
use crate::lock::FolderLock;

/// What becomes of a record of which nobody knows whether it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The target has it.
    Arrived,
    /// The target does not have it: it is sent again.
    Again,
    /// It is not sent again, whether it arrived or not.
    Dropped,
}

impl Decision {
    fn word(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Again => "again",
            Self::Dropped => "dropped",
        }
    }
}

impl Hub {
    /// The pushes of the project, as `system.push`.
    pub fn push_names(&self) -> Vec<String> {
        let systems = self.project.systems.iter();
        let names = systems.flat_map(|(id, system)| {
            system.config.pushes.iter().map(move |push| format!("{id}.{}", push.name))
        });
        names.collect()
    }

    fn known_push<'n>(&self, name: &'n str) -> Result<(&'n str, &'n str)> {
        let names = self.push_names();
        if names.iter().any(|known| known == name) {
            return Ok(name.split_once('.').unwrap_or((name, "")));
        }
        let message = format!("there is no push `{name}`");
        let hint = match closest(name, names.iter().map(String::as_str)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "`huiliu push list` shows them".to_owned(),
        };
        Err(Error::new(ErrorKind::Config, "E-SELECTOR", message).hint(hint))
    }

    /// Records of a push in one state, or of all, oldest first.
    pub async fn sent_records(
        &self,
        push: &str,
        state: Option<&str>,
        limit: u32,
    ) -> Result<Vec<SentRow>> {
        let (system, name) = self.known_push(push)?;
        self.lake().store().sent_records(system, name, state, limit).await
    }

    /// Decides about records of a push of which nobody knows whether they arrived, for which no
    /// receipt comes, or which were sent and wait for an answer; all of `ids`, or none when one of them needs no decision.
    pub async fn decide_records(
        &self,
        push: &str,
        ids: &[i64],
        decision: Decision,
        deed: &Deed<'_>,
    ) -> Result<Vec<SentRow>> {
        let (system, name) = self.known_push(push)?;
        let _lock = FolderLock::take(&self.data, &self.holder)?;
        let store = self.lake().store();
        let mut open = store.sent_records(system, name, Some("unknown"), u32::MAX).await?;
        open.extend(store.sent_records(system, name, Some("delivered"), u32::MAX).await?);
        // They were sent, and the target can neither answer nor be asked.
        let waiting = store.sent_records(system, name, Some("waiting"), u32::MAX).await?;
        open.extend(waiting.into_iter().filter(|record| record.attempts > 0));
        let mut chosen = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(record) = open.iter().find(|record| record.outbox_id == *id) else {
                let message = format!("the record {id} of {push} needs no decision");
                return Err(Error::new(ErrorKind::Config, "E-PUSH-DECIDED", message).hint(
                    format!("`huiliu push show {push}` lists those that do; nothing was changed"),
                ));
            };
            chosen.push(record.clone());
        }
        let now = self.now();
        let mut tx = store.begin().await?;
        for record in &chosen {
            let id = record.outbox_id;
            match decision {
                Decision::Arrived => tx.settle(id, OutboxState::Accepted, None, None, &now).await?,
                Decision::Again => tx.send_again(id).await?,
                Decision::Dropped => {
                    let (code, words) = (Some("E-PUSH-DROPPED"), Some(deed.reason));
                    tx.settle(id, OutboxState::Rejected, code, words, &now).await?;
                }
            }
            let object = format!("{push} {}", record.record_key);
            let change = Change {
                action: "push decide",
                object: &object,
                before: Some(json!({ "state": record.state, "attempts": record.attempts })),
                after: Some(json!({ "decision": decision.word() })),
            };
            self.note(&mut tx, deed, change).await?;
        }
        tx.commit().await?;
        Ok(chosen)
    }
}
