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
    pub data_type: Option<String>,
    /// Kind of personal data, such as `id_number`; drives masks.
    #[serde(default)]
    pub tag: Option<String>,
    /// Whether a row without a value here is valid. Default: true.
    #[serde(default)]
    pub nullable: Option<bool>,
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
