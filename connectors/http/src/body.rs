//! Answers of any form become JSON, so that everything after this sees one form.

mod charset;
mod csv;
mod ndjson;
mod parts;
pub(crate) mod soap;
pub(crate) mod xml;

use encoding_rs::Encoding;
use huiliu_httpkit::Answer;
use huiliu_sdk::{ConfigErrors, Result};
use serde_json::Value;

use crate::config::{AnswerOptions, Format, SoapVersion};
use crate::faults::under;
use crate::plan::place;
use crate::pointer::Pointer;

use self::parts::Attachments;

/// How the answers of a stream or push are read.
#[derive(Clone, Default)]
pub(crate) struct AnswerPlan {
    raw: bool,
    format: Format,
    encoding: Option<&'static Encoding>,
    delimiter: u8,
    pub(crate) soap: Option<SoapVersion>,
    nested: Vec<(Pointer, Format)>,
}

/// The character between two values of CSV.
pub(crate) fn delimiter(text: Option<&str>, at: &str, errors: &mut ConfigErrors) -> u8 {
    match text.map(str::as_bytes) {
        None => b',',
        Some([one]) if !b"\"\r\n".contains(one) => *one,
        Some(_) => {
            errors.push(under(at, "delimiter"), "is not one character of ASCII");
            b','
        }
    }
}

impl AnswerPlan {
    /// Checks the options.
    pub(crate) fn new(options: AnswerOptions, at: &str, errors: &mut ConfigErrors) -> Self {
        let encoding = options.encoding.and_then(|name| {
            let known = Encoding::for_label(name.as_bytes());
            if known.is_none() {
                errors.push_with_hint(
                    under(at, "encoding"),
                    "is not a known encoding",
                    "write it like utf-8, gbk or gb18030",
                );
            }
            known
        });
        let delimiter = delimiter(options.delimiter.as_deref(), at, errors);
        let mut nested = Vec::new();
        for (index, inner) in options.nested.iter().enumerate() {
            let at = under(at, &format!("nested[{index}].pointer"));
            nested.push((place(&inner.pointer, &at, errors), inner.format));
        }
        Self { raw: false, format: options.format, encoding, delimiter, soap: options.soap, nested }
    }

    /// Answers whose bodies nobody looks at.
    pub(crate) fn anything() -> Self {
        Self { raw: true, ..Self::default() }
    }

    /// Code and reason for a record that is no object.
    pub(crate) fn misfit(&self) -> (&'static str, &'static str) {
        match self.format {
            Format::Csv => ("E-RAGGED", "not as many values as the header has columns"),
            Format::Json | Format::Ndjson | Format::Xml => {
                ("E-RECORD", "the record is not an object")
            }
        }
    }

    /// Whether nobody looks at the body.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// Whether a list of one may look like no list, as it does in XML.
    pub(crate) fn lists_are_loose(&self) -> bool {
        self.format == Format::Xml || self.nested.iter().any(|(_, format)| *format == Format::Xml)
    }

    /// The answer as JSON. Words of the system go through `quote` before they are told.
    pub(crate) fn read(&self, answer: Answer, quote: &dyn Fn(&str) -> String) -> Result<Answer> {
        let read = self.outer(answer, quote)?;
        if self.nested.is_empty() {
            return Ok(read);
        }
        let mut document: Value = read.json()?;
        for (pointer, format) in &self.nested {
            let Some(Value::String(text)) = pointer.get(&document) else { continue };
            let inner = match format {
                Format::Json => {
                    serde_json::from_str(text).map_err(|error| read.malformed(&error))?
                }
                Format::Ndjson => parsed(&read, ndjson::to_json(&read, text)?)?,
                Format::Csv => parsed(&read, csv::to_json(&read, text, self.delimiter)?)?,
                Format::Xml => xml::read(&read, text)?.content,
            };
            pointer.put(&mut document, inner);
        }
        Ok(read.converted(document.to_string()))
    }

    fn outer(&self, answer: Answer, quote: &dyn Fn(&str) -> String) -> Result<Answer> {
        if self.raw {
            return Ok(answer);
        }
        let is_document = self.format == Format::Xml && parts::has_several(&answer);
        let (answer, beside) =
            if is_document { parts::opened(answer)? } else { (answer, Attachments::new()) };
        let answer = charset::decoded(answer, self.encoding)?;
        match self.format {
            Format::Json => Ok(answer),
            Format::Ndjson => {
                answer.refuse_web_page()?;
                let json = ndjson::to_json(&answer, utf8(&answer))?;
                Ok(answer.converted(json))
            }
            Format::Csv => {
                answer.refuse_web_page()?;
                let json = csv::to_json(&answer, utf8(&answer), self.delimiter)?;
                Ok(answer.converted(json))
            }
            Format::Xml => {
                let mut document = xml::read(&answer, utf8(&answer))?;
                if !beside.is_empty() {
                    parts::put_in(&answer, &mut document.content, &beside)?;
                }
                let content = match self.soap {
                    Some(version) => soap::opened(version, &answer, document, quote)?,
                    None => document.content,
                };
                Ok(answer.converted(content.to_string()))
            }
        }
    }
}

/// The body of an answer that was decoded.
fn utf8(answer: &Answer) -> &str {
    std::str::from_utf8(answer.body()).unwrap_or_default()
}

fn parsed(answer: &Answer, json: String) -> Result<Value> {
    serde_json::from_str(&json).map_err(|error| answer.malformed(&error))
}
