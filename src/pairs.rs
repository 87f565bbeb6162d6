//! Files of `NAME=value` lines, which may hold comments.

use std::path::{Path, PathBuf};

use huiliu_sdk::{Error, ErrorKind, Result};

/// The pairs of a file, in order; none if there is no file.
pub(crate) fn read(file: &Path) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(text(file)?.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            // The line itself may be a secret, so only its number is said.
            let message = format!("{}:{number}: this is no NAME=value line", file.display());
            return Err(Error::new(ErrorKind::Config, "E-PAIRS", message)
                .hint("write one NAME=value on each line; # begins a comment"));
        };
        pairs.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(pairs)
}

/// Sets values in a file; other lines stay. `head` is a comment before them.
pub(crate) fn put(file: &Path, head: Option<&str>, pairs: &[(String, String)]) -> Result<()> {
    let mut lines = others(file, |name| pairs.iter().any(|(ours, _)| ours == name))?;
    lines.retain(|line| head != Some(line));
    lines.extend(head.map(str::to_owned));
    lines.extend(pairs.iter().map(|(name, value)| format!("{name}={value}")));
    write(file, &lines)
}

/// Removes a value.
pub(crate) fn remove(file: &Path, name: &str) -> Result<()> {
    write(file, &others(file, |found| found == name)?)
}

/// The lines of all others.
fn others(file: &Path, is_ours: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let text = text(file)?;
    let stays = |line: &&str| !line.split_once('=').is_some_and(|(name, _)| is_ours(name.trim()));
    Ok(text.lines().filter(stays).map(str::to_owned).collect())
}

fn text(file: &Path) -> Result<String> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| {
            let message = format!("{} cannot be read", file.display());
            Error::new(ErrorKind::Permission, "E-DATA", message).cause(error)
        }),
    }
}

/// Puts a file that only its owner can read in the place of the old one, whole or not at all.
fn write(file: &Path, lines: &[String]) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let beside = beside(file);
    let written = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut new| {
            lines.iter().try_for_each(|line| writeln!(new, "{line}"))?;
            new.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, file));
    written.map_err(|error| {
        let message = format!("{} cannot be written", file.display());
        Error::new(ErrorKind::Permission, "E-DATA", message).cause(error)
    })
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
