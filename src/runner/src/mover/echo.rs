//! Rows that are what a push of ours brought to the system, told apart from what the system itself
//! has changed: by key and content of what was sent, or by the mark that they bear.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use arrow::record_batch::RecordBatch;
use arrow::util::display::ArrayFormatter;
use huiliu_core::config::Echo;
use huiliu_engine::{record_text, text_options};
use huiliu_sdk::Result;
use huiliu_store::Balance;

use super::Mover;
use crate::repair::Image;

/// What is known of echoes in one read.
#[derive(Default)]
pub(super) struct Echoes {
    pushes: Vec<Unseen>,
    mark: BTreeMap<String, String>,
    /// Numbers of the records that came back since the last commit, each with whether a receipt is
    /// to say what becomes of it.
    pub(super) seen: Vec<(i64, bool)>,
    /// Rows that were written and are echoes, since the last commit.
    written: u64,
    /// Rows that were left out because they bear the mark, since the last commit.
    left_out: u64,
}

/// Records of one push that may come back, by key.
struct Unseen {
    key: Vec<String>,
    has_receipts: bool,
    by_key: HashMap<String, Vec<i64>>,
}

/// Whose a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The system's own.
    Own,
    /// What a push brought, to be stored.
    Echo,
    /// Ours by its mark, to be left out.
    Marked,
}

impl Echoes {
    /// What was committed is counted, and a read that begins anew counts from the start.
    pub(super) fn clear(&mut self) {
        let seen: HashSet<i64> = self.seen.iter().map(|(id, _)| *id).collect();
        if !seen.is_empty() {
            for unseen in &mut self.pushes {
                unseen.by_key.retain(|_, ids| {
                    ids.retain(|id| !seen.contains(id));
                    !ids.is_empty()
                });
            }
        }
        self.forget();
    }

    /// Forgets what was not committed.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        (self.written, self.left_out) = (0, 0);
    }

    pub(super) fn leave_out(&mut self, rows: usize) {
        self.left_out += rows as u64;
    }

    pub(super) fn count_written(&mut self, rows: u64) {
        self.written += rows;
    }

    /// `balance` with echoes counted in their own right.
    pub(super) fn counted(&self, mut balance: Balance) -> Balance {
        // One that another row of its key superseded in the same commit is no longer written.
        let written = self.written.min(balance.written);
        balance.written -= written;
        balance.read += self.left_out;
        balance.echoed += written + self.left_out;
        balance
    }
}

impl Mover<'_> {
    /// What pushes of this stream's system may bring back in it.
    pub(super) async fn load_echoes(&mut self) -> Result<()> {
        let Some(Echo { pushes, mark }) = self.system.config.echoes.get(&self.settings.name) else {
            return Ok(());
        };
        let store = self.hub.lake().store();
        let mut echoes = Echoes { mark: mark.clone(), ..Echoes::default() };
        for name in pushes {
            let push = self.system.config.pushes.iter().find(|push| push.name == *name);
            let Some(push) = push else { continue };
            let mut by_key: HashMap<String, Vec<i64>> = HashMap::new();
            for sent in store.unseen(&self.system.config.id, name).await? {
                by_key.entry(sent.record_key).or_default().push(sent.outbox_id);
            }
            let has_receipts = push.receipts.is_some();
            echoes.pushes.push(Unseen { key: push.key.clone(), has_receipts, by_key });
        }
        self.echoes = Some(echoes);
        Ok(())
    }

    /// Whose the rows of `batch` are, in stretches.
    pub(super) async fn whose(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<Vec<(Whose, Range<usize>)>> {
        let mut whose = vec![Whose::Own; batch.num_rows()];
        let Some(echoes) = &self.echoes else { return Ok(stretches(&whose)) };
        let mut seen: Vec<(i64, bool)> = Vec::new();
        for unseen in &echoes.pushes {
            let candidates = candidates(batch, unseen)?;
            let ids: Vec<i64> = candidates.iter().flat_map(|(_, ids)| ids.clone()).collect();
            let mut sent: HashMap<i64, Image> = HashMap::with_capacity(ids.len());
            for (id, payload) in self.hub.lake().store().payloads(&ids).await? {
                sent.insert(id, Image::of_json(&self.hub.key.open(&payload)?)?);
            }
            for (row, ids) in candidates {
                let came = record_text(batch, row)?;
                let same = ids.iter().filter(|id| {
                    sent.get(*id).is_some_and(|sent| is_same(&came, sent, &unseen.key))
                });
                let before = seen.len();
                seen.extend(same.map(|id| (*id, unseen.has_receipts)));
                if seen.len() > before {
                    whose[row] = Whose::Echo;
                }
            }
        }
        let marks: Vec<(&str, &str)> =
            echoes.mark.iter().map(|(column, value)| (column.as_str(), value.as_str())).collect();
        if !marks.is_empty() {
            mark_rows(batch, &marks, &mut whose)?;
        }
        if let Some(echoes) = &mut self.echoes {
            echoes.seen.extend(seen);
        }
        Ok(stretches(&whose))
    }
}

/// The rows whose key a record was sent under, with these records.
fn candidates(batch: &RecordBatch, unseen: &Unseen) -> Result<Vec<(usize, Vec<i64>)>> {
    let mut found = Vec::new();
    if unseen.by_key.is_empty() {
        return Ok(found);
    }
    let options = text_options();
    let mut columns = Vec::with_capacity(unseen.key.len());
    for name in &unseen.key {
        let Some(column) = batch.column_by_name(name) else { return Ok(found) };
        columns.push(ArrayFormatter::try_new(column.as_ref(), &options)?);
    }
    for row in 0..batch.num_rows() {
        let mut parts = Vec::with_capacity(columns.len());
        for column in &columns {
            let part = column.value(row).try_to_string()?;
            parts.push(part.replace('\\', "\\\\").replace('|', "\\|"));
        }
        if let Some(ids) = unseen.by_key.get(&parts.join("|")) {
            found.push((row, ids.clone()));
        }
    }
    Ok(found)
}

/// Whether a row says what was sent, in all columns that both have; a key alone says nothing.
fn is_same(came: &[(String, Option<String>)], sent: &Image, key: &[String]) -> bool {
    let mut beside_key = 0;
    for (name, value) in came {
        let Some(sent) = sent.0.get(name) else { continue };
        // Few systems tell nothing from an empty text.
        if value.as_deref().unwrap_or_default() != sent.as_deref().unwrap_or_default() {
            return false;
        }
        beside_key += usize::from(!key.contains(name));
    }
    beside_key > 0
}

/// Marks the rows in which all columns have the value that ours have there.
fn mark_rows(batch: &RecordBatch, marks: &[(&str, &str)], whose: &mut [Whose]) -> Result<()> {
    let options = text_options();
    let mut columns = Vec::with_capacity(marks.len());
    for (name, value) in marks {
        let Some(column) = batch.column_by_name(name) else { return Ok(()) };
        columns.push((ArrayFormatter::try_new(column.as_ref(), &options)?, *value));
    }
    for (row, whose) in whose.iter_mut().enumerate() {
        let mut is_ours = true;
        for (column, value) in &columns {
            is_ours &= column.value(row).try_to_string()? == *value;
        }
        if is_ours {
            *whose = Whose::Marked;
        }
    }
    Ok(())
}

fn stretches(whose: &[Whose]) -> Vec<(Whose, Range<usize>)> {
    let mut stretches: Vec<(Whose, Range<usize>)> = Vec::new();
    for (row, whose) in whose.iter().enumerate() {
        match stretches.last_mut() {
            Some((last, range)) if last == whose => range.end = row + 1,
            _ => stretches.push((*whose, row..row + 1)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&str, Option<&str>)]) -> Image {
        let pair =
            |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        Image(pairs.iter().map(pair).collect())
    }

    fn came(pairs: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        sent(pairs).record()
    }

    #[test]
    fn a_row_is_an_echo_when_it_says_what_was_sent() {
        let key = ["no".to_owned()];
        let ours = sent(&[("no", Some("1")), ("state", Some("50")), ("end", None)]);
        let same = |pairs: &[(&str, Option<&str>)]| is_same(&came(pairs), &ours, &key);
        assert!(same(&[("no", Some("1")), ("state", Some("50")), ("end", Some("")), ("at", None)]));
        assert!(!same(&[("no", Some("1")), ("state", Some("51")), ("end", None)]));
        assert!(!same(&[("no", Some("1")), ("at", None)]), "the key alone says nothing");
    }

    #[test]
    fn stretches_keep_the_order_of_rows() {
        use Whose::{Echo, Marked, Own};
        let found = stretches(&[Own, Own, Echo, Marked, Marked, Own]);
        assert_eq!(found, [(Own, 0..2), (Echo, 2..3), (Marked, 3..5), (Own, 5..6)]);
        assert!(stretches(&[]).is_empty());
    }

    #[test]
    fn echoes_are_counted_apart_and_the_balance_holds() {
        let mut echoes = Echoes::default();
        echoes.count_written(3);
        echoes.leave_out(2);
        let merged = Balance { read: 10, written: 4, unchanged: 6, ..Balance::default() };
        let counted = echoes.counted(merged);
        assert_eq!((counted.read, counted.written, counted.echoed), (12, 1, 5));
        counted.check().unwrap();
        echoes.forget();
        assert_eq!(echoes.counted(merged), merged);
    }
}
