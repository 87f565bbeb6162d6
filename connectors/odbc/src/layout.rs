//! The columns of a result: what the driver says of them, what the operator overrides.

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
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<(String, ColumnType, bool)>,
    pub(crate) forms: Vec<Form>,
    /// Index and kind of the cursor.
    pub(crate) cursor: Option<(usize, CursorKind)>,
}

/// Reads the columns of `result` and refuses what the stream needs and it does not have.
pub(crate) fn layout(result: &mut impl ResultSetMetadata, stream: &Stream) -> Result<Layout> {
    let failed = |cause: odbc_api::Error| fault("reading the columns", &cause);
    let count = u16::try_from(result.num_result_cols().map_err(failed)?).unwrap_or(0);
    let mut layout = Layout { columns: Vec::new(), forms: Vec::new(), cursor: None };
    for index in 1..=count {
        let name = result.col_name(index).map_err(failed)?;
        let described = result.col_data_type(index).map_err(failed)?;
        if stream.cursor.as_ref() == Some(&name) {
            layout.cursor = Some((layout.columns.len(), cursor_kind(described)));
        }
        let declared = stream.columns.get(&name);
        let kind = declared.and_then(|declared| declared.kind).unwrap_or(column_type(described));
        let form = match (column_type(described), kind) {
            (ColumnType::Float, ColumnType::Float) => Form::Float,
            (ColumnType::Binary, ColumnType::Binary) => Form::Bytes,
            _ => Form::Text,
        };
        layout.forms.push(form);
        layout.columns.push((name, kind, declared.is_none_or(|declared| declared.nullable)));
    }
    let needed = stream.key.iter().chain(&stream.cursor).chain(stream.columns.keys());
    for name in needed {
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
    let message = format!("table `{table}` has no column `{name}`");
    Err(Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message).hint(hint))
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
        assert_eq!(cursor_kind(DataType::Decimal { precision: 40, scale: 0 }), CursorKind::Number);
    }
}
