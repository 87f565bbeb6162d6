//! Reports of a period: their tables are queried, their figures are those that are stored, with
//! the seals that prove them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use huiliu_core::config::{Document, Fault, Faults, closest};
use huiliu_core::model::{Metric, Unit};
use huiliu_core::report::{Chart, ChartKind, Count, Report, Section};
use huiliu_engine::{Breakdown, Figure, Group, Session, record_text};
use huiliu_page::report as page;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::SealedFigure;

use crate::daily::{moment_text, write_page};
use crate::hub::Hub;

/// Before the name of a report stands this in the graph.
pub(crate) const NODES: &str = "reports.";
/// Rows that a table of a report may have; more are no reading for people.
const MOST_ROWS: usize = 10_000;
/// Letters that one report may make.
const MOST_LETTERS: usize = 2_000;

/// A report, or one letter of it, and the name of its files.
#[derive(Debug, Clone)]
pub struct WrittenReport {
    /// The files' name without folder and ending.
    pub name: String,
    /// The same before it was told apart from others.
    plain: String,
    /// What it says.
    pub page: page::Report,
}

impl WrittenReport {
    /// Writes it as HTML and as Excel into `folder`.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2]> {
        let html = folder.join(format!("{}.html", self.name));
        write_page(&html, self.page.html().as_bytes())?;
        let book = self.page.xlsx().map_err(|cause| {
            let message = format!("{} cannot be written as an Excel file", self.name);
            Error::new(ErrorKind::Data, "E-REPORT", message)
                .hint("give its tables fewer rows or columns")
                .cause(cause)
        })?;
        let xlsx = folder.join(format!("{}.xlsx", self.name));
        write_page(&xlsx, &book)?;
        Ok([html, xlsx])
    }
}

impl Hub {
    /// The report called `name`, of the period that ends on `end`, or of the newest whole one.
    pub async fn report(&self, name: &str, end: Option<NaiveDate>) -> Result<Vec<WrittenReport>> {
        let report = self.project.reports.get(name).ok_or_else(|| self.no_report(name))?;
        let today = self.clock().now().with_timezone(&self.project.zone).date_naive();
        let end = end.unwrap_or_else(|| report.period.last_end(today));
        let session = self.engine.session(None).await?;
        let action = format!("report {name}");
        let parts = self.parts(&session, report).await.map_err(|e| e.context(&action))?;
        let writing = Writing {
            hub: self,
            session: &session,
            report,
            begin: report.period.begin(end),
            end,
            figures: session.stored_figures().await?,
            seals: self.lake().store().sealed_figures().await?,
            parts,
        };
        writing.all().await.map_err(|e| e.context(action))
    }

    /// The figures of which a report shows parts, by all parts of their kind.
    async fn parts(&self, session: &Session, report: &Report) -> Result<Parts> {
        let today = self.today();
        let mut parts = Parts::new();
        for section in report.sections.iter().filter(|section| !section.of.is_empty()) {
            let by: Vec<String> = section.of.keys().cloned().collect();
            for key in &section.figures {
                let metric = self.metric(key)?;
                let figure = Box::pin(session.breakdown(metric, &today, &by)).await?;
                parts.insert((key.clone(), by.clone()), figure);
            }
        }
        Ok(parts)
    }

    fn no_report(&self, name: &str) -> Error {
        let known: Vec<&str> = self.project.reports.keys().map(String::as_str).collect();
        let hint = match closest(name, known.iter().copied().chain(["daily"])) {
            Some(close) => format!("did you mean `{close}`?"),
            None if known.is_empty() => "write one in pipelines/reports/".to_owned(),
            None => format!("there are: daily, {}", known.join(", ")),
        };
        Error::new(ErrorKind::Config, "E-REPORT", format!("no report is called `{name}`"))
            .hint(hint)
    }

    /// Writes the files of a report for a run.
    pub(crate) async fn write_report(&self, name: &str) -> Result<PathBuf> {
        let folder = self.data.join("reports");
        for written in self.report(name, None).await? {
            written.write(&folder)?;
        }
        Ok(folder)
    }
}

/// Figures by the parts of a kind, under the metric's key and the names of its dimensions.
type Parts = BTreeMap<(String, Vec<String>), Breakdown>;

/// One report being written.
struct Writing<'a> {
    hub: &'a Hub,
    session: &'a Session,
    report: &'a Report,
    begin: NaiveDate,
    end: NaiveDate,
    figures: BTreeMap<String, Figure>,
    seals: Vec<SealedFigure>,
    parts: Parts,
}

/// A row that a letter is for.
type Row = Vec<(String, Option<String>)>;

impl Writing<'_> {
    async fn all(&self) -> Result<Vec<WrittenReport>> {
        let name = format!("{}-{}", self.report.name, self.end);
        let Some(each) = &self.report.each else {
            let page = self.one(None).await?;
            return Ok(vec![WrittenReport { plain: name.clone(), name, page }]);
        };
        let mut letters = Vec::new();
        for row in self.rows(&self.fill(&each.sql, None, true)).await?.rows(MOST_LETTERS)? {
            let to = value(&row, &each.name).ok_or_else(|| {
                let message = format!("`each` has no column {}", each.name);
                Error::new(ErrorKind::Config, "E-REPORT", message)
                    .hint(format!("correct it in {}", self.report.file.display()))
            })?;
            let Some(to) = to.filter(|to| !to.is_empty()) else { continue };
            let mut page = self.one(Some(&row)).await?;
            page.addressee = Some(to.clone());
            let plain = format!("{name}-{}", file_name(&to));
            // Addressees that differ only in what a file's name cannot have get a number.
            let alike = |letter: &&WrittenReport| letter.plain == plain;
            let name = match letters.iter().filter(alike).count() {
                0 => plain.clone(),
                others => format!("{plain}-{}", others + 1),
            };
            letters.push(WrittenReport { name, plain, page });
        }
        Ok(letters)
    }

    async fn one(&self, row: Option<&Row>) -> Result<page::Report> {
        let mut sections = Vec::with_capacity(self.report.sections.len());
        for section in &self.report.sections {
            let written = self.section(section, row).await;
            sections.push(written.map_err(|e| e.context(section.title.as_str()))?);
        }
        let hub = &self.hub.project.hub;
        let text = self.report.text.as_ref().map(|text| {
            filled(text, |name| shown(name, &sections).or_else(|| self.named(name, row, false)))
        });
        Ok(page::Report {
            title: self.fill(&self.report.title, row, false),
            issuer: self.report.issuer.clone().unwrap_or_else(|| hub.name.clone()),
            addressee: None,
            begin: self.begin.to_string(),
            end: self.end.to_string(),
            written_at: moment_text(self.hub),
            snapshot: self.session.snapshot(),
            text,
            sections,
        })
    }

    async fn section(&self, section: &Section, row: Option<&Row>) -> Result<page::Section> {
        let mut table = None;
        if let Some(sql) = &section.sql {
            table = Some(self.table(section, &self.fill(sql, row, true)).await?);
        }
        let chart = match (&section.chart, &table) {
            (Some(chart), Some(table)) => Some(drawn(chart, table)?),
            _ => None,
        };
        let mut figures: Vec<page::Proved> = if section.of.is_empty() {
            section.figures.iter().map(|key| self.figure(key)).collect()
        } else {
            section.figures.iter().map(|key| self.part(section, key, row)).collect()
        };
        for count in &section.counts {
            figures.push(self.count(count, row).await.map_err(|e| e.context(count.key.as_str()))?);
        }
        Ok(page::Section {
            title: self.fill(&section.title, row, false),
            text: section.text.as_ref().map(|text| self.fill(text, row, false)),
            figures,
            table: table.map(|named| named.table),
            chart,
        })
    }

    async fn rows(&self, sql: &str) -> Result<Rows> {
        Ok(Rows(self.session.collect(sql, Some(MOST_ROWS + 1)).await?))
    }

    async fn table(&self, section: &Section, sql: &str) -> Result<Named> {
        let rows = self.rows(sql).await?;
        let batches = &rows.0;
        let fields = batches.first().map(RecordBatch::schema);
        let fields = fields.as_ref().map(|schema| schema.fields().iter()).into_iter().flatten();
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        for field in fields {
            let title = section.columns.get(field.name()).unwrap_or(field.name());
            names.push(field.name().clone());
            columns.push(page::Column { title: title.clone(), digits: digits(field.data_type()) });
        }
        let cells = rows.rows(MOST_ROWS)?;
        let cells = cells.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect());
        let empty = section.empty.clone().unwrap_or_else(|| "无。".to_owned());
        let snapshot = self.session.snapshot();
        Ok(Named { names, table: page::Table { columns, rows: cells.collect(), empty, snapshot } })
    }

    fn figure(&self, key: &str) -> page::Proved {
        let metric = self.hub.engine.pipelines().metrics.get(key);
        let Some(figure) = self.figures.get(key) else {
            let title = metric.map(|metric| metric.title.clone()).unwrap_or_default();
            return page::Proved { key: key.to_owned(), title, ..page::Proved::default() };
        };
        page::Proved {
            key: key.to_owned(),
            title: figure.title.clone(),
            of: None,
            value: figure.value.clone(),
            is_percent: figure.unit == Unit::Percent,
            parts: figure.denominator.map(|denominator| (figure.numerator, denominator)),
            definition: figure.definition.clone(),
            snapshot: Some(figure.snapshot),
            seal: self.seal(figure),
        }
    }

    /// The newest seal of a figure as it is.
    fn seal(&self, figure: &Figure) -> Option<i64> {
        let is_it = |seal: &&SealedFigure| {
            seal.metric == figure.key
                && (seal.numerator, seal.denominator) == (figure.numerator, figure.denominator)
                && seal.value == figure.value
        };
        self.seals.iter().rev().find(is_it).map(|seal| seal.seal_id)
    }

    /// The part of a figure that a section shows.
    fn part(&self, section: &Section, key: &str, row: Option<&Row>) -> page::Proved {
        let by: Vec<String> = section.of.keys().cloned().collect();
        let of: Vec<String> =
            section.of.values().map(|value| self.fill(value, row, false)).collect();
        let Some(broken) = self.parts.get(&(key.to_owned(), by)) else { return self.figure(key) };
        let whole = &broken.figure;
        let is_it = |group: &&Group| {
            let wanted = of.iter().map(|value| Some(value.as_str()));
            group.of.iter().map(Option::as_deref).eq(wanted)
        };
        let group = broken.groups.iter().find(is_it);
        // Groups in which nothing counts are left out.
        let nothing = if whole.denominator.is_none() { Some("0".to_owned()) } else { None };
        page::Proved {
            key: key.to_owned(),
            title: whole.title.clone(),
            of: Some(of.join("、")),
            value: group.map_or(nothing, |group| group.value.clone()),
            is_percent: whole.unit == Unit::Percent,
            parts: whole.denominator.map(|_| {
                let part = group.and_then(|group| Some((group.numerator, group.denominator?)));
                part.unwrap_or_default()
            }),
            definition: whole.definition.clone(),
            snapshot: Some(whole.snapshot),
            seal: self.seal(whole),
        }
    }

    /// A figure of the report's own.
    async fn count(&self, count: &Count, row: Option<&Row>) -> Result<page::Proved> {
        let rows = self.rows(&self.fill(&count.sql, row, true)).await?.rows(MOST_ROWS)?;
        let value = match rows.as_slice() {
            [row] if row.len() == 1 => row[0].1.clone(),
            _ => {
                let message = format!("the SELECT of {} gives one number", count.key);
                return Err(Error::new(ErrorKind::Config, "E-REPORT", message)
                    .hint(format!("correct it in {}", self.report.file.display())));
            }
        };
        Ok(page::Proved {
            key: count.key.clone(),
            title: count.title.clone(),
            value,
            definition: self.fill(&count.text, row, false),
            snapshot: Some(self.session.snapshot()),
            ..page::Proved::default()
        })
    }

    /// A text or a SELECT with its values. Unknown names stay as they are, and are seen.
    fn fill(&self, text: &str, row: Option<&Row>, is_sql: bool) -> String {
        filled(text, |name| self.named(name, row, is_sql))
    }

    /// What a name in a text or a SELECT stands for.
    fn named(&self, name: &str, row: Option<&Row>, is_sql: bool) -> Option<String> {
        if let Some(name) = name.strip_prefix("parameters.") {
            return self.report.parameters.get(name).map(i64::to_string);
        }
        match (name, row) {
            ("begin", _) => Some(self.begin.to_string()),
            ("end", _) => Some(self.end.to_string()),
            (name, Some(row)) => {
                let value = value(row, name.strip_prefix("each.")?)?.unwrap_or_default();
                Some(if is_sql { format!("'{}'", value.replace('\'', "''")) } else { value })
            }
            _ => None,
        }
    }
}

/// The figure that a name in the text before the sections stands for.
fn shown(name: &str, sections: &[page::Section]) -> Option<String> {
    let key = name.strip_prefix("figure.")?;
    let figure = sections.iter().flat_map(|section| &section.figures).find(|f| f.key == key)?;
    Some(figure.value.clone().unwrap_or_else(|| "—".to_owned()))
}

/// `text` with what `value` gives in the place of each `{name}`. What was put in is not looked at
/// again, so that nothing in the data is taken for a name.
fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = after.split_once('}').and_then(|(name, left)| Some((value(name)?, left)));
        match found {
            Some((value, left)) => {
                filled.push_str(&value);
                rest = left;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

/// Rows of a query.
struct Rows(Vec<RecordBatch>);

impl Rows {
    fn rows(&self, most: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for batch in &self.0 {
            for row in 0..batch.num_rows() {
                rows.push(record_text(batch, row)?);
            }
        }
        if rows.len() > most {
            let message = format!("a table of a report has {most} rows at most");
            return Err(Error::new(ErrorKind::Config, "E-REPORT", message)
                .hint("group its rows, or give the SELECT a limit"));
        }
        Ok(rows)
    }
}

/// A table with the names of its columns in SQL.
struct Named {
    names: Vec<String>,
    table: page::Table,
}

fn drawn(chart: &Chart, table: &Named) -> Result<page::Chart> {
    let place = |name: &String| {
        // Without rows there are no columns, and nothing is drawn.
        if table.names.is_empty() {
            return Ok(0);
        }
        table.names.iter().position(|other| other == name).ok_or_else(|| {
            let hint = closest(name, table.names.iter().map(String::as_str))
                .map(|close| format!("did you mean `{close}`?"))
                .unwrap_or_else(|| format!("there are: {}", table.names.join(", ")));
            let message = format!("the chart's table has no column `{name}`");
            Error::new(ErrorKind::Config, "E-REPORT", message).hint(hint)
        })
    };
    let y = chart.y.iter().map(place).collect::<Result<Vec<usize>>>()?;
    Ok(page::Chart { is_line: chart.kind == ChartKind::Line, x: place(&chart.x)?, y })
}

fn value(row: &Row, name: &str) -> Option<Option<String>> {
    row.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
}

/// Digits after the point of a column of numbers.
fn digits(kind: &DataType) -> Option<u8> {
    match kind {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            Some(u8::try_from(*scale).unwrap_or(0))
        }
        DataType::Float32 | DataType::Float64 => Some(2),
        kind if kind.is_integer() => Some(0),
        _ => None,
    }
}

/// A name that a file can have.
fn file_name(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
    text.chars().map(plain).take(60).collect()
}

/// Every metric that a report shows must be there, and have the dimensions by which it shows parts.
pub(crate) fn check(reports: &BTreeMap<String, Report>, metrics: &[Metric]) -> Result<(), Faults> {
    let mut faults = Faults::default();
    for report in reports.values() {
        for (number, section) in report.sections.iter().enumerate() {
            for (index, key) in section.figures.iter().enumerate() {
                let Some(metric) = metrics.iter().find(|metric| metric.key == *key) else {
                    let hint = closest(key, metrics.iter().map(|metric| metric.key.as_str()))
                        .map(|close| format!("did you mean `{close}`?"));
                    let place = format!("sections[{number}].figures[{index}]");
                    let message = format!("no metric is called `{key}`");
                    faults.0.push(fault(report, &place, message, hint));
                    continue;
                };
                let has = |name: &&String| metric.dimensions.contains_key(name.as_str());
                for name in section.of.keys().filter(|name| !has(name)) {
                    let hint = closest(name, metric.dimensions.keys().map(String::as_str))
                        .map(|close| format!("did you mean `{close}`?"));
                    let place = format!("sections[{number}].of");
                    let message = format!("metric {key} has no dimension `{name}`");
                    faults.0.push(fault(report, &place, message, hint));
                }
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn fault(report: &Report, place: &str, message: String, hint: Option<String>) -> Fault {
    let text = std::fs::read_to_string(&report.file).unwrap_or_default();
    match Document::parse(&report.file, &text) {
        Ok(document) => document.fault(place, message, hint),
        Err(mut faults) => faults.0.remove(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_hold_nothing_that_a_folder_would_take_amiss() {
        assert_eq!(file_name("市规划局/../x y"), "市规划局____x_y");
        assert_eq!(digits(&DataType::Decimal128(10, 2)), Some(2));
        assert_eq!((digits(&DataType::Int64), digits(&DataType::Utf8)), (Some(0), None));
    }

    #[test]
    fn what_is_put_into_a_text_is_not_looked_at_again() {
        let value = |name: &str| match name {
            "begin" => Some("2018-12-07".to_owned()),
            "each.owner" => Some("'{each.count} {begin}'".to_owned()),
            _ => None,
        };
        let text = "where day >= '{begin}' and owner = {each.owner} and note <> '{x}' {";
        assert_eq!(
            filled(text, value),
            "where day >= '2018-12-07' and owner = '{each.count} {begin}' and note <> '{x}' {"
        );
    }
}
