//! Values as text, as formats of text write them.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use huiliu_sdk::{Error, ErrorKind, Result};

/// What kind of text a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Bool,
    /// A date, a time, bytes: text of a fixed form.
    Other,
}

pub(super) fn kind(of: &DataType) -> Kind {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Dictionary(_, value) => kind(value),
        DataType::Boolean => Kind::Bool,
        kind if kind.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// The name and the kind of each column.
pub(super) fn columns(schema: &SchemaRef) -> Vec<(String, Kind)> {
    schema.fields().iter().map(|field| (field.name().clone(), kind(field.data_type()))).collect()
}

/// Gives each row of a batch to `each`, as text; nothing where there is no value.
pub(super) fn each_row(
    batch: &RecordBatch,
    mut each: impl FnMut(&[Option<String>]) -> Result<()>,
) -> Result<()> {
    let options = FormatOptions::new()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"));
    let formatters: Vec<ArrayFormatter<'_>> = (batch.columns().iter())
        .map(|column| Ok(ArrayFormatter::try_new(column, &options)?))
        .collect::<Result<_>>()?;
    let schema = batch.schema();
    let mut texts: Vec<Option<String>> = Vec::with_capacity(formatters.len());
    for row in 0..batch.num_rows() {
        texts.clear();
        for (index, formatter) in formatters.iter().enumerate() {
            if batch.column(index).is_null(row) {
                texts.push(None);
                continue;
            }
            let text = formatter.value(row).try_to_string();
            let name = schema.field(index).name();
            texts.push(Some(text.map_err(|_| unfit(name, "a value that is none"))?));
        }
        each(&texts)?;
    }
    Ok(())
}

/// A value that the format cannot hold, told without it.
pub(super) fn unfit(column: &str, what: &str) -> Error {
    Error::new(ErrorKind::Data, "E-FILE-VALUE", format!("column `{column}` holds {what}"))
        .hint("change the value in the query that is pushed, or choose another `format`")
}
