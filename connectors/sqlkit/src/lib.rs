//! What connectors of SQL databases check alike in a configuration, each fault at its own place.
//!
//! This crate must never import a connector, a database driver or anything of the hub's `src/`.

mod flag;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use huiliu_sdk::{ConfigErrors, Overlap, StreamSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use flag::{Flags, read_flags};

/// A key that has to be there.
pub fn required<T: DeserializeOwned>(
    options: &Value,
    at: &str,
    key: &str,
    faults: &mut ConfigErrors,
) -> Option<T> {
    if options.get(key).is_none_or(Value::is_null) {
        faults.push(join(at, key), "is required");
        return None;
    }
    optional(options, at, key, faults)
}

/// A key that may be there.
pub fn optional<T: DeserializeOwned>(
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

/// A whole number within `range`, if the key is there.
pub fn bounded(
    options: &Value,
    at: &str,
    key: &str,
    range: RangeInclusive<u64>,
    faults: &mut ConfigErrors,
) -> Option<u64> {
    let value: u64 = optional(options, at, key, faults)?;
    if value < *range.start() {
        faults.push(join(at, key), format!("the minimum is {}", range.start()));
    } else if value > *range.end() {
        faults.push(join(at, key), format!("the maximum is {}", range.end()));
    }
    Some(value)
}

/// A length of time of the system's own keys, of a whole second at least; `default` without it.
pub fn timeout(
    options: &Value,
    key: &str,
    default: Duration,
    faults: &mut ConfigErrors,
) -> Duration {
    let text: Option<String> = optional(options, "", key, faults);
    let Some(text) = text else { return default };
    let read = match Overlap::parse(&text) {
        Some(Overlap::Time(time)) => time.to_std().ok(),
        _ => None,
    };
    // Zero would mean for ever to some servers and drivers, and others count whole seconds.
    match read.filter(|time| time.as_secs() > 0) {
        Some(time) => time,
        None => {
            faults.push_with_hint(
                key,
                format!("`{text}` is not a duration"),
                "write a whole number and a unit: 30s, 10m, 2h or 1d",
            );
            default
        }
    }
}

/// Refuses what no database takes as a name.
pub fn check_name(path: &str, name: &str, faults: &mut ConfigErrors) -> bool {
    if name.is_empty() {
        faults.push(path, "must not be empty");
    } else if name.contains('\0') {
        // A statement would be read only up to here.
        faults.push(path, "must not hold a NUL character");
    } else {
        return true;
    }
    false
}

/// Checks the columns that a stream selects, and that it selects those that its settings name.
pub fn check_select(
    select: Option<&[String]>,
    settings: &StreamSettings,
    at: &str,
    faults: &mut ConfigErrors,
) {
    let Some(select) = select else { return };
    let path = join(at, "select");
    if select.is_empty() {
        faults.push_with_hint(&path, "no column is selected", "remove `select` to read all");
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, name) in select.iter().enumerate() {
        check_name(&format!("{path}[{index}]"), name, faults);
        if !seen.insert(name.as_str()) {
            faults.push(format!("{path}[{index}]"), format!("column `{name}` is selected twice"));
        }
    }
    let used = (settings.key.iter().map(|name| ("key", name)))
        .chain(settings.cursor.iter().map(|name| ("cursor", name)))
        .chain(settings.group.iter().map(|name| ("group", name)))
        .chain(settings.version.iter().map(|name| ("version", name)))
        .chain(settings.deleted.iter().map(|name| ("deleted", name)))
        .chain(settings.columns.keys().map(|name| ("columns", name)));
    for (setting, name) in used {
        if !seen.contains(name.as_str()) {
            faults.push_with_hint(
                join(at, setting),
                format!("column `{name}` is not selected"),
                "add it to `select`",
            );
        }
    }
}

/// The path of `key` under `at`.
pub fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(faults: &ConfigErrors) -> Vec<(&str, &str)> {
        faults.0.iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect()
    }

    #[test]
    fn each_fault_is_told_at_its_place_and_repeats_no_value() {
        let mut faults = ConfigErrors::default();
        let options = json!({ "a": 7, "n": 9, "t": "0s", "u": "10 minutes" });
        assert_eq!(required::<String>(&options, "", "b", &mut faults), None);
        assert_eq!(required::<String>(&options, "streams[0]", "a", &mut faults), None);
        assert_eq!(optional::<u64>(&options, "", "a", &mut faults), Some(7));
        assert_eq!(bounded(&options, "x", "n", 1..=5, &mut faults), Some(9));
        let day = Duration::from_secs(86_400);
        assert_eq!(timeout(&options, "t", day, &mut faults), day);
        assert_eq!(timeout(&options, "u", day, &mut faults), day);
        assert_eq!(timeout(&json!({ "t": "2h" }), "t", day, &mut faults).as_secs(), 7_200);
        assert_eq!(
            told(&faults),
            [
                ("b", "is required"),
                ("streams[0].a", "has the wrong type"),
                ("x.n", "the maximum is 5"),
                ("t", "`0s` is not a duration"),
                ("u", "`10 minutes` is not a duration"),
            ]
        );
    }

    #[test]
    fn what_the_settings_name_is_selected() {
        let settings = StreamSettings {
            key: vec!["id".into()],
            cursor: Some("at".into()),
            ..StreamSettings::default()
        };
        let mut faults = ConfigErrors::default();
        let select = ["id", "", "id", "a\0b"].map(str::to_owned);
        check_select(Some(&select), &settings, "streams[1]", &mut faults);
        assert_eq!(
            told(&faults),
            [
                ("streams[1].select[1]", "must not be empty"),
                ("streams[1].select[2]", "column `id` is selected twice"),
                ("streams[1].select[3]", "must not hold a NUL character"),
                ("streams[1].cursor", "column `at` is not selected"),
            ]
        );
        let mut faults = ConfigErrors::default();
        check_select(Some(&[]), &settings, "s", &mut faults);
        check_select(None, &settings, "s", &mut faults);
        assert_eq!(told(&faults), [("s.select", "no column is selected")]);
    }
}
