//! What an HTTP system adds to `[[streams]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Condition, Format, Nested, ReceiptOptions, SoapOptions, Verb};

/// What an HTTP system adds to `[[streams]]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Path after the base address, such as `/api/cases`. `{name}` stands for a value of
    /// `parent`.
    #[schemars(example = &"/api/cases")]
    pub(crate) path: String,
    /// `GET` or `POST`. Default: GET.
    #[serde(default)]
    pub(crate) method: Verb,
    /// Fixed parameters of the address.
    #[serde(default)]
    #[schemars(extend("examples" = [{"region": "340500"}]))]
    pub(crate) params: BTreeMap<String, String>,
    /// Body of a `POST`, as JSON. Page and `since` parameters are then put into it.
    #[schemars(extend("examples" = [{"dept": "11340500"}]))]
    pub(crate) body: Option<Map<String, Value>>,
    /// Fields of a `POST` as a form. Page and `since` parameters are then put into it.
    #[schemars(extend("examples" = [{"method": "query"}]))]
    pub(crate) form: Option<BTreeMap<String, String>>,
    /// Body of a `POST`, as XML. `{name}` stands for the page or `since` parameter of that name.
    #[schemars(example = &"<query><page>{page}</page></query>")]
    pub(crate) xml: Option<String>,
    /// SOAP around `xml` and around the answer. Pointers then begin inside the SOAP body.
    pub(crate) soap: Option<SoapOptions>,
    /// How answers are written. Default: json; xml with `soap`.
    pub(crate) format: Option<Format>,
    /// Character encoding of answers, such as `gb18030`. Default: UTF-8, or what they declare
    /// where they are no UTF-8, or GB18030.
    #[schemars(example = &"gb18030")]
    pub(crate) encoding: Option<String>,
    /// Character between two values of `csv`. Default: a comma.
    #[schemars(example = &"|", extend("default" = ","))]
    pub(crate) delimiter: Option<String>,
    /// Documents inside texts of the answer, from the outside in. They take the text's place.
    #[serde(default)]
    #[schemars(extend("examples" = [[{"pointer": "/data", "format": "json"}]]))]
    pub(crate) nested: Vec<Nested>,
    /// JSON pointer to the list of records; empty if the answer is the list.
    #[serde(default)]
    #[schemars(example = &"/data/list")]
    pub(crate) records: String,
    /// JSON pointer to the number of all records; what was read is checked against it.
    #[schemars(example = &"/data/total")]
    pub(crate) total: Option<String>,
    /// JSON pointer to whether there are more pages, for `page` and `offset`.
    #[schemars(example = &"/data/hasMore")]
    pub(crate) more: Option<String>,
    /// Conditions for an answer to count as success; all must hold.
    #[serde(default)]
    #[schemars(extend("examples" = [[{"pointer": "/code", "equals": "200"}]]))]
    pub(crate) success: Vec<Condition>,
    /// JSON pointer to the system's words when `success` does not hold.
    #[schemars(example = &"/message")]
    pub(crate) message: Option<String>,
    /// How further pages are asked for. Default: there is one page.
    pub(crate) pagination: Option<PaginationOptions>,
    /// Most pages of one list; more are taken for a mistake. Default: 100000.
    #[serde(default = "most_pages")]
    #[schemars(range(min = 1), example = 500)]
    pub(crate) max_pages: u64,
    /// Parameter that takes the last cursor, for `read = "incremental"`.
    #[schemars(example = &"updatedSince")]
    pub(crate) since: Option<String>,
    /// How the cursor is written into the parameter: `text` (as the source wrote it), `unix`,
    /// `unix_ms`, or a format as in strftime. Default: text.
    #[serde(default)]
    #[schemars(example = &"%Y%m%d%H%M%S")]
    pub(crate) since_format: SinceForm,
    /// Zone in which the parameter is read, if it is not the stream's.
    #[schemars(example = &"UTC")]
    pub(crate) since_zone: Option<String>,
    /// Whether the system's answer includes records at the cursor itself. If not, one second (or
    /// one number) before it is asked for. Default: true.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    pub(crate) since_inclusive: bool,
    /// What the parameter holds in the first read, where the system insists on it.
    #[schemars(example = &"2018-01-01 00:00:00")]
    pub(crate) since_first: Option<String>,
    /// The stream for each of whose records this one is asked.
    pub(crate) parent: Option<ParentOptions>,
    /// Ask for a file, wait until it is ready, and fetch it.
    pub(crate) job: Option<JobOptions>,
    /// How the system is told which records the hub has, once they are committed. Default: it is
    /// not told.
    pub(crate) receipt: Option<ReceiptOptions>,
    /// Field of the record by lake column: a name, or a JSON pointer such as `/project/no`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("examples" = [{"project_no": "projectNo"}]))]
    pub(crate) fields: Map<String, Value>,
}

fn most_pages() -> u64 {
    100_000
}

fn yes() -> bool {
    true
}

/// How a cursor is written into a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct SinceForm(pub(crate) String);

impl Default for SinceForm {
    fn default() -> Self {
        Self("text".to_owned())
    }
}

/// The stream for each of whose records another one is asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParentOptions {
    /// Name of a stream of the same system that has no parent itself.
    #[schemars(example = &"projects")]
    pub(crate) stream: String,
    /// Values of the parent's record by name: a field, or a JSON pointer. They fill `{name}` in
    /// `path`, `params`, `body`, `form` and `xml`; `fields` find them in each record as
    /// `_parent`, such as `/_parent/id`.
    #[schemars(with = "BTreeMap<String, String>", extend("examples" = [{"id": "investId"}]))]
    pub(crate) values: BTreeMap<String, String>,
    /// How many parents are asked for at the same time, within the system's limits. Default: 4.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 64), example = 2)]
    pub(crate) concurrency: u32,
}

fn four() -> u32 {
    4
}

/// A file that is made on request. `path` asks for it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobOptions {
    /// JSON pointer in the answer to the job's handle.
    #[schemars(example = &"/data/jobId")]
    pub(crate) handle: String,
    /// Path that is asked how the job is; `{job}` stands for the handle.
    #[schemars(example = &"/exports/{job}")]
    pub(crate) poll: String,
    /// JSON pointer in that answer to the job's state.
    #[schemars(example = &"/data/state")]
    pub(crate) state: String,
    /// States that mean the file is ready.
    #[schemars(extend("examples" = [["done"]]))]
    pub(crate) done: Vec<String>,
    /// States that mean there will be no file.
    #[serde(default)]
    #[schemars(extend("examples" = [["failed"]]))]
    pub(crate) failed: Vec<String>,
    /// Path of the file; `{job}` stands for the handle.
    #[schemars(example = &"/exports/{job}/file")]
    pub(crate) download: Option<String>,
    /// JSON pointer in the last answer to the file's address, where there is no `download`.
    #[schemars(example = &"/data/url")]
    pub(crate) link: Option<String>,
    /// Time between two questions. Default: 5s.
    #[schemars(example = &"10s", extend("default" = "5s"))]
    pub(crate) interval: Option<String>,
    /// How long the file may take. Default: 30m.
    #[schemars(example = &"2h", extend("default" = "30m"))]
    pub(crate) timeout: Option<String>,
}

/// How further pages are asked for.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PaginationOptions {
    /// By page number.
    Page {
        /// Parameter of the page's number.
        #[schemars(example = &"pageNo")]
        page: String,
        /// Parameter of the page's size.
        #[schemars(example = &"pageSize")]
        size: Option<String>,
        /// Records asked for in one page.
        #[schemars(range(min = 1), example = 500)]
        page_size: u32,
        /// Number of the first page. Default: 1.
        #[serde(default = "one")]
        #[schemars(example = 0)]
        first: u32,
    },
    /// By the number of records to skip.
    Offset {
        /// Parameter of the number of records to skip.
        #[schemars(example = &"offset")]
        offset: String,
        /// Parameter of the page's size.
        #[schemars(example = &"limit")]
        limit: Option<String>,
        /// Records asked for in one page.
        #[schemars(range(min = 1), example = 500)]
        page_size: u32,
    },
    /// By a token that each page gives for the next.
    Cursor {
        /// Parameter of the token.
        #[schemars(example = &"cursor")]
        param: String,
        /// JSON pointer to the next page's token; no or an empty token ends the list.
        #[schemars(example = &"/data/next")]
        next: Option<String>,
        /// Header with the next page's token, where it is not in the body.
        #[schemars(example = &"X-Next-Cursor")]
        next_header: Option<String>,
        /// Parameter of the page's size.
        #[schemars(example = &"limit")]
        size: Option<String>,
        /// Records asked for in one page.
        #[schemars(range(min = 1), example = 500)]
        page_size: Option<u32>,
    },
    /// By the next page's address: in the body, or in the header `Link` (RFC 8288).
    Link {
        /// JSON pointer to the address. Default: the header `Link` with `rel="next"`.
        #[schemars(example = &"/links/next")]
        next: Option<String>,
        /// Parameter of the page's size, for the first page.
        #[schemars(example = &"limit")]
        size: Option<String>,
        /// Records asked for in one page.
        #[schemars(range(min = 1), example = 500)]
        page_size: Option<u32>,
    },
}

fn one() -> u32 {
    1
}
