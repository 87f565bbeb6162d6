//! What an operator says about one stream and one push beyond what connectors understand, and
//! which settings go together.

use std::collections::BTreeMap;

use huiliu_sdk::{Deletes, LoadMode, Overlap, Policy, ReadMode, Spec, StreamSettings, WriteMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many rows of one run may go to quarantine before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Rows of one run. Default: 1000.
    #[serde(default = "default_rows")]
    #[schemars(example = 100)]
    pub rows: u64,
    /// Per cent of the rows of one run, applied from the eleventh bad row on. Default: 0.1.
    #[serde(default = "default_percent")]
    #[schemars(example = 0.5)]
    pub percent: f64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { rows: default_rows(), percent: default_percent() }
    }
}

fn default_rows() -> u64 {
    1000
}

fn default_percent() -> f64 {
    0.1
}

/// Which rows of a stream are what pushes of ours brought to its system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// Pushes of this system whose records come back in this stream. A row that says what such a
    /// push brought, under the same key, is stored like any other, because the system has it now,
    /// and counted as `echoed`, because the system did not change it. A record of which nobody
    /// knew whether it arrived is thereby known to have.
    #[serde(default)]
    #[schemars(example = ["fixes"])]
    pub pushes: Vec<String>,
    /// The mark that rows of ours bear: column = value. They are left out, and counted as
    /// `echoed`.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "cd_source": "huiliu" }))]
    pub mark: BTreeMap<String, String>,
}

/// Beyond which losses a stream stops before its commit and asks. Both apply from the eleventh
/// lost row on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// By how many per cent a table that is read whole may shrink. Default: 30.
    #[serde(default = "default_shrink")]
    #[schemars(range(min = 0), example = 10.0)]
    pub shrink_percent: f64,
    /// How many per cent of its rows one read may delete. Default: 20.
    #[serde(default = "default_delete")]
    #[schemars(range(min = 0), example = 5.0)]
    pub delete_percent: f64,
}

impl Default for Guard {
    fn default() -> Self {
        Self { shrink_percent: default_shrink(), delete_percent: default_delete() }
    }
}

fn default_shrink() -> f64 {
    30.0
}

fn default_delete() -> f64 {
    20.0
}

/// The limits of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StreamLimits {
    /// How many rows may be set aside.
    pub budget: Budget,
    /// How many rows may go.
    pub guard: Guard,
}

/// A key of a stream and what is wrong with it.
pub(super) type StreamFault = (&'static str, String);

/// What the schema alone cannot say about a stream.
pub(super) fn stream_faults(settings: &StreamSettings, spec: &Spec) -> Vec<StreamFault> {
    let mut faults = Vec::new();
    match settings.read {
        ReadMode::Full => {}
        ReadMode::Incremental if spec.capabilities.incremental => {}
        ReadMode::Flagged if spec.capabilities.flagged => {}
        ReadMode::Changes => faults.push((
            "read",
            "reading a change log is not available; use `incremental` or `full`".into(),
        )),
        mode => faults.push((
            "read",
            format!("a system of kind {} cannot be read in mode {mode:?}", spec.kind)
                .to_lowercase(),
        )),
    }
    write_faults(settings, &mut faults);
    delete_faults(settings, &mut faults);
    key_faults(settings, &mut faults);
    contract_faults(settings, &mut faults);
    if let Some(zone) = &settings.zone
        && zone.parse::<chrono_tz::Tz>().is_err()
    {
        faults
            .push(("zone", format!("`{zone}` is no time zone; use a name such as Asia/Shanghai")));
    }
    if let Some(overlap) = &settings.overlap
        && Overlap::parse(overlap).is_none()
    {
        let message = format!("`{overlap}` is neither a length of time nor a whole number");
        faults.push(("overlap", message));
    }
    faults
}

/// Whether rows of a mode replace earlier ones of the same key.
fn is_keyed(mode: WriteMode) -> bool {
    matches!(mode, WriteMode::Upsert | WriteMode::Scd2)
}

/// The mode as it is written in a system file.
fn word(mode: WriteMode) -> &'static str {
    match mode {
        WriteMode::Append => "append",
        WriteMode::Upsert => "upsert",
        WriteMode::Replace => "replace",
        WriteMode::Snapshot => "snapshot",
        WriteMode::Scd2 => "scd2",
    }
}

fn write_faults(settings: &StreamSettings, faults: &mut Vec<StreamFault>) {
    let mode = word(settings.write);
    match settings.write {
        WriteMode::Upsert | WriteMode::Scd2 if settings.key.is_empty() => faults.push((
            "write",
            format!("`{mode}` needs a `key`; without one use `write = \"append\"`"),
        )),
        WriteMode::Replace | WriteMode::Snapshot if settings.read != ReadMode::Full => {
            faults.push(("write", format!("`{mode}` needs `read = \"full\"`")));
        }
        _ => {}
    }
}

fn delete_faults(settings: &StreamSettings, faults: &mut Vec<StreamFault>) {
    let word = match settings.deletes {
        Deletes::Ignore => None,
        Deletes::Soft => Some("soft"),
        Deletes::KeyScan => Some("key_scan"),
    };
    if let Some(word) = word
        && (!is_keyed(settings.write) || settings.key.is_empty())
    {
        faults.push((
            "deletes",
            format!("`{word}` needs a `key` and `write = \"upsert\"` or `\"scd2\"`"),
        ));
    }
    match (settings.deletes, &settings.deleted) {
        (Deletes::Soft, None) => faults
            .push(("deletes", "`soft` needs `deleted`, the column that marks deleted rows".into())),
        (Deletes::Ignore | Deletes::KeyScan, Some(_)) => faults
            .push(("deleted", "`deleted` has a meaning only with `deletes = \"soft\"`".into())),
        _ => {}
    }
}

fn key_faults(settings: &StreamSettings, faults: &mut Vec<StreamFault>) {
    for (field, is_set) in
        [("group", !settings.group.is_empty()), ("version", settings.version.is_some())]
    {
        if is_set && !is_keyed(settings.write) {
            faults.push((field, format!("`{field}` needs `write = \"upsert\"` or `\"scd2\"`")));
        }
    }
    let lists: [(&'static str, &[String]); 2] =
        [("key", &settings.key), ("group", &settings.group)];
    for (field, columns) in lists {
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].contains(column) {
                faults.push((field, format!("`{column}` is named twice")));
            }
        }
    }
    for column in &settings.key {
        let declared = settings.columns.get(column).and_then(|spec| spec.data_type.as_deref());
        if declared == Some("float") {
            faults.push((
                "key",
                format!("`{column}` is a float, by which rows cannot be told apart reliably"),
            ));
        }
    }
}

fn contract_faults(settings: &StreamSettings, faults: &mut Vec<StreamFault>) {
    let contract = &settings.contract;
    if contract.rows == Policy::Evolve {
        faults.push(("contract.rows", "`rows` is `freeze` or `quarantine`".into()));
    }
    let aside = contract.columns == Policy::Quarantine || contract.types == Policy::Quarantine;
    if contract.rows == Policy::Freeze && aside {
        faults.push((
            "contract.rows",
            "`freeze` sets no row aside; then `columns` and `types` cannot be `quarantine`".into(),
        ));
    }
}

/// What the schema alone cannot say about a push.
pub(super) fn push_faults(
    load: Option<LoadMode>,
    key: &[String],
    spec: &Spec,
) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if load.is_some() && !spec.capabilities.loader {
        faults.push(("load", format!("a system of kind {} takes no whole tables", spec.kind)));
    }
    let needs_key = !matches!(load, Some(LoadMode::Append | LoadMode::Replace));
    if needs_key && key.is_empty() {
        faults.push(("key", "the key `key` is missing".into()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use huiliu_sdk::{Capabilities, ColumnSpec, Contract};

    use super::*;

    fn spec() -> Spec {
        let capabilities = Capabilities { source: true, incremental: true, ..Default::default() };
        let empty = || serde_json::json!({});
        Spec {
            kind: "test",
            title: "test",
            capabilities,
            system_schema: empty(),
            stream_schema: empty(),
            push_schema: empty(),
        }
    }

    fn stream(write: WriteMode) -> StreamSettings {
        StreamSettings { write, key: vec!["id".into()], ..Default::default() }
    }

    fn fields(settings: &StreamSettings) -> Vec<&'static str> {
        stream_faults(settings, &spec()).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn every_write_mode_is_accepted_with_what_it_needs() {
        use WriteMode::{Append, Replace, Scd2, Snapshot, Upsert};
        for write in [Append, Upsert, Replace, Snapshot, Scd2] {
            assert_eq!(fields(&stream(write)), [""; 0], "{write:?}");
        }
        for write in [Upsert, Scd2] {
            let settings = StreamSettings { key: Vec::new(), ..stream(write) };
            assert_eq!(fields(&settings), ["write"], "{write:?}");
        }
        for write in [Replace, Snapshot] {
            let settings = StreamSettings { read: ReadMode::Incremental, ..stream(write) };
            assert_eq!(fields(&settings), ["write"], "{write:?}");
        }
    }

    #[test]
    fn a_change_log_is_refused_in_a_clear_sentence() {
        let settings = StreamSettings { read: ReadMode::Changes, ..stream(WriteMode::Upsert) };
        let faults = stream_faults(&settings, &spec());
        assert!(faults[0].1.contains("change log is not available"), "{faults:?}");
    }

    #[test]
    fn deletes_need_a_key_and_a_mode_that_compares() {
        let soft = |write, deleted: Option<&str>| StreamSettings {
            deletes: Deletes::Soft,
            deleted: deleted.map(str::to_owned),
            ..stream(write)
        };
        assert_eq!(fields(&soft(WriteMode::Upsert, Some("gone"))), [""; 0]);
        assert_eq!(fields(&soft(WriteMode::Upsert, None)), ["deletes"]);
        assert_eq!(fields(&soft(WriteMode::Append, Some("gone"))), ["deletes"]);
        let scan = |write| StreamSettings { deletes: Deletes::KeyScan, ..stream(write) };
        assert_eq!(fields(&scan(WriteMode::Scd2)), [""; 0]);
        assert_eq!(fields(&scan(WriteMode::Replace)), ["deletes"]);
        let named = StreamSettings { deleted: Some("gone".into()), ..stream(WriteMode::Upsert) };
        assert_eq!(fields(&named), ["deleted"]);
    }

    #[test]
    fn keys_groups_versions_and_contracts_are_checked() {
        let mut settings = stream(WriteMode::Append);
        settings.group = vec!["case".into(), "case".into()];
        settings.version = Some("dataver".into());
        assert_eq!(fields(&settings), ["group", "version", "group"]);
        let mut settings = stream(WriteMode::Upsert);
        let float = ColumnSpec { data_type: Some("float".into()), ..Default::default() };
        settings.columns.insert("id".into(), float);
        assert_eq!(fields(&settings), ["key"]);
        let mut settings = stream(WriteMode::Upsert);
        settings.contract = Contract { rows: Policy::Evolve, ..Contract::default() };
        assert_eq!(fields(&settings), ["contract.rows"]);
        settings.contract.rows = Policy::Freeze;
        assert_eq!(fields(&settings), [""; 0]);
        settings.contract.types = Policy::Quarantine;
        assert_eq!(fields(&settings), ["contract.rows"]);
    }

    #[test]
    fn a_load_needs_a_loader_and_an_upsert_a_key() {
        let key = ["id".to_owned()];
        let mut spec = spec();
        assert_eq!(push_faults(Some(LoadMode::Upsert), &key, &spec)[0].0, "load");
        spec.capabilities.loader = true;
        assert!(push_faults(Some(LoadMode::Upsert), &key, &spec).is_empty());
        assert_eq!(push_faults(Some(LoadMode::Upsert), &[], &spec)[0].0, "key");
        assert!(push_faults(Some(LoadMode::Replace), &[], &spec).is_empty());
        assert_eq!(push_faults(None, &[], &spec)[0].0, "key");
    }
}
