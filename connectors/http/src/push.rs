//! Pushes as they will be written: checked, with every text parsed.

use huiliu_httpkit::{HeaderName, Url};
use huiliu_sdk::{ConfigErrors, RawPush, StreamId};
use serde_json::{Map, Value};

use crate::body::{AnswerPlan, delimiter};
use crate::call::{BodyOptions, CallPlan, address, template};
use crate::config::{LookupOptions, PushOptions, SendFormat, Shape, Verb};
use crate::faults::under;
use crate::outcome::OutcomePlan;
use crate::plan::{answer_plan, place};
use crate::pointer::Pointer;
use crate::success::Success;
use crate::template::Template;

/// How the system is asked what it has.
pub(crate) struct Lookup {
    pub(crate) url: Url,
    pub(crate) param: String,
    /// Column of the record whose value is asked for; the idempotency key without it.
    pub(crate) column: Option<String>,
    pub(crate) outcomes: OutcomePlan,
    /// What an answer must say for the record to be the one that was sent, by column.
    pub(crate) same: Vec<(String, Pointer)>,
}

/// A push, ready to be written.
pub(crate) struct PushPlan {
    pub(crate) id: StreamId,
    pub(crate) call: CallPlan,
    pub(crate) answer: AnswerPlan,
    pub(crate) batch: usize,
    pub(crate) records: Pointer,
    /// XML of one record; JSON if there is none.
    pub(crate) record: Option<Template>,
    pub(crate) shape: Shape,
    pub(crate) send: SendFormat,
    /// Between two values of CSV.
    pub(crate) delimiter: u8,
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
        if options.method == Verb::Get {
            errors.push(under(at, "method"), "writing is done with POST or PUT");
        }
        check_body(&options, at, errors);
        check_send(&options, at, errors);
        let delimiter = delimiter(options.delimiter.as_deref(), at, errors);
        let fields = fields(&options.fields, at, errors);
        let record = record(&options, &fields, at, errors);
        let header = options
            .idempotency_header
            .and_then(|name| header_name(&name, &under(at, "idempotency_header"), errors));
        let outcomes = options
            .outcomes
            .map(|options| OutcomePlan::new(options, &under(at, "outcomes"), errors));
        let lookup = options
            .lookup
            .and_then(|lookup| lookup_plan(base, lookup, outcomes.as_ref(), at, errors));
        let records = place(&options.records, &under(at, "records"), errors);
        let success = Success::new(&options.success, options.message.as_deref(), at, errors);
        let soap = options.soap.as_ref();
        let answer = match (&outcomes, success.conditions.is_empty(), soap) {
            // Nobody looks at what is said beside the status.
            (None, true, None) => AnswerPlan::anything(),
            _ => answer_plan(
                options.format,
                options.encoding,
                None,
                soap,
                options.nested,
                at,
                errors,
            ),
        };
        let body = BodyOptions {
            body: options.body,
            form: options.form,
            xml: options.xml,
            soap: options.soap,
        };
        // A method that is wrong was told above; what else is wrong does not depend on it.
        let method = if options.method == Verb::Put { Verb::Put } else { Verb::Post }.method();
        let (path, params) = (&options.path, &options.params);
        let call = CallPlan::new(base, method, path, params, body, &[], &["records"], at, errors);
        if errors.0.len() > before {
            return None;
        }
        Some(Self {
            id: StreamId::new(raw.name.as_str()),
            call: call?,
            answer,
            batch: options.batch as usize,
            records,
            record,
            shape: options.shape,
            send: options.send,
            delimiter,
            field: options.idempotency_field,
            header,
            fields,
            outcomes,
            success,
            lookup,
        })
    }
}

/// What body, form and XML ask of the other keys.
fn check_body(options: &PushOptions, at: &str, errors: &mut ConfigErrors) {
    if options.batch != 1 {
        if options.idempotency_header.is_some() {
            errors.push(under(at, "batch"), "must be 1 beside idempotency_header");
        }
        if options.shape == Shape::Object {
            errors.push(under(at, "batch"), "must be 1 for shape = \"object\"");
        }
        if options.record.is_some() && options.xml.is_none() && options.form.is_none() {
            errors.push(under(at, "batch"), "must be 1 where no xml stands around the records");
        }
    }
    for (key, is_given) in [("body", options.body.is_some()), ("form", options.form.is_some())] {
        if is_given && options.records.is_empty() {
            errors.push(under(at, "records"), format!("is missing beside {key}"));
        }
    }
    if options.record.is_some() && options.body.is_some() {
        errors.push(under(at, "record"), "cannot stand beside body");
    }
    if let Some(xml) = &options.xml {
        if options.record.is_none() {
            errors.push(under(at, "record"), "is missing beside xml");
        }
        if !xml.contains("{records}") {
            errors.push(under(at, "xml"), "has no place for {records}");
        }
    }
}

/// What records that are the whole body leave no place for.
fn check_send(options: &PushOptions, at: &str, errors: &mut ConfigErrors) {
    let word = match options.send {
        SendFormat::Json => "json",
        SendFormat::Ndjson => "ndjson",
        SendFormat::Csv => "csv",
    };
    if options.delimiter.is_some() && options.send != SendFormat::Csv {
        errors.push(under(at, "delimiter"), "is only for send = \"csv\"");
    }
    if options.send == SendFormat::Json {
        return;
    }
    let others = [
        ("body", options.body.is_some()),
        ("form", options.form.is_some()),
        ("xml", options.xml.is_some()),
        ("record", options.record.is_some()),
        ("records", !options.records.is_empty()),
        ("shape", options.shape == Shape::Object),
    ];
    for (key, _) in others.into_iter().filter(|(_, is_given)| *is_given) {
        errors.push(under(at, key), format!("cannot stand beside send = \"{word}\""));
    }
}

/// The XML of one record. Without `fields` its places are columns, which are known only later.
fn record(
    options: &PushOptions,
    fields: &[(String, String)],
    at: &str,
    errors: &mut ConfigErrors,
) -> Option<Template> {
    let text = options.record.as_deref()?;
    let key = options.idempotency_field.as_deref();
    let knows = |name: &str| {
        fields.is_empty() || fields.iter().any(|(_, field)| field == name) || key == Some(name)
    };
    let record = template(text, &under(at, "record"), knows, errors);
    if let Some(key) = key.filter(|key| !record.has(key)) {
        let message = format!("has no place for {{{key}}}, the idempotency_field");
        errors.push(under(at, "record"), message);
    }
    Some(record)
}

fn lookup_plan(
    base: &Url,
    options: LookupOptions,
    outcomes: Option<&OutcomePlan>,
    at: &str,
    errors: &mut ConfigErrors,
) -> Option<Lookup> {
    let at = under(at, "lookup");
    let url = address(base, &options.path, &at, errors);
    let own =
        options.outcomes.map(|options| OutcomePlan::new(options, &under(&at, "outcomes"), errors));
    let outcomes = own.or_else(|| outcomes.cloned());
    if outcomes.is_none() {
        errors.push(under(&at, "outcomes"), "is missing here and in the push");
    }
    let mut same = Vec::with_capacity(options.same.len());
    for (column, text) in options.same {
        let pointer = place(&text, &under(&at, &format!("same.{column}")), errors);
        same.push((column, pointer));
    }
    let (param, column) = (options.param, options.column);
    Some(Lookup { url: url?, param, column, outcomes: outcomes?, same })
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
