//! Applying a repair, and taking one back: what is sent is queued in one transaction with what the
//! targets had.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{NewestRow, OutboxRow, RepairItem, Sending};
use serde_json::json;

use super::image::{Image, images};
use super::{RefusedUndo, RepairDone, RepairOrder, RepairRecord, RepairScope, WhyNotUndone};
use crate::audit::{Change, Deed};
use crate::hub::Hub;
use crate::models::Outgoing;

/// A repair that may be queued.
pub(crate) enum ReadyRepair {
    /// To be applied.
    Apply(Vec<RepairRecord>),
    /// To be taken back.
    Undo(Vec<RepairItem>, Vec<RefusedUndo>),
}

impl ReadyRepair {
    /// The nodes that send it.
    pub(crate) fn selector(&self) -> String {
        let pushes: BTreeSet<String> = match self {
            Self::Apply(records) => records.iter().map(|record| record.push.clone()).collect(),
            Self::Undo(items, _) => {
                items.iter().map(|item| format!("{}.{}", item.system, item.push)).collect()
            }
        };
        pushes.iter().map(|push| format!("push.{push}")).collect::<Vec<String>>().join(" ")
    }
}

impl Hub {
    /// Looks whether a repair may be applied or taken back now. The caller holds the folder.
    pub(crate) async fn ready_repair(&self, order: &RepairOrder) -> Result<ReadyRepair> {
        let repair = self.known_repair(&order.hash).await?;
        if order.undo {
            if repair.applied_at.is_none() {
                let message = format!("the repair {} was never applied", order.hash);
                return Err(Error::new(ErrorKind::Config, "E-REPAIR", message)
                    .hint("`huiliu reconcile repair list` says which were"));
            }
            return self.ready_undo(&order.hash).await;
        }
        if let Some(at) = &repair.applied_at {
            let message = format!("the repair {} was applied at {at}", order.hash);
            return Err(Error::new(ErrorKind::Conflict, "E-REPAIR-APPLIED", message).hint(
                "`huiliu reconcile repair list` says how it stands; plan again for the rest",
            ));
        }
        let scope: RepairScope = serde_json::from_str(&repair.scope)
            .map_err(|e| Error::internal("a noted scope is not readable").cause(e))?;
        let plan = self.repairs_now(scope).await?;
        if plan.hash.as_deref() != Some(order.hash.as_str()) {
            let message = format!(
                "the plan {} is no longer the present one: what systems say, or how differences \
                 stand, has changed",
                order.hash
            );
            let hint = match plan.hash {
                Some(hash) => {
                    format!("look at it again with `reconcile repair plan`; now it is {hash}")
                }
                None => "nothing is left to correct".to_owned(),
            };
            return Err(Error::new(ErrorKind::Conflict, "E-REPAIR-STALE", message).hint(hint));
        }
        Ok(ReadyRepair::Apply(plan.records))
    }

    async fn ready_undo(&self, hash: &str) -> Result<ReadyRepair> {
        let store = self.lake().store();
        let session = self.engine.session(None).await?;
        let items = store.repair_items(hash).await?;
        let states: BTreeMap<i64, (Sending, Option<Sending>)> = store
            .repair_records(hash)
            .await?
            .into_iter()
            .map(|(item, sent, undone)| (item.item, (sent, undone)))
            .collect();
        let mut now: BTreeMap<String, BTreeMap<String, Image>> = BTreeMap::new();
        for item in &items {
            let push = format!("{}.{}", item.system, item.push);
            if now.contains_key(&push) {
                continue;
            }
            let Some((_, config)) = self.find_push(&push) else {
                return Err(Error::new(
                    ErrorKind::Config,
                    "E-REPAIR",
                    format!("the push {push} of this repair is no longer in the project"),
                )
                .hint("put it back into the system file to undo the repair"));
            };
            let of_push = items
                .iter()
                .filter(|other| (&other.system, &other.push) == (&item.system, &item.push));
            let keys: Vec<&str> = of_push.map(|item| item.record_key.as_str()).collect();
            let table = config.before.as_deref().unwrap_or(&config.from);
            now.insert(push, images(&session, table, &config.key, &keys).await?);
        }
        let mut newest: BTreeMap<String, HashMap<String, NewestRow>> = BTreeMap::new();
        for push in now.keys() {
            let (system, name) = push.split_once('.').unwrap_or((push, ""));
            newest.insert(push.clone(), store.newest_records(system, name).await?);
        }
        let (mut ready, mut refused) = (Vec::new(), Vec::new());
        for item in items {
            let push = format!("{}.{}", item.system, item.push);
            let present = now.get(&push).and_then(|images| images.get(&item.record_key));
            let last = newest.get(&push).and_then(|newest| newest.get(&item.record_key));
            let is_overtaken = self.is_overtaken(&item, last, present)?;
            match why_not(&item, states.get(&item.item), present, is_overtaken) {
                None => ready.push(item),
                Some(why) => {
                    refused.push(RefusedUndo { push, key: item.record_key.clone(), why });
                }
            }
        }
        if ready.is_empty() {
            let named: Vec<String> = refused.iter().take(5).map(refusal).collect();
            let message =
                format!("nothing of the repair {hash} can be taken back: {}", named.join("; "));
            return Err(Error::new(ErrorKind::Conflict, "E-REPAIR-UNDO", message)
                .hint("read the system first (`huiliu run SYSTEM.STREAM`); what changed since is not overwritten"));
        }
        Ok(ReadyRepair::Undo(ready, refused))
    }

    /// Whether a later record of the key may have brought the target something else than `present`,
    /// even where that was not read yet.
    fn is_overtaken(
        &self,
        item: &RepairItem,
        last: Option<&NewestRow>,
        present: Option<&Image>,
    ) -> Result<bool> {
        let Some(last) = last.filter(|last| last.idempotency_key != item.sent_key) else {
            return Ok(false);
        };
        let Some(present) = present.filter(|_| last.state == "accepted") else { return Ok(true) };
        // A later repair that was taken back left what this one had sent.
        let push = format!("{}.{}", item.system, item.push);
        Ok(self.outgoing(&push, present)?.record_hash != last.record_hash)
    }

    /// Queues a repair for the run `run`, in one transaction with its note in the audit.
    pub(crate) async fn queue_repair(
        &self,
        run: i64,
        order: &RepairOrder,
        ready: ReadyRepair,
    ) -> Result<RepairDone> {
        let now = self.now();
        let mut tx = self.lake().store().begin().await?;
        let mut queued: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut refused = Vec::new();
        match ready {
            ReadyRepair::Apply(records) => {
                if !tx.apply_repair(&order.hash, &order.who, &order.reason, &now).await? {
                    let message = format!("the repair {} was applied just now", order.hash);
                    return Err(Error::new(ErrorKind::Conflict, "E-REPAIR-APPLIED", message));
                }
                for (number, record) in (1_i64..).zip(records) {
                    let item = self.item(order, number, &record)?;
                    let row = self.row(&item, &record.after, &item.sent_key)?;
                    let is_new = tx.enqueue(run, &item.system, &item.push, &row, &now).await?;
                    must_be_new(is_new, &item)?;
                    tx.put_repair_item(&item).await?;
                    *queued.entry((item.system, item.push)).or_default() += 1;
                }
            }
            ReadyRepair::Undo(items, not_ready) => {
                refused = not_ready;
                for item in items {
                    let kept = item.before_image.as_deref().unwrap_or_default();
                    let before = Image::of_json(&self.key.open(kept)?)?;
                    let push = format!("{}.{}", item.system, item.push);
                    // After an undo that was refused, the next one is another record.
                    let last = item.undo_key.as_deref().unwrap_or_default();
                    let mark = format!("undo {} {} {last}", order.hash, item.item);
                    let undo_key = self.sent_key(&push, &item.record_key, &before, &mark)?;
                    let row = self.row(&item, &before, &undo_key)?;
                    let is_new = tx.enqueue(run, &item.system, &item.push, &row, &now).await?;
                    must_be_new(is_new, &item)?;
                    tx.undo_repair_item(&order.hash, item.item, &undo_key).await?;
                    *queued.entry((item.system, item.push)).or_default() += 1;
                }
            }
        }
        for ((system, push), count) in &queued {
            tx.count_dispatch(run, system, push, *count, &now).await?;
        }
        let count: u64 = queued.values().sum();
        let change = Change {
            action: if order.undo { "reconcile repair undo" } else { "reconcile repair apply" },
            object: &order.hash,
            before: None,
            after: Some(json!({ "run": run, "records": count, "refused": refused.len() })),
        };
        let deed = Deed { who: &order.who, reason: &order.reason };
        self.note(&mut tx, &deed, change).await?;
        tx.commit().await?;
        Ok(RepairDone { hash: order.hash.clone(), undo: order.undo, queued: count, refused })
    }

    fn item(&self, order: &RepairOrder, number: i64, record: &RepairRecord) -> Result<RepairItem> {
        let (system, push) = record.push.split_once('.').unwrap_or((&record.push, ""));
        let differences: Vec<(&str, i64)> = record
            .differences
            .iter()
            .map(|row| (row.difference_id.as_str(), row.last_seen))
            .collect();
        let before_image = match &record.before {
            Some(before) => Some(self.key.seal(&before.to_json()?)?),
            None => None,
        };
        let mark = format!("repair {} {number}", order.hash);
        Ok(RepairItem {
            hash: order.hash.clone(),
            item: number,
            reconciliation: record.reconciliation.clone(),
            system: system.to_owned(),
            push: push.to_owned(),
            record_key: record.key.clone(),
            differences: json!(differences).to_string(),
            before_hash: record.before.as_ref().map(Image::hash),
            before_image,
            after_hash: record.after.hash(),
            sent_key: self.sent_key(&record.push, &record.key, &record.after, &mark)?,
            undo_key: None,
        })
    }

    /// The idempotency key of a record of a repair. Repairs may send the same content twice, there
    /// and back and there again, which are different records.
    fn sent_key(&self, push: &str, key: &str, image: &Image, mark: &str) -> Result<String> {
        let outgoing = self.outgoing(push, image)?;
        if outgoing.record_key != key {
            return Err(Error::internal(format!(
                "push {push}: a record of `{key}` has another key"
            )));
        }
        Ok(outgoing.marked(mark))
    }

    fn outgoing(&self, push: &str, image: &Image) -> Result<Outgoing> {
        let (system, name) = push.split_once('.').unwrap_or((push, ""));
        let key = self.find_push(push).map(|(_, config)| config.key.as_slice());
        let key = key.ok_or_else(|| Error::internal(format!("no push is called {push}")))?;
        Outgoing::of(system, name, key, image.record())
    }

    fn row(&self, item: &RepairItem, image: &Image, idempotency_key: &str) -> Result<OutboxRow> {
        let push = format!("{}.{}", item.system, item.push);
        let outgoing = self.outgoing(&push, image)?;
        let row = outgoing.row(&self.key)?;
        Ok(OutboxRow { idempotency_key: idempotency_key.to_owned(), ..row })
    }
}

/// What is counted as handed over must be in the outbox.
fn must_be_new(is_new: bool, item: &RepairItem) -> Result<()> {
    if is_new {
        return Ok(());
    }
    let RepairItem { system, push, record_key, .. } = item;
    Err(Error::internal(format!("{system}.{push}: the record of `{record_key}` is queued already")))
}

/// Why a record cannot be taken back; none when it can.
fn why_not(
    item: &RepairItem,
    states: Option<&(Sending, Option<Sending>)>,
    present: Option<&Image>,
    is_overtaken: bool,
) -> Option<WhyNotUndone> {
    let (sent, undone) = states?;
    if undone.as_ref().is_some_and(|undone| undone.state != "rejected") {
        return Some(WhyNotUndone::Undone);
    }
    match sent.state.as_str() {
        "accepted" => {}
        "rejected" => return Some(WhyNotUndone::Refused),
        _ => return Some(WhyNotUndone::Open),
    }
    let Some(before) = &item.before_hash else { return Some(WhyNotUndone::HadNothing) };
    // A later record brought something else, whether it was read since or not.
    if is_overtaken {
        return Some(WhyNotUndone::Changed);
    }
    let present = present.map(Image::hash);
    if present.as_ref() == Some(&item.after_hash) {
        return None;
    }
    if present.as_ref() == Some(before) {
        return Some(WhyNotUndone::NotReadSince);
    }
    Some(WhyNotUndone::Changed)
}

fn refusal(refused: &RefusedUndo) -> String {
    let why = match refused.why {
        WhyNotUndone::Undone => "is undone already",
        WhyNotUndone::Refused => "was refused by the target",
        WhyNotUndone::Open => "has no answer of the target yet",
        WhyNotUndone::HadNothing => "was not there before",
        WhyNotUndone::Changed => "has changed since",
        WhyNotUndone::NotReadSince => "was not read since",
    };
    format!("{} {why}", refused.key)
}

/// The differences that a record of a repair mends, each with when it had become what it was.
pub(super) fn differences_of(item: &RepairItem) -> Vec<(String, i64)> {
    serde_json::from_str(&item.differences).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(before: Option<&str>) -> RepairItem {
        RepairItem {
            hash: "h".into(),
            item: 1,
            reconciliation: "case".into(),
            system: "s".into(),
            push: "p".into(),
            record_key: "1".into(),
            differences: "[[\"a\",7]]".into(),
            before_hash: before.map(|state| image(state).hash()),
            before_image: None,
            after_hash: image("50").hash(),
            sent_key: "k".into(),
            undo_key: None,
        }
    }

    fn image(state: &str) -> Image {
        Image([("state".to_owned(), Some(state.to_owned()))].into_iter().collect())
    }

    fn sent(state: &str) -> Sending {
        Sending { state: state.into(), code: None, message: None }
    }

    #[test]
    fn only_what_the_target_still_has_as_it_was_sent_is_taken_back() {
        let why = |before, state: &str, undone: Option<&str>, now: Option<&str>| {
            let states = (sent(state), undone.map(sent));
            why_not(&item(before), Some(&states), now.map(image).as_ref(), false)
        };
        assert_eq!(why(Some("51"), "accepted", None, Some("50")), None);
        assert_eq!(why(Some("51"), "accepted", Some("rejected"), Some("50")), None);
        use WhyNotUndone::{Changed, HadNothing, NotReadSince, Open, Refused, Undone};
        assert_eq!(why(Some("51"), "accepted", None, Some("52")), Some(Changed));
        assert_eq!(why(Some("51"), "accepted", None, None), Some(Changed));
        assert_eq!(why(Some("51"), "accepted", None, Some("51")), Some(NotReadSince));
        assert_eq!(why(None, "accepted", None, Some("50")), Some(HadNothing));
        assert_eq!(why(Some("51"), "rejected", None, Some("51")), Some(Refused));
        assert_eq!(why(Some("51"), "delivered", None, Some("50")), Some(Open));
        assert_eq!(why(Some("51"), "unknown", None, Some("50")), Some(Open));
        assert_eq!(why(Some("51"), "accepted", Some("accepted"), Some("51")), Some(Undone));
        let states = (sent("accepted"), None);
        let overtaken = why_not(&item(Some("51")), Some(&states), Some(&image("50")), true);
        assert_eq!(overtaken, Some(Changed), "a later record may be there, though not read yet");
        assert_eq!(differences_of(&item(None)), [("a".to_owned(), 7)]);
    }
}
