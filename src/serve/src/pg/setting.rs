//! Settings of a connection: those clients send as a matter of course, and no others.

use std::collections::HashMap;
use std::time::Duration;

use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::failure::{refuse, state};
use crate::sql::{FIXED, USUAL, schemas};

/// Where a connection keeps its own statement timeout, in milliseconds.
const TIMEOUT: &str = "statement_timeout";
/// Where it keeps the snapshot that it reads.
const SNAPSHOT: &str = "huiliu.snapshot";
/// What stands there for the newest one.
const LATEST: &str = "latest";
/// Where it keeps the schemas in which a table without one is looked for.
const SEARCH_PATH: &str = "search_path";
/// Schemas of a path that hold no data here, or are looked into anyway.
const PASSED_OVER: [&str; 4] = ["$user", "information_schema", "pg_catalog", "public"];

/// Settings that may be set and are answered with what was set, with their first value.
const FREE: [(&str, &str); 9] = [
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("intervalstyle", "postgres"),
    ("lock_timeout", "0"),
    ("row_security", "on"),
];

type Metadata = HashMap<String, String>;

/// Takes the settings of their own that clients bring along when they connect, by name or as
/// `options=-c name=value`.
pub(crate) fn begin(metadata: &mut Metadata) -> PgWireResult<()> {
    let own = [SEARCH_PATH, SNAPSHOT, TIMEOUT];
    let named = metadata.extract_if(|name, _| own.iter().any(|own| own.eq_ignore_ascii_case(name)));
    for (name, value) in named.collect::<Vec<_>>() {
        set(metadata, &name.to_lowercase(), &value)?;
    }
    let options = metadata.get("options").cloned().unwrap_or_default();
    for (name, value) in given(&options) {
        let is_own = own.contains(&name.as_str()) || FREE.iter().any(|(free, _)| *free == name);
        if is_own {
            set(metadata, &name, &value)?;
        }
    }
    Ok(())
}

/// The settings in the options of a server's program.
fn given(options: &str) -> Vec<(String, String)> {
    let mut words = Vec::new();
    let (mut word, mut letters) = (String::new(), options.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next()),
            ' ' | '\t' | '\n' => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    let settings = words.iter().filter_map(|word| {
        let setting = word.strip_prefix("--").or_else(|| word.strip_prefix("-c"));
        let (name, value) = setting.unwrap_or(word).split_once('=')?;
        Some((name.to_lowercase(), value.to_owned()))
    });
    settings.collect()
}

/// Sets `name` for this connection.
pub(crate) fn set(metadata: &mut Metadata, name: &str, value: &str) -> PgWireResult<()> {
    if name == "timezone" {
        // Times carry their offset, so a client converts them itself.
        return Ok(());
    }
    if name == TIMEOUT {
        let milliseconds = milliseconds(value).ok_or_else(|| wrong_value(name, value))?;
        metadata.insert(name.to_owned(), milliseconds.to_string());
        return Ok(());
    }
    if name == SNAPSHOT {
        let is_latest = value.eq_ignore_ascii_case(LATEST) || value.eq_ignore_ascii_case("default");
        if is_latest {
            metadata.remove(name);
        } else {
            let number = value.trim().parse::<i64>().ok().filter(|number| *number >= 0);
            let number = number.ok_or_else(|| wrong_value(name, value))?;
            metadata.insert(name.to_owned(), number.to_string());
        }
        return Ok(());
    }
    if name == SEARCH_PATH {
        if value.eq_ignore_ascii_case("default") {
            metadata.remove(name);
            return Ok(());
        }
        let known = schemas();
        let unknown = names(value).into_iter().find(|schema| {
            !known.contains(&schema.as_str()) && !PASSED_OVER.contains(&schema.as_str())
        });
        if let Some(unknown) = unknown {
            let message = format!("schema \"{unknown}\" does not exist");
            let hint = format!("the schemas are {}", known.join(", "));
            return Err(refuse(state::BAD_PARAMETER, message, &hint));
        }
        metadata.insert(name.to_owned(), value.to_owned());
        return Ok(());
    }
    if FREE.iter().any(|(free, _)| *free == name) {
        if !fits(name, value) {
            return Err(wrong_value(name, value));
        }
        metadata.insert(name.to_owned(), value.to_owned());
        return Ok(());
    }
    match FIXED.iter().find(|(fixed, _)| *fixed == name) {
        Some((_, only)) if same(name, value, only) => Ok(()),
        Some((_, only)) => {
            Err(refuse(state::UNSUPPORTED, format!("setting {name} can only be {only} here"), ""))
        }
        None => Err(refuse(
            state::NO_RIGHT,
            format!("setting {name} cannot be changed here"),
            "the hub's own settings are in config/hub.toml",
        )),
    }
}

/// Takes back what was set of `name`, or of all.
pub(crate) fn reset(metadata: &mut Metadata, name: Option<&str>) {
    let own = [TIMEOUT, SNAPSHOT, SEARCH_PATH];
    let all = FREE.iter().map(|(free, _)| *free).chain(own);
    for setting in all.filter(|setting| name.is_none_or(|name| name == *setting)) {
        metadata.remove(setting);
    }
}

/// The snapshot that a connection wants to read; none for the newest.
pub(crate) fn snapshot(metadata: &Metadata) -> Option<i64> {
    metadata.get(SNAPSHOT)?.parse().ok()
}

/// The schemas in which a table without one is looked for; at least one.
pub(crate) fn search_path(metadata: &Metadata) -> Vec<String> {
    let known = schemas();
    let path = metadata.get(SEARCH_PATH).map(|path| names(path)).unwrap_or_default();
    let mut path: Vec<String> =
        path.into_iter().filter(|schema| known.contains(&schema.as_str())).collect();
    if path.is_empty() {
        path.push(USUAL.to_owned());
    }
    path
}

/// The names of a list; those in quotes as they are.
fn names(list: &str) -> Vec<String> {
    let name = |name: &str| {
        let name = name.trim();
        let quoted = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        quoted.map_or_else(|| name.to_lowercase(), str::to_owned)
    };
    list.split(',').map(name).filter(|name| !name.is_empty()).collect()
}

/// The column and the value that `show name` answers.
pub(crate) fn show(
    metadata: &Metadata,
    name: &str,
    timeout: Duration,
) -> PgWireResult<(String, String)> {
    let name = match name {
        "time zone" => "timezone",
        "transaction isolation level" => "transaction_isolation",
        // The parser gives the words between the dots.
        "huiliu snapshot" => SNAPSHOT,
        name => name,
    };
    let value = if name == "timezone" {
        "UTC".to_owned()
    } else if name == SNAPSHOT {
        metadata.get(name).cloned().unwrap_or_else(|| LATEST.to_owned())
    } else if name == SEARCH_PATH {
        metadata.get(name).cloned().unwrap_or_else(|| USUAL.to_owned())
    } else if name == TIMEOUT {
        format!("{}ms", statement_timeout(metadata, timeout).as_millis())
    } else if let Some((_, only)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
        (*only).to_owned()
    } else if let Some((_, first)) = FREE.iter().find(|(free, _)| *free == name) {
        metadata.get(name).cloned().unwrap_or_else(|| (*first).to_owned())
    } else {
        return Err(refuse(
            state::NO_SUCH_SETTING,
            format!("unrecognized configuration parameter \"{name}\""),
            "",
        ));
    };
    Ok((name.to_owned(), value))
}

/// How long a statement of this connection may take: what it asked for, but never more than
/// `longest`.
pub(crate) fn statement_timeout(metadata: &Metadata, longest: Duration) -> Duration {
    let asked = metadata.get(TIMEOUT).and_then(|text| milliseconds(text)).filter(|ms| *ms > 0);
    asked.map_or(longest, |ms| Duration::from_millis(ms).min(longest))
}

fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Whether the wire's encoder can follow `value`.
fn fits(name: &str, value: &str) -> bool {
    match name {
        "bytea_output" => matches!(value, "hex" | "escape"),
        "datestyle" => value.to_ascii_uppercase().starts_with("ISO"),
        "intervalstyle" => matches!(value, "postgres" | "iso_8601" | "sql_standard"),
        "extra_float_digits" => value.parse::<i8>().is_ok_and(|digits| (-15..=3).contains(&digits)),
        _ => value.len() <= 256,
    }
}

fn same(name: &str, value: &str, only: &str) -> bool {
    if value.eq_ignore_ascii_case(only) || value.eq_ignore_ascii_case("default") {
        return true;
    }
    match name {
        "client_encoding" => matches!(value.to_ascii_uppercase().as_str(), "UTF-8" | "UNICODE"),
        _ => only == "on" && matches!(value, "true" | "1"),
    }
}

fn wrong_value(name: &str, value: &str) -> PgWireError {
    let value: String = value.chars().take(64).collect();
    refuse(state::BAD_PARAMETER, format!("invalid value for setting {name}: {value}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_can_be_shortened_and_not_lengthened() {
        let longest = Duration::from_secs(60);
        let mut metadata = Metadata::new();
        assert_eq!(statement_timeout(&metadata, longest), longest);
        for (value, seconds) in [("5s", 5), ("2000", 2), ("0", 60), ("2h", 60), ("1min", 60)] {
            set(&mut metadata, "statement_timeout", value).unwrap();
            assert_eq!(statement_timeout(&metadata, longest), Duration::from_secs(seconds));
        }
        assert!(set(&mut metadata, "statement_timeout", "soon").is_err());
    }

    #[test]
    fn only_known_settings_are_taken() {
        let mut metadata = Metadata::new();
        set(&mut metadata, "client_encoding", "utf-8").unwrap();
        set(&mut metadata, "extra_float_digits", "3").unwrap();
        assert_eq!(show(&metadata, "extra_float_digits", Duration::ZERO).unwrap().1, "3");
        for (name, value) in [
            ("client_encoding", "GBK"),
            ("default_transaction_read_only", "off"),
            ("datafusion.execution.target_partitions", "1000"),
            ("datafusion.runtime.memory_limit", "100G"),
            ("search_path", "main"),
            ("search_path", "codes, other"),
            ("extra_float_digits", "900"),
        ] {
            assert!(set(&mut metadata, name, value).is_err(), "{name}");
        }
        assert!(show(&metadata, "datafusion.runtime.temp_directory", Duration::ZERO).is_err());
    }

    #[test]
    fn a_path_names_schemas_that_are_there() {
        let mut metadata = Metadata::new();
        assert_eq!(search_path(&metadata), ["standard"]);
        for (value, path) in [
            ("current", &["current"][..]),
            ("Codes, \"current\"", &["codes", "current"][..]),
            ("\"$user\", public", &["standard"][..]),
            ("default", &["standard"][..]),
        ] {
            set(&mut metadata, "search_path", value).unwrap();
            assert_eq!(search_path(&metadata), path, "{value}");
        }
    }

    #[test]
    fn settings_come_with_the_connection() {
        let mut metadata = Metadata::new();
        metadata.insert("search_path".into(), "raw".into());
        let options = "-c statement_timeout=5s --application_name=a\\ b -cgeqo=off";
        metadata.insert("options".into(), options.into());
        begin(&mut metadata).unwrap();
        assert_eq!(search_path(&metadata), ["raw"]);
        let longest = Duration::from_secs(60);
        assert_eq!(statement_timeout(&metadata, longest), Duration::from_secs(5));
        assert_eq!(show(&metadata, "application_name", longest).unwrap().1, "a b");
        metadata.insert("options".into(), "-csearch_path=nowhere".into());
        assert!(begin(&mut metadata).is_err());
        for (name, value) in [("options", "-c huiliu.snapshot=7"), ("Huiliu.Snapshot", "7")] {
            let mut metadata = Metadata::from([(name.to_owned(), value.to_owned())]);
            begin(&mut metadata).unwrap();
            assert_eq!(snapshot(&metadata), Some(7), "{name}");
        }
        for (name, value) in [("huiliu.snapshot", "-7"), ("statement_timeout", "soon")] {
            let mut metadata = Metadata::from([(name.to_owned(), value.to_owned())]);
            assert!(begin(&mut metadata).is_err(), "{name}");
        }
    }
}
