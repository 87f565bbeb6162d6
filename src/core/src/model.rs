//! SQL models and metrics as they are written in `pipelines/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Document, Fault, Faults};

/// How a model's result is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Computed when it is asked for.
    View,
    /// Written to the lake when its inputs change.
    Table,
}

/// The header of a model.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelHeader {
    /// How the result is kept.
    pub kind: ModelKind,
    /// What one row is, for people.
    pub description: String,
    /// Columns that are unique and not null in the result; checked at every build.
    #[serde(default)]
    pub key: Vec<String>,
    /// Whether rows stay that the SELECT no longer gives, for what is issued once and for all. Needs
    /// a key. Default: no.
    #[serde(default)]
    pub keep: bool,
    /// Columns that keep the value a row had first, when a row that was kept comes again: such as
    /// the day on which a card was issued. Needs `keep`.
    #[serde(default)]
    pub first: Vec<String>,
    /// Audits of the result, by the names of their files. While a blocking one finds rows, nothing
    /// that reads the model is computed or sent.
    #[serde(default)]
    pub audits: Vec<String>,
}

/// One model: a header and one SELECT.
#[derive(Debug, Clone)]
pub struct Model {
    /// `schema.table`, from folder and file name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its header.
    pub header: ModelHeader,
    /// Its SELECT.
    pub sql: String,
}

impl Model {
    /// Reads a model from the text of `file`, which stands in the folder of its schema.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Faults> {
        let (document, sql) = split_header(file, text, "kind = \"view\"")?;
        let header: ModelHeader = serde_json::from_value(document.to_json())
            .map_err(|e| Faults(vec![document.fault("", e.to_string(), None)]))?;
        if header.keep && (header.kind == ModelKind::View || header.key.is_empty()) {
            let message = "`keep` is of a table whose rows have a `key`".to_owned();
            return Err(Faults(vec![document.fault("keep", message, None)]));
        }
        if !header.first.is_empty() && !header.keep {
            let message = "`first` is of rows that are kept".to_owned();
            let hint = Some("add `keep = true`".to_owned());
            return Err(Faults(vec![document.fault("first", message, hint)]));
        }
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let schema =
            file.parent().and_then(Path::file_name).and_then(|s| s.to_str()).unwrap_or_default();
        Ok(Self {
            name: format!("{schema}.{stem}"),
            file: file.to_owned(),
            header,
            sql: sql.to_owned(),
        })
    }
}

/// The header and the statement of a file of SQL; `example` is a line of such a header.
pub(crate) fn split_header<'t>(
    file: &Path,
    text: &'t str,
    example: &str,
) -> Result<(Document, &'t str), Faults> {
    let fault = |message: &str| {
        Faults(vec![Fault {
            file: file.to_owned(),
            line: 1,
            column: 1,
            message: message.to_owned(),
            hint: Some(format!(
                "begin with `/* +++`, then TOML such as `{example}`, then `+++ */`"
            )),
            excerpt: None,
        }])
    };
    let rest = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .strip_prefix("/* +++")
        .ok_or_else(|| fault("a file of SQL begins with its header"))?;
    let (header, sql) =
        rest.split_once("+++ */").ok_or_else(|| fault("the header does not end"))?;
    let document = Document::parse(file, header)?;
    Ok((document, sql.trim().trim_end_matches(';')))
}

/// Unit of a metric's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Numerator / denominator × 100.
    Percent,
    /// Numerator / denominator.
    Mean,
    /// The numerator itself.
    Count,
}

impl Unit {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Percent => "percent",
            Self::Mean => "mean",
            Self::Count => "count",
        }
    }

    /// The unit of a word; what is not known counts.
    pub fn of(word: &str) -> Self {
        match word {
            "percent" => Self::Percent,
            "mean" => Self::Mean,
            _ => Self::Count,
        }
    }

    /// Whether it has a denominator.
    pub fn is_ratio(self) -> bool {
        self != Self::Count
    }
}

/// One version of what a metric means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// First day it applies, `YYYY-MM-DD`.
    pub valid_from: String,
    /// The definition in words, printed beside the figure.
    pub text: String,
    /// SQL predicate of the rows that count. Default: all rows.
    #[serde(default)]
    pub denominator: Option<String>,
    /// SQL predicate, within the denominator, of the rows above the line.
    #[serde(default)]
    pub numerator: Option<String>,
    /// SQL expression; equal values count once.
    #[serde(default)]
    pub distinct: Option<String>,
    /// SQL expression of whole numbers: what a row adds above the line. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// SQL expression of whole numbers: what a row adds below the line. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
}

impl Definition {
    fn has_numerator(&self) -> bool {
        self.numerator.is_some() || self.measure.is_some()
    }

    /// Whether rows count other than once each.
    pub fn is_weighed(&self) -> bool {
        self.measure.is_some() || self.weight.is_some()
    }
}

/// One metric.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Version of this file's layout; 1.
    pub version: u32,
    /// Its key: the file's name.
    #[serde(skip)]
    pub key: String,
    /// Its name, for people.
    pub title: String,
    /// Unit of its value.
    pub unit: Unit,
    /// Digits after the point, rounded half up. Default: 2 for per cent, else 0.
    #[serde(default)]
    pub decimals: Option<u8>,
    /// Who answers for it.
    pub owner: String,
    /// Its place on pages: lower numbers first, then those without one. Default: none.
    #[serde(default)]
    pub order: Option<u32>,
    /// The table or model it counts.
    pub from: String,
    /// Columns that tell the rows of `from` apart, for `explain` and `seal`. Default: the key of
    /// the model it counts.
    #[serde(default)]
    pub row_key: Vec<String>,
    /// By what the figure can be broken down: a name, and the SQL expression of its groups.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// Its definitions, oldest first.
    pub definition: Vec<Definition>,
}

impl Metric {
    /// Reads a metric from the text of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Faults> {
        let document = Document::parse(file, text)?;
        let mut metric: Self = serde_json::from_value(document.to_json())
            .map_err(|e| Faults(vec![document.fault("", e.to_string(), None)]))?;
        file.file_stem().and_then(|s| s.to_str()).unwrap_or_default().clone_into(&mut metric.key);
        let mut faults = Faults::default();
        if metric.definition.is_empty() {
            faults.0.push(document.fault("", "a metric needs a [[definition]]".into(), None));
        }
        for name in metric.dimensions.keys().filter(|name| !is_plain_name(name)) {
            let message = format!("the dimension `{name}` is no plain name");
            let hint = "use lower-case letters, digits and _, beginning with a letter".to_owned();
            faults.0.push(document.fault("dimensions", message, Some(hint)));
        }
        for (index, definition) in metric.definition.iter().enumerate() {
            let path = format!("definition[{index}]");
            if definition.valid_from.parse::<chrono::NaiveDate>().is_err() {
                let message = "`valid_from` is a date such as 2018-01-01".to_owned();
                faults.0.push(document.fault(&format!("{path}.valid_from"), message, None));
            }
            if metric.unit.is_ratio() && !definition.has_numerator() {
                let message = "a ratio needs a `numerator` or a `measure`".to_owned();
                faults.0.push(document.fault(&path, message, None));
            }
            if definition.distinct.is_some() && definition.is_weighed() {
                let message = "`distinct` counts values, so it goes with no `measure` or `weight`";
                faults.0.push(document.fault(&path, message.to_owned(), None));
            }
            if definition.weight.is_some() && !metric.unit.is_ratio() {
                let message = "a count has nothing below the line".to_owned();
                let hint = "leave out `weight`, or take the unit percent or mean".to_owned();
                faults.0.push(document.fault(&format!("{path}.weight"), message, Some(hint)));
            }
        }
        if faults.is_empty() { Ok(metric) } else { Err(faults) }
    }

    /// Digits after the point of its value.
    pub fn digits(&self) -> u8 {
        self.decimals.unwrap_or(match self.unit {
            Unit::Percent => 2,
            Unit::Mean | Unit::Count => 0,
        })
    }

    /// The definition in force on `day`, or the oldest one before that.
    pub fn definition_on(&self, day: &str) -> Option<&Definition> {
        self.definition
            .iter()
            .filter(|definition| definition.valid_from.as_str() <= day)
            .max_by(|a, b| a.valid_from.cmp(&b.valid_from))
            .or_else(|| self.definition.first())
    }
}

/// Whether `name` is lower-case letters, digits and `_`, beginning with a letter.
fn is_plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
