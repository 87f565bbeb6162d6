//! JSON: a list of objects, or one object per line.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use huiliu_sdk::{Error, Result};

use super::Rows;
use super::encoded::Encoded;
use super::texts::{self, Kind};

pub(super) struct Json {
    output: Encoded,
    /// Name, kind, and the name as it is written.
    columns: Vec<(String, Kind, String)>,
    is_list: bool,
    is_first: bool,
}

impl Json {
    pub(super) fn new(schema: &SchemaRef, mut output: Encoded, is_list: bool) -> Result<Self> {
        if is_list {
            output.write("[")?;
        }
        let columns = texts::columns(schema).into_iter();
        let columns = columns.map(|(name, kind)| {
            output.check("header", &name)?;
            let key = quoted(&name)?;
            Ok((name, kind, key))
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Self { output, columns, is_list, is_first: true })
    }
}

fn quoted(text: &str) -> Result<String> {
    serde_json::to_string(text)
        .map_err(|cause| Error::internal("text could not be written").cause(cause))
}

impl Rows for Json {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        texts::each_row(batch, |row| {
            let mut line = String::from(match (self.is_list, self.is_first) {
                (true, true) => "\n{",
                (true, false) => ",\n{",
                (false, _) => "{",
            });
            self.is_first = false;
            for (index, ((name, kind, key), text)) in self.columns.iter().zip(row).enumerate() {
                if index > 0 {
                    line.push(',');
                }
                line.push_str(key);
                line.push(':');
                match (kind, text) {
                    (_, None) => line.push_str("null"),
                    (Kind::Bool, Some(text)) => line.push_str(text),
                    (Kind::Number, Some(text)) => {
                        // Infinity and the like are no JSON.
                        if serde_json::from_str::<serde_json::Number>(text).is_err() {
                            return Err(texts::unfit(name, "a number that JSON does not have"));
                        }
                        line.push_str(text);
                    }
                    (Kind::Text | Kind::Other, Some(text)) => {
                        self.output.check(name, text)?;
                        line.push_str(&quoted(text)?);
                    }
                }
            }
            line.push('}');
            if !self.is_list {
                line.push('\n');
            }
            self.output.write(&line)
        })
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.is_list {
            self.output.write("\n]\n")?;
        }
        self.output.close()
    }
}
