//! A report as an Excel workbook: a sheet of figures, then one for each table, with native charts.
//! Text is written as text, so that nothing in the data is run as a formula.

use rust_xlsxwriter::{
    Chart as Drawing, ChartRange, ChartType, Format, FormatAlign, FormatBorder, Workbook,
    Worksheet, XlsxError,
};

use crate::report::{Proved, Report, Section, Table};

/// Characters that Excel allows in the name of a sheet.
const SHEET_NAME: usize = 31;
/// Rows that fit on a sheet below its head.
const MOST_ROWS: usize = 1_000_000;
/// Characters of a cell.
const MOST_TEXT: usize = 32_767;
/// Where a table begins: under the title and the period.
const HEAD: u32 = 3;
/// Digits that Excel keeps of a number.
const DIGITS: usize = 15;

/// A report whose tables are too long for Excel, or that Excel's own limits refuse.
#[derive(Debug)]
pub struct SheetError(XlsxError);

impl std::fmt::Display for SheetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for SheetError {}

impl From<XlsxError> for SheetError {
    fn from(error: XlsxError) -> Self {
        Self(error)
    }
}

/// How cells look.
struct Looks {
    title: Format,
    note: Format,
    head: Format,
    text: Format,
}

impl Looks {
    fn new() -> Self {
        let cell = || Format::new().set_border(FormatBorder::Thin);
        Self {
            title: Format::new().set_bold().set_font_size(16),
            note: Format::new().set_font_color("#586571"),
            head: cell().set_bold().set_background_color("#F5F2EA").set_align(FormatAlign::Center),
            text: cell().set_text_wrap(),
        }
    }

    /// Whole numbers with separators, or with as many digits as there are.
    fn number(digits: u8) -> Format {
        let pattern = match digits {
            0 => "#,##0".to_owned(),
            digits => format!("#,##0.{}", "0".repeat(digits.into())),
        };
        Format::new().set_border(FormatBorder::Thin).set_num_format(pattern)
    }
}

impl Report {
    /// The report as an Excel file.
    pub fn xlsx(&self) -> Result<Vec<u8>, SheetError> {
        let mut book = Workbook::new();
        let looks = Looks::new();
        let mut names = Vec::new();
        let figures: Vec<&Proved> = self.sections.iter().flat_map(|s| &s.figures).collect();
        if !figures.is_empty() {
            let sheet = book.add_worksheet();
            sheet.set_name(free_name("指标", &mut names))?;
            self.head(sheet, &self.title, &looks)?;
            write_figures(sheet, &figures, &looks)?;
        }
        for section in &self.sections {
            let Some(table) = &section.table else { continue };
            let sheet = book.add_worksheet();
            let name = free_name(&section.title, &mut names);
            sheet.set_name(&name)?;
            self.head(sheet, &section.title, &looks)?;
            write_table(sheet, table, &looks)?;
            draw(sheet, &name, section, table)?;
        }
        if names.is_empty() {
            let sheet = book.add_worksheet();
            self.head(sheet, &self.title, &looks)?;
        }
        Ok(book.save_to_buffer()?)
    }

    fn head(&self, sheet: &mut Worksheet, title: &str, looks: &Looks) -> Result<(), XlsxError> {
        sheet.set_landscape().set_paper_size(9);
        sheet.write_string_with_format(0, 0, title, &looks.title)?;
        let addressee = self.addressee.as_ref().map(|to| format!("{to}　")).unwrap_or_default();
        let note = format!(
            "{addressee}{} 至 {}　数据快照 {}　{}",
            self.begin, self.end, self.snapshot, self.issuer
        );
        sheet.write_string_with_format(1, 0, note, &looks.note)?;
        Ok(())
    }
}

fn write_figures(
    sheet: &mut Worksheet,
    figures: &[&Proved],
    looks: &Looks,
) -> Result<(), XlsxError> {
    let heads = ["指标", "数值", "单位", "分子", "分母", "口径", "键", "快照", "封存"];
    for (column, head) in (0..).zip(heads) {
        sheet.write_string_with_format(HEAD, column, head, &looks.head)?;
    }
    for (column, width) in [(0, 34), (1, 12), (2, 6), (3, 12), (4, 12), (5, 70), (6, 26)] {
        sheet.set_column_width(column, width)?;
    }
    for (row, figure) in (HEAD + 1..).zip(figures) {
        let value = figure.value.as_deref().unwrap_or_default();
        let of = figure.of.as_ref().map(|of| format!("（{of}）")).unwrap_or_default();
        let title = format!("{}{of}", figure.title);
        sheet.write_string_with_format(row, 0, title, &looks.text)?;
        write_number(sheet, (row, 1), value, digits_of(value), looks)?;
        let unit = if figure.is_percent { "%" } else { "" };
        sheet.write_string_with_format(row, 2, unit, &looks.text)?;
        let parts = figure.parts.map(|(above, below)| (above.to_string(), below.to_string()));
        let (above, below) = parts.unwrap_or_default();
        write_number(sheet, (row, 3), &above, 0, looks)?;
        write_number(sheet, (row, 4), &below, 0, looks)?;
        sheet.write_string_with_format(row, 5, cut(&figure.definition), &looks.text)?;
        sheet.write_string_with_format(row, 6, &figure.key, &looks.text)?;
        let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
        write_number(sheet, (row, 7), &number(figure.snapshot), 0, looks)?;
        write_number(sheet, (row, 8), &number(figure.seal), 0, looks)?;
    }
    sheet.set_freeze_panes(HEAD + 1, 0)?;
    Ok(())
}

fn write_table(sheet: &mut Worksheet, table: &Table, looks: &Looks) -> Result<(), XlsxError> {
    for (column, head) in (0..).zip(&table.columns) {
        sheet.write_string_with_format(HEAD, column, &head.title, &looks.head)?;
        let width = if head.digits.is_some() { 14 } else { 26 };
        sheet.set_column_width(column, width)?;
    }
    if table.rows.is_empty() {
        sheet.write_string(HEAD + 1, 0, &table.empty)?;
    }
    for (row, cells) in (HEAD + 1..).zip(table.rows.iter().take(MOST_ROWS)) {
        for ((column, head), cell) in (0..).zip(&table.columns).zip(cells) {
            let text = cell.as_deref().unwrap_or_default();
            match head.digits {
                Some(digits) => write_number(sheet, (row, column), text, digits, looks)?,
                None => {
                    sheet.write_string_with_format(row, column, cut(text), &looks.text)?;
                }
            }
        }
    }
    if table.rows.len() > MOST_ROWS {
        let note = format!("另有 {} 行未列出", table.rows.len() - MOST_ROWS);
        sheet.write_string(2, 0, note)?;
    }
    sheet.set_freeze_panes(HEAD + 1, 0)?;
    Ok(())
}

/// A number as such, or as text where Excel would round it.
fn write_number(
    sheet: &mut Worksheet,
    (row, column): (u32, u16),
    text: &str,
    digits: u8,
    looks: &Looks,
) -> Result<(), XlsxError> {
    let is_exact = text.chars().filter(char::is_ascii_digit).count() <= DIGITS;
    match text.parse::<f64>() {
        Ok(number) if is_exact && number.is_finite() => {
            sheet.write_number_with_format(row, column, number, &Looks::number(digits))?
        }
        _ => sheet.write_string_with_format(row, column, text, &looks.text)?,
    };
    Ok(())
}

/// A native chart beside the table.
fn draw(
    sheet: &mut Worksheet,
    name: &str,
    section: &Section,
    table: &Table,
) -> Result<(), XlsxError> {
    let Some(chart) = section.chart.as_ref().filter(|_| !table.rows.is_empty()) else {
        return Ok(());
    };
    let last = HEAD + u32::try_from(table.rows.len().min(MOST_ROWS)).unwrap_or(u32::MAX - HEAD);
    let column = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
    let range = |place: usize| {
        ChartRange::new_from_range(name, HEAD + 1, column(place), last, column(place))
    };
    let kind = if chart.is_line { ChartType::Line } else { ChartType::Bar };
    let mut drawing = Drawing::new(kind);
    for place in &chart.y {
        let head = ChartRange::new_from_range(name, HEAD, column(*place), HEAD, column(*place));
        let (x, y) = (range(chart.x), range(*place));
        drawing.add_series().set_categories(&x).set_values(&y).set_name(&head);
    }
    drawing.title().set_name(section.title.as_str());
    if !chart.is_line {
        // The first row on top, as in the table.
        drawing.x_axis().set_reverse();
    }
    drawing.set_width(720).set_height(420);
    sheet.insert_chart(HEAD, column(table.columns.len() + 1), &drawing)?;
    Ok(())
}

/// Digits after the point.
fn digits_of(text: &str) -> u8 {
    let after = text.split_once('.').map_or(0, |(_, after)| after.len());
    u8::try_from(after).unwrap_or(u8::MAX)
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}

/// A name for a sheet that Excel takes and no other sheet has.
fn free_name(title: &str, names: &mut Vec<String>) -> String {
    let plain: String = title
        .chars()
        .filter(|c| !matches!(c, '[' | ']' | ':' | '*' | '?' | '/' | '\\' | '\''))
        .take(SHEET_NAME - 3)
        .collect();
    let plain = if plain.trim().is_empty() { "表".to_owned() } else { plain };
    let mut name = plain.clone();
    let mut number = 2;
    while names.iter().any(|other| other.to_lowercase() == name.to_lowercase()) {
        name = format!("{plain}{number}");
        number += 1;
    }
    names.push(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sheets_are_such_that_excel_takes_them() {
        let mut names = Vec::new();
        assert_eq!(free_name("一/二[三]", &mut names), "一二三");
        assert_eq!(free_name("一二三", &mut names), "一二三2");
        assert_eq!(free_name("???", &mut names), "表");
        assert!(free_name(&"长".repeat(80), &mut names).chars().count() <= SHEET_NAME);
        assert_eq!((digits_of("86.23"), digits_of("12"), digits_of("")), (2, 0, 0));
    }
}
