//! What stands beside a data file: the sender's control file, the hub's receipt.

use schemars::JsonSchema;
use serde::Deserialize;

use super::keys::Keys;
use super::words::{Algorithm, Layout};

/// A control file beside the data file, with the number of its rows and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlOptions {
    /// What its name ends with, in place of the data file's ending or after its whole name:
    /// `cases.ctl` or `cases.csv.ctl`. Default: `.ctl`.
    #[serde(default = "default_suffix")]
    #[schemars(example = &".ok")]
    pub suffix: String,
    /// How it is laid out. Default: lines of `key=value`.
    #[serde(default)]
    #[schemars(example = &"json")]
    pub layout: Layout,
    /// The key (`lines`, `json`) or the element (`xml`) of the number of rows, header not
    /// counted; empty if it is not given. Default: `rows`.
    #[serde(default = "default_rows")]
    #[schemars(example = &"记录数")]
    pub rows: String,
    /// The key or the element of the data file's digest in hexadecimal digits; empty if it is not
    /// given. Default: `sha256`, or the name of `algorithm`.
    #[serde(default)]
    #[schemars(example = &"digest")]
    pub digest: Option<String>,
    /// How the digest is computed. Default: `sha256`.
    #[serde(default)]
    #[schemars(example = &"sm3")]
    pub algorithm: Algorithm,
    /// What separates the values of a `line`. Default: `|`.
    #[serde(default = "default_separator")]
    #[schemars(example = &";")]
    pub separator: String,
}

/// A receipt that the hub writes beside the data file once its rows are committed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptOptions {
    /// What is put behind the data file's name. Default: `.ack`.
    #[serde(default = "default_receipt")]
    #[schemars(example = &".receipt")]
    pub suffix: String,
    /// How it is laid out. Default: lines of `key=value`.
    #[serde(default)]
    #[schemars(example = &"json")]
    pub layout: Layout,
}

fn default_suffix() -> String {
    ".ctl".into()
}

fn default_rows() -> String {
    "rows".into()
}

fn default_separator() -> String {
    "|".into()
}

fn default_receipt() -> String {
    ".ack".into()
}

impl Default for ControlOptions {
    fn default() -> Self {
        Self {
            suffix: default_suffix(),
            layout: Layout::default(),
            rows: default_rows(),
            digest: None,
            algorithm: Algorithm::default(),
            separator: default_separator(),
        }
    }
}

impl ControlOptions {
    /// The key of the digest; empty if there is none.
    pub(crate) fn digest_key(&self) -> &str {
        self.digest.as_deref().unwrap_or(self.algorithm.name())
    }
}

/// Reads `control`.
pub(crate) fn control(keys: &mut Keys<'_>) -> Option<ControlOptions> {
    let hint = "give suffix, layout, rows, digest and algorithm as text";
    let options: ControlOptions = keys.optional("control", hint)?;
    let mut keys = keys.table("control", hint)?;
    if !is_name_end(&options.suffix) {
        keys.fault("suffix", "must be the end of a file name");
    }
    if options.layout == Layout::Line {
        if options.separator.trim().is_empty() && options.separator != "\t" {
            keys.fault("separator", "must not be blank");
        }
    } else {
        for (key, value) in [("rows", options.rows.as_str()), ("digest", options.digest_key())] {
            if value.contains('=') || (value.trim().is_empty() && !value.is_empty()) {
                keys.fault(key, "must be a key of the control file");
            }
        }
        if options.rows.is_empty() && options.digest_key().is_empty() {
            let hint = "name the key of the rows, of the digest, or of both";
            keys.fault_with_hint("rows", "says nothing, and neither does `digest`", hint);
        }
    }
    Some(options)
}

/// Reads `receipt`.
pub(crate) fn receipt(keys: &mut Keys<'_>) -> Option<ReceiptOptions> {
    let hint = "give suffix and layout as text";
    let options: ReceiptOptions = keys.optional("receipt", hint)?;
    let mut keys = keys.table("receipt", hint)?;
    if !is_name_end(&options.suffix) {
        keys.fault("suffix", "must be the end of a file name");
    }
    Some(options)
}

fn is_name_end(suffix: &str) -> bool {
    !suffix.is_empty() && !suffix.contains(['/', '\\', '\0'])
}
