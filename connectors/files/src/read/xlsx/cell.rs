//! Cells and texts of a workbook's parts.

use std::io::{BufReader, Read};

use huiliu_sdk::Result;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::fault::{broken, damaged};
use crate::read::sheet::{Shared, Shown, Value};

/// The last column, counted from 0.
pub(super) const LAST_COLUMN: u32 = 16_383;

/// A part being read.
pub(super) type Xml<'a> = Reader<BufReader<Box<dyn Read + 'a>>>;

/// What stands within a cell.
#[derive(Default)]
pub(super) struct RawCell {
    value: Option<String>,
    inline: Option<String>,
    has_formula: bool,
}

/// Reads a cell to its end.
pub(super) fn cell(xml: &mut Xml<'_>, file: &str) -> Result<RawCell> {
    let mut cell = RawCell::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match next(xml, &mut buffer, file)? {
            Event::Start(start) => match start.local_name().as_ref() {
                "v" => {
                    let mut text = String::new();
                    plain_text(xml, "v", &mut text, file)?;
                    cell.value = Some(text);
                }
                "is" => {
                    let mut text = String::new();
                    rich_text(xml, "is", &mut text, file)?;
                    cell.inline = Some(text);
                }
                "f" => cell.has_formula = true,
                _ => {}
            },
            Event::Empty(start) if start.local_name().as_ref() == "f" => cell.has_formula = true,
            Event::End(end) if end.local_name().as_ref() == "c" => return Ok(cell),
            Event::Eof => return Err(damaged(file, "ends within a cell")),
            _ => {}
        }
    }
}

pub(super) fn value(
    raw: RawCell,
    kind: &str,
    shown: Shown,
    shared: &Shared,
    file: &str,
) -> Result<Value> {
    if let Some(text) = raw.inline {
        return Ok(Value::Text(text));
    }
    // Some programs write an empty value where they have computed none.
    let is_none = |text: &String| raw.has_formula && kind.is_empty() && text.trim().is_empty();
    let Some(text) = raw.value.filter(|text| !is_none(text)) else {
        return Ok(if raw.has_formula { Value::Uncomputed } else { Value::Empty });
    };
    Ok(match kind {
        "s" => {
            let text = text.trim().parse().ok().map(|index| shared.get(index)).transpose();
            let text = text.map_err(|e| broken(file, e))?.flatten();
            Value::Text(text.ok_or_else(|| damaged(file, "names a text that it does not hold"))?)
        }
        "str" | "inlineStr" | "d" => Value::Text(text),
        "b" => Value::Bool(text.trim() == "1" || text.trim() == "true"),
        "e" => Value::Error,
        _ if text.trim().is_empty() => Value::Empty,
        _ => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            let number = number.ok_or_else(|| damaged(file, "has a number that is none"))?;
            match shown {
                Shown::Number => Value::Number(number),
                shown => Value::Moment(number, shown),
            }
        }
    })
}

/// Reads the text of an element, all of it.
fn plain_text(xml: &mut Xml<'_>, element: &str, text: &mut String, file: &str) -> Result<()> {
    let mut buffer = Vec::new();
    let start = text.len();
    loop {
        buffer.clear();
        match next(xml, &mut buffer, file)? {
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => refer(&reference, text, file)?,
            Event::End(end) if end.local_name().as_ref() == element => break,
            Event::Eof => return Err(damaged(file, "ends within a text")),
            _ => {}
        }
    }
    if text[start..].contains("_x") {
        let decoded = unescaped(&text[start..]);
        text.truncate(start);
        text.push_str(&decoded);
    }
    Ok(())
}

/// Reads the texts within an element of runs, without hints of how to read them aloud.
pub(super) fn rich_text(
    xml: &mut Xml<'_>,
    element: &str,
    text: &mut String,
    file: &str,
) -> Result<()> {
    let mut buffer = Vec::new();
    let mut aloud = false;
    loop {
        buffer.clear();
        match next(xml, &mut buffer, file)? {
            Event::Start(start) => match start.local_name().as_ref() {
                "t" if aloud => plain_text(xml, "t", &mut String::new(), file)?,
                "t" => plain_text(xml, "t", text, file)?,
                "rPh" => aloud = true,
                _ => {}
            },
            Event::End(end) if end.local_name().as_ref() == "rPh" => aloud = false,
            Event::End(end) if end.local_name().as_ref() == element => return Ok(()),
            Event::Eof => return Err(damaged(file, "ends within a text")),
            _ => {}
        }
    }
}

fn refer(reference: &BytesRef<'_>, text: &mut String, file: &str) -> Result<()> {
    if let Some(named) = resolve_predefined_entity(reference) {
        text.push_str(named);
    } else if let Some(character) = reference.resolve_char_ref().ok().flatten() {
        text.push(character);
    } else {
        return Err(damaged(file, "uses an entity that it would have to define"));
    }
    Ok(())
}

/// Excel writes characters that XML cannot hold as `_x000D_`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let character = code
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
        let taken = match character {
            Some(character) => {
                out.push(character);
                7
            }
            None => {
                out.push_str("_x");
                2
            }
        };
        rest = &rest[at + taken..];
    }
    out + rest
}

pub(super) fn next<'b>(
    xml: &mut Xml<'_>,
    buffer: &'b mut Vec<u8>,
    file: &str,
) -> Result<Event<'b>> {
    match xml.read_event_into(buffer) {
        Ok(Event::DocType(_)) => Err(damaged(file, "has a DTD within")),
        Ok(event) => Ok(event),
        Err(quick_xml::Error::Io(cause)) => Err(broken(file, crate::limit::shared(&cause))),
        Err(_) => Err(damaged(file, "has a part that is no well-formed XML")),
    }
}

pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = start.attributes();
    let attributes = attributes.with_checks(false).take(64).flatten();
    let found = attributes.into_iter().find(|found| found.key.local_name().as_ref() == name)?;
    found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(|value| value.into_owned())
}

/// A place such as `B3`, as row and column counted from 0.
pub(super) fn place(text: &str) -> Option<(u32, u32)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = text.split_at(digits);
    let mut column = 0_u32;
    for letter in letters.bytes() {
        let digit = u32::from(letter.to_ascii_uppercase().checked_sub(b'A')?);
        if digit >= 26 || column > LAST_COLUMN {
            return None;
        }
        column = column * 26 + digit + 1;
    }
    Some((row.parse::<u32>().ok()?.checked_sub(1)?, column.checked_sub(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_rows_and_columns() {
        assert_eq!(place("A1"), Some((0, 0)));
        assert_eq!(place("XFD1048576"), Some((1_048_575, 16_383)));
        for none in ["", "A", "1", "A0", "é1", "ZZZZZZZZZZ1", "A-1"] {
            assert_eq!(place(none), None, "{none}");
        }
    }

    #[test]
    fn characters_that_xml_cannot_hold_come_back() {
        assert_eq!(unescaped("a_x000D_b_x005F_x000D_"), "a\rb_x000D_");
        assert_eq!(unescaped("_x12_ _xZZZZ_ 长_x"), "_x12_ _xZZZZ_ 长_x");
    }
}
