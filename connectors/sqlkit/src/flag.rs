//! The flag protocol of front databases (前置库), as a stream's own keys say it.

use huiliu_sdk::{ConfigErrors, Deletes, RawStream};

use crate::{bounded, check_name, join, optional, required};

const CASES_AT_ONCE: usize = 1_000;
const CASES_AT_MOST: u64 = 10_000;

/// How the rows of one stream are told to be fetched, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    /// The column that says whether a row was fetched.
    pub column: String,
    /// Its value for rows that were not fetched yet.
    pub new: String,
    /// Whether a flag without value means the same.
    pub null_is_new: bool,
    /// Its value for rows that were fetched.
    pub done: String,
    /// Its value for rows that are being fetched, if they are to be marked so first.
    pub claimed: Option<String>,
    /// Cases to fetch at once.
    pub batch: usize,
    /// Columns that say which rows belong to one case.
    pub group: Vec<String>,
    /// The column whose greater value is the newer row, if there is one.
    pub version: Option<String>,
}

/// Reads the keys `flag` and `flag_*` of a stream, whose key, group and version they go with.
pub fn read_flags(raw: &RawStream, at: &str, faults: &mut ConfigErrors) -> Option<Flags> {
    let (options, settings) = (&raw.options, &raw.settings);
    let column: Option<String> = required(options, at, "flag", faults);
    if let Some(column) = &column {
        check_name(&join(at, "flag"), column, faults);
    }
    if settings.key.is_empty() {
        faults.push_with_hint(
            join(at, "key"),
            "a flagged stream needs a key",
            "name the columns that identify one row",
        );
    }
    if settings.deletes == Deletes::KeyScan {
        faults.push_with_hint(
            join(at, "deletes"),
            "a flagged stream is never read whole",
            "use `group`: a case that is sent again replaces its rows",
        );
    }
    let new: Option<String> = optional(options, at, "flag_new", faults);
    let new = new.unwrap_or_else(|| "0".to_owned());
    let done: Option<String> = optional(options, at, "flag_done", faults);
    let done = done.unwrap_or_else(|| "1".to_owned());
    let claimed: Option<String> = optional(options, at, "flag_claimed", faults);
    let clash = "must differ from the other values of the flag";
    if new == done {
        faults.push(join(at, "flag_done"), clash);
    }
    if claimed.as_ref().is_some_and(|claimed| *claimed == new || *claimed == done) {
        faults.push(join(at, "flag_claimed"), clash);
    }
    let null_is_new: Option<bool> = optional(options, at, "flag_null_is_new", faults);
    let batch = bounded(options, at, "flag_batch", 1..=CASES_AT_MOST, faults);
    let group = if settings.group.is_empty() { &settings.key } else { &settings.group };
    Some(Flags {
        column: column?,
        new,
        null_is_new: null_is_new.unwrap_or(false),
        done,
        claimed,
        batch: batch.and_then(|cases| usize::try_from(cases).ok()).unwrap_or(CASES_AT_ONCE),
        group: group.clone(),
        version: settings.version.clone(),
    })
}

#[cfg(test)]
mod tests {
    use huiliu_sdk::StreamSettings;
    use serde_json::{Value, json};

    use super::*;

    fn read(options: Value, settings: StreamSettings) -> (Option<Flags>, Vec<String>) {
        let mut faults = ConfigErrors::default();
        let flags = read_flags(&RawStream { settings, options }, "streams[0]", &mut faults);
        (flags, faults.0.into_iter().map(|fault| fault.path).collect())
    }

    #[test]
    fn each_fault_is_told_at_its_place() {
        let settings = StreamSettings { deletes: Deletes::KeyScan, ..StreamSettings::default() };
        let options = json!({
            "flag_done": "0", "flag_claimed": "0", "flag_null_is_new": "yes", "flag_batch": 0,
        });
        let (flags, paths) = read(options, settings);
        assert_eq!(flags, None);
        assert_eq!(
            paths,
            [
                "streams[0].flag",
                "streams[0].key",
                "streams[0].deletes",
                "streams[0].flag_done",
                "streams[0].flag_claimed",
                "streams[0].flag_null_is_new",
                "streams[0].flag_batch",
            ]
        );
    }

    #[test]
    fn without_a_group_each_row_is_a_case() {
        let settings = StreamSettings { key: vec!["id".into()], ..StreamSettings::default() };
        let (flags, paths) = read(json!({ "flag": "is_sync" }), settings.clone());
        assert!(paths.is_empty(), "{paths:?}");
        let expected = Flags {
            column: "is_sync".into(),
            new: "0".into(),
            null_is_new: false,
            done: "1".into(),
            claimed: None,
            batch: 1_000,
            group: vec!["id".into()],
            version: None,
        };
        assert_eq!(flags, Some(expected.clone()));
        let settings =
            StreamSettings { group: vec!["no".into()], version: Some("ver".into()), ..settings };
        let options = json!({
            "flag": "is_sync", "flag_new": "N", "flag_done": "Y", "flag_claimed": "R",
            "flag_null_is_new": true, "flag_batch": 20,
        });
        let (flags, _) = read(options, settings);
        assert_eq!(
            flags,
            Some(Flags {
                new: "N".into(),
                null_is_new: true,
                done: "Y".into(),
                claimed: Some("R".into()),
                batch: 20,
                group: vec!["no".into()],
                version: Some("ver".into()),
                ..expected
            })
        );
    }
}
