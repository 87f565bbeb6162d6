//! Single keys of a configuration.

use huiliu_sdk::ConfigErrors;
use serde::de::DeserializeOwned;

pub(super) fn required<T: DeserializeOwned>(
    options: &serde_json::Value,
    at: &str,
    key: &str,
    faults: &mut ConfigErrors,
) -> Option<T> {
    if options.get(key).is_none_or(serde_json::Value::is_null) {
        faults.push(join(at, key), "is required");
        return None;
    }
    optional(options, at, key, faults)
}

pub(super) fn optional<T: DeserializeOwned>(
    options: &serde_json::Value,
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

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// A whole number and a unit: `30s`, `10m`, `2h`, `1d`.
pub(super) fn duration(text: &str) -> Option<chrono::Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: i64 = digits.trim().parse().ok().filter(|number| *number >= 0)?;
    match &text[digits.len()..] {
        "s" => chrono::Duration::try_seconds(number),
        "m" => chrono::Duration::try_minutes(number),
        "h" => chrono::Duration::try_hours(number),
        "d" => chrono::Duration::try_days(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        assert_eq!(duration("10m"), Some(chrono::Duration::minutes(10)));
        assert_eq!(duration("1d"), Some(chrono::Duration::days(1)));
        for wrong in ["", "m", "10", "-1m", "1.5h", "10 minutes", "十m", "99999999999999999d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
