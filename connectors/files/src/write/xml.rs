//! XML: an element for each record, with an element for each value there is.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use huiliu_sdk::{Error, ErrorKind, Result};
use quick_xml::escape::escape;

use super::encoded::Encoded;
use super::{Rows, texts};
use crate::config::{Encoding, Push};

pub(super) struct Xml {
    output: Encoded,
    columns: Vec<String>,
    record: String,
}

/// Whether `name` can be that of an element.
pub(crate) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = |c: char| c.is_alphabetic() || c == '_';
    chars.next().is_some_and(starts)
        && chars.all(|c| starts(c) || c.is_numeric() || matches!(c, '-' | '.'))
        && !name.to_ascii_lowercase().starts_with("xml")
}

impl Xml {
    pub(super) fn new(push: &Push, schema: &SchemaRef, mut output: Encoded) -> Result<Self> {
        let columns: Vec<String> =
            schema.fields().iter().map(|field| field.name().clone()).collect();
        if let Some(name) = columns.iter().find(|name| !is_name(name)) {
            return Err(Error::new(
                ErrorKind::Config,
                "E-XML-NAME",
                format!("column `{name}` has no name that an XML element can have"),
            )
            .hint("give it another name in the query that is pushed"));
        }
        let record = push.record.clone();
        let encoding = match push.encoding {
            Encoding::Utf8 => "UTF-8",
            Encoding::Gb18030 => "GB18030",
            Encoding::Utf16Le | Encoding::Utf16Be => "UTF-16",
        };
        for name in columns.iter().chain([&record]) {
            output.check("header", name)?;
        }
        output.write(&format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n<records>\n"))?;
        Ok(Self { output, columns, record })
    }
}

impl Rows for Xml {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        texts::each_row(batch, |row| {
            let mut line = format!("<{}>", self.record);
            for (name, text) in self.columns.iter().zip(row) {
                let Some(text) = text else { continue };
                let is_none = |c: char| {
                    (c < ' ' && !matches!(c, '\t' | '\n' | '\r'))
                        || matches!(c, '\u{fffe}' | '\u{ffff}')
                };
                if text.contains(is_none) {
                    return Err(texts::unfit(name, "a character that XML does not have"));
                }
                self.output.check(name, text)?;
                // Readers turn a bare one into a line feed.
                let text = escape(text.as_str()).replace('\r', "&#13;");
                line += &format!("<{name}>{text}</{name}>");
            }
            line += &format!("</{}>\n", self.record);
            self.output.write(&line)
        })
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.output.write("</records>\n")?;
        self.output.close()
    }
}
