//! The keys of a system file, as they are written. Their comments become the editor's help.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A credential. It never prints.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

/// What an HTTP system adds to its file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemOptions {
    /// Base address, such as `https://host/api`; paths of streams and pushes are added to it.
    pub(crate) url: String,
    /// Longest time for one request, such as `30s`. Default: 60s.
    pub(crate) timeout: Option<String>,
    /// Largest answer accepted, such as `64MB`. Default: 64MB.
    pub(crate) max_response: Option<String>,
    /// Most requests sent in a minute. Default: no limit.
    #[schemars(range(min = 1))]
    pub(crate) requests_per_minute: Option<u32>,
    /// How often a request is sent before it counts as failed. Default: 4.
    #[schemars(range(min = 1, max = 20))]
    pub(crate) attempts: Option<u32>,
    /// How the system lets us in. Default: none.
    #[serde(default)]
    pub(crate) auth: AuthOptions,
}

/// How a system lets us in.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum AuthOptions {
    /// It lets everybody in.
    #[default]
    None,
    /// A fixed token in the header `Authorization: Bearer`.
    Bearer {
        /// The token, as `${secret:name}`.
        token: Secret,
    },
    /// User and password in the header `Authorization: Basic`.
    Basic {
        /// The user.
        user: String,
        /// The password, as `${secret:name}`.
        password: Secret,
    },
    /// A key in a header of its own.
    ApiKey {
        /// Name of the header, such as `ApiKey`.
        header: String,
        /// The key, as `${secret:name}`.
        value: Secret,
    },
    /// A token fetched by logging in, and fetched again when it expires.
    Login {
        /// Path to which the login is posted.
        path: String,
        /// What is posted, as JSON.
        body: Map<String, Value>,
        /// JSON pointer to the token in the answer, such as `/data/token`.
        token: String,
        /// Header that carries the token. Default: Authorization.
        #[serde(default = "authorization")]
        header: String,
        /// Text before the token in the header, such as `Bearer ` with its space. Default: none.
        #[serde(default)]
        prefix: String,
        /// How long a token is used, such as `25m`. Default: until it is refused.
        ttl: Option<String>,
    },
}

fn authorization() -> String {
    "Authorization".to_owned()
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Verb {
    /// Parameters in the address.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// With a body.
    #[serde(rename = "POST")]
    Post,
    /// With a body that replaces.
    #[serde(rename = "PUT")]
    Put,
}

/// What must hold in an answer for it to count as success.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// JSON pointer to the value, such as `/code`.
    pub(crate) pointer: String,
    /// What it must be, compared as text.
    pub(crate) equals: String,
}

/// What an HTTP system adds to `[[streams]]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Path after the base address, such as `/api/cases`.
    pub(crate) path: String,
    /// `GET` or `POST`. Default: GET.
    #[serde(default)]
    pub(crate) method: Verb,
    /// Fixed parameters of the address.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
    /// Body of a `POST`, as JSON. Page and `since` parameters are then put into it.
    pub(crate) body: Option<Map<String, Value>>,
    /// JSON pointer to the list of records; empty if the answer is the list.
    #[serde(default)]
    pub(crate) records: String,
    /// JSON pointer to the number of all records; what was read is checked against it.
    pub(crate) total: Option<String>,
    /// Conditions for an answer to count as success; all must hold.
    #[serde(default)]
    pub(crate) success: Vec<Condition>,
    /// JSON pointer to the system's words when `success` does not hold.
    pub(crate) message: Option<String>,
    /// How further pages are asked for. Default: there is one page.
    pub(crate) pagination: Option<PaginationOptions>,
    /// Parameter that takes the last cursor, for `read = "incremental"`.
    pub(crate) since: Option<String>,
    /// Field of the record by lake column: a name, or a JSON pointer such as `/project/no`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) fields: Map<String, Value>,
}

/// How further pages are asked for.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PaginationOptions {
    /// By page number.
    Page {
        /// Parameter of the page's number.
        page: String,
        /// Parameter of the page's size.
        size: Option<String>,
        /// Records asked for in one page.
        #[schemars(range(min = 1))]
        page_size: u32,
        /// Number of the first page. Default: 1.
        #[serde(default = "one")]
        first: u32,
    },
    /// By the number of records to skip.
    Offset {
        /// Parameter of the number of records to skip.
        offset: String,
        /// Parameter of the page's size.
        limit: Option<String>,
        /// Records asked for in one page.
        #[schemars(range(min = 1))]
        page_size: u32,
    },
    /// By a token that each page gives for the next.
    Cursor {
        /// Parameter of the token.
        param: String,
        /// JSON pointer to the next page's token; no or an empty token ends the list.
        next: String,
        /// Parameter of the page's size.
        size: Option<String>,
        /// Records asked for in one page.
        #[schemars(range(min = 1))]
        page_size: Option<u32>,
    },
}

fn one() -> u32 {
    1
}

/// What an HTTP system adds to `[[pushes]]`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PushOptions {
    /// Path after the base address, such as `/api/cases/push`.
    pub(crate) path: String,
    /// `POST` or `PUT`. Default: POST.
    #[serde(default = "post")]
    pub(crate) method: Verb,
    /// Fixed parameters of the address.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
    /// Body around the records, as JSON.
    pub(crate) body: Option<Map<String, Value>>,
    /// Most records in one request. Default: 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1))]
    pub(crate) batch: u32,
    /// JSON pointer in the body at which the records go; empty if they are the body.
    #[serde(default)]
    pub(crate) records: String,
    /// Whether records go as a list, or a single one as an object. Default: list.
    #[serde(default)]
    pub(crate) shape: Shape,
    /// Field of each record that takes its idempotency key.
    pub(crate) idempotency_field: Option<String>,
    /// Header that takes the idempotency key; `batch` must then be 1.
    pub(crate) idempotency_header: Option<String>,
    /// Field to send by lake column. Default: every column under its own name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) fields: Map<String, Value>,
    /// How the answer for each record is read. Default: success is success for all.
    pub(crate) outcomes: Option<OutcomeOptions>,
    /// Conditions for an answer to count as success; all must hold.
    #[serde(default)]
    pub(crate) success: Vec<Condition>,
    /// JSON pointer to the system's words when `success` does not hold.
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

/// Shape in which records are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
    pub(crate) list: String,
    /// JSON pointer in one answer to the record's key. Default: answers come in order.
    pub(crate) id: Option<String>,
    /// JSON pointer in one answer to its result.
    pub(crate) result: String,
    /// Results that mean the system has the record.
    pub(crate) accepted: Vec<String>,
    /// Results that mean the system refuses the record.
    #[serde(default)]
    pub(crate) rejected: Vec<String>,
    /// Results that mean the system will decide later.
    #[serde(default)]
    pub(crate) pending: Vec<String>,
    /// JSON pointer in one answer to the code of a refusal.
    pub(crate) code: Option<String>,
    /// JSON pointer in one answer to the words of a refusal.
    pub(crate) message: Option<String>,
}

/// How the system is asked what it has.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupOptions {
    /// Path after the base address.
    pub(crate) path: String,
    /// Parameter that takes the idempotency key.
    pub(crate) param: String,
    /// How the answer is read. Default: like the push's own.
    pub(crate) outcomes: Option<OutcomeOptions>,
}

/// The JSON Schema of `T` in one piece, without references.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
