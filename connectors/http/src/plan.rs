//! Streams as they will be read: checked, with every text parsed.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use huiliu_httpkit::{Method, Url};
use huiliu_sdk::{
    ColumnSpec, ColumnType, ConfigErrors, Overlap, RawStream, ReadMode, StreamId, parse_type,
};
use serde_json::{Map, Value};

use crate::body::AnswerPlan;
use crate::call::{BodyOptions, CallPlan};
use crate::config::{
    AnswerOptions, Format, JobOptions, Nested, PaginationOptions, ParentOptions, SoapOptions,
    StreamOptions, Verb,
};
use crate::faults::under;
use crate::pointer::Pointer;
use crate::quantity;
use crate::receipt::ReceiptPlan;
use crate::since::Since;
use crate::success::Success;

/// One column and where it is in a record.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) place: Pointer,
    pub(crate) kind: ColumnType,
    pub(crate) nullable: bool,
}

/// The stream for each of whose records another one is asked.
pub(crate) struct ParentPlan {
    pub(crate) stream: String,
    pub(crate) values: BTreeMap<String, Pointer>,
    pub(crate) concurrency: usize,
}

/// A file that is made on request.
pub(crate) struct JobPlan {
    pub(crate) handle: Pointer,
    pub(crate) poll: CallPlan,
    pub(crate) state: Pointer,
    pub(crate) done: Vec<String>,
    pub(crate) failed: Vec<String>,
    pub(crate) download: Option<CallPlan>,
    pub(crate) link: Option<Pointer>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// A stream, ready to be read.
pub(crate) struct StreamPlan {
    pub(crate) id: StreamId,
    pub(crate) options: Value,
    pub(crate) path: String,
    pub(crate) call: CallPlan,
    pub(crate) answer: AnswerPlan,
    pub(crate) records: Pointer,
    pub(crate) total: Option<Pointer>,
    pub(crate) more: Option<Pointer>,
    pub(crate) success: Success,
    pub(crate) pagination: Option<PaginationOptions>,
    pub(crate) next: Option<Pointer>,
    pub(crate) next_header: Option<String>,
    pub(crate) max_pages: u64,
    pub(crate) since: Option<Since>,
    pub(crate) parent: Option<ParentPlan>,
    pub(crate) job: Option<JobPlan>,
    pub(crate) receipt: Option<ReceiptPlan>,
    /// Empty if the columns are those of the records.
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) overlap: Overlap,
    pub(crate) zone: Tz,
    pub(crate) read: ReadMode,
}

impl StreamPlan {
    /// Checks a stream's options, already deserialised.
    pub(crate) fn new(
        base: &Url,
        hub_zone: Tz,
        raw: &RawStream,
        mut options: StreamOptions,
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let before = errors.0.len();
        let settings = &raw.settings;
        let timing = Timing::new(hub_zone, raw, at, errors);
        if options.method == Verb::Put {
            errors.push(under(at, "method"), "reading is done with GET or POST");
        }
        let (next, next_header) = next_page(options.pagination.as_ref(), at, errors);
        let incremental = settings.read == ReadMode::Incremental;
        if incremental && options.since.is_none() {
            errors.push(under(at, "since"), "is missing for read = \"incremental\"");
        }
        if incremental && settings.cursor.is_none() {
            errors.push(under(at, "cursor"), "is missing for read = \"incremental\"");
        }
        let columns = columns(raw, &options.fields, at, errors);
        check_names(raw, &columns, at, errors);
        let since = Since::new(&options, timing.zone, at, errors);
        let parent = options.parent.take().map(|parent| parent_plan(&parent, at, errors));
        let job = options.job.take().and_then(|job| job_plan(base, job, at, errors));
        let receipt = options.receipt.take();
        let receipt = receipt.and_then(|receipt| ReceiptPlan::new(base, raw, receipt, at, errors));
        if job.is_some() && (options.pagination.is_some() || parent.is_some()) {
            errors.push(under(at, "job"), "cannot stand beside pagination or parent");
        }
        let call = call(base, &mut options, parent.as_ref(), at, errors);
        let answer = answer_plan(
            options.format,
            options.encoding,
            options.delimiter,
            options.soap.as_ref(),
            options.nested,
            at,
            errors,
        );
        let records = place(&options.records, &under(at, "records"), errors);
        let total = options.total.map(|text| place(&text, &under(at, "total"), errors));
        let more = options.more.map(|text| place(&text, &under(at, "more"), errors));
        let success = Success::new(&options.success, options.message.as_deref(), at, errors);
        if errors.0.len() > before {
            return None;
        }
        Some(Self {
            id: StreamId::new(settings.name.as_str()),
            options: raw.options.clone(),
            path: options.path,
            call: call?,
            answer,
            records,
            total,
            more,
            success,
            pagination: options.pagination,
            next,
            next_header,
            max_pages: options.max_pages,
            since,
            parent,
            job,
            receipt,
            columns,
            key: settings.key.clone(),
            cursor: settings.cursor.clone(),
            overlap: timing.overlap,
            zone: timing.zone,
            read: settings.read,
        })
    }
}

/// The request of a stream, with the places its texts may hold.
fn call(
    base: &Url,
    options: &mut StreamOptions,
    parent: Option<&ParentPlan>,
    at: &str,
    errors: &mut ConfigErrors,
) -> Option<CallPlan> {
    let names: Vec<&str> =
        parent.into_iter().flat_map(|parent| parent.values.keys().map(String::as_str)).collect();
    let mut parameters: Vec<&str> = match &options.pagination {
        None => Vec::new(),
        Some(PaginationOptions::Page { page: name, size, .. })
        | Some(PaginationOptions::Offset { offset: name, limit: size, .. })
        | Some(PaginationOptions::Cursor { param: name, size, .. }) => {
            [Some(name), size.as_ref()].into_iter().flatten().map(String::as_str).collect()
        }
        Some(PaginationOptions::Link { size, .. }) => size.iter().map(String::as_str).collect(),
    };
    parameters.extend(options.since.as_deref());
    let body = BodyOptions {
        body: options.body.take(),
        form: options.form.take(),
        xml: options.xml.take(),
        soap: options.soap.clone(),
    };
    let (method, path) = (options.method.method(), &options.path);
    CallPlan::new(base, method, path, &options.params, body, &names, &parameters, at, errors)
}

fn next_page(
    pagination: Option<&PaginationOptions>,
    at: &str,
    errors: &mut ConfigErrors,
) -> (Option<Pointer>, Option<String>) {
    let (next, header, size, page_size) = match pagination {
        Some(PaginationOptions::Cursor { next, next_header, size, page_size, .. }) => {
            if next.is_some() == next_header.is_some() {
                let what = "one of next and next_header must be given";
                errors.push(under(at, "pagination.next"), what);
            }
            (next, next_header.clone(), size, page_size)
        }
        Some(PaginationOptions::Link { next, size, page_size }) => (next, None, size, page_size),
        _ => return (None, None),
    };
    if size.is_some() && page_size.is_none() {
        errors.push(under(at, "pagination.page_size"), "is missing beside size");
    }
    let next = next.as_ref().map(|text| place(text, &under(at, "pagination.next"), errors));
    (next, header)
}

fn parent_plan(options: &ParentOptions, at: &str, errors: &mut ConfigErrors) -> ParentPlan {
    let mut values = BTreeMap::new();
    for (name, field) in &options.values {
        let at = under(at, &format!("parent.values.{name}"));
        match Pointer::field(field) {
            Some(place) => {
                values.insert(name.clone(), place);
            }
            None => errors.push(at, "is neither a field nor a pointer"),
        }
    }
    if options.values.is_empty() {
        errors.push(under(at, "parent.values"), "must not be empty");
    }
    let concurrency = options.concurrency as usize;
    ParentPlan { stream: options.stream.clone(), values, concurrency }
}

fn job_plan(
    base: &Url,
    options: JobOptions,
    at: &str,
    errors: &mut ConfigErrors,
) -> Option<JobPlan> {
    let at = under(at, "job");
    let mut call = |path: &str, key: &str| {
        let (body, none) = (BodyOptions::default(), BTreeMap::new());
        let at = under(&at, key);
        CallPlan::new(base, Method::GET, path, &none, body, &["job"], &[], &at, errors)
    };
    let poll = call(&options.poll, "poll");
    let download = options.download.as_ref().map(|path| call(path, "download"));
    if options.download.is_some() == options.link.is_some() {
        errors.push(under(&at, "download"), "one of download and link must be given");
    }
    let mut read = |text: &str, key: &str| place(text, &under(&at, key), errors);
    let handle = read(&options.handle, "handle");
    let state = read(&options.state, "state");
    let link = options.link.as_ref().map(|text| read(text, "link"));
    let interval = time(options.interval.as_deref(), &under(&at, "interval"), errors);
    let timeout = time(options.timeout.as_deref(), &under(&at, "timeout"), errors);
    Some(JobPlan {
        handle,
        poll: poll?,
        state,
        done: options.done,
        failed: options.failed,
        download: match download {
            Some(download) => Some(download?),
            None => None,
        },
        link,
        interval: interval.unwrap_or(Duration::from_secs(5)),
        timeout: timeout.unwrap_or(Duration::from_secs(1_800)),
    })
}

/// How answers are read, by the keys that streams and pushes have in common.
pub(crate) fn answer_plan(
    format: Option<Format>,
    encoding: Option<String>,
    delimiter: Option<String>,
    soap: Option<&SoapOptions>,
    nested: Vec<Nested>,
    at: &str,
    errors: &mut ConfigErrors,
) -> AnswerPlan {
    let usual = if soap.is_some() { Format::Xml } else { Format::Json };
    let format = format.unwrap_or(usual);
    if soap.is_some() && format != Format::Xml {
        errors.push(under(at, "format"), "is xml beside soap");
    }
    if delimiter.is_some() && format != Format::Csv {
        errors.push(under(at, "delimiter"), "is only for format = \"csv\"");
    }
    let soap = soap.map(|soap| soap.version);
    AnswerPlan::new(AnswerOptions { format, encoding, delimiter, soap, nested }, at, errors)
}

/// What the common settings say about time, and whether they can be kept at all.
pub(crate) struct Timing {
    overlap: Overlap,
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
        let overlap = settings.overlap(at, errors);
        let zone = settings.source_zone(at, hub_zone, errors);
        Self { overlap, zone }
    }
}

fn check_names(raw: &RawStream, columns: &[Column], at: &str, errors: &mut ConfigErrors) {
    let keys = raw.settings.key.iter().map(|name| ("key", name));
    let cursors = raw.settings.cursor.iter().map(|name| ("cursor", name));
    for (what, name) in keys.chain(cursors) {
        if !columns.is_empty() && !columns.iter().any(|column| column.name == *name) {
            errors.push_with_hint(
                under(at, what),
                format!("`{name}` is not a column of this stream"),
                "name it under fields or columns",
            );
        }
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
