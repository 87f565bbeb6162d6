//! The working-day calendar: holidays and make-up days by official notice, as tables of days.
//!
//! A listed day follows its flag, any other day works from Monday to Friday. A year counts as
//! known when its notice is in the file, which shows in New Year (01-01) and National Day (10-01)
//! both being listed as off; a few days of the next year listed early do not make it known.
//! Nothing is guessed outside the known years: the answer there is an error that names the year.
//!
//! Days are counted since 1970-01-01 (the `Date32` of Arrow), so the `*_epoch` methods run over
//! columns without converting; each is a table lookup.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, Weekday};
use huiliu_sdk::{Error, ErrorKind, Result};

/// Which days are working days, for a contiguous range of years.
///
/// Equality compares the days, not where they were read from.
#[derive(Debug, Clone)]
pub struct Calendar {
    source: String,
    first_year: i32,
    last_year: i32,
    /// Epoch day of 1 January of the first known year.
    first_day: i32,
    /// At `i`: how many working days lie in the first `i` days of the range.
    before: Vec<u32>,
    /// The epoch days of all working days, ascending.
    workdays: Vec<i32>,
}

impl Calendar {
    /// Reads CSV text with the columns `date,name,is_off_day`; `source` names it in messages.
    pub fn parse(csv: &str, source: impl Into<String>) -> Result<Self> {
        let source = source.into();
        let listed = read_rows(csv, &source)?;
        let (first_year, last_year) = known_years(&listed, &source)?;

        let first_day = day_number(first_year, 1, 1)?;
        let end_day = day_number(last_year + 1, 1, 1)?;
        let mut before = vec![0];
        let mut workdays = Vec::new();
        for day in first_day..end_day {
            let works = match listed.get(&day) {
                Some(is_off) => !is_off,
                None => date_of(day)
                    .is_some_and(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun)),
            };
            if works {
                workdays.push(day);
            }
            before.push(workdays.len() as u32);
        }
        Ok(Self { source, first_year, last_year, first_day, before, workdays })
    }

    /// The first and the last year whose days are known.
    pub fn known_years(&self) -> (i32, i32) {
        (self.first_year, self.last_year)
    }

    /// Whether people work on `date`.
    pub fn is_workday(&self, date: NaiveDate) -> Result<bool> {
        self.is_workday_epoch(date.to_epoch_days())
    }

    /// The `n`th working day after `start`, which itself is not counted.
    ///
    /// Zero is `start`, or the next working day if `start` is off; a negative `n` counts back.
    pub fn add_workdays(&self, start: NaiveDate, n: i64) -> Result<NaiveDate> {
        self.to_date(self.add_workdays_epoch(start.to_epoch_days(), n)?)
    }

    /// How many working days lie after `from` up to and including `to`; negative if reversed.
    pub fn workdays_between(&self, from: NaiveDate, to: NaiveDate) -> Result<i64> {
        self.workdays_between_epoch(from.to_epoch_days(), to.to_epoch_days())
    }

    /// `n` natural days after `start`, moved to the next working day if that day is off.
    pub fn add_natural_days(&self, start: NaiveDate, n: i64) -> Result<NaiveDate> {
        self.to_date(self.add_natural_days_epoch(start.to_epoch_days(), n)?)
    }

    /// [`Self::is_workday`] on a day counted since 1970-01-01.
    pub fn is_workday_epoch(&self, day: i32) -> Result<bool> {
        let index = self.index(day)?;
        Ok(self.before[index + 1] > self.before[index])
    }

    /// [`Self::add_workdays`] on a day counted since 1970-01-01.
    pub fn add_workdays_epoch(&self, start: i32, n: i64) -> Result<i32> {
        let index = self.index(start)?;
        let position = if n > 0 {
            i64::from(self.before[index + 1]).saturating_add(n - 1)
        } else {
            i64::from(self.before[index]).saturating_add(n)
        };
        self.workday_at(position)
    }

    /// [`Self::workdays_between`] on days counted since 1970-01-01.
    pub fn workdays_between_epoch(&self, from: i32, to: i32) -> Result<i64> {
        let (from, to) = (self.index(from)?, self.index(to)?);
        Ok(i64::from(self.before[to + 1]) - i64::from(self.before[from + 1]))
    }

    /// [`Self::add_natural_days`] on a day counted since 1970-01-01.
    pub fn add_natural_days_epoch(&self, start: i32, n: i64) -> Result<i32> {
        self.index(start)?;
        let target = i64::from(start).saturating_add(n);
        let target = i32::try_from(target).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX });
        let index = self.index(target)?;
        self.workday_at(i64::from(self.before[index]))
    }

    fn workday_at(&self, position: i64) -> Result<i32> {
        if position < 0 {
            return Err(self.unknown(i64::from(self.first_year) - 1));
        }
        match usize::try_from(position).ok().and_then(|position| self.workdays.get(position)) {
            Some(day) => Ok(*day),
            None => Err(self.unknown(i64::from(self.last_year) + 1)),
        }
    }

    fn index(&self, day: i32) -> Result<usize> {
        let offset = i64::from(day) - i64::from(self.first_day);
        match usize::try_from(offset) {
            Ok(index) if index + 1 < self.before.len() => Ok(index),
            _ => Err(self.unknown(year_of(day))),
        }
    }

    fn to_date(&self, day: i32) -> Result<NaiveDate> {
        date_of(day).ok_or_else(|| self.unknown(year_of(day)))
    }

    fn unknown(&self, year: i64) -> Error {
        let (first, last) = (self.first_year, self.last_year);
        Error::new(
            ErrorKind::Config,
            "E-CALENDAR-UNKNOWN",
            format!("the working days of {year} are not known (known: {first} to {last})"),
        )
        .hint(format!("add the holidays and make-up days of {year} to {}", self.source))
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.first_day == other.first_day && self.before == other.before
    }
}

impl Eq for Calendar {}

/// Listed days with their off flag.
fn read_rows(text: &str, source: &str) -> Result<BTreeMap<i32, bool>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader
        .headers()
        .map_err(|cause| invalid(source, 1, "the header cannot be read".to_owned()).cause(cause))?;
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header == name)
            .ok_or_else(|| invalid(source, 1, format!("column `{name}` is missing")))
    };
    let (date_column, off_column) = (column("date")?, column("is_off_day")?);

    let mut listed = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|cause| {
            let line = cause.position().map_or(0, csv::Position::line);
            invalid(source, line, "the row cannot be read".to_owned()).cause(cause)
        })?;
        let line = row.position().map_or(0, csv::Position::line);
        let date_text = row.get(date_column).unwrap_or_default();
        let Ok(date) = NaiveDate::parse_from_str(date_text, "%Y-%m-%d") else {
            return Err(invalid(source, line, format!("`{date_text}` is not a date yyyy-mm-dd")));
        };
        let is_off = match row.get(off_column).unwrap_or_default() {
            "true" | "1" => true,
            "false" | "0" => false,
            other => {
                return Err(invalid(
                    source,
                    line,
                    format!("is_off_day is `{other}`, expected `true` or `false`"),
                ));
            }
        };
        if listed.insert(date.to_epoch_days(), is_off).is_some() {
            return Err(invalid(source, line, format!("{date} is listed twice")));
        }
    }
    Ok(listed)
}

fn known_years(listed: &BTreeMap<i32, bool>, source: &str) -> Result<(i32, i32)> {
    let listed_off = |year: i32, month: u32| {
        day_number(year, month, 1).ok().and_then(|day| listed.get(&day)) == Some(&true)
    };
    let mut years: Vec<i32> =
        listed.keys().filter_map(|day| date_of(*day)).map(|date| date.year()).collect();
    years.dedup();
    let known: Vec<i32> =
        years.into_iter().filter(|year| listed_off(*year, 1) && listed_off(*year, 10)).collect();

    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return Err(calendar_error(format!("{source}: no year is complete"))
            .hint("a complete year lists its holidays, 01-01 and 10-01 among them"));
    };
    for pair in known.windows(2) {
        if pair[1] != pair[0] + 1 {
            let missing = pair[0] + 1;
            return Err(calendar_error(format!(
                "{source}: {missing} is missing or incomplete between known years"
            ))
            .hint(format!("add the holidays and make-up days of {missing}")));
        }
    }
    Ok((*first, *last))
}

fn day_number(year: i32, month: u32, day: u32) -> Result<i32> {
    NaiveDate::from_ymd_opt(year, month, day)
        .map(|date| date.to_epoch_days())
        .ok_or_else(|| calendar_error(format!("the year {year} is out of range")))
}

fn date_of(day: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(day)
}

/// The year of a day, approximate for days no calendar date can hold.
fn year_of(day: i32) -> i64 {
    date_of(day).map_or(1970 + i64::from(day) / 366, |date| i64::from(date.year()))
}

fn calendar_error(message: String) -> Error {
    Error::new(ErrorKind::Config, "E-CALENDAR", message)
}

fn invalid(source: &str, line: u64, message: String) -> Error {
    calendar_error(format!("{source}:{line}: {message}"))
}

#[cfg(test)]
mod tests;
