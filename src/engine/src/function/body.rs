//! What the functions do, over all rows of a batch.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, BooleanBuilder, Date32Builder, Int64Array, Int64Builder, StringBuilder,
};
use datafusion::common::{internal_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use huiliu_core::calendar::Calendar;
use huiliu_core::identifier::ItemCode;

use super::input::{DateInput, IntegerInput, TextInput};
use super::{DomainFunctions, external};

type CalendarResult<T> = huiliu_sdk::Result<T>;

/// The shapes of functions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// Date to yes or no.
    DateTest(fn(&Calendar, i32) -> CalendarResult<bool>),
    /// Two dates to a number.
    DatesBetween(fn(&Calendar, i32, i32) -> CalendarResult<i64>),
    /// Date and number to a date.
    DateAdd(fn(&Calendar, i32, i64) -> CalendarResult<i32>),
    /// Text to yes or no.
    TextTest(fn(&str) -> bool),
    /// Text to a number or null.
    TextNumber(fn(&str) -> Option<i64>),
    /// Text to text or null.
    TextMap(for<'a> fn(&'a str) -> Option<Cow<'a, str>>),
    /// `item_code_part`.
    ItemPart,
    /// `code_map`.
    CodeMap,
    /// `multi_has`.
    MultiHas,
}

impl Body {
    /// Which argument must be a constant, so that it can be judged while planning.
    pub(super) fn constant_argument(&self) -> Option<usize> {
        match self {
            Self::ItemPart => Some(1),
            Self::CodeMap => Some(0),
            _ => None,
        }
    }

    /// Judges the constant argument; the error is shown as a planning error.
    pub(super) fn check_constant(&self, text: &str, known: &DomainFunctions) -> Result<()> {
        match self {
            Self::ItemPart => item_part(text).map(|_| ()),
            Self::CodeMap => match known.codes.get(text) {
                Ok(_) => Ok(()),
                Err(error) => {
                    let hint = error.hint_text().unwrap_or_default();
                    plan_err!("{}; hint: {hint}", error.message())
                }
            },
            _ => Ok(()),
        }
    }

    /// Computes `rows` rows.
    pub(super) fn compute(
        &self,
        arguments: &[ColumnarValue],
        rows: usize,
        known: &DomainFunctions,
    ) -> Result<ArrayRef> {
        let calendar = known.calendar.as_ref();
        match (self, arguments) {
            (Self::DateTest(test), [date]) => {
                let date = DateInput::new(date)?;
                let mut out = BooleanBuilder::with_capacity(rows);
                for row in 0..rows {
                    let day = date.get(row);
                    out.append_option(
                        day.map(|day| test(calendar, day)).transpose().map_err(external)?,
                    );
                }
                Ok(Arc::new(out.finish()))
            }
            (Self::DatesBetween(count), [from, to]) => {
                let (from, to) = (DateInput::new(from)?, DateInput::new(to)?);
                let mut out = Int64Builder::with_capacity(rows);
                for row in 0..rows {
                    match (from.get(row), to.get(row)) {
                        (Some(from), Some(to)) => {
                            out.append_value(count(calendar, from, to).map_err(external)?);
                        }
                        _ => out.append_null(),
                    }
                }
                Ok(Arc::new(out.finish()))
            }
            (Self::DateAdd(add), [start, days]) => {
                let (start, days) = (DateInput::new(start)?, IntegerInput::new(days)?);
                let mut out = Date32Builder::with_capacity(rows);
                for row in 0..rows {
                    match (start.get(row), days.get(row)) {
                        (Some(start), Some(days)) => {
                            out.append_value(add(calendar, start, days).map_err(external)?);
                        }
                        _ => out.append_null(),
                    }
                }
                Ok(Arc::new(out.finish()))
            }
            (Self::TextTest(test), [text]) => {
                let text = TextInput::new(text)?;
                let out: BooleanArray = (0..rows).map(|row| text.get(row).map(test)).collect();
                Ok(Arc::new(out))
            }
            (Self::TextNumber(number), [text]) => {
                let text = TextInput::new(text)?;
                let out: Int64Array = (0..rows).map(|row| text.get(row).and_then(number)).collect();
                Ok(Arc::new(out))
            }
            (Self::TextMap(map), [text]) => {
                let text = TextInput::new(text)?;
                Ok(texts(rows, |row| text.get(row).and_then(map)))
            }
            (Self::ItemPart, [text, part]) => {
                let (text, part) = (TextInput::new(text)?, TextInput::new(part)?);
                let Some(part) = part.get(0) else { return Ok(texts(rows, |_| None)) };
                let part = item_part(part)?;
                let cut = |text| ItemCode::split(text).and_then(|code| part(&code));
                Ok(texts(rows, |row| text.get(row).and_then(cut).map(Cow::Borrowed)))
            }
            (Self::CodeMap, [scheme, code]) => {
                let (scheme, code) = (TextInput::new(scheme)?, TextInput::new(code)?);
                let Some(scheme) = scheme.get(0) else { return Ok(texts(rows, |_| None)) };
                let table = known.codes.get(scheme).map_err(external)?;
                let value = |code: &str| table.value(code);
                Ok(texts(rows, |row| code.get(row).and_then(value).map(Cow::Borrowed)))
            }
            (Self::MultiHas, [values, wanted @ ..]) => {
                let values = TextInput::new(values)?;
                let wanted: Vec<TextInput<'_>> =
                    wanted.iter().map(TextInput::new).collect::<Result<_>>()?;
                let holds = |row: usize, values: &str| {
                    let wants = |part: &str| wanted.iter().any(|text| text.get(row) == Some(part));
                    values.split('^').any(|part| wants(part.trim()))
                };
                let out: BooleanArray = (0..rows)
                    .map(|row| Some(values.get(row).is_some_and(|values| holds(row, values))))
                    .collect();
                Ok(Arc::new(out))
            }
            _ => internal_err!("{} arguments do not fit the function", arguments.len()),
        }
    }
}

type Part = for<'a> fn(&ItemCode<'a>) -> Option<&'a str>;

fn item_part(name: &str) -> Result<Part> {
    match name {
        "uscc" => Ok(|code| Some(code.uscc)),
        "level" => Ok(|code| Some(code.use_level)),
        "catalog" => Ok(|code| Some(code.catalog)),
        "serial" => Ok(|code| code.serial),
        other => Err(DataFusionError::Plan(format!(
            "item_code_part has no part `{other}`; hint: use one of uscc, level, catalog, serial"
        ))),
    }
}

fn texts<'a>(rows: usize, value: impl Fn(usize) -> Option<Cow<'a, str>>) -> ArrayRef {
    let mut out = StringBuilder::new();
    for row in 0..rows {
        out.append_option(value(row));
    }
    Arc::new(out.finish())
}
