//! How a system is told what the hub has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Condition, Format, SoapOptions, Verb};

/// How a system is told which records the hub has, once they are committed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptOptions {
    /// Path after the base address. `{id}` in it, or in any other text of the request, stands for
    /// the record; each record is then told by a request of its own.
    #[schemars(example = &"/api/cases/fetched")]
    pub(crate) path: String,
    /// `GET`, `POST` or `PUT`. Default: POST.
    #[serde(default = "post")]
    pub(crate) method: Verb,
    /// Column of the stream that says which record it is. Default: its key, if that is one column.
    #[schemars(example = &"case_no")]
    pub(crate) column: Option<String>,
    /// JSON pointer in the body (or the form's field) at which the list of records goes; empty if
    /// the list is the body. Default: each record is told by a request of its own.
    #[schemars(example = &"/caseNos")]
    pub(crate) records: Option<String>,
    /// The field that holds the record in each entry of the list. Default: entries are plain texts.
    #[schemars(example = &"caseNo")]
    pub(crate) field: Option<String>,
    /// Most records in one request. Default: 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1), example = 200)]
    pub(crate) batch: u32,
    /// Fixed parameters of the address.
    #[serde(default)]
    #[schemars(extend("examples" = [{"region": "340500"}]))]
    pub(crate) params: BTreeMap<String, String>,
    /// Body, as JSON.
    #[schemars(extend("examples" = [{"result": "1"}]))]
    pub(crate) body: Option<Map<String, Value>>,
    /// Fields of a form.
    #[schemars(extend("examples" = [{"caseNo": "{id}"}]))]
    pub(crate) form: Option<BTreeMap<String, String>>,
    /// Body, as XML.
    #[schemars(example = &"<fetched><no>{id}</no></fetched>")]
    pub(crate) xml: Option<String>,
    /// SOAP around `xml` and around the answer.
    pub(crate) soap: Option<SoapOptions>,
    /// How answers are written. Default: json; xml with `soap`.
    pub(crate) format: Option<Format>,
    /// Conditions for an answer to count as success; all must hold. Default: the status says it.
    #[serde(default)]
    #[schemars(extend("examples" = [[{"pointer": "/code", "equals": "0"}]]))]
    pub(crate) success: Vec<Condition>,
    /// JSON pointer to the system's words when `success` does not hold.
    #[schemars(example = &"/message")]
    pub(crate) message: Option<String>,
}

fn post() -> Verb {
    Verb::Post
}

fn hundred() -> u32 {
    100
}
