//! How the values of a field are compared.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::parse_duration;

/// Digits after the point in which numbers are compared.
pub const VALUE_SCALE: u32 = 10;

/// A comparison as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum CompareKeys {
    /// `exact`, `none`, `set`, or `code:TABLE` for codes of a table.
    Word(String),
    /// Not quite equal is good enough.
    Tolerance(Tolerance),
}

impl Default for CompareKeys {
    fn default() -> Self {
        Self::Word("exact".into())
    }
}

/// How far values may be apart.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tolerance {
    /// A length of time such as `60s`, or a number.
    #[serde(default)]
    #[schemars(example = &"60s")]
    within: Option<Within>,
    /// Working days by the calendar.
    #[serde(default)]
    #[schemars(example = 1)]
    workdays: Option<u32>,
    /// The sign between the members of a set, whose order does not count.
    #[serde(default)]
    #[schemars(example = &",")]
    set: Option<String>,
}

/// A tolerance as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Within {
    /// A length of time or a number.
    Text(String),
    /// A number.
    Number(serde_json::Number),
}

/// How the values of a field are compared. A value and no value always differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Comparison {
    /// They must be equal.
    Exact,
    /// They are not compared; the field is only taken over.
    None,
    /// They must be equal, and codes of this table.
    Code(String),
    /// Times at most so many microseconds apart.
    Time(i64),
    /// Numbers at most so far apart, in units of the 10th digit after the point.
    Value(i128),
    /// Days at most so many working days apart.
    Workdays(u32),
    /// The same members in any order, separated by this text.
    Set(String),
}

impl Comparison {
    /// Whether equal normalised values are the only ones that agree.
    pub fn is_by_equality(&self) -> bool {
        matches!(self, Self::Exact | Self::Code(_) | Self::Set(_))
    }
}

/// What does not count when texts are compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Full-width letters, digits and signs are as good as ordinary ones.
    Width,
    /// Space around the text.
    Trim,
    /// Any space.
    Spaces,
    /// Small and capital letters.
    Case,
    /// An empty text is no value.
    Empty,
}

/// Words a comparison can be.
const WORDS: [&str; 3] = ["exact", "none", "set"];

/// Reads a comparison; the error has a hint.
pub(super) fn read(keys: &CompareKeys) -> Result<Comparison, (String, Option<String>)> {
    match keys {
        CompareKeys::Word(word) => match word.as_str() {
            "exact" => Ok(Comparison::Exact),
            "none" => Ok(Comparison::None),
            "set" => Ok(Comparison::Set("^".into())),
            other => match other.strip_prefix("code:") {
                Some(table) if !table.is_empty() => Ok(Comparison::Code(table.to_owned())),
                _ => {
                    let hint = crate::config::closest(other, WORDS.into_iter())
                        .map(|close| format!("did you mean `{close}`?"))
                        .unwrap_or_else(|| {
                            "use one of: exact, none, set, code:TABLE, { within = \"60s\" }".into()
                        });
                    Err((format!("`{other}` is no way to compare"), Some(hint)))
                }
            },
        },
        CompareKeys::Tolerance(tolerance) => read_tolerance(tolerance),
    }
}

fn read_tolerance(keys: &Tolerance) -> Result<Comparison, (String, Option<String>)> {
    match (&keys.within, keys.workdays, &keys.set) {
        (Some(within), None, None) => {
            let text = match within {
                Within::Text(text) => text.clone(),
                Within::Number(number) => number.to_string(),
            };
            if let Some(value) = scaled(&text) {
                return Ok(Comparison::Value(value));
            }
            let apart = parse_duration(&text)
                .map_err(|e| (e.message().to_owned(), e.hint_text().map(str::to_owned)))?;
            Ok(Comparison::Time(i64::try_from(apart.as_micros()).unwrap_or(i64::MAX)))
        }
        (None, Some(days), None) => Ok(Comparison::Workdays(days)),
        (None, None, Some(sign)) if !sign.is_empty() => Ok(Comparison::Set(sign.clone())),
        _ => {
            let hint = "write { within = \"60s\" }, { within = 0.01 }, { workdays = 1 } or { set = \"^\" }";
            Err(("a comparison has one tolerance".into(), Some(hint.into())))
        }
    }
}

/// A plain decimal number in units of the last digit that counts.
pub(super) fn scaled(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let scale = usize::try_from(VALUE_SCALE).ok()?;
    if fraction.len() > scale {
        return None;
    }
    format!("{whole}{fraction:0<scale$}").parse().ok()
}
