//! One field of a schedule as a set of numbers.
//!
//! The crate `cron` reads lists, ranges and steps. Its language is wider than the five POSIX
//! fields and its error messages name other fields and numbers, so the words are checked first.

use std::collections::BTreeSet;
use std::str::FromStr;

use cron::TimeUnitSpec;

/// What a field is called, which numbers and names it may hold and how the crate reads it.
pub(super) struct FieldSpec {
    pub(super) name: &'static str,
    low: u32,
    high: u32,
    /// Names of the numbers from `low` on.
    names: &'static [&'static str],
    /// Its place among the fields of the crate, of which seconds are the first.
    place: usize,
    numbers: fn(&cron::Schedule) -> BTreeSet<u32>,
}

impl FieldSpec {
    /// The allowed values in words.
    pub(super) fn allowed(&self) -> String {
        let range = format!("{}-{}", self.low, self.high);
        match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!("{range} and {first}-{last}"),
            _ => range,
        }
    }
}

pub(super) const MINUTE: FieldSpec = FieldSpec {
    name: "minute",
    low: 0,
    high: 59,
    names: &[],
    place: 1,
    numbers: |fields| fields.minutes().iter().collect(),
};
pub(super) const HOUR: FieldSpec = FieldSpec {
    name: "hour",
    low: 0,
    high: 23,
    names: &[],
    place: 2,
    numbers: |fields| fields.hours().iter().collect(),
};
pub(super) const DAY: FieldSpec = FieldSpec {
    name: "day of month",
    low: 1,
    high: 31,
    names: &[],
    place: 3,
    numbers: |fields| fields.days_of_month().iter().collect(),
};
pub(super) const MONTH: FieldSpec = FieldSpec {
    name: "month",
    low: 1,
    high: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    place: 4,
    numbers: |fields| fields.months().iter().collect(),
};
/// The crate counts weekdays from 1 for Sunday and has no second Sunday at the end, into which
/// `5-7` could run. Its hours also count from 0 and have room for 7; there `*` and `5/2` go on
/// beyond it, everything else written is in bounds.
pub(super) const WEEKDAY: FieldSpec = FieldSpec {
    name: "weekday",
    low: 0,
    high: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    place: HOUR.place,
    numbers: |fields| fields.hours().iter().filter(|day| *day <= 7).map(|day| day % 7).collect(),
};

/// The numbers a field allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    numbers: BTreeSet<u32>,
    /// Whether the text begins with `*`, so that it does not restrict the day.
    pub(super) starred: bool,
}

impl Field {
    pub(super) fn has(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    /// The smallest allowed number at or above `number`.
    pub(super) fn first_from(&self, number: u32) -> Option<u32> {
        self.numbers.range(number..).next().copied()
    }
}

/// Reads a field; the error says why in words that follow the field's name.
pub(super) fn parse_field(spec: &FieldSpec, text: &str) -> Result<Field, String> {
    let items: Vec<&str> = text.split(',').collect();
    let mut plain = Vec::new();
    for item in &items {
        plain.push(in_numbers(spec, item)?);
    }
    let Some(fields) = read(spec, &plain.join(",")) else {
        let refused = items.iter().zip(&plain).find(|(_, plain)| read(spec, plain).is_none());
        return Err(refusal(refused.map_or(text, |(item, _)| item)));
    };
    Ok(Field { numbers: (spec.numbers)(&fields), starred: text.starts_with('*') })
}

/// Has the crate read one field. The others are `*`: the crate separates fields loosely and
/// would draw `-5` or `5,` together with a number beside it.
fn read(spec: &FieldSpec, plain: &str) -> Option<cron::Schedule> {
    let mut fields = ["*"; 7];
    fields[spec.place] = plain;
    cron::Schedule::from_str(&fields.join(" ")).ok()
}

/// One item of a list with its names written as numbers, all of them in bounds.
fn in_numbers(spec: &FieldSpec, item: &str) -> Result<String, String> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let mut plain = Vec::new();
    for word in range.split('-') {
        plain.push(if word == "*" { word.to_owned() } else { number(spec, word)?.to_string() });
    }
    let range = plain.join("-");
    let Some(step) = step else { return Ok(range) };
    match step.parse() {
        Ok(number) if (1..=spec.high).contains(&number) && is_digits(step) => {
            Ok(format!("{range}/{number}"))
        }
        _ => Err(format!("the step `{step}` is not a number from 1 to {}", spec.high)),
    }
}

/// What is wrong with an item that the crate refuses, although its values are in bounds.
fn refusal(item: &str) -> String {
    let range = item.split_once('/').map_or(item, |(range, _)| range);
    if range.contains('*') || range.matches('-').count() != 1 {
        return format!("`{item}` is not understood");
    }
    format!("the range `{range}` runs backwards")
}

fn number(spec: &FieldSpec, text: &str) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(position) = spec.names.iter().position(|name| *name == lower) {
        return Ok(spec.low + position as u32);
    }
    if !is_digits(text) {
        return Err(if text.is_empty() {
            "a value is missing".to_owned()
        } else {
            format!("`{text}` is not understood")
        });
    }
    match text.parse() {
        Ok(number) if (spec.low..=spec.high).contains(&number) => Ok(number),
        _ => Err(format!("{text} is outside {}-{}", spec.low, spec.high)),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
