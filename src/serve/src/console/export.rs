//! Rows as a file that people open with a spreadsheet.
//!
//! A spreadsheet takes a text that begins like a formula for one and runs it, so such texts begin
//! with an apostrophe here. Programs take the rows through the API, where they are as they are.

use huiliu_sdk::{Error, Result};
use rust_xlsxwriter::{Format, Workbook};
use serde_json::Value;

use crate::data::Table;

/// What an export says of itself.
pub(super) struct Origin<'a> {
    /// Who asked.
    pub(super) who: &'a str,
    /// When, as wall time.
    pub(super) at: &'a str,
    /// For what.
    pub(super) sql: &'a str,
}

/// A text that no spreadsheet runs.
fn harmless(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{text}")
        }
        _ => text.to_owned(),
    }
}

fn is_number(data_type: &str) -> bool {
    ["Int", "UInt", "Float", "Decimal"].iter().any(|start| data_type.starts_with(start))
}

/// A value as text. Numbers stay numbers, whatever their sign.
fn text(value: &Value, data_type: &str) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if is_number(data_type) && text.parse::<f64>().is_ok() => text.clone(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// Rows as CSV, with the mark by which spreadsheets know UTF-8.
pub(super) fn csv(table: &Table) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| Error::internal("the rows could not be written").cause(e);
    let mut out = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    out.write_record(table.columns.iter().map(|column| harmless(&column.name))).map_err(failed)?;
    for row in &table.rows {
        let cells = row.iter().zip(&table.columns).map(|(v, column)| text(v, &column.data_type));
        out.write_record(cells).map_err(failed)?;
    }
    out.into_inner().map_err(|e| {
        Error::internal("the rows could not be written").cause(std::io::Error::other(e.to_string()))
    })
}

/// Rows as a workbook; a second sheet says who took them, when and how.
pub(super) fn xlsx(table: &Table, origin: &Origin<'_>) -> Result<Vec<u8>> {
    let failed = |e: rust_xlsxwriter::XlsxError| {
        Error::internal("the workbook could not be written").cause(e)
    };
    let mut book = Workbook::new();
    let bold = Format::new().set_bold();
    let sheet = book.add_worksheet_with_constant_memory();
    sheet.set_name("rows").map_err(failed)?;
    for (at, column) in (0_u16..).zip(&table.columns) {
        sheet.write_string_with_format(0, at, &column.name, &bold).map_err(failed)?;
    }
    for (line, row) in (1_u32..).zip(&table.rows) {
        for ((at, value), column) in (0_u16..).zip(row).zip(&table.columns) {
            let text = text(value, &column.data_type);
            // A number of more digits than a spreadsheet keeps would come back as another one.
            let is_short = text.trim_start_matches('-').len() <= 15;
            match text.parse::<f64>() {
                Ok(number) if is_number(&column.data_type) && is_short => {
                    sheet.write_number(line, at, number).map_err(failed)?;
                }
                _ if text.is_empty() => {}
                _ => {
                    sheet.write_string(line, at, text).map_err(failed)?;
                }
            }
        }
    }
    let about = book.add_worksheet();
    about.set_name("about").map_err(failed)?;
    about.set_column_width(1, 90).map_err(failed)?;
    let snapshot = table.snapshot.to_string();
    let rows = table.rows.len().to_string();
    let cut = if table.is_cut { "yes" } else { "no" };
    let lines = [
        ("who", origin.who),
        ("at", origin.at),
        ("snapshot", &snapshot),
        ("rows", &rows),
        ("cut off", cut),
        ("sql", origin.sql),
    ];
    for (line, (name, value)) in (0_u32..).zip(lines) {
        about.write_string_with_format(line, 0, name, &bold).map_err(failed)?;
        about.write_string(line, 1, value).map_err(failed)?;
    }
    book.save_to_buffer().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Column;

    fn table() -> Table {
        let column = |name: &str, data_type: &str| Column {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
        };
        Table {
            columns: vec![
                column("=name", "Utf8"),
                column("n", "Int64"),
                column("d", "Decimal128(9, 2)"),
            ],
            rows: vec![
                vec!["=1+1".into(), (-3).into(), "-1.50".into()],
                vec!["@sum, \"x\"".into(), Value::Null, "".into()],
                vec!["-5".into(), 7.into(), "=2".into()],
                vec!["\t=3".into(), 0.into(), Value::Null],
                vec!["张三".into(), 0.into(), Value::Null],
            ],
            is_cut: false,
            snapshot: 7,
        }
    }

    #[test]
    fn no_text_becomes_a_formula_and_numbers_stay_numbers() {
        let csv = String::from_utf8(csv(&table()).unwrap()).unwrap();
        let lines: Vec<&str> = csv.trim_start_matches('\u{feff}').lines().collect();
        assert_eq!(lines[0], "'=name,n,d");
        assert_eq!(lines[1], "'=1+1,-3,-1.50");
        assert_eq!(lines[2], "\"'@sum, \"\"x\"\"\",,");
        assert_eq!(lines[3], "'-5,7,'=2");
        assert_eq!(lines[4], "'\t=3,0,");
        assert_eq!(lines[5], "张三,0,");
        let origin = Origin { who: "甲", at: "2018-12-13 08:00:00", sql: "select 1" };
        let book = xlsx(&table(), &origin).unwrap();
        assert!(book.starts_with(b"PK"), "a workbook is an archive");
    }
}
