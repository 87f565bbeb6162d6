//! CSV.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use encoding_rs::GB18030;
use huiliu_sdk::Result;

use super::texts::{self, Kind};
use super::{Output, Rows, failed};
use crate::config::{Encoding, Formulas, Push};

/// What a spreadsheet takes for the start of a formula, in both widths.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

pub(super) struct Csv {
    output: Output,
    columns: Vec<(String, Kind)>,
    push: Push,
}

impl Csv {
    pub(super) fn new(push: &Push, schema: &SchemaRef, output: Output) -> Result<Self> {
        let mut csv = Self { output, columns: texts::columns(schema), push: push.clone() };
        let mut line = String::new();
        for (index, (name, _)) in csv.columns.iter().enumerate() {
            csv.field(&mut line, index, name, false);
        }
        csv.end(line, None)?;
        Ok(csv)
    }

    fn field(&self, line: &mut String, index: usize, text: &str, is_guarded: bool) {
        let delimiter = char::from(self.push.delimiter);
        if index > 0 {
            line.push(delimiter);
        }
        let special = |c: char| c == delimiter || matches!(c, '"' | '\r' | '\n');
        let is_edged = text.starts_with(' ') || text.ends_with(' ');
        // A line that holds nothing at all would be no record.
        let is_alone = text.is_empty() && self.columns.len() == 1;
        if !(is_guarded || is_edged || is_alone || text.contains(special)) {
            line.push_str(text);
            return;
        }
        line.push('"');
        if is_guarded {
            line.push('\'');
        }
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    }

    fn end(&mut self, mut line: String, column: Option<&str>) -> Result<()> {
        line.push_str("\r\n");
        if self.push.encoding == Encoding::Gb18030 {
            let (bytes, _, has_unmapped) = GB18030.encode(&line);
            if has_unmapped {
                let column = column.unwrap_or("header");
                return Err(texts::unfit(column, "a character that gb18030 does not have"));
            }
            return self.output.write_all(&bytes).map_err(failed);
        }
        self.output.write_all(line.as_bytes()).map_err(failed)
    }
}

impl Rows for Csv {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        texts::each_row(batch, |row| {
            let mut line = String::new();
            for (index, text) in row.iter().enumerate() {
                let (name, kind) = &self.columns[index];
                let Some(text) = text else {
                    self.field(&mut line, index, &self.push.null, false);
                    continue;
                };
                let is_formula =
                    *kind == Kind::Text && text.trim_start_matches(' ').starts_with(FORMULA);
                if is_formula && self.push.formulas == Formulas::Refuse {
                    return Err(texts::unfit(name, "text that a spreadsheet would run"));
                }
                let is_guarded = is_formula && self.push.formulas == Formulas::Quote;
                self.field(&mut line, index, text, is_guarded);
            }
            self.end(line, None)
        })
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.output.close().map_err(failed)
    }
}
