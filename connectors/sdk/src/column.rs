//! Columns as an operator declares them.

use arrow::datatypes::{DataType, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// What an operator says about one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// `text`, `int`, `float`, `bool`, `date`, `timestamp`, `decimal(p,s)`, `json` or `binary`.
    #[serde(rename = "type", default)]
    #[schemars(example = &"decimal(18,2)")]
    pub data_type: Option<String>,
    /// Kind of personal data, such as `id_number`; drives masks. Or whose a row is: `division` (a
    /// division code) or `department` (its code or name); drives which rows an account with limits
    /// sees.
    #[serde(default)]
    #[schemars(example = &"id_number")]
    pub tag: Option<String>,
    /// Whether a row without a value here is valid. Default: true.
    #[serde(default)]
    #[schemars(example = false, extend("default" = true))]
    pub nullable: Option<bool>,
}

/// Tags that say whose a row is. Such a column holds no personal data.
pub const OWNER_TAGS: [&str; 2] = ["division", "department"];

impl ColumnSpec {
    /// The kind of personal data in the column.
    pub fn personal(&self) -> Option<&str> {
        self.tag.as_deref().filter(|tag| !OWNER_TAGS.contains(tag))
    }
}

/// What an operator declares about a column, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// Its type, if one is declared.
    pub kind: Option<ColumnType>,
    /// Whether a row without a value here is valid.
    pub nullable: bool,
}

/// The types a column can be declared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Unicode text.
    Text,
    /// 64-bit signed integer.
    Int,
    /// 64-bit float.
    Float,
    /// Truth value.
    Bool,
    /// Calendar day.
    Date,
    /// Wall time in microseconds.
    Timestamp,
    /// Exact decimal of precision and scale.
    Decimal(u8, i8),
    /// JSON kept as text.
    Json,
    /// Bytes.
    Binary,
}

impl ColumnType {
    /// The Arrow type a column of this type has.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Binary => DataType::Binary,
        }
    }
}

/// The word for a column's type, as a configuration has it where it has one.
pub fn type_word(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Int64 => "int".into(),
        DataType::Int8 => "int of 8 bits".into(),
        DataType::Int16 => "int of 16 bits".into(),
        DataType::Int32 => "int of 32 bits".into(),
        DataType::UInt8 => "unsigned int of 8 bits".into(),
        DataType::UInt16 => "unsigned int of 16 bits".into(),
        DataType::UInt32 => "unsigned int of 32 bits".into(),
        DataType::UInt64 => "unsigned int".into(),
        DataType::Float64 => "float".into(),
        DataType::Float32 => "float of 32 bits".into(),
        DataType::Boolean => "bool".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with zone".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        other => other.to_string(),
    }
}

/// Reads a type as it is written in a configuration, such as `decimal(12,2)`.
pub fn parse_type(text: &str) -> Result<ColumnType> {
    let unknown = || {
        Error::new(ErrorKind::Config, "E-TYPE", format!("unknown column type `{text}`"))
            .hint("use text, int, float, bool, date, timestamp, decimal(p,s), json or binary")
    };
    Ok(match text {
        "text" => ColumnType::Text,
        "int" => ColumnType::Int,
        "float" => ColumnType::Float,
        "bool" => ColumnType::Bool,
        "date" => ColumnType::Date,
        "timestamp" => ColumnType::Timestamp,
        "json" => ColumnType::Json,
        "binary" => ColumnType::Binary,
        other => {
            let inner = other
                .strip_prefix("decimal(")
                .and_then(|rest| rest.strip_suffix(')'))
                .ok_or_else(unknown)?;
            let (precision, scale) = inner.split_once(',').ok_or_else(unknown)?;
            let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
            let scale: i8 = scale.trim().parse().map_err(|_| unknown())?;
            if precision == 0 || precision > 38 || scale < 0 || scale.unsigned_abs() > precision {
                return Err(unknown());
            }
            ColumnType::Decimal(precision, scale)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_is_shown_as_it_is_declared() {
        let words =
            ["text", "int", "float", "bool", "date", "timestamp", "decimal(12,2)", "binary"];
        for word in words {
            assert_eq!(type_word(&parse_type(word).unwrap().arrow()), word);
        }
        assert_eq!(type_word(&DataType::Int16), "int of 16 bits");
    }
}
