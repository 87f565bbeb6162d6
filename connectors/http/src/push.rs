//! Pushes as they will be written: checked, with every text parsed.

use huiliu_httpkit::{HeaderName, Method, Url};
use huiliu_sdk::{ConfigErrors, RawPush, StreamId};
use serde_json::{Map, Value};

use crate::config::{PushOptions, Shape, Verb};
use crate::faults::under;
use crate::outcome::OutcomePlan;
use crate::plan::{address, place, success};
use crate::pointer::Pointer;
use crate::session::Success;

/// How the system is asked what it has.
pub(crate) struct Lookup {
    pub(crate) url: Url,
    pub(crate) param: String,
    pub(crate) outcomes: OutcomePlan,
}

/// A push, ready to be written.
pub(crate) struct PushPlan {
    pub(crate) id: StreamId,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Value,
    pub(crate) batch: usize,
    pub(crate) records: Pointer,
    pub(crate) shape: Shape,
    pub(crate) field: Option<String>,
    pub(crate) header: Option<HeaderName>,
    /// Field to send by column; empty for every column under its own name.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) outcomes: Option<OutcomePlan>,
    pub(crate) success: Success,
    pub(crate) lookup: Option<Lookup>,
}

impl PushPlan {
    /// Checks a push's options, already deserialised.
    pub(crate) fn new(
        base: &Url,
        raw: &RawPush,
        options: PushOptions,
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let before = errors.0.len();
        let method = match options.method {
            Verb::Put => Method::PUT,
            Verb::Post => Method::POST,
            Verb::Get => {
                errors.push(under(at, "method"), "writing is done with POST or PUT");
                Method::POST
            }
        };
        if options.batch != 1 {
            if options.idempotency_header.is_some() {
                errors.push(under(at, "batch"), "must be 1 beside idempotency_header");
            }
            if options.shape == Shape::Object {
                errors.push(under(at, "batch"), "must be 1 for shape = \"object\"");
            }
        }
        let header = options
            .idempotency_header
            .and_then(|name| header_name(&name, &under(at, "idempotency_header"), errors));
        if options.records.is_empty() && options.body.is_some() {
            errors.push(under(at, "records"), "is missing beside body");
        }
        let url = address(base, &options.path, options.params.iter(), at, errors);
        let outcomes = options
            .outcomes
            .map(|options| OutcomePlan::new(options, &under(at, "outcomes"), errors));
        let lookup = options.lookup.and_then(|options| {
            let at = under(at, "lookup");
            let url = address(base, &options.path, std::iter::empty(), &at, errors);
            let own = options
                .outcomes
                .map(|options| OutcomePlan::new(options, &under(&at, "outcomes"), errors));
            let outcomes = own.or_else(|| outcomes.clone());
            if outcomes.is_none() {
                errors.push(under(&at, "outcomes"), "is missing here and in the push");
            }
            Some(Lookup { url: url?, param: options.param, outcomes: outcomes? })
        });
        let records = place(&options.records, &under(at, "records"), errors);
        let success = success(&options.success, options.message.as_deref(), at, errors);
        let fields = fields(&options.fields, at, errors);
        let url = url?;
        if errors.0.len() > before {
            return None;
        }
        Some(Self {
            id: StreamId::new(raw.name.as_str()),
            method,
            url,
            body: options.body.map_or(Value::Null, Value::Object),
            batch: options.batch as usize,
            records,
            shape: options.shape,
            field: options.idempotency_field,
            header,
            fields,
            outcomes,
            success,
            lookup,
        })
    }
}

fn fields(
    fields: &Map<String, Value>,
    at: &str,
    errors: &mut ConfigErrors,
) -> Vec<(String, String)> {
    let mut read = Vec::new();
    for (column, field) in fields {
        match field.as_str() {
            Some(field) if !field.is_empty() => read.push((column.clone(), field.to_owned())),
            _ => errors.push(under(at, &format!("fields.{column}")), "is no field's name"),
        }
    }
    read
}

/// The name of a header, or a fault.
pub(crate) fn header_name(text: &str, at: &str, errors: &mut ConfigErrors) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok();
    if name.is_none() {
        errors.push(at, "is not a header's name");
    }
    name
}
