//! Streams: which files to read, and what they are.

use std::collections::BTreeMap;

use chrono::Duration;
use chrono_tz::Tz;
use huiliu_sdk::{
    ColumnType, ConfigErrors, DeclaredColumn, Deletes, Overlap, RawStream, ReadMode, StreamId,
    StreamSettings,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::control::{self, ControlOptions, ReceiptOptions};
use super::keys::Keys;
use super::words::{Encoding, Format, Twins};
use crate::encoding;

/// More header rows than this are no header.
const MAX_HEADER_ROWS: u32 = 8;

/// Keys of one stream of a system with `kind = "files"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// Which files to read, by name: `*` is any run of characters, `?` is one. Names that begin
    /// with a point or `~$`, or end with `.tmp`, `.part`, `.partial` or `.filepart`, are files that
    /// somebody is still writing; they are left out.
    #[schemars(example = &"cases_*.csv")]
    pub pattern: String,
    /// What the files are. A `.gz` or `.zip` around them is opened by itself. Default: `csv`.
    #[serde(default)]
    #[schemars(example = &"xlsx")]
    pub format: Format,
    /// How the files' text is encoded; for `csv`, `json`, `ndjson` and `xml`. Default: what an
    /// XML file says of itself, else `utf-8`.
    #[serde(default)]
    #[schemars(example = &"gb18030")]
    pub encoding: Option<Encoding>,
    /// The character between two fields of a `csv` file. Default: a comma.
    #[serde(default)]
    #[schemars(example = &"\t", extend("default" = ","))]
    pub delimiter: Option<String>,
    /// The character around a field of a `csv` file that holds delimiters or line ends; empty for
    /// none. Default: `"`.
    #[serde(default)]
    #[schemars(example = &"'", extend("default" = "\""))]
    pub quote: Option<String>,
    /// The text that means no value. Default: the empty text; none for `json` and `ndjson`.
    #[serde(default)]
    #[schemars(example = &"无")]
    pub null: Option<String>,
    /// The header's name of each column. In records of `json`, `ndjson` and `xml` it is the name
    /// of a field, or a path from the record that begins with `/`. Default: all columns there are
    /// under their own names.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "internal_no": "内部编号" }))]
    pub fields: BTreeMap<String, String>,
    /// The first row of the header, counted from 1; rows before it are left out. For `csv`,
    /// `xlsx` and `xls`. Default: 1.
    #[serde(default)]
    #[schemars(example = 3, extend("default" = 1))]
    pub header_row: Option<u32>,
    /// How many rows the header has; names in several rows are joined with `/`. With 0 the columns
    /// are named `1`, `2` and so on. For `csv`, `xlsx` and `xls`. Default: 1.
    #[serde(default)]
    #[schemars(example = 2, extend("default" = 1))]
    pub header_rows: Option<u32>,
    /// Rows that are no records, by the pattern of their first value: totals, notes. They are
    /// left out and counted. For `csv`, `xlsx` and `xls`. Default: none.
    #[serde(default)]
    #[schemars(example = ["合计*", "注：*"])]
    pub skip: Vec<String>,
    /// The sheet of an `xlsx` or `xls` file, by its name, a pattern of it, or its place such as
    /// `#2`. Default: the first one that is not hidden.
    #[serde(default)]
    #[schemars(example = &"办件*")]
    pub sheet: Option<String>,
    /// Where the records are. In `json` the path to the list, such as `data.rows`. Default: the
    /// document itself. In `xml` the name of the element of one record, or the path to it.
    #[serde(default)]
    #[schemars(example = &"data.rows")]
    pub record: Option<String>,
    /// Which files of a `.zip` to read, by name. Default: all.
    #[serde(default)]
    #[schemars(example = &"*.csv")]
    pub member: Option<String>,
    /// The most MiB that one file may have once it is unpacked. Default: 4096.
    #[serde(default)]
    #[schemars(example = 16384, extend("default" = 4096))]
    pub unpacked_mib: Option<u32>,
    /// The control file beside each data file. Without its control file a data file waits.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "suffix": ".ctl" }), extend("default" = serde_json::Value::Null))]
    pub control: Option<ControlOptions>,
    /// The receipt that the hub writes for each data file once its rows are committed. Default:
    /// none is written.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "suffix": ".ack" }), extend("default" = serde_json::Value::Null))]
    pub receipt: Option<ReceiptOptions>,
    /// How long a file has to stay as it is before it is read, for senders that write neither a
    /// control file nor under another name first. Default: it is read at once.
    #[serde(default)]
    #[schemars(example = &"60s")]
    pub stable: Option<String>,
    /// What is done with a file whose content was read before under another name. Default: `read`.
    #[serde(default)]
    #[schemars(example = &"skip")]
    pub same_content: Twins,
}

/// A checked stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) pattern: String,
    pub(crate) format: Format,
    /// None where the file may say it itself.
    pub(crate) encoding: Option<Encoding>,
    pub(crate) delimiter: u8,
    pub(crate) quote: Option<u8>,
    pub(crate) null: Option<String>,
    /// Column and header name; empty means the header as it is.
    pub(crate) fields: Vec<(String, String)>,
    /// Counted from 1.
    pub(crate) header_row: u32,
    pub(crate) header_rows: u32,
    pub(crate) skip: Vec<String>,
    pub(crate) sheet: Option<String>,
    pub(crate) record: Option<String>,
    pub(crate) member: Option<String>,
    /// The most bytes of one file once it is unpacked.
    pub(crate) unpacked: u64,
    pub(crate) control: Option<ControlOptions>,
    pub(crate) receipt: Option<ReceiptOptions>,
    pub(crate) stable: Option<Duration>,
    pub(crate) twins: Twins,
    pub(crate) key: Vec<String>,
    /// Whether files that were read are left out.
    pub(crate) incremental: bool,
    pub(crate) zone: Tz,
    pub(crate) columns: BTreeMap<String, DeclaredColumn>,
}

impl Stream {
    /// A stream that reads what `format` is by default.
    pub(crate) fn plain(pattern: &str, format: Format) -> Self {
        Self {
            id: StreamId::new("files"),
            pattern: pattern.to_owned(),
            format,
            encoding: None,
            delimiter: b',',
            quote: Some(b'"'),
            null: default_null(format),
            fields: Vec::new(),
            header_row: 1,
            header_rows: 1,
            skip: Vec::new(),
            sheet: None,
            record: None,
            member: None,
            unpacked: 4 << 30,
            control: None,
            receipt: None,
            stable: None,
            twins: Twins::Read,
            key: Vec::new(),
            incremental: false,
            zone: Tz::Asia__Shanghai,
            columns: BTreeMap::new(),
        }
    }

    /// Whether `name` is a data file of this stream.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let beside = (self.control.iter().map(|control| &control.suffix))
            .chain(self.receipt.iter().map(|receipt| &receipt.suffix));
        let is_beside = beside.into_iter().any(|suffix| name.ends_with(suffix.as_str()));
        !is_beside
            && !crate::arrival::is_unfinished(name, &self.pattern)
            && crate::pattern::matches(&self.pattern, name)
    }

    /// Whether records are found in the file's own bytes.
    pub(crate) fn splits_as_is(&self) -> bool {
        encoding::splits_as_is(self.text_encoding(), self.delimiter, self.quote)
    }

    /// The encoding that the files are taken to have.
    pub(crate) fn text_encoding(&self) -> Encoding {
        self.encoding.unwrap_or_default()
    }

    /// The encoding of the records as the parser gives them.
    pub(crate) fn record_encoding(&self) -> Encoding {
        if self.splits_as_is() { self.text_encoding() } else { Encoding::Utf8 }
    }

    /// The declared type of the column that holds the field `header`.
    pub(crate) fn kind_of(&self, header: &str) -> Option<ColumnType> {
        let named = self.fields.iter().find(|(_, field)| field == header);
        let column = match named {
            Some((column, _)) => column.as_str(),
            None => header,
        };
        self.columns.get(column).and_then(|declared| declared.kind)
    }
}

fn default_null(format: Format) -> Option<String> {
    (!matches!(format, Format::Json | Format::Ndjson)).then(String::new)
}

/// Checks one stream and names its faults.
pub(super) fn read(
    raw: &RawStream,
    at: &str,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Option<Stream> {
    let settings = &raw.settings;
    let keys = &mut Keys::new(&raw.options, at, faults);
    let pattern = keys.required("pattern");
    if let Some(pattern) = &pattern {
        check_pattern(pattern, "pattern", keys);
    }
    let format = keys
        .optional("format", "use csv, xlsx, xls, json, ndjson, xml, parquet or arrow")
        .unwrap_or_default();
    let encoding = keys.optional("encoding", "use utf-8, gb18030, utf-16le or utf-16be");
    let delimiter = keys.byte("delimiter", b',');
    if delimiter.is_none() {
        keys.fault("delimiter", "must not be empty");
    }
    let quote = keys.byte("quote", b'"');
    if quote.is_some() && quote == delimiter {
        keys.fault("quote", "must not be the delimiter");
    }
    let null = keys.optional("null", "write the text that means no value");
    let fields = read_fields(keys, settings);
    let header_row: u32 = keys.optional("header_row", "write a whole number").unwrap_or(1);
    if header_row == 0 {
        keys.fault("header_row", "is counted from 1");
    }
    let header_rows: u32 = keys.optional("header_rows", "write a whole number").unwrap_or(1);
    if header_rows > MAX_HEADER_ROWS {
        keys.fault("header_rows", format!("must be {MAX_HEADER_ROWS} at most"));
    }
    let skip: Vec<String> =
        keys.optional("skip", "write a list of patterns, such as [\"合计*\"]").unwrap_or_default();
    if skip.iter().any(String::is_empty) {
        keys.fault("skip", "must not hold an empty pattern");
    }
    let sheet: Option<String> = keys.optional("sheet", "write its name, a pattern or `#2`");
    if let Some(place) = sheet.as_deref().and_then(|sheet| sheet.strip_prefix('#'))
        && place.parse::<u32>().map_or(true, |place| place == 0)
    {
        keys.fault_with_hint("sheet", "is no place of a sheet", "write `#1` for the first one");
    }
    let record = keys.optional("record", "write the path as text");
    let member: Option<String> = keys.optional("member", "write a pattern of names");
    let unpacked: u32 = keys.optional("unpacked_mib", "write a whole number").unwrap_or(4096);
    check_fitness(keys, format);
    if format == Format::Xml && record.is_none() {
        let hint = "name the element that holds one record";
        keys.fault_with_hint("record", "is required for xml", hint);
    }
    let control = control::control(keys);
    let receipt = control::receipt(keys);
    let stable = read_stable(keys);
    let twins = keys.optional("same_content", "use read or skip").unwrap_or_default();
    let zone = check_settings(settings, at, hub_zone, faults);
    Some(Stream {
        id: StreamId::new(settings.name.as_str()),
        pattern: pattern?,
        format,
        encoding,
        delimiter: delimiter?,
        quote,
        null: null.or_else(|| default_null(format)),
        fields,
        header_row,
        header_rows,
        skip,
        sheet,
        record,
        member,
        unpacked: u64::from(unpacked) << 20,
        control,
        receipt,
        stable,
        twins,
        key: settings.key.clone(),
        incremental: settings.read == ReadMode::Incremental,
        zone,
        columns: settings.declared_columns(at, faults),
    })
}

/// Keys that mean nothing for the format are faults, because somebody expects them to.
fn check_fitness(keys: &mut Keys<'_>, format: Format) {
    let grid = format.is_grid();
    let book = matches!(format, Format::Xlsx | Format::Xls);
    let fits = |key: &str| match key {
        "delimiter" | "quote" => format == Format::Csv,
        "encoding" => format.is_text(),
        "header_row" | "header_rows" | "skip" => grid,
        "sheet" => book,
        "record" => matches!(format, Format::Json | Format::Xml),
        "null" => grid || format.is_text(),
        _ => true,
    };
    for key in keys.names() {
        if !fits(key) {
            let name = format.name();
            keys.fault_with_hint(key, format!("means nothing for {name} files"), "remove it");
        }
    }
}

fn check_pattern(pattern: &str, key: &str, keys: &mut Keys<'_>) {
    if pattern.is_empty() {
        keys.fault(key, "must not be empty");
    } else if pattern.contains(['/', '\\', '\0']) {
        keys.fault_with_hint(
            key,
            "must match names of files in the folder itself",
            "name the folder in the system's `path`",
        );
    }
}

fn read_stable(keys: &mut Keys<'_>) -> Option<Duration> {
    let text: String = keys.optional("stable", "write 60s or 5m")?;
    let Some(Overlap::Time(time)) = Overlap::parse(&text) else {
        keys.fault_with_hint("stable", "is no length of time", "write 60s or 5m");
        return None;
    };
    Some(time)
}

fn read_fields(keys: &mut Keys<'_>, settings: &StreamSettings) -> Vec<(String, String)> {
    let Some(map): Option<Map<String, Value>> =
        keys.optional("fields", "write fields = { column = \"表头\" }")
    else {
        return Vec::new();
    };
    let mut fields: Vec<(String, String)> = Vec::with_capacity(map.len());
    for (column, header) in map {
        let key = format!("fields.{column}");
        match header.as_str().map(str::trim) {
            Some(header) if !header.is_empty() => {
                if fields.iter().any(|(_, taken)| taken == header) {
                    keys.fault(&key, format!("header `{header}` is taken by another column"));
                }
                fields.push((column, header.to_owned()));
            }
            _ => keys.fault(&key, "must be the name of a header"),
        }
    }
    let used = (settings.key.iter().map(|name| ("key", name)))
        .chain(settings.columns.keys().map(|name| ("columns", name)));
    for (setting, name) in used {
        if !fields.is_empty() && !fields.iter().any(|(column, _)| column == name) {
            keys.fault_with_hint(
                setting,
                format!("column `{name}` is not one of `fields`"),
                "add it to `fields`",
            );
        }
    }
    fields
}

fn check_settings(
    settings: &StreamSettings,
    at: &str,
    hub_zone: Tz,
    faults: &mut ConfigErrors,
) -> Tz {
    if matches!(settings.read, ReadMode::Flagged | ReadMode::Changes) {
        faults.push_with_hint(
            format!("{at}.read"),
            "a files stream is read full or incremental",
            "use read = \"incremental\" to read each file once, or read = \"full\"",
        );
    }
    if settings.overlap.is_some() {
        faults.push_with_hint(
            format!("{at}.overlap"),
            "a files stream has no overlap",
            "remove it: a changed file is read again as a whole",
        );
    }
    // Rows marked as deleted are rows like any other here; the hub reads the mark.
    if settings.deletes == Deletes::KeyScan && settings.read != ReadMode::Full {
        faults.push_with_hint(
            format!("{at}.deletes"),
            "a files stream compares keys only when it is read whole",
            "use key_scan together with read = \"full\", or deletes = \"soft\"",
        );
    }
    settings.source_zone(at, hub_zone, faults)
}
