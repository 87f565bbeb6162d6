//! Reading single keys, so that each fault is told at its own place.

use huiliu_sdk::ConfigErrors;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The keys of one table of a configuration.
pub(crate) struct Keys<'a> {
    options: &'a Value,
    at: String,
    pub(crate) faults: &'a mut ConfigErrors,
}

impl<'a> Keys<'a> {
    /// The keys of `options`, which stands at `at`.
    pub(crate) fn new(
        options: &'a Value,
        at: impl Into<String>,
        faults: &'a mut ConfigErrors,
    ) -> Self {
        Self { options, at: at.into(), faults }
    }

    /// The full path of a key.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// A key that may be there; a value that does not fit is a fault with `hint`.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, key: &str, hint: &str) -> Option<T> {
        let value = self.options.get(key).filter(|value| !value.is_null())?;
        // The cause would repeat the value, which may be a secret put in by reference.
        let read = T::deserialize(value).ok();
        if read.is_none() {
            self.unfit(key, hint);
        }
        read
    }

    /// A text that has to be there.
    pub(crate) fn required(&mut self, key: &str) -> Option<String> {
        let is_there = self.options.get(key).is_some_and(|value| !value.is_null());
        if !is_there {
            self.fault(key, "is required");
            return None;
        }
        self.optional(key, "write it as text")
    }

    /// One ASCII character, `default` if the key is absent, nothing if it is the empty text.
    pub(crate) fn byte(&mut self, key: &str, default: u8) -> Option<u8> {
        let hint = "use one ASCII character that is no line end";
        let Some(text): Option<String> = self.optional(key, hint) else { return Some(default) };
        match text.as_bytes() {
            [] => None,
            [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Some(*byte),
            _ => {
                self.unfit(key, hint);
                Some(default)
            }
        }
    }

    /// The keys of the table `key`, nothing if it is absent.
    pub(crate) fn table(&mut self, key: &str, hint: &str) -> Option<Keys<'_>> {
        let value = self.options.get(key).filter(|value| !value.is_null())?;
        if !value.is_object() {
            self.unfit(key, hint);
            return None;
        }
        let at = self.path(key);
        Some(Keys { options: value, at, faults: self.faults })
    }

    /// The names of all keys there are.
    pub(crate) fn names(&self) -> Vec<&'a str> {
        self.options.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// The value of a key is no use.
    pub(crate) fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults.push(self.path(key), message);
    }

    /// The value of a key is no use, and what would be.
    pub(crate) fn fault_with_hint(
        &mut self,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.faults.push_with_hint(self.path(key), message, hint);
    }

    /// The value of a key is of another kind.
    pub(crate) fn unfit(&mut self, key: &str, hint: &str) {
        self.fault_with_hint(key, "has a value that does not fit", hint);
    }
}
