//! CSV.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use huiliu_sdk::Result;

use super::Rows;
use super::encoded::Encoded;
use super::texts::{self, Kind};
use crate::config::{Formulas, Push};

/// What a spreadsheet takes for the start of a formula, in both widths.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

pub(super) struct Csv {
    output: Encoded,
    columns: Vec<(String, Kind)>,
    push: Push,
}

impl Csv {
    pub(super) fn new(push: &Push, schema: &SchemaRef, output: Encoded) -> Result<Self> {
        let mut csv = Self { output, columns: texts::columns(schema), push: push.clone() };
        let mut line = String::new();
        for (index, (name, _)) in csv.columns.iter().enumerate() {
            csv.output.check("header", name)?;
            csv.field(&mut line, index, name, false);
        }
        csv.end(line)?;
        Ok(csv)
    }

    fn field(&self, line: &mut String, index: usize, text: &str, is_guarded: bool) {
        let (delimiter, quote) = (char::from(self.push.delimiter), char::from(self.push.quote));
        if index > 0 {
            line.push(delimiter);
        }
        let special = |c: char| c == delimiter || c == quote || matches!(c, '\r' | '\n');
        let is_edged = text.starts_with(' ') || text.ends_with(' ');
        // A line that holds nothing at all would be no record.
        let is_alone = text.is_empty() && self.columns.len() == 1;
        if !(is_guarded || is_edged || is_alone || text.contains(special)) {
            line.push_str(text);
            return;
        }
        line.push(quote);
        // The apostrophe in front is one more character to double where it is the quote.
        for c in is_guarded.then_some('\'').into_iter().chain(text.chars()) {
            if c == quote {
                line.push(quote);
            }
            line.push(c);
        }
        line.push(quote);
    }

    fn end(&mut self, mut line: String) -> Result<()> {
        line.push_str("\r\n");
        self.output.write(&line)
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
                self.output.check(name, text)?;
                let is_guarded = is_formula && self.push.formulas == Formulas::Quote;
                self.field(&mut line, index, text, is_guarded);
            }
            self.end(line)
        })
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.output.close()
    }
}
