//! The first lines of a new system's file: what it is, and where.

use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Spec, schema_keys};
use serde_json::Value;

use crate::cli::NewSystem;
use crate::setup::Setup;
use crate::toml::{quote, toml_key};

/// The lines for a system of this kind at the address that the arguments give.
pub(super) fn head(setup: &Setup, new: &NewSystem, spec: &Spec, id: &str) -> Result<String, Error> {
    let mut lines = Vec::new();
    let address = match (&new.url, &new.url_from, &new.path) {
        (Some(url), ..) => Some((url_key(spec), url.clone())),
        (_, Some(reference), _) => Some((url_key(spec), format!("${{{reference}}}"))),
        (.., Some(path)) => Some(("path".to_owned(), path.clone())),
        _ => None,
    };
    if let Some((key, text)) = address {
        refuse_password(&key, &text)?;
        lines.push(format!("{key} = {}", quote(&text)));
    }
    for pair in &new.set {
        lines.push(set(pair)?);
    }
    if lines.is_empty() {
        return Err(nowhere(spec));
    }
    let names = (new.title.as_deref(), new.owner.as_deref());
    Ok(named(setup, names, spec.kind, id) + &lines.join("\n") + "\n" + LIMITS)
}

const LIMITS: &str =
    "# limits = { connections = 2, requests_per_minute = 600, quiet_hours = \"08:00-18:00\" }\n";

/// What every system has, whatever its kind; its title and owner, where somebody said them.
pub(super) fn named(
    setup: &Setup,
    (title, owner): (Option<&str>, Option<&str>),
    kind: &str,
    id: &str,
) -> String {
    let unknown = setup.printer.pick("to be filled in", "待填写");
    format!(
        "#:schema ../schema/system-{kind}.json\nversion = 1\nkind = {}\ntitle = {}\nowner = {}\n\
         # survey: known only | trial: pulled, never pushed to | live\nstage = \"trial\"\n",
        quote(kind),
        quote(title.unwrap_or(id)),
        quote(owner.unwrap_or(unknown)),
    )
}

/// A file that is there is never written over.
pub(super) fn refuse_existing(file: &Path) -> Result<(), Error> {
    if !file.exists() {
        return Ok(());
    }
    let message = format!("{} is there already", file.display());
    let hint = "leave --kind and the address out: they stand in the file";
    Err(Error::new(ErrorKind::Config, "E-SYSTEM-FILE", message).hint(hint))
}

/// The key under which a kind of system has its address.
fn url_key(spec: &Spec) -> String {
    let has = |key: &str| spec.system_schema["properties"].get(key).is_some();
    let known = ["url", "connection"].into_iter().find(|key| has(key));
    known.unwrap_or("url").to_owned()
}

fn nowhere(spec: &Spec) -> Error {
    let required: Vec<String> = schema_keys(&spec.system_schema)
        .iter()
        .filter(|key| key.is_required && !key.path.contains(['.', '[']))
        .map(|key| format!("--set {}=…", key.path))
        .collect();
    let message = "nobody said where the new system is";
    Error::new(ErrorKind::Config, "E-SYSTEM", message).hint(format!(
        "give --url, --url-from secret:NAME, --path, or keys of its file ({}); `huiliu init system` \
         writes a file with all of them to be filled in",
        required.join(" ")
    ))
}

/// `key=value` as a line of TOML. A value that is TOML itself stays so, any other is text.
fn set(pair: &str) -> Result<String, Error> {
    let unfit = || {
        let message =
            format!("`--set {}` sets nothing", pair.split('=').next().unwrap_or_default());
        Error::new(ErrorKind::Config, "E-SYSTEM", message)
            .hint("write it as KEY=VALUE, such as --set host=10.1.2.3 or --set 'command=[\"tap\"]'")
    };
    let (key, value) = pair.split_once('=').ok_or_else(unfit)?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() || key.split('.').any(str::is_empty) {
        return Err(unfit());
    }
    let key: Vec<String> = key.split('.').map(toml_key).collect();
    let key = key.join(".");
    let is_plain = value.starts_with(['[', '{', '"', '\'']) || is_number_or_truth(value);
    let line = format!("{key} = {}", if is_plain { value.to_owned() } else { quote(value) });
    // What only looks like TOML would be read as something else.
    let is_toml = !line.contains('\n') && line.parse::<toml_edit::DocumentMut>().is_ok();
    let line = if is_toml { line } else { format!("{key} = {}", quote(value)) };
    refuse_password(&key, value)?;
    Ok(line)
}

fn is_number_or_truth(value: &str) -> bool {
    matches!(serde_json::from_str::<Value>(value), Ok(Value::Number(_) | Value::Bool(_)))
}

/// Secrets do not belong into the file of a system.
fn refuse_password(key: &str, text: &str) -> Result<(), Error> {
    let name = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let is_secret = ["password", "passwd", "pwd", "secret", "token", "secret_key", "api_key"]
        .iter()
        .any(|word| name == *word || name.ends_with(&format!("_{word}")));
    let is_reference = text.trim_matches(['"', '\'']).starts_with("${");
    if !(has_password(text) || has_assigned_password(text) || (is_secret && !is_reference)) {
        return Ok(());
    }
    let message = format!("`{key}` holds a password, which would stand in the file");
    Err(Error::new(ErrorKind::Config, "E-SECRET-INLINE", message).hint(
        "keep it with `huiliu secret set NAME` and say `${secret:NAME}` in its place, \
         or `--url-from secret:NAME` for a whole address",
    ))
}

/// Whether an address has a password between its user and its host.
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Before the last @, because a password may hold one.
    let user = rest.rsplit_once('@').map(|(user, _)| user).or(authority.split('@').nth(1));
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, word)| !word.starts_with("${"))
}

/// Whether a connection string has one, such as `Pwd=`.
fn has_assigned_password(text: &str) -> bool {
    text.split(';').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or_default();
        let is_password = ["pwd", "password"].contains(&name.trim().to_ascii_lowercase().as_str());
        is_password && !value.trim().is_empty() && !value.trim().starts_with("${")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_seen_wherever_it_stands() {
        for with in ["postgresql://a:b@h/d", "mysql://a:b@c@h/d", "mysql://a:p/w@h/d"] {
            assert!(has_password(with), "{with}");
        }
        for without in
            ["postgresql://a@h:5432/d", "http://h:80/x", "postgresql://a:${secret:p}@h/d"]
        {
            assert!(!has_password(without), "{without}");
        }
        assert!(refuse_password("connection", "Driver={x};Uid=u;pwd=p").is_err());
        assert!(refuse_password("connection", "Driver={x};Uid=u;Pwd=${secret:p}").is_ok());
        assert!(refuse_password("config.password", "p").is_err());
        assert!(refuse_password("config.password", "${secret:p}").is_ok());
        assert!(refuse_password("config.host", "h").is_ok());
    }

    #[test]
    fn what_is_set_is_a_line_of_toml() {
        for (pair, line) in [
            ("command=[\"tap\", \"--x\"]", "command = [\"tap\", \"--x\"]"),
            ("config.host = 10.1.2.3", "config.host = \"10.1.2.3\""),
            ("config.port=5432", "config.port = 5432"),
            ("config.a b=true", "config.\"a b\" = true"),
            ("path=a \"b\"\n[x]", "path = \"a \\\"b\\\"\\n[x]\""),
            ("path=[not toml", "path = \"[not toml\""),
        ] {
            assert_eq!(set(pair).unwrap(), line);
        }
        for pair in ["command", "=x", "a..b=x"] {
            assert!(set(pair).is_err(), "{pair}");
        }
    }
}
