//! Streams as they will be read: checked, with every text parsed.

use std::time::Duration;

use chrono_tz::Tz;
use huiliu_httpkit::{Method, Request, Url};
use huiliu_sdk::{ColumnSpec, ColumnType, ConfigErrors, RawStream, ReadMode, StreamId, parse_type};
use serde_json::{Map, Value};

use crate::config::{Condition, PaginationOptions, StreamOptions, Verb};
use crate::faults::under;
use crate::pointer::Pointer;
use crate::quantity;
use crate::session::Success;

/// One column and where it is in a record.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) place: Pointer,
    pub(crate) kind: ColumnType,
    pub(crate) nullable: bool,
}

/// A stream, ready to be read.
pub(crate) struct StreamPlan {
    pub(crate) id: StreamId,
    pub(crate) options: Value,
    pub(crate) path: String,
    pub(crate) verb: Verb,
    pub(crate) url: Url,
    pub(crate) body: Option<Value>,
    pub(crate) records: Pointer,
    pub(crate) total: Option<Pointer>,
    pub(crate) success: Success,
    pub(crate) pagination: Option<PaginationOptions>,
    pub(crate) next: Pointer,
    pub(crate) since: Option<String>,
    /// Empty if the columns are those of the records.
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) overlap: Duration,
    pub(crate) zone: Tz,
    pub(crate) read: ReadMode,
}

impl StreamPlan {
    /// Checks a stream's options, already deserialised.
    pub(crate) fn new(
        base: &Url,
        hub_zone: Tz,
        raw: &RawStream,
        options: StreamOptions,
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let before = errors.0.len();
        let settings = &raw.settings;
        let timing = Timing::new(hub_zone, raw, at, errors);
        if options.method == Verb::Put {
            errors.push(under(at, "method"), "reading is done with GET or POST");
        }
        if options.method == Verb::Get && options.body.is_some() {
            errors.push_with_hint(under(at, "body"), "a GET has no body", "set method = \"POST\"");
        }
        let url = address(base, &options.path, options.params.iter(), at, errors);
        let next = match &options.pagination {
            Some(PaginationOptions::Cursor { next, size, page_size, .. }) => {
                if size.is_some() && page_size.is_none() {
                    errors.push(under(at, "pagination.page_size"), "is missing beside size");
                }
                place(next, &under(at, "pagination.next"), errors)
            }
            _ => Pointer::default(),
        };
        let incremental = settings.read == ReadMode::Incremental;
        if incremental && options.since.is_none() {
            errors.push(under(at, "since"), "is missing for read = \"incremental\"");
        }
        if incremental && settings.cursor.is_none() {
            errors.push(under(at, "cursor"), "is missing for read = \"incremental\"");
        }
        let columns = columns(raw, &options.fields, at, errors);
        for (what, name) in settings
            .key
            .iter()
            .map(|name| ("key", name))
            .chain(settings.cursor.iter().map(|name| ("cursor", name)))
        {
            if !columns.is_empty() && !columns.iter().any(|column| column.name == *name) {
                errors.push_with_hint(
                    under(at, what),
                    format!("`{name}` is not a column of this stream"),
                    "name it under fields or columns",
                );
            }
        }
        let records = place(&options.records, &under(at, "records"), errors);
        let total = options.total.map(|text| place(&text, &under(at, "total"), errors));
        let success = success(&options.success, options.message.as_deref(), at, errors);
        let url = url?;
        if errors.0.len() > before {
            return None;
        }
        Some(Self {
            id: StreamId::new(settings.name.as_str()),
            options: raw.options.clone(),
            path: options.path,
            verb: options.method,
            url,
            body: options.body.map(Value::Object),
            records,
            total,
            success,
            pagination: options.pagination,
            next,
            since: options.since,
            columns,
            key: settings.key.clone(),
            cursor: settings.cursor.clone(),
            overlap: timing.overlap,
            zone: timing.zone,
            read: settings.read,
        })
    }

    /// The request for one page. Reading twice changes nothing, whatever the method.
    pub(crate) fn request(&self, parameters: &[(String, Value)]) -> Request {
        let Some(body) = &self.body else {
            let method = if self.verb == Verb::Get { Method::GET } else { Method::POST };
            let mut request = Request::new(method, self.url.clone()).idempotent(true);
            for (name, value) in parameters {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                request = request.query(name, &text);
            }
            return request;
        };
        let mut body = body.clone();
        for (name, value) in parameters {
            if let Some(place) = Pointer::field(name) {
                place.put(&mut body, value.clone());
            }
        }
        Request::new(Method::POST, self.url.clone()).json(body.to_string()).idempotent(true)
    }
}

/// What the common settings say about time, and whether they can be kept at all.
pub(crate) struct Timing {
    overlap: Duration,
    zone: Tz,
}

impl Timing {
    /// Checks the common settings.
    pub(crate) fn new(hub_zone: Tz, raw: &RawStream, at: &str, errors: &mut ConfigErrors) -> Self {
        let settings = &raw.settings;
        if !matches!(settings.read, ReadMode::Full | ReadMode::Incremental) {
            errors.push_with_hint(
                under(at, "read"),
                "an http system cannot be read this way",
                "use full or incremental",
            );
        }
        let overlap = time(settings.overlap.as_deref(), &under(at, "overlap"), errors);
        let zone = settings.zone.as_deref().map_or(Ok(hub_zone), str::parse);
        if zone.is_err() {
            errors.push_with_hint(
                under(at, "zone"),
                "is not a time zone",
                "use a name such as Asia/Shanghai",
            );
        }
        Self { overlap: overlap.unwrap_or_default(), zone: zone.unwrap_or(hub_zone) }
    }
}

fn columns(
    raw: &RawStream,
    fields: &Map<String, Value>,
    at: &str,
    errors: &mut ConfigErrors,
) -> Vec<Column> {
    let declared = &raw.settings.columns;
    let mut columns = Vec::new();
    let plain = declared.keys().filter(|name| !fields.contains_key(*name));
    let named = fields.iter().map(|(name, field)| (name, field.as_str().unwrap_or_default()));
    for (name, field) in named.chain(plain.map(|name| (name, name.as_str()))) {
        let Some(place) = Pointer::field(field) else {
            errors.push(under(at, &format!("fields.{name}")), "is neither a field nor a pointer");
            continue;
        };
        let spec = declared.get(name).cloned().unwrap_or_else(ColumnSpec::default);
        let kind = match parse_type(spec.data_type.as_deref().unwrap_or("text")) {
            Ok(kind) => kind,
            Err(error) => {
                let here = under(at, &format!("columns.{name}.type"));
                errors.push_with_hint(here, error.message(), error.hint_text().unwrap_or_default());
                continue;
            }
        };
        let nullable = spec.nullable.unwrap_or(true);
        columns.push(Column { name: name.clone(), place, kind, nullable });
    }
    columns
}

/// The address of `path` under `base`.
pub(crate) fn address<'a>(
    base: &Url,
    path: &str,
    params: impl Iterator<Item = (&'a String, &'a String)>,
    at: &str,
    errors: &mut ConfigErrors,
) -> Option<Url> {
    let at = under(at, "path");
    if !path.starts_with('/') {
        errors.push(at, "does not start with a slash");
        return None;
    }
    if path.contains(['?', '#']) {
        errors.push_with_hint(at, "holds a query or fragment", "put parameters under params");
        return None;
    }
    let Ok(mut url) = Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/'))) else {
        errors.push(at, "does not make an address");
        return None;
    };
    for (name, value) in params {
        url.query_pairs_mut().append_pair(name, value);
    }
    Some(url)
}

/// A JSON pointer, or a fault.
pub(crate) fn place(text: &str, at: &str, errors: &mut ConfigErrors) -> Pointer {
    Pointer::parse(text).unwrap_or_else(|| {
        errors.push_with_hint(at, "is not a JSON pointer", "write it like /data/list");
        Pointer::default()
    })
}

/// A duration, or a fault.
pub(crate) fn time(text: Option<&str>, at: &str, errors: &mut ConfigErrors) -> Option<Duration> {
    let read = quantity::duration(text?);
    if read.is_none() {
        errors.push_with_hint(at, "is not a duration", "write it like 30s, 10m or 2h");
    }
    read
}

/// Conditions of success, or faults.
pub(crate) fn success(
    conditions: &[Condition],
    message: Option<&str>,
    at: &str,
    errors: &mut ConfigErrors,
) -> Success {
    let mut read = Success::default();
    for (index, condition) in conditions.iter().enumerate() {
        let at = under(at, &format!("success[{index}].pointer"));
        read.conditions.push((place(&condition.pointer, &at, errors), condition.equals.clone()));
    }
    read.message = message.map(|text| place(text, &under(at, "message"), errors));
    read
}
