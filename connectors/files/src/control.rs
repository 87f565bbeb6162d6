//! Control files: what the sender says about a data file, as `key=value` lines.

use std::io::Read;

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::config::ControlOptions;
use crate::folder::{self, Folder};
use crate::ledger::Fingerprint;

/// More than any control file has any reason to be.
const MAX_BYTES: u64 = 64 << 10;

/// What a control file promises.
pub(crate) struct Control {
    name: String,
    rows: u64,
    digest: String,
}

/// The name of the control file of the data file `name`.
pub(crate) fn name_of(name: &str, options: &ControlOptions) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}{}", options.suffix)
}

/// Reads the control file of `data`, or nothing if it is not there yet.
pub(crate) fn read(
    folder: &Folder,
    data: &str,
    options: &ControlOptions,
) -> Result<Option<Control>> {
    let name = name_of(data, options);
    let Some(file) = folder.find(&name)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| folder::broken(&name, cause))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("control file {name} is longer than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8_lossy(&bytes);
    let value = |key: &str| {
        text.trim_start_matches('\u{feff}')
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(found, _)| found.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
            .ok_or_else(|| wrong(format!("control file {name} has no line `{key}=`")))
    };
    let rows = value(&options.rows)?.parse().map_err(|_| {
        wrong(format!("`{}` of control file {name} is not a whole number", options.rows))
    })?;
    let digest = value(&options.digest)?.to_ascii_lowercase();
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong(format!(
            "`{}` of control file {name} is not the 64 hexadecimal digits of a SHA-256 digest",
            options.digest
        )));
    }
    Ok(Some(Control { name, rows, digest }))
}

impl Control {
    /// Compares the promised digest with that of the data file.
    pub(crate) fn check_digest(&self, data: &str, found: &Fingerprint) -> Result<()> {
        if self.digest == found.sha256 {
            return Ok(());
        }
        let Self { name, digest, .. } = self;
        let found = &found.sha256;
        Err(wrong(format!("file {data} has SHA-256 {found}, {name} says {digest}")))
    }

    /// Compares the promised number of rows with that of the data file.
    pub(crate) fn check_rows(&self, data: &str, found: u64) -> Result<()> {
        if self.rows == found {
            return Ok(());
        }
        let Self { name, rows, .. } = self;
        Err(wrong(format!("file {data} has {found} rows, {name} says {rows}")))
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Data, "E-CONTROL", message)
        .hint("ask the sender to deliver the data file and its control file again")
}
