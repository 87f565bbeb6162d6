//! Single keys of a configuration, so that each fault is told at its own place.

use huiliu_sdk::ConfigErrors;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A key that may be there.
pub(super) fn optional<T: DeserializeOwned>(
    options: &Value,
    at: &str,
    key: &str,
    faults: &mut ConfigErrors,
) -> Option<T> {
    let value = options.get(key).filter(|value| !value.is_null())?;
    match T::deserialize(value) {
        Ok(value) => Some(value),
        Err(_) => {
            // The cause would repeat the value, which may be a secret put in by reference.
            faults.push(join(at, key), "has the wrong type");
            None
        }
    }
}

/// The path of `key` under `at`.
pub(super) fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}
