//! Answers as files: CSV for programs as it is, CSV and workbooks for people so that no cell is
//! taken for a formula.

use huiliu_sdk::{Error, Result};
use rust_xlsxwriter::Workbook;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Gate;
use crate::data::Table;
use crate::identity::Visitor;

/// The most rows of a file.
const MAX_ROWS: usize = 100_000;
/// The most characters of a cell of a workbook.
const MAX_CELL: usize = 32_767;

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// CSV for programs: values as they are.
    Csv,
    /// CSV for people: what a spreadsheet would take for a formula has `'` before it.
    CsvForPeople,
    /// A workbook, all cells text.
    Xlsx,
}

impl ExportFormat {
    /// The type of the file.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvForPeople => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// That it is to be saved, and under which name.
    pub fn disposition(self) -> &'static str {
        match self {
            Self::Csv | Self::CsvForPeople => "attachment; filename=\"huiliu.csv\"",
            Self::Xlsx => "attachment; filename=\"huiliu.xlsx\"",
        }
    }
}

impl Gate {
    /// Answers one reading statement as a file of at most 100,000 rows; more are refused, so that
    /// nobody takes a part for the whole. The file says who took it and when.
    pub async fn export(
        &self,
        visitor: &Visitor,
        sql: &str,
        format: ExportFormat,
    ) -> Result<Vec<u8>> {
        let table = self.query_as(visitor, sql, MAX_ROWS, "export").await?;
        if table.is_cut {
            let message = format!("the statement gives more than {MAX_ROWS} rows");
            return Err(Error::new(huiliu_sdk::ErrorKind::Data, "E-SQL-ROWS", message)
                .hint("ask for a part, or use psql"));
        }
        let stamp = format!("{} {}", visitor.user, self.accounts().now());
        match format {
            ExportFormat::Csv => csv(&table, false, None),
            ExportFormat::CsvForPeople => csv(&table, true, Some(&stamp)),
            ExportFormat::Xlsx => xlsx(&table, &stamp),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A cell that no spreadsheet takes for a formula. A number with its sign stays one.
fn harmless(text: String) -> String {
    let is_number = text.parse::<f64>().is_ok();
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') if !is_number => format!("'{text}"),
        _ => text,
    }
}

fn csv(table: &Table, for_people: bool, stamp: Option<&str>) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| Error::internal("a file could not be written").cause(e);
    let mut out = Vec::new();
    if for_people {
        // By this a spreadsheet knows the encoding.
        out.extend_from_slice("\u{feff}".as_bytes());
    }
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(out);
    let cell = |text: String| if for_people { harmless(text) } else { text };
    let names = table.columns.iter().map(|column| cell(column.name.clone()));
    writer.write_record(names).map_err(failed)?;
    for row in &table.rows {
        writer.write_record(row.iter().map(|value| cell(text(value)))).map_err(failed)?;
    }
    if let Some(stamp) = stamp {
        writer.write_record([stamp]).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|e| Error::internal("a file could not be written").cause(e.into_error()))
}

fn xlsx(table: &Table, stamp: &str) -> Result<Vec<u8>> {
    let failed =
        |e: rust_xlsxwriter::XlsxError| Error::internal("a workbook could not be written").cause(e);
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let column = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (at, named) in table.columns.iter().enumerate() {
        sheet.write_string(0, column(at), &named.name).map_err(failed)?;
    }
    for (line, row) in table.rows.iter().enumerate() {
        for (at, value) in row.iter().enumerate() {
            let text: String = text(value).chars().take(MAX_CELL).collect();
            sheet.write_string(number(line + 1), column(at), text).map_err(failed)?;
        }
    }
    sheet.write_string(number(table.rows.len() + 2), 0, stamp).map_err(failed)?;
    book.save_to_buffer().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Column;

    #[test]
    fn no_cell_for_people_is_a_formula_and_files_for_programs_are_faithful() {
        let column = Column { name: "a".into(), data_type: "Utf8".into() };
        let values = ["=cmd|' /C calc'!A0", "+86 138", "-5", "@x", "\tx", "张三", "-x"];
        let rows = values.iter().map(|value| vec![Value::from(*value)]).collect();
        let table = Table { columns: vec![column], rows, ..Table::default() };
        let machine = String::from_utf8(csv(&table, false, None).unwrap()).unwrap();
        assert_eq!(machine, "a\n=cmd|' /C calc'!A0\n+86 138\n-5\n@x\n\tx\n张三\n-x\n");
        let people = String::from_utf8(csv(&table, true, Some("li 2018")).unwrap()).unwrap();
        let lines: Vec<&str> = people.lines().collect();
        assert_eq!(
            lines,
            [
                "\u{feff}a",
                "'=cmd|' /C calc'!A0",
                "'+86 138",
                "-5",
                "'@x",
                "'\tx",
                "张三",
                "'-x",
                "li 2018"
            ]
        );
        assert!(xlsx(&table, "li").unwrap().starts_with(b"PK"));
    }
}
