//! Receipts: what the hub tells the sender once the rows of a file are committed.

use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use huiliu_sdk::Result;

use crate::config::ReceiptOptions;
use crate::control::note;
use crate::fault::broken;
use crate::ledger::{Ledger, Taken};
use crate::place::Place;

/// More than a receipt has.
const MAX_BYTES: u64 = 64 << 10;

/// Writes the receipt of the file `name`, in place of an older one.
pub(crate) fn write(
    place: &dyn Place,
    name: &str,
    taken: &Taken,
    options: &ReceiptOptions,
    at: (DateTime<Utc>, Tz),
) -> Result<()> {
    let receipt = name_of(name, options);
    let text = note(
        &[
            ("file", name.to_owned()),
            ("rows", taken.rows.to_string()),
            ("refused", taken.refused.to_string()),
            ("sha256", taken.content.sha256.clone()),
            ("received", at.0.with_timezone(&at.1).format("%Y-%m-%dT%H:%M:%S%:z").to_string()),
        ],
        options.layout,
    );
    let mut draft = place.draft()?;
    draft.write_all(text.as_bytes()).map_err(|cause| broken(&receipt, cause))?;
    place.publish(draft, &receipt, true)
}

/// Writes the receipts that the last read with new files may have left owing: the hub may have
/// ended between its commit and them.
pub(crate) fn write_owed(
    place: &dyn Place,
    ledger: &Ledger,
    options: &ReceiptOptions,
    at: (DateTime<Utc>, Tz),
) -> Result<()> {
    for name in &ledger.latest {
        let Some(taken) = ledger.files.get(name) else { continue };
        if !is_there(place, name, taken, options)? {
            write(place, name, taken, options, at)?;
        }
    }
    Ok(())
}

fn is_there(
    place: &dyn Place,
    name: &str,
    taken: &Taken,
    options: &ReceiptOptions,
) -> Result<bool> {
    let receipt = name_of(name, options);
    let Some(file) = place.open(&receipt)? else { return Ok(false) };
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(|cause| broken(&receipt, cause))?;
    Ok(String::from_utf8_lossy(&text).contains(&taken.content.sha256))
}

fn name_of(name: &str, options: &ReceiptOptions) -> String {
    format!("{name}{}", options.suffix)
}
