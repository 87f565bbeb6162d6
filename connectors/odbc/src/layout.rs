//! The columns of a result: what the driver says of them, what the operator overrides.

use std::collections::BTreeMap;

use huiliu_sdk::{ColumnType, Error, ErrorKind, Result};
use odbc_api::{DataType, ResultSetMetadata};

use crate::config::Stream;
use crate::fault::fault;

/// How a value is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As text, which is exact for everything but floats.
    Text,
    Float,
    Bytes,
}

/// What kind of value a cursor holds, for the bound of the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CursorKind {
    Number,
    Time,
    Text,
}

/// The columns of a result in order.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<(String, ColumnType, bool)>,
    pub(crate) forms: Vec<Form>,
    /// What each is compared as.
    pub(crate) kinds: Vec<CursorKind>,
    /// Index and kind of the cursor.
    pub(crate) cursor: Option<(usize, CursorKind)>,
}

impl Layout {
    /// The place of a column.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(known, ..)| known == name)
    }
}

/// Reads the columns of `result` and refuses what the stream needs and it does not have.
/// `tables` are the types that the table itself declares.
pub(crate) fn layout(
    result: &mut impl ResultSetMetadata,
    stream: &Stream,
    tables: &BTreeMap<String, ColumnType>,
) -> Result<Layout> {
    let failed = |cause: odbc_api::Error| fault("reading the columns", &cause);
    let count = u16::try_from(result.num_result_cols().map_err(failed)?).unwrap_or(0);
    let mut layout =
        Layout { columns: Vec::new(), forms: Vec::new(), kinds: Vec::new(), cursor: None };
    for index in 1..=count {
        let told = result.col_name(index).map_err(failed)?;
        let wanted = stream.select.as_ref().and_then(|names| names.get(usize::from(index) - 1));
        let name = match wanted {
            // The driver of SQLite cuts names at a dot.
            Some(wanted) if wanted.ends_with(&format!(".{told}")) => wanted.clone(),
            // SQLite takes the name of a column that is not there for a text.
            Some(wanted) if told != *wanted && told.trim_matches('"') == wanted => {
                return Err(missing(
                    &stream.table,
                    wanted,
                    "run `discover` to see the columns".into(),
                ));
            }
            _ => told,
        };
        let described = result.col_data_type(index).map_err(failed)?;
        let is_number = matches!(tables.get(&name), Some(ColumnType::Decimal(..)));
        let compared = if is_number { CursorKind::Number } else { cursor_kind(described) };
        if stream.cursor.as_ref() == Some(&name) {
            layout.cursor = Some((layout.columns.len(), compared));
        }
        let declared = stream.columns.get(&name);
        let own = tables.get(&name).copied().unwrap_or(column_type(described));
        let kind = declared.and_then(|declared| declared.kind).unwrap_or(own);
        let form = match (column_type(described), kind) {
            (ColumnType::Float, ColumnType::Float) => Form::Float,
            // Of the columns of a view the driver of SQLite knows no types.
            (_, ColumnType::Binary) if own == ColumnType::Binary => Form::Bytes,
            _ => Form::Text,
        };
        layout.forms.push(form);
        layout.kinds.push(compared);
        layout.columns.push((name, kind, declared.is_none_or(|declared| declared.nullable)));
    }
    let flagged = stream
        .flags
        .iter()
        .flat_map(|flags| std::iter::once(&flags.column).chain(&flags.group).chain(&flags.version));
    let needed = stream.key.iter().chain(&stream.cursor).chain(stream.columns.keys());
    for name in needed.chain(flagged) {
        require(&layout, &stream.table, name)?;
    }
    Ok(layout)
}

fn require(layout: &Layout, table: &str, name: &str) -> Result<()> {
    let mut names = layout.columns.iter().map(|(known, ..)| known);
    if names.clone().any(|known| known == name) {
        return Ok(());
    }
    let hint = match names.find(|known| known.eq_ignore_ascii_case(name)) {
        Some(near) => format!("write it as the table does: `{near}`"),
        None => "run `discover` to see the columns".to_owned(),
    };
    Err(missing(table, name, hint))
}

fn missing(table: &str, name: &str, hint: String) -> Error {
    let message = format!("table `{table}` has no column `{name}`");
    Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message).hint(hint)
}

/// The column type that holds every value of what the driver describes.
pub(crate) fn column_type(described: DataType) -> ColumnType {
    match described {
        DataType::TinyInt | DataType::SmallInt | DataType::Integer | DataType::BigInt => {
            ColumnType::Int
        }
        DataType::Numeric { precision, scale } | DataType::Decimal { precision, scale } => {
            decimal(precision, scale)
        }
        DataType::Float { .. } | DataType::Real | DataType::Double => ColumnType::Float,
        DataType::Bit => ColumnType::Bool,
        DataType::Date => ColumnType::Date,
        DataType::Timestamp { .. } => ColumnType::Timestamp,
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::LongVarbinary { .. } => {
            ColumnType::Binary
        }
        DataType::Unknown
        | DataType::Other { .. }
        | DataType::Time { .. }
        | DataType::Char { .. }
        | DataType::WChar { .. }
        | DataType::Varchar { .. }
        | DataType::WVarchar { .. }
        | DataType::LongVarchar { .. }
        | DataType::WLongVarchar { .. } => ColumnType::Text,
    }
}

fn decimal(precision: usize, scale: i16) -> ColumnType {
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale @ 0..)) if scale.unsigned_abs() <= precision => {
            ColumnType::Decimal(precision, scale)
        }
        // More digits than the lake's decimals have, or no fixed place of the point.
        _ => ColumnType::Text,
    }
}

/// Digits of a decimal that a driver gives exactly although it takes it for something else.
const EXACT: usize = 15;

/// The type of a column as its table declares it, where the driver describes the column as something
/// else: to that of SQLite decimals are text, and numerics are floats.
pub(crate) fn declared_type(described: DataType, declared: &str) -> ColumnType {
    let known = column_type(described);
    if !matches!(known, ColumnType::Text | ColumnType::Float) {
        return known;
    }
    let declared = declared.to_ascii_lowercase().replace(' ', "");
    let digits = ["decimal", "numeric", "number"]
        .iter()
        .find_map(|word| declared.strip_prefix(word))
        .and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let Some(digits) = digits else { return known };
    let (precision, scale) = digits.split_once(',').unwrap_or((digits, "0"));
    match (precision.parse(), scale.parse()) {
        (Ok(precision @ 1..=EXACT), Ok(scale)) => decimal(precision, scale),
        _ => known,
    }
}

fn cursor_kind(described: DataType) -> CursorKind {
    match column_type(described) {
        ColumnType::Int | ColumnType::Float | ColumnType::Decimal(..) => CursorKind::Number,
        ColumnType::Date | ColumnType::Timestamp => CursorKind::Time,
        _ if matches!(described, DataType::Numeric { .. } | DataType::Decimal { .. }) => {
            CursorKind::Number
        }
        _ => CursorKind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_that_the_lake_cannot_hold_stays_text() {
        let numeric = |precision, scale| column_type(DataType::Numeric { precision, scale });
        assert_eq!(numeric(12, 2), ColumnType::Decimal(12, 2));
        assert_eq!(numeric(38, 0), ColumnType::Decimal(38, 0));
        for (precision, scale) in [(39, 0), (0, 0), (5, -2), (5, 6)] {
            assert_eq!(numeric(precision, scale), ColumnType::Text, "{precision},{scale}");
        }
        let varchar = DataType::Varchar { length: None };
        assert_eq!(declared_type(varchar, "DECIMAL(12, 2)"), ColumnType::Decimal(12, 2));
        assert_eq!(declared_type(DataType::Double, "numeric(9)"), ColumnType::Decimal(9, 0));
        assert_eq!(declared_type(DataType::Double, "double"), ColumnType::Float);
        assert_eq!(declared_type(varchar, "decimal(38,10)"), ColumnType::Text);
        assert_eq!(declared_type(DataType::Bit, "numeric(1)"), ColumnType::Bool);
        assert_eq!(cursor_kind(DataType::Decimal { precision: 40, scale: 0 }), CursorKind::Number);
    }
}
