//! Rows that were refused, as they came.

use huiliu_sdk::{Cell, original};

use crate::column::Wire;
use crate::layout::{Form, Layout};
use crate::{moment, numeric};

enum Kept<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Bytes(&'a [u8]),
}

/// The row as quarantine keeps it. What is no value of its type is kept as bytes.
pub(crate) fn render(layout: &Layout, tuple: &[u8]) -> Vec<u8> {
    let mut rest = tuple.get(2..).unwrap_or_default();
    let mut row: Vec<(&str, Kept<'_>)> = Vec::with_capacity(layout.columns.len());
    for laid in &layout.columns {
        let Some((length, after)) = rest.split_first_chunk::<4>() else { break };
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = after;
            row.push((&laid.name, Kept::Null));
            continue;
        };
        let Some((value, after)) = after.split_at_checked(length) else { break };
        rest = after;
        let kept = match laid.form {
            Form::Wire(wire) => kept(wire, value),
            Form::Parsed(_) => None,
        };
        row.push((&laid.name, kept.unwrap_or(Kept::Bytes(value))));
    }
    original(row.iter().map(|(name, kept)| {
        let cell = match kept {
            Kept::Null => Cell::Null,
            Kept::Bool(value) => Cell::Bool(*value),
            Kept::Int(value) => Cell::Int(*value),
            Kept::Text(text) => Cell::Text(text),
            Kept::Bytes(bytes) => Cell::Bytes(bytes),
        };
        (*name, cell)
    }))
}

fn kept(wire: Wire, value: &[u8]) -> Option<Kept<'_>> {
    let long = || Some(i64::from_be_bytes(value.try_into().ok()?));
    Some(match wire {
        Wire::Bool => Kept::Bool(value != [0]),
        Wire::Int16 => Kept::Int(i16::from_be_bytes(value.try_into().ok()?).into()),
        Wire::Int32 => Kept::Int(i32::from_be_bytes(value.try_into().ok()?).into()),
        Wire::Int64 => Kept::Int(long()?),
        Wire::Oid => Kept::Int(u32::from_be_bytes(value.try_into().ok()?).into()),
        Wire::Float32 => Kept::Text(f32::from_be_bytes(value.try_into().ok()?).to_string()),
        Wire::Float64 => Kept::Text(f64::from_be_bytes(value.try_into().ok()?).to_string()),
        Wire::Decimal(..) => Kept::Text(numeric::text(value)?),
        Wire::Text | Wire::Bytes => return None,
        Wire::Date => Kept::Text(moment::day_text(i32::from_be_bytes(value.try_into().ok()?))),
        Wire::WallTime(..) => Kept::Text(moment::micros_text(long()?, "")),
        Wire::Instant | Wire::InstantAsWall(_) => Kept::Text(moment::micros_text(long()?, "Z")),
    })
}
