//! What must hold in an answer for it to count as success.

use huiliu_sdk::{ConfigErrors, Error, ErrorKind, Result};
use serde_json::Value;

use crate::config::Condition;
use crate::faults::under;
use crate::plan::place;
use crate::pointer::Pointer;
use crate::session::Session;

/// What must hold in an answer.
#[derive(Clone, Default)]
pub(crate) struct Success {
    /// Places and the texts that must be there.
    pub(crate) conditions: Vec<(Pointer, String)>,
    /// Place of the system's words when they are not.
    message: Option<Pointer>,
}

impl Success {
    /// Checks the options.
    pub(crate) fn new(
        conditions: &[Condition],
        message: Option<&str>,
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Self {
        let mut read = Self::default();
        for (index, condition) in conditions.iter().enumerate() {
            let at = under(at, &format!("success[{index}].pointer"));
            read.conditions
                .push((place(&condition.pointer, &at, errors), condition.equals.clone()));
        }
        read.message = message.map(|text| place(text, &under(at, "message"), errors));
        read
    }

    /// Fails with what the system said instead.
    pub(crate) fn check(&self, session: &Session, request: &str, content: &Value) -> Result<()> {
        for (pointer, wanted) in &self.conditions {
            let found = pointer.text(content);
            if found.as_ref() == Some(wanted) {
                continue;
            }
            // Many systems answer 200 and put what HTTP would say into their own code.
            let kind = match found.as_deref() {
                Some("401") => ErrorKind::Auth,
                Some("403") => ErrorKind::Permission,
                Some("429") => ErrorKind::Throttled,
                _ => ErrorKind::Data,
            };
            let found = found.map_or_else(
                || "nothing".to_owned(),
                |found| format!("`{}`", session.quote(&found).chars().take(40).collect::<String>()),
            );
            let place = pointer.0.join("/");
            let mut message = format!("{request}: /{place} is {found} instead of `{wanted}`");
            let words = self.message.as_ref().and_then(|pointer| pointer.text(content));
            if let Some(words) = words {
                message.push_str(&format!(", the system says: {}", session.quote(&words)));
            }
            let error = Error::new(kind, "E-REMOTE", message);
            return Err(match kind {
                ErrorKind::Auth | ErrorKind::Permission => {
                    error.hint("check the credentials in the system file's [auth]")
                }
                _ => error,
            });
        }
        Ok(())
    }
}
