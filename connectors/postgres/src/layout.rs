//! A stream laid over its table: which columns are asked for, in which form, and what they become.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono_tz::Tz;
use huiliu_sdk::{ColumnType, DeclaredColumn, Result};

use crate::catalog::{Declared, Table};
use crate::column::Wire;
use crate::config::{Mode, Oddities, Stream};
use crate::database::{column, quote_table};

/// The largest row that is read. What is larger goes to quarantine without its values.
pub(crate) const ROW_LIMIT: usize = 64 << 20;

/// The columns to read, in order.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) schema: SchemaRef,
    pub(crate) columns: Vec<Laid>,
    /// Texts that are read beside the columns, for the connector's own use.
    pub(crate) notes: Vec<String>,
    /// What measures a row before it is sent, where rows may be large.
    guard: Option<String>,
    table: String,
}

/// One column to read.
#[derive(Debug)]
pub(crate) struct Laid {
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) nullable: bool,
    expression: String,
    /// What measures it, if it may be large.
    size: Option<String>,
}

/// How a column arrives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// In binary, and decoded straight into its array.
    Wire(Wire),
    /// As text, which is read as the type the operator declared.
    Parsed(ColumnType),
}

/// Lays `stream` over `table` and refuses what the table does not have.
pub(crate) fn layout(stream: &Stream, table: &Table, hub_zone: Tz) -> Result<Layout> {
    let flag = match &stream.mode {
        Mode::Flagged(flag) => Some(flag),
        Mode::Full | Mode::Incremental { .. } => None,
    };
    let wanted = (stream.select.iter().flatten())
        .chain(&stream.key)
        .chain(stream.cursor())
        .chain(flag.map(|flag| &flag.column))
        .chain(flag.iter().flat_map(|flag| flag.case.iter().chain(&flag.version)))
        .chain(stream.columns.keys());
    for name in wanted {
        table.column(name)?;
    }
    let selected: Vec<&Declared> = match &stream.select {
        Some(select) => select.iter().map(|name| table.column(name)).collect::<Result<_>>()?,
        // The mark is the reader's own and changes with each read; it is no content.
        None => (table.columns.iter())
            .filter(|column| flag.is_none_or(|flag| flag.column != column.name))
            .collect(),
    };
    let columns = selected.into_iter().map(|declared| lay(stream, declared, hub_zone)).collect();
    Ok(assemble(table, columns))
}

/// Only the key columns, for comparing keys.
pub(crate) fn keys(stream: &Stream, table: &Table, hub_zone: Tz) -> Result<Layout> {
    let columns = stream
        .key
        .iter()
        .map(|name| Ok(lay(stream, table.column(name)?, hub_zone)))
        .collect::<Result<_>>()?;
    Ok(assemble(table, columns))
}

fn assemble(table: &Table, columns: Vec<Laid>) -> Layout {
    let fields: Vec<Field> = columns
        .iter()
        .map(|laid| {
            let data_type = match laid.form {
                Form::Wire(wire) => wire.arrow(),
                Form::Parsed(kind) => kind.arrow(),
            };
            Field::new(&laid.name, data_type, laid.nullable)
        })
        .collect();
    let sizes: Vec<&str> = columns.iter().filter_map(|laid| laid.size.as_deref()).collect();
    let guard = (table.may_be_large && !sizes.is_empty()).then(|| sizes.join(" + "));
    Layout {
        schema: Arc::new(Schema::new(fields)),
        columns,
        notes: Vec::new(),
        guard,
        table: quote_table(&table.name),
    }
}

fn lay(stream: &Stream, declared: &Declared, hub_zone: Tz) -> Laid {
    let name = column(&declared.name);
    let wanted: Option<&DeclaredColumn> = stream.columns.get(&declared.name);
    let natural = natural(declared, stream.zone, hub_zone);
    let (form, cast) = match wanted.and_then(|wanted| wanted.kind) {
        Some(kind) => as_declared(kind, declared.type_oid, natural, hub_zone),
        None => match natural {
            Some(Wire::Date | Wire::WallTime(..) | Wire::Instant | Wire::Decimal(..))
                if stream.oddities == Oddities::Text =>
            {
                (Form::Wire(Wire::Text), Some("text"))
            }
            Some(wire) => (Form::Wire(wire), None),
            None => (Form::Wire(Wire::Text), Some("text")),
        },
    };
    let expression = match cast {
        Some(cast) => format!("{name}::{cast}"),
        None => name,
    };
    let measured = match form {
        Form::Wire(Wire::Text) | Form::Parsed(_) => Some("text"),
        Form::Wire(Wire::Bytes) => Some("bytea"),
        Form::Wire(_) => None,
    };
    let size = measured
        .filter(|_| !declared.is_enum && !is_small(declared.type_oid))
        .map(|cast| format!("coalesce(octet_length({}::{cast}), 0)::int8", column(&declared.name)));
    Laid {
        name: declared.name.clone(),
        form,
        nullable: wanted.is_none_or(|wanted| wanted.nullable),
        expression,
        size,
    }
}

/// How a column is read if nobody says otherwise: exactly as it is. None means as text.
pub(crate) fn natural(declared: &Declared, zone: Tz, hub_zone: Tz) -> Option<Wire> {
    Some(match declared.type_oid {
        16 => Wire::Bool,
        21 => Wire::Int16,
        23 => Wire::Int32,
        20 => Wire::Int64,
        26 => Wire::Oid,
        700 => Wire::Float32,
        701 => Wire::Float64,
        1700 => {
            let (precision, scale) = precision(declared.modifier)?;
            Wire::Decimal(precision, scale)
        }
        // text, varchar, char(n), name and json travel as their own bytes.
        25 | 1043 | 1042 | 19 | 114 => Wire::Text,
        _ if declared.is_enum => Wire::Text,
        17 => Wire::Bytes,
        1082 => Wire::Date,
        1114 => Wire::WallTime(zone, hub_zone),
        1184 => Wire::Instant,
        _ => return None,
    })
}

/// Precision and scale of a `numeric` column, if a decimal of the lake can hold all its values.
pub(crate) fn precision(modifier: i32) -> Option<(u8, i8)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let precision = u8::try_from((packed >> 16) & 0xffff).ok()?;
    // Eleven bits with a sign, of which only newer servers use the sign.
    let scale = i8::try_from(((packed & 0x7ff) ^ 1024) - 1024).ok()?;
    let holds = (1..=38).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision;
    holds.then_some((precision, scale))
}

fn as_declared(
    kind: ColumnType,
    type_oid: i64,
    natural: Option<Wire>,
    hub_zone: Tz,
) -> (Form, Option<&'static str>) {
    let wire = |wire| (Form::Wire(wire), None);
    match (kind, natural) {
        (ColumnType::Text | ColumnType::Json, Some(Wire::Text)) => wire(Wire::Text),
        (ColumnType::Text | ColumnType::Json, _) => (Form::Wire(Wire::Text), Some("text")),
        (ColumnType::Int, Some(Wire::Int16 | Wire::Int32 | Wire::Int64 | Wire::Oid)) => {
            (Form::Wire(Wire::Int64), Some("int8"))
        }
        (ColumnType::Float, Some(Wire::Float32 | Wire::Float64)) => {
            (Form::Wire(Wire::Float64), Some("float8"))
        }
        (ColumnType::Decimal(precision, scale), _) if matches!(type_oid, 20 | 21 | 23 | 1700) => {
            (Form::Wire(Wire::Decimal(precision, scale)), Some("numeric"))
        }
        (ColumnType::Timestamp, Some(Wire::Instant)) => wire(Wire::InstantAsWall(hub_zone)),
        (ColumnType::Bool, Some(natural @ Wire::Bool))
        | (ColumnType::Date, Some(natural @ Wire::Date))
        | (ColumnType::Timestamp, Some(natural @ Wire::WallTime(..)))
        | (ColumnType::Binary, Some(natural @ Wire::Bytes)) => wire(natural),
        (kind, _) => (Form::Parsed(kind), Some("text")),
    }
}

/// Types whose text is never long: numbers, times, addresses, names.
fn is_small(type_oid: i64) -> bool {
    matches!(
        type_oid,
        16 | 18
            | 19
            | 20
            | 21
            | 23
            | 26
            | 650
            | 700
            | 701
            | 774
            | 790
            | 829
            | 869
            | 1082
            | 1083
            | 1114
            | 1184
            | 1186
            | 1266
            | 1700
            | 2950
    )
}

impl Layout {
    /// Reads `notes` beside the columns.
    pub(crate) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// Whether the last value of each row measures it.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// The statement that reads the rows; `rest` follows the table, which is called `t`.
    ///
    /// A row of more than [`ROW_LIMIT`] is measured at the server and sent without its values,
    /// because the driver holds a whole row before anybody can look at it.
    pub(crate) fn copy(&self, rest: &str) -> String {
        let mut select: Vec<String> = self
            .columns
            .iter()
            .map(|laid| match (&self.guard, &laid.size) {
                (Some(_), Some(_)) => {
                    format!("case when g.size <= {ROW_LIMIT} then {} end", laid.expression)
                }
                _ => laid.expression.clone(),
            })
            .collect();
        select.extend(self.notes.iter().cloned());
        let mut from = format!("{} as t", self.table);
        if let Some(guard) = &self.guard {
            select.push("g.size".to_owned());
            from += &format!(" cross join lateral (select {guard} as size offset 0) as g");
        }
        format!("copy (select {} from {from}{rest}) to stdout (format binary)", select.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_modifiers_are_read_as_the_server_packs_them() {
        let pack = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        assert_eq!(precision(pack(12, 2)), Some((12, 2)));
        assert_eq!(precision(pack(38, 38)), Some((38, 38)));
        assert_eq!(precision(pack(39, 2)), None);
        assert_eq!(precision(pack(3, -2)), None);
        assert_eq!(precision(pack(3, 5)), None);
        assert_eq!(precision(-1), None);
    }
}
