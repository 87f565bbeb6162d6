//! Records that name their own fields: JSON and XML.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;

use huiliu_sdk::{Cell, Error, ErrorKind, Result};
use serde_json::Value;

use super::{Flow, Raw, Receiver, Refusal, untyped};
use crate::config::{Encoding, Stream};
use crate::encoding::bytes_of;
use crate::fault::over_limit;

/// More fields than any record has.
const MAX_FIELDS: usize = 10_000;

/// A record: its fields in their order, or why it is none, with what stands in the file.
pub(super) type Entries = Result<Vec<(String, Value)>, (Refusal, Vec<u8>)>;

/// Goes through all records of a file.
pub(super) type Scan<'a> = dyn Fn(&mut dyn FnMut(u64, Entries) -> Flow) -> Flow + 'a;

/// Gives the records that `scan` finds to `receiver`. Their fields are those that the stream
/// names, else all that occur, which takes a pass of its own.
pub(super) fn read(
    scan: &Scan<'_>,
    file: &str,
    encoding: Encoding,
    stream: &Stream,
    receiver: &mut dyn Receiver,
) -> Flow {
    let names = if stream.fields.is_empty() {
        let mut names = Vec::new();
        collect(scan, file, &mut names)?;
        if names.is_empty() {
            // Without a record only the operator can say which columns there are.
            names.extend(stream.columns.keys().cloned());
        }
        if names.is_empty() {
            return Err(no_record(file));
        }
        names
    } else {
        stream.fields.iter().map(|(_, field)| field.clone()).collect()
    };
    let places: Vec<Place> = names.iter().map(|name| Place::of(name)).collect();
    receiver.header(&untyped(names))?;
    let mut unseen: HashSet<usize> = (0..places.len()).collect();
    let mut rows = 0_u64;
    let flow = scan(&mut |position, entries| {
        rows += 1;
        let entries = match entries {
            Ok(entries) => entries,
            Err((refusal, raw)) => return receiver.refused(position, refusal, Raw::Line(&raw)),
        };
        let values: Vec<Option<&Value>> = places.iter().map(|place| place.find(&entries)).collect();
        unseen.retain(|place| values[*place].is_none());
        let texts: Vec<Option<Cow<'_, str>>> = values.iter().map(|value| text(*value)).collect();
        let cells: Vec<Cell<'_>> = (values.iter().zip(&texts))
            .map(|(value, text)| match (value, text) {
                (Some(Value::Bool(value)), _) => Cell::Bool(*value),
                (_, Some(text)) if stream.null.as_deref() == Some(&**text) => Cell::Null,
                (_, Some(text)) => Cell::Text(text),
                _ => Cell::Null,
            })
            .collect();
        let bytes: Vec<Option<Vec<u8>>> = texts
            .iter()
            .map(|text| text.as_ref().and_then(|text| bytes_of(text, encoding)))
            .collect();
        // A sender's program may have damaged the text before.
        let was_damaged = texts.iter().flatten().any(|text| text.contains('\u{fffd}'));
        if was_damaged || bytes.iter().any(Option::is_some) {
            let cells: Vec<Cell<'_>> = (cells.iter().zip(&bytes))
                .map(|(cell, bytes)| bytes.as_deref().map_or(*cell, Cell::Bytes))
                .collect();
            let reason = "text that is not in the file's encoding, or was damaged before".into();
            return receiver.refused(position, ("E-ENCODING", reason), Raw::Cells(&cells));
        }
        receiver.row(position, &cells)
    })?;
    if rows > 0 && flow.is_continue() {
        let mut unseen: Vec<&str> = unseen.iter().map(|at| places[*at].name.as_str()).collect();
        unseen.sort_unstable();
        if !unseen.is_empty() {
            let names = unseen.join("`, `");
            receiver.note(format!("no record of file {file} has `{names}`"));
        }
    }
    Ok(flow)
}

fn collect(scan: &Scan<'_>, file: &str, names: &mut Vec<String>) -> Result<()> {
    let mut known: HashSet<String> = HashSet::new();
    scan(&mut |_, entries| {
        for (name, _) in entries.iter().flatten() {
            if known.insert(name.clone()) {
                names.push(name.clone());
            }
        }
        if names.len() > MAX_FIELDS {
            return Err(over_limit(format!(
                "the records of file {file} have more than {MAX_FIELDS} fields"
            )));
        }
        Ok(ControlFlow::Continue(()))
    })
    .map(drop)
}

fn no_record(file: &str) -> Error {
    Error::new(
        ErrorKind::Schema,
        "E-HEADER",
        format!("file {file} has no record that would tell its fields"),
    )
    .hint(
        "name the columns in `columns` or `fields`, so that a file without records is no fault; check `record`",
    )
}

/// Where a field is in a record.
struct Place {
    name: String,
    /// The steps of a path; none for a plain name.
    steps: Option<Vec<String>>,
}

impl Place {
    fn of(name: &str) -> Self {
        let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
        let steps = name.strip_prefix('/').map(|path| path.split('/').map(step).collect());
        Self { name: name.to_owned(), steps }
    }

    fn find<'v>(&self, entries: &'v [(String, Value)]) -> Option<&'v Value> {
        let of = |name: &str| entries.iter().find(|(found, _)| found == name).map(|(_, v)| v);
        let Some((first, rest)) = self.steps.as_ref().and_then(|steps| steps.split_first()) else {
            return of(&self.name);
        };
        rest.iter().try_fold(of(first)?, |value, step| match value {
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            value => value.get(step),
        })
    }
}

fn text(value: Option<&Value>) -> Option<Cow<'_, str>> {
    match value? {
        Value::Null | Value::Bool(_) => None,
        Value::String(text) => Some(text.into()),
        value => Some(value.to_string().into()),
    }
}
