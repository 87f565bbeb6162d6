//! What a tap offers, and whether it or a target answers at all.

use std::ffi::OsString;
use std::process::Stdio;

use huiliu_sdk::{ColumnSpec, Cx, Probe, Result, StreamSpec, says_when_changed};
use serde_json::json;

use crate::catalog::{self, Entry};
use crate::config::{CatalogUse, Settings};
use crate::fault::failed;
use crate::folder::Folder;
use crate::process::Program;
use crate::schema;

/// Characters of a program's answer that are told.
const TOLD: usize = 120;

/// Whether the program answers: a tap lists its streams, anything else tells its version.
pub(crate) async fn probe(settings: &Settings, cx: &Cx) -> Result<Probe> {
    let program = settings.program();
    let is_tap = settings.pushes.is_empty() && settings.catalog != CatalogUse::None;
    if is_tap {
        let streams = catalog::discover(settings, cx).await?.len();
        return Ok(Probe { summary: format!("{program}, {streams} streams") });
    }
    // Those that know no `--version` know `--help`.
    let words = match answer(settings, cx, "--version").await? {
        (true, words) => words,
        (false, _) => {
            answer(settings, cx, "--help").await?;
            String::new()
        }
    };
    Ok(Probe { summary: if words.is_empty() { program.to_owned() } else { words } })
}

/// What the program says to one argument, and whether it ends well. To the last one it has to.
async fn answer(settings: &Settings, cx: &Cx, argument: &str) -> Result<(bool, String)> {
    cx.request().await?;
    let arguments = [OsString::from(argument)];
    let (mut program, mut output) =
        Program::start(settings, Folder::new()?, &arguments, Stdio::null())?;
    let text = match output.all().await {
        Ok(text) => text,
        Err(error) => return Err(program.give_up(settings, error).await),
    };
    let status = program.exit().await?;
    if !status.success() && argument == "--help" {
        return Err(failed(settings.program(), status, &program.said(settings).await));
    }
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().next().unwrap_or_default().trim();
    let words = settings.redactor.clean(first).chars().take(TOLD).collect();
    Ok((status.success(), words))
}

/// The streams a tap offers.
pub(crate) async fn streams(settings: &Settings, cx: &Cx) -> Result<Vec<StreamSpec>> {
    if settings.catalog == CatalogUse::None {
        return Err(huiliu_sdk::Error::unsupported("listing the streams of this tap").hint(
            "with catalog = \"none\" name each stream under `stream` as the tap's manual has it",
        ));
    }
    let entries = catalog::discover(settings, cx).await?;
    Ok(entries.iter().map(offered).collect())
}

fn offered(entry: &Entry) -> StreamSpec {
    // A stream whose columns nobody can read is listed nevertheless.
    let columns = schema::all(entry.schema()).unwrap_or_default();
    let known = |name: &String| columns.iter().any(|column| column.name == *name);
    let mut cursors = entry.cursors();
    let changed = match cursors.first() {
        Some(first) => Some(first.clone()),
        None if entry.forced().is_none() => {
            cursors = columns
                .iter()
                .filter(|column| {
                    column.kind.arrow().is_temporal() || says_when_changed(&column.name)
                })
                .map(|column| column.name.clone())
                .collect();
            cursors.iter().find(|name| says_when_changed(name)).cloned()
        }
        None => None,
    };
    if let Some(changed) = &changed {
        cursors.sort_by_key(|cursor| cursor != changed);
    }
    let key = entry.key();
    let key = if key.iter().all(known) { key } else { Vec::new() };
    let columns = columns.iter().map(|column| {
        let word = word(column.kind);
        (column.name.clone(), ColumnSpec { data_type: Some(word), ..ColumnSpec::default() })
    });
    StreamSpec {
        name: entry.id().to_owned(),
        options: json!({ "stream": entry.id() }),
        columns: columns.collect(),
        key,
        cursors,
        changed,
        row_estimate: entry.row_estimate(),
    }
}

/// The type as it is declared.
fn word(kind: huiliu_sdk::ColumnType) -> String {
    match kind {
        huiliu_sdk::ColumnType::Json => "json".to_owned(),
        kind => huiliu_sdk::type_word(&kind.arrow()),
    }
}
