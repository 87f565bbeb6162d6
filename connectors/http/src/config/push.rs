//! What an HTTP system adds to `[[pushes]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Condition, Format, Nested, SoapOptions, Verb};

/// What an HTTP system adds to `[[pushes]]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushOptions {
    /// Path after the base address, such as `/api/cases/push`.
    #[schemars(example = &"/api/cases/push")]
    pub(crate) path: String,
    /// `POST` or `PUT`. Default: POST.
    #[serde(default = "post")]
    pub(crate) method: Verb,
    /// Fixed parameters of the address.
    #[serde(default)]
    #[schemars(extend("examples" = [{"region": "340500"}]))]
    pub(crate) params: BTreeMap<String, String>,
    /// Body around the records, as JSON.
    #[schemars(extend("examples" = [{"source": "huiliu"}]))]
    pub(crate) body: Option<Map<String, Value>>,
    /// Fields of a form around the records, which go into the field that `records` names: as
    /// JSON, or as the XML of `record`.
    #[schemars(extend("examples" = [{"method": "push", "format": "json"}]))]
    pub(crate) form: Option<BTreeMap<String, String>>,
    /// XML around the records, which take the place of `{records}`.
    #[schemars(example = &"<push>{records}</push>")]
    pub(crate) xml: Option<String>,
    /// XML of one record: `{name}` stands for the value of the field of that name, that of
    /// `idempotency_field` included.
    #[schemars(example = &"<case><no>{caseNo}</no></case>")]
    pub(crate) record: Option<String>,
    /// SOAP around `xml` and around the answer. Pointers then begin inside the SOAP body.
    pub(crate) soap: Option<SoapOptions>,
    /// How records are written that are the whole body: as JSON, in lines of JSON, or as CSV. XML is
    /// written by `record`. Default: json.
    #[serde(default)]
    pub(crate) send: SendFormat,
    /// The character between two values, for `send = "csv"`. Default: a comma.
    #[schemars(example = &"|", extend("default" = ","))]
    pub(crate) delimiter: Option<String>,
    /// Most records in one request. Default: 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1), example = 200)]
    pub(crate) batch: u32,
    /// JSON pointer in the body (or the form's field) at which the records go; empty if they are
    /// the body.
    #[serde(default)]
    #[schemars(example = &"/records")]
    pub(crate) records: String,
    /// Whether records go as a list, or a single one as an object. Default: list.
    #[serde(default)]
    pub(crate) shape: Shape,
    /// Field of each record that takes its idempotency key.
    #[schemars(example = &"requestId")]
    pub(crate) idempotency_field: Option<String>,
    /// Header that takes the idempotency key; `batch` must then be 1.
    #[schemars(example = &"Idempotency-Key")]
    pub(crate) idempotency_header: Option<String>,
    /// Field to send by lake column. Default: every column under its own name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("examples" = [{"project_no": "projectNo"}]))]
    pub(crate) fields: Map<String, Value>,
    /// How answers are written. Default: json; xml with `soap`.
    pub(crate) format: Option<Format>,
    /// Character encoding of answers, such as `gb18030`. Default: UTF-8, or what they declare
    /// where they are no UTF-8, or GB18030.
    #[schemars(example = &"gb18030")]
    pub(crate) encoding: Option<String>,
    /// Documents inside texts of the answer, from the outside in. They take the text's place.
    #[serde(default)]
    #[schemars(extend("examples" = [[{"pointer": "/return", "format": "xml"}]]))]
    pub(crate) nested: Vec<Nested>,
    /// How the answer for each record is read. Default: success is success for all.
    pub(crate) outcomes: Option<OutcomeOptions>,
    /// Conditions for an answer to count as success; all must hold.
    #[serde(default)]
    #[schemars(extend("examples" = [[{"pointer": "/code", "equals": "0"}]]))]
    pub(crate) success: Vec<Condition>,
    /// JSON pointer to the system's words when `success` does not hold.
    #[schemars(example = &"/message")]
    pub(crate) message: Option<String>,
    /// How the system is asked what it has.
    pub(crate) lookup: Option<LookupOptions>,
}

fn post() -> Verb {
    Verb::Post
}

fn hundred() -> u32 {
    100
}

/// How the records of one request are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SendFormat {
    /// JSON: a list or an object, with a body or form around it where there is one.
    #[default]
    Json,
    /// One JSON object in each line.
    Ndjson,
    /// A line with the names of the fields, then one line of values for each record. No value and
    /// the empty text are the same.
    Csv,
}

/// Shape in which records are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// A list.
    #[default]
    List,
    /// One object; `batch` must then be 1.
    Object,
}

/// How the answer for each record is read.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeOptions {
    /// JSON pointer to the list of answers, one per record; empty if the answer is the list.
    #[serde(default)]
    #[schemars(example = &"/data")]
    pub(crate) list: String,
    /// JSON pointer in one answer to the record's key. Default: answers come in order.
    #[schemars(example = &"/requestId")]
    pub(crate) id: Option<String>,
    /// JSON pointer in one answer to its result.
    #[schemars(example = &"/result")]
    pub(crate) result: String,
    /// Results that mean the system has the record.
    #[schemars(extend("examples" = [["accepted"]]))]
    pub(crate) accepted: Vec<String>,
    /// Results that mean the system refuses the record.
    #[serde(default)]
    #[schemars(extend("examples" = [["rejected"]]))]
    pub(crate) rejected: Vec<String>,
    /// Results that mean the system will decide later.
    #[serde(default)]
    #[schemars(extend("examples" = [["queued"]]))]
    pub(crate) pending: Vec<String>,
    /// Results of `lookup` that mean the system does not have the record and will not get it any
    /// more from an earlier request: it is then sent again.
    #[serde(default)]
    #[schemars(extend("examples" = [["none"]]))]
    pub(crate) absent: Vec<String>,
    /// JSON pointer in one answer to the code of a refusal.
    #[schemars(example = &"/code")]
    pub(crate) code: Option<String>,
    /// JSON pointer in one answer to the words of a refusal.
    #[schemars(example = &"/message")]
    pub(crate) message: Option<String>,
}

/// How the system is asked what it has.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupOptions {
    /// Path after the base address.
    #[schemars(example = &"/api/cases/push")]
    pub(crate) path: String,
    /// Parameter that takes the idempotency key, or the business key in `column`.
    #[schemars(example = &"requestId")]
    pub(crate) param: String,
    /// Column of the record, under its name in the lake, that `param` takes instead of the
    /// idempotency key, for a system that knows records by a business key only.
    #[schemars(example = &"project_no")]
    pub(crate) column: Option<String>,
    /// How the answer is read. Default: like the push's own.
    pub(crate) outcomes: Option<OutcomeOptions>,
    /// JSON pointers in the answer for a record by column: what stands there must be what was sent.
    /// Needed where the system may have had another record of the same business key before.
    #[serde(default)]
    #[schemars(extend("examples" = [{"result_type": "/resultType"}]))]
    pub(crate) same: BTreeMap<String, String>,
}
