//! How answers are written, and what must hold in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an answer is written. Whatever it is, pointers see it as JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// JSON.
    #[default]
    Json,
    /// One JSON value in each line; the list is the whole answer.
    Ndjson,
    /// CSV with a header line; the list is the whole answer, and each record an object of texts.
    Csv,
    /// XML: elements by their names without prefix, attributes as `@name`, the text beside them
    /// as `#text`, an element that comes several times as a list.
    Xml,
}

/// A version of SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum SoapVersion {
    /// SOAP 1.1.
    #[serde(rename = "1.1")]
    V11,
    /// SOAP 1.2.
    #[serde(rename = "1.2")]
    V12,
}

/// SOAP around `xml` and around the answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SoapOptions {
    /// The version.
    pub(crate) version: SoapVersion,
    /// The action, as the service's description names it. Default: empty.
    #[serde(default)]
    #[schemars(example = &"http://city.example/queryCases")]
    pub(crate) action: String,
}

/// A document inside a text of another one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nested {
    /// JSON pointer to the text.
    #[schemars(example = &"/queryResponse/return")]
    pub(crate) pointer: String,
    /// How the text is written. Default: json.
    #[serde(default)]
    pub(crate) format: Format,
}

/// How answers are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnswerOptions {
    pub(crate) format: Format,
    pub(crate) encoding: Option<String>,
    pub(crate) delimiter: Option<String>,
    pub(crate) soap: Option<SoapVersion>,
    pub(crate) nested: Vec<Nested>,
}

/// What must hold in an answer for it to count as success.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// JSON pointer to the value, such as `/code`.
    #[schemars(example = &"/code")]
    pub(crate) pointer: String,
    /// What it must be, compared as text.
    #[schemars(example = &"200")]
    pub(crate) equals: String,
}
