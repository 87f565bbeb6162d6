//! What an answer says about each record.

use std::collections::HashMap;

use huiliu_sdk::{ConfigErrors, Outcome};
use serde_json::Value;

use crate::config::OutcomeOptions;
use crate::faults::under;
use crate::plan::place;
use crate::pointer::Pointer;
use crate::session::Session;

/// How the answer for each record is read.
#[derive(Clone)]
pub(crate) struct OutcomePlan {
    list: Pointer,
    id: Option<Pointer>,
    result: Pointer,
    accepted: Vec<String>,
    rejected: Vec<String>,
    pending: Vec<String>,
    absent: Vec<String>,
    code: Option<Pointer>,
    message: Option<Pointer>,
}

impl OutcomePlan {
    /// Checks the options.
    pub(crate) fn new(options: OutcomeOptions, at: &str, errors: &mut ConfigErrors) -> Self {
        let mut read = |key: &str, text: &str| place(text, &under(at, key), errors);
        let plan = Self {
            list: read("list", &options.list),
            id: options.id.map(|text| read("id", &text)),
            result: read("result", &options.result),
            code: options.code.map(|text| read("code", &text)),
            message: options.message.map(|text| read("message", &text)),
            accepted: options.accepted,
            rejected: options.rejected,
            pending: options.pending,
            absent: options.absent,
        };
        for word in &plan.accepted {
            let others = [&plan.rejected, &plan.pending, &plan.absent];
            if others.iter().any(|words| words.contains(word)) {
                errors.push(under(at, "accepted"), format!("`{word}` has two meanings"));
            }
        }
        plan
    }

    /// The outcome of each of `keys`. What the answer does not mention is unknown.
    pub(crate) fn read(&self, session: &Session, content: &Value, keys: &[String]) -> Vec<Outcome> {
        self.read_if(session, content, keys, |_| true)
    }

    /// The same, where an accepted or refused record counts only if `is_same` says that its entry is
    /// about what was sent.
    pub(crate) fn read_if(
        &self,
        session: &Session,
        content: &Value,
        keys: &[String],
        is_same: impl Fn(&Value) -> bool,
    ) -> Vec<Outcome> {
        let one = |entry: &Value, key: &str| match self.one(session, entry, key) {
            Outcome::Accepted | Outcome::Rejected { .. } if !is_same(entry) => Outcome::Unknown,
            outcome => outcome,
        };
        let entries: &[Value] = match self.list.get(content) {
            Some(Value::Array(entries)) => entries,
            Some(entry @ Value::Object(_)) => std::slice::from_ref(entry),
            _ => &[],
        };
        let Some(id) = &self.id else {
            // Without ids only the order tells which answer is whose.
            if entries.len() != keys.len() {
                return vec![Outcome::Unknown; keys.len()];
            }
            let pairs = entries.iter().zip(keys);
            return pairs.map(|(entry, key)| one(entry, key)).collect();
        };
        let by_id: HashMap<String, &Value> =
            entries.iter().filter_map(|entry| Some((id.text(entry)?, entry))).collect();
        keys.iter()
            .map(|key| match by_id.get(key) {
                Some(entry) => one(entry, key),
                None => Outcome::Unknown,
            })
            .collect()
    }

    fn one(&self, session: &Session, entry: &Value, key: &str) -> Outcome {
        let Some(result) = self.result.text(entry) else { return Outcome::Unknown };
        if self.accepted.contains(&result) {
            return Outcome::Accepted;
        }
        if self.pending.contains(&result) {
            return Outcome::Pending { handle: key.to_owned() };
        }
        if self.absent.contains(&result) {
            return Outcome::Unsent;
        }
        if !self.rejected.contains(&result) {
            return Outcome::Unknown;
        }
        let words = |pointer: &Option<Pointer>| {
            let text = pointer.as_ref().and_then(|pointer| pointer.text(entry));
            session.quote(&text.unwrap_or_default())
        };
        Outcome::Rejected { code: words(&self.code), message: words(&self.message) }
    }
}
