//! Reports as they are written in `pipelines/reports/`: figures, tables and charts of a period, in
//! the order in which they are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{Datelike, Days, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Document, Faults};

/// How long the time is that a report tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Seven days.
    Week,
    /// Fourteen days.
    TwoWeeks,
    /// From the first of a month.
    Month,
}

impl Period {
    /// The first day of the period that ends on `end`.
    pub fn begin(self, end: NaiveDate) -> NaiveDate {
        let ago = |days: u64| end.checked_sub_days(Days::new(days)).unwrap_or(end);
        match self {
            Self::Week => ago(6),
            Self::TwoWeeks => ago(13),
            Self::Month => end.with_day(1).unwrap_or(end),
        }
    }

    /// The last day of the newest whole period before `today`: Sundays end weeks.
    pub fn last_end(self, today: NaiveDate) -> NaiveDate {
        let days = match self {
            Self::Week | Self::TwoWeeks => today.weekday().num_days_from_monday() + 1,
            Self::Month => today.day(),
        };
        today.checked_sub_days(Days::new(days.into())).unwrap_or(today)
    }
}

/// A report.
///
/// In every text and SELECT `{begin}` and `{end}` are the first and the last day, `{parameters.NAME}`
/// is one of its parameters, and `{each.COLUMN}` is a value of the row that a letter is for. In SQL a
/// value of a row is a quoted text. In the text before the sections `{figure.KEY}` is a figure of one
/// of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this file's layout; 1.
    pub version: u32,
    /// Its name: the file's name.
    #[serde(skip)]
    pub name: String,
    /// The file.
    #[serde(skip)]
    pub file: PathBuf,
    /// Its title.
    pub title: String,
    /// Who issues it. Default: the hub's name.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The time it tells of.
    pub period: Period,
    /// Whole numbers that decide about it, such as from how many cards on a letter is written.
    #[serde(default)]
    pub parameters: BTreeMap<String, i64>,
    /// Makes a letter of it: one document for each row.
    #[serde(default)]
    pub each: Option<Each>,
    /// What stands before the sections.
    #[serde(default)]
    pub text: Option<String>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// For whom letters are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// A SELECT; each row is a letter.
    pub sql: String,
    /// The column that names the addressee, and tells the letters apart.
    pub name: String,
}

/// A section of a report.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// A paragraph.
    #[serde(default)]
    pub text: Option<String>,
    /// Metrics whose figures are shown, with their definitions.
    #[serde(default)]
    pub figures: Vec<String>,
    /// Of which part of all rows these figures are: dimensions of the metrics, each with its value.
    /// They are counted when the report is written. Default: the stored figures, of all rows.
    #[serde(default)]
    pub of: BTreeMap<String, String>,
    /// Figures that no metric has, counted when the report is written.
    #[serde(default)]
    pub counts: Vec<Count>,
    /// A SELECT whose rows are shown as a table.
    #[serde(default)]
    pub sql: Option<String>,
    /// Headings of columns that are not their names.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// A chart of the table.
    #[serde(default)]
    pub chart: Option<Chart>,
    /// What stands in place of a table without rows. Default: 无。
    #[serde(default)]
    pub empty: Option<String>,
}

/// A figure of a report's own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Its key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// A SELECT that gives one whole number.
    pub sql: String,
    /// What it means.
    pub text: String,
}

/// How a table is drawn.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// The kind of chart.
    pub kind: ChartKind,
    /// The column along which it runs.
    pub x: String,
    /// The columns of numbers.
    pub y: Vec<String>,
}

/// Kinds of charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    /// Lying bars, for ranks.
    Bar,
    /// Lines, for trends.
    Line,
}

impl Report {
    /// Reads a report from the text of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Faults> {
        let document = Document::parse(file, text)?;
        let mut report: Self = serde_json::from_value(document.to_json())
            .map_err(|e| Faults(vec![document.fault("", e.to_string(), None)]))?;
        file.file_stem().and_then(|s| s.to_str()).unwrap_or_default().clone_into(&mut report.name);
        file.clone_into(&mut report.file);
        let mut faults = Faults::default();
        if report.version != 1 {
            let message = "this program reads version 1 of reports".to_owned();
            faults.0.push(document.fault("version", message, None));
        }
        if report.name == "daily" {
            let message = "`daily` is the page of the day".to_owned();
            let hint = Some("give the file another name".to_owned());
            faults.0.push(document.fault("", message, hint));
        }
        for (index, section) in report.sections.iter().enumerate() {
            let path = format!("sections[{index}]");
            if section.sql.is_none() && (section.chart.is_some() || !section.columns.is_empty()) {
                let message = "a chart and headings need `sql`".to_owned();
                faults.0.push(document.fault(&path, message, None));
            }
            if section.figures.is_empty() && !section.of.is_empty() {
                let message = "`of` is of `figures`".to_owned();
                faults.0.push(document.fault(&format!("{path}.of"), message, None));
            }
            if section.chart.as_ref().is_some_and(|chart| chart.y.is_empty()) {
                let message = "a chart needs a column of numbers".to_owned();
                faults.0.push(document.fault(&format!("{path}.chart.y"), message, None));
            }
        }
        if faults.is_empty() { Ok(report) } else { Err(faults) }
    }

    /// All SELECTs, with the keys they stand under.
    pub fn selects(&self) -> impl Iterator<Item = &str> {
        let each = self.each.iter().map(|each| each.sql.as_str());
        each.chain(self.sections.iter().flat_map(|section| {
            let counts = section.counts.iter().map(|count| count.sql.as_str());
            section.sql.as_deref().into_iter().chain(counts)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_whole_weeks_and_months() {
        // 2018-12-13 is a Thursday.
        let thursday = day("2018-12-13");
        assert_eq!(Period::Week.last_end(thursday), day("2018-12-09"));
        assert_eq!(Period::Week.last_end(day("2018-12-09")), day("2018-12-02"), "not over yet");
        assert_eq!(Period::Week.begin(day("2018-12-09")), day("2018-12-03"));
        assert_eq!(Period::TwoWeeks.begin(day("2018-12-09")), day("2018-11-26"));
        assert_eq!(Period::Month.last_end(thursday), day("2018-11-30"));
        assert_eq!(Period::Month.begin(day("2018-11-30")), day("2018-11-01"));
    }

    #[test]
    fn what_a_report_lacks_is_said_with_its_place() {
        let text = "version = 1\ntitle = \"快报\"\nperiod = \"week\"\n[[sections]]\ntitle = \"一\"\n\
                    chart = { kind = \"bar\", x = \"a\", y = [] }\n";
        let faults = Report::parse(Path::new("weekly.toml"), text).unwrap_err();
        let said: Vec<&str> = faults.0.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(said, ["a chart and headings need `sql`", "a chart needs a column of numbers"]);
        assert_eq!(faults.0[0].line, 4);
        let part = "version = 1\ntitle = \"快报\"\nperiod = \"week\"\n[[sections]]\ntitle = \"一\"\n\
                    of = { department = \"甲\" }\n";
        let faults = Report::parse(Path::new("weekly.toml"), part).unwrap_err();
        assert_eq!(faults.0[0].message, "`of` is of `figures`");
        let named = Report::parse(Path::new("daily.toml"), text).unwrap_err();
        assert!(named.0[0].message.contains("page of the day"));
    }
}
