//! The words a configuration chooses from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values (or other separators) with a header line.
    #[default]
    Csv,
    /// An Excel workbook since 2007.
    Xlsx,
    /// An Excel workbook of 97 to 2003.
    Xls,
    /// A JSON document with a list of records somewhere in it.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// An XML document with a repeated element for each record.
    Xml,
    /// Parquet.
    Parquet,
    /// Arrow IPC, as a file or as a stream.
    Arrow,
}

impl Format {
    /// The name as it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Xls => "xls",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Xml => "xml",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Whether its content is text in some encoding.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Json | Self::Ndjson | Self::Xml)
    }

    /// Whether its rows and columns are those of a grid with header rows.
    pub(crate) fn is_grid(self) -> bool {
        matches!(self, Self::Csv | Self::Xlsx | Self::Xls)
    }
}

/// How text is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GB18030, which GBK and GB2312 are part of.
    #[serde(rename = "gb18030")]
    Gb18030,
    /// UTF-16, low byte first.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, high byte first.
    #[serde(rename = "utf-16be")]
    Utf16Be,
}

impl Encoding {
    /// The name as it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Gb18030 => "gb18030",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
        }
    }
}

/// How a control file or a receipt is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Lines of `key=value`.
    #[default]
    Lines,
    /// One line `name|rows|digest` for each data file.
    Line,
    /// A JSON object.
    Json,
    /// An XML element with an element for each value.
    Xml,
}

/// How a digest is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// MD5: finds accidents, not forgery.
    Md5,
    /// SHA-1: finds accidents, not forgery.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SM3 (国密).
    Sm3,
}

/// What is done with content that was read before under another name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Twins {
    /// It is read, and said.
    #[default]
    Read,
    /// It is left out, and said.
    Skip,
}

/// What is done with text that a spreadsheet would take for a formula.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Formulas {
    /// It gets an apostrophe in front.
    #[default]
    Quote,
    /// It is written as it is, for machines.
    Keep,
    /// Nothing is written, and the column is named.
    Refuse,
}
