//! Files of `NAME=value` lines, which may hold comments.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use huiliu_sdk::{Error, ErrorKind, Result};

/// The pairs of a file, in order; none if there is no file.
pub(crate) fn read(file: &Path) -> Result<Vec<(String, String)>> {
    parse(file, &lines(file)?)
}

/// The pairs in the lines of a file.
pub(crate) fn parse(file: &Path, lines: &[String]) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (number, line) in (1..).zip(lines) {
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

/// Puts a file whose lines were changed in the place of the old one. Whoever changes it at the same
/// time waits, so that neither loses what the other wrote.
pub(crate) fn change<T>(
    file: &Path,
    change: impl FnOnce(&mut Vec<String>) -> Result<T>,
) -> Result<T> {
    let _turn = turn(file).map_err(|error| unwritable(file, error))?;
    let mut lines = lines(file)?;
    let done = change(&mut lines)?;
    write(file, &lines).map_err(|error| unwritable(file, error))?;
    Ok(done)
}

/// Sets values in a file; other lines stay. `head` is a comment before them.
pub(crate) fn put(file: &Path, head: Option<&str>, pairs: &[(String, String)]) -> Result<()> {
    change(file, |lines| {
        set(lines, head, pairs);
        Ok(())
    })
}

/// Sets values among lines; others stay. `head` is a comment before them.
pub(crate) fn set(lines: &mut Vec<String>, head: Option<&str>, pairs: &[(String, String)]) {
    retain_others(lines, |name| pairs.iter().any(|(ours, _)| ours == name));
    lines.retain(|line| head != Some(line));
    lines.extend(head.map(str::to_owned));
    lines.extend(pairs.iter().map(|(name, value)| format!("{name}={value}")));
}

/// Removes a value.
pub(crate) fn remove(file: &Path, name: &str) -> Result<()> {
    change(file, |lines| {
        retain_others(lines, |found| found == name);
        Ok(())
    })
}

/// Keeps the lines of all others.
fn retain_others(lines: &mut Vec<String>, is_ours: impl Fn(&str) -> bool) {
    lines.retain(|line| !line.split_once('=').is_some_and(|(name, _)| is_ours(name.trim())));
}

fn lines(file: &Path) -> Result<Vec<String>> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) => {
            let message = format!("{} cannot be read", file.display());
            Err(Error::new(ErrorKind::Permission, "E-DATA", message).cause(error))
        }
    }
}

/// Waits until nobody else changes the file, and holds others up until it is dropped. The lock is
/// on a file of its own, because the file itself is replaced.
fn turn(file: &Path) -> std::io::Result<File> {
    let turn = private().open(beside(file, ".lock"))?;
    turn.lock()?;
    Ok(turn)
}

/// Puts a file that only its owner can read in the place of the old one, whole or not at all.
fn write(file: &Path, lines: &[String]) -> std::io::Result<()> {
    let beside = beside(file, ".new");
    let mut new = private().truncate(true).open(&beside)?;
    lines.iter().try_for_each(|line| writeln!(new, "{line}"))?;
    new.sync_all()?;
    std::fs::rename(&beside, file)?;
    // Without it the old file may be back after a power loss.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn unwritable(file: &Path, cause: std::io::Error) -> Error {
    let message = format!("{} cannot be written", file.display());
    Error::new(ErrorKind::Permission, "E-DATA", message).cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_set_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    for number in 0..25 {
                        let pair = (format!("of_{writer}_{number}"), "value".to_owned());
                        put(file, None, &[pair]).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&file).unwrap().len(), 100);
    }
}
