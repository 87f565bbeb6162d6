//! Reading single keys, so that each fault is told at its own place.

use huiliu_sdk::ConfigErrors;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A key that has to be there.
pub(crate) fn required(
    options: &Value,
    at: &str,
    key: &str,
    faults: &mut ConfigErrors,
) -> Option<String> {
    match optional(options, key) {
        Ok(Some(value)) => Some(value),
        Ok(None) => {
            faults.push(join(at, key), "is required");
            None
        }
        Err(()) => {
            flag_unfit(at, key, "write it as text", faults);
            None
        }
    }
}

/// A key that may be there; an error means that its value does not fit.
pub(crate) fn optional<T: DeserializeOwned>(options: &Value, key: &str) -> Result<Option<T>, ()> {
    match options.get(key).filter(|value| !value.is_null()) {
        None => Ok(None),
        // The cause would repeat the value, which may be a secret put in by reference.
        Some(value) => T::deserialize(value).map(Some).map_err(|_| ()),
    }
}

/// Tells that the value of a key does not fit.
pub(crate) fn flag_unfit(at: &str, key: &str, hint: &str, faults: &mut ConfigErrors) {
    faults.push_with_hint(join(at, key), "has a value that does not fit", hint);
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}
