//! Pushes: which file to write, and how.

use huiliu_sdk::{ConfigErrors, RawPush, StreamId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::control::{self, ControlOptions};
use super::keys::Keys;
use super::words::{Encoding, Format, Formulas};

/// Keys of one push to a system with `kind = "files"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PushOptions {
    /// The name of the file. `{date}` becomes the day, `{time}` the moment to the millisecond, in
    /// the hub's zone. A file that rows are added by needs one of them, since a file that is there
    /// is never added to. With `.gz` at its end it is compressed; with `.zip` it is an archive that
    /// holds one file, called the same without `.zip`.
    #[schemars(example = &"coverage_{date}.csv")]
    pub file: String,
    /// What the file is. Default: `csv`.
    #[serde(default)]
    #[schemars(example = &"xlsx")]
    pub format: Format,
    /// How the text of a `csv`, `json`, `ndjson` or `xml` file is encoded. UTF-16 begins with its
    /// mark. Default: `utf-8`.
    #[serde(default)]
    #[schemars(example = &"gb18030")]
    pub encoding: Encoding,
    /// The character between two fields of a `csv` file. Default: a comma.
    #[serde(default)]
    #[schemars(example = &"\t", extend("default" = ","))]
    pub delimiter: Option<String>,
    /// The character around a field of a `csv` file that holds the delimiter, a line end or this
    /// character, which is then doubled. Default: `"`.
    #[serde(default)]
    #[schemars(example = &"'", extend("default" = "\""))]
    pub quote: Option<String>,
    /// The text written for no value into a `csv` file. Default: the empty text.
    #[serde(default)]
    #[schemars(example = &"无")]
    pub null: Option<String>,
    /// What is done with text in a `csv` file that begins as a formula does, so that a spreadsheet
    /// would run it. Default: `quote`. In the other formats text stays text.
    #[serde(default)]
    #[schemars(example = &"keep")]
    pub formulas: Formulas,
    /// The name of the sheet of an `xlsx` or `xls` file. Default: `Sheet1`.
    #[serde(default)]
    #[schemars(example = &"覆盖情况")]
    pub sheet: Option<String>,
    /// The element of one record of an `xml` file. Default: `record`.
    #[serde(default)]
    #[schemars(example = &"case")]
    pub record: Option<String>,
    /// The control file that is written after the data file. Default: none is written.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "suffix": ".ctl" }), extend("default" = serde_json::Value::Null))]
    pub control: Option<ControlOptions>,
}

/// A checked push.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: StreamId,
    pub(crate) file: String,
    pub(crate) format: Format,
    pub(crate) encoding: Encoding,
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    pub(crate) null: String,
    pub(crate) formulas: Formulas,
    pub(crate) sheet: String,
    pub(crate) record: String,
    pub(crate) control: Option<ControlOptions>,
}

impl Push {
    /// Whether each file has a name of its own.
    pub(crate) fn has_own_names(&self) -> bool {
        self.file.contains("{time}")
    }

    /// What is around the content of the file.
    pub(crate) fn packing(&self) -> Packing {
        Packing::of(&self.file)
    }

    /// The name of the file within the archive `name`.
    pub(crate) fn member(&self, name: &str) -> String {
        let bare = name.strip_suffix(".zip").unwrap_or(name);
        match bare.contains('.') {
            true => bare.to_owned(),
            false => format!("{bare}.{}", self.format.name()),
        }
    }
}

/// What is around the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zip,
}

impl Packing {
    fn of(file: &str) -> Self {
        if file.ends_with(".gz") {
            Self::Gzip
        } else if file.ends_with(".zip") {
            Self::Zip
        } else {
            Self::None
        }
    }
}

/// Checks one push and names its faults.
pub(super) fn read(raw: &RawPush, at: &str, faults: &mut ConfigErrors) -> Option<Push> {
    let keys = &mut Keys::new(&raw.options, at, faults);
    let file = keys.required("file");
    if let Some(file) = &file {
        check_file(file, keys);
    }
    let format = keys
        .optional("format", "use csv, xlsx, xls, json, ndjson, xml, parquet or arrow")
        .unwrap_or_default();
    let is_packed = file.as_ref().is_some_and(|file| Packing::of(file) != Packing::None);
    if is_packed && matches!(format, Format::Xlsx | Format::Parquet | Format::Arrow) {
        let name = format.name();
        let hint = "leave out .gz or .zip";
        keys.fault_with_hint("file", format!("{name} files are not packed again"), hint);
    }
    let encodings = "use utf-8, gb18030, utf-16le or utf-16be";
    let encoding = keys.optional("encoding", encodings).unwrap_or_default();
    let delimiter = keys.byte("delimiter", b',');
    let quote = keys.byte("quote", b'"');
    if delimiter.is_none() || delimiter == quote {
        keys.fault("delimiter", "must be one character and not the quote");
    }
    if quote.is_none() {
        keys.fault("quote", "must be one character, or text could not hold the delimiter");
    }
    let null = keys.optional("null", "write the text that means no value").unwrap_or_default();
    let formulas = keys.optional("formulas", "use quote, keep or refuse").unwrap_or_default();
    let sheet: Option<String> = keys.optional("sheet", "write the name of the sheet");
    let fits_sheet = |name: &String| {
        let count = name.encode_utf16().count();
        (1..=31).contains(&count)
            && !name.contains(['[', ']', ':', '*', '?', '/', '\\'])
            && !name.starts_with('\'')
            && !name.ends_with('\'')
    };
    if sheet.as_ref().is_some_and(|name| !fits_sheet(name)) {
        keys.fault("sheet", "must be 1 to 31 characters without []:*?/\\, and no ' at its ends");
    }
    let record: Option<String> = keys.optional("record", "write the name of the element");
    if record.as_ref().is_some_and(|name| !crate::write::xml::is_name(name)) {
        keys.fault("record", "is no name of an XML element");
    }
    for key in keys.names() {
        let fits = match key {
            "encoding" => format.is_text(),
            "delimiter" | "quote" | "null" | "formulas" => format == Format::Csv,
            "sheet" => matches!(format, Format::Xlsx | Format::Xls),
            "record" => format == Format::Xml,
            _ => true,
        };
        if !fits {
            let name = format.name();
            keys.fault_with_hint(key, format!("means nothing for {name} files"), "remove it");
        }
    }
    Some(Push {
        id: StreamId::new(raw.name.as_str()),
        file: file?,
        format,
        encoding,
        delimiter: delimiter?,
        quote: quote?,
        null,
        formulas,
        sheet: sheet.unwrap_or_else(|| "Sheet1".into()),
        record: record.unwrap_or_else(|| "record".into()),
        control: control::control(keys),
    })
}

fn check_file(file: &str, keys: &mut Keys<'_>) {
    let bare = file.replace("{date}", "").replace("{time}", "");
    if bare.contains(['/', '\\', '\0']) || file.starts_with('.') || file.is_empty() {
        keys.fault_with_hint(
            "file",
            "must be the name of a file in the folder itself",
            "name the folder in the system's `path`",
        );
    } else if bare.contains(['{', '}']) {
        let hint = "use {date} and {time}";
        keys.fault_with_hint("file", "holds a place that is not known", hint);
    }
}
