//! The figures of the city beside those of the report, as `pipelines/reports/2018.csv` says.

use std::path::Path;

use huiliu_core::code_table::CodeTable;
use huiliu_core::model::Unit;
use huiliu_engine::Figure;
use huiliu_sdk::{Error, ErrorKind};

/// One figure beside the report's.
pub(super) struct Compared {
    pub(super) figure: Figure,
    pub(super) report: Option<String>,
    pub(super) matches: Option<bool>,
}

/// All figures, those of the report first and in its order.
pub(super) struct Comparison {
    pub(super) figures: Vec<Compared>,
    /// What the report has and no metric computes: key and value.
    pub(super) without_figure: Vec<(String, String)>,
}

/// Between which values the report's number lies.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    from: f64,
    to: f64,
}

/// Puts the report's figures beside the computed ones. In a smaller or larger city those that grow
/// with it are compared with their share.
pub(super) fn compare(
    project: &Path,
    figures: Vec<Figure>,
    scale: f64,
) -> Result<Comparison, Error> {
    let file = project.join("pipelines/reports/2018.csv");
    let text = std::fs::read_to_string(&file).map_err(|error| {
        let message = format!("{} cannot be read", file.display());
        Error::new(ErrorKind::Config, "E-PROJECT", message).cause(error)
    })?;
    // The report's columns in the order of a code table: key, value.
    let table = CodeTable::parse("2018", &text.replacen("key,value", "code,value", 1))?;
    let order: Vec<&str> = table.rows().filter_map(|row| row.first().map(String::as_str)).collect();
    let place = |key: &str| order.iter().position(|known| *known == key).unwrap_or(usize::MAX);
    let mut figures = figures;
    figures.sort_by_key(|figure| place(&figure.key));
    let without_figure = order
        .iter()
        .filter(|key| figures.iter().all(|figure| figure.key != **key))
        .map(|key| ((*key).to_owned(), table.value(key).unwrap_or_default().to_owned()))
        .collect();
    let compared = |figure: Figure| {
        let report = table.value(&figure.key).map(str::to_owned);
        let rounding = table.field(&figure.key, "rounding").unwrap_or_default();
        let grows = table.field(&figure.key, "scales") == Some("yes");
        let matches = report
            .as_deref()
            .and_then(|report| span(report, rounding))
            .map(|span| fits(&figure, span, grows, scale));
        Compared { figure, report, matches }
    };
    Ok(Comparison { figures: figures.into_iter().map(compared).collect(), without_figure })
}

/// Whether the city is as large as the real one.
pub(super) fn is_whole(scale: f64) -> bool {
    (scale - 1.0).abs() < f64::EPSILON
}

/// The numbers that the report writes as `number`: rounded to its last digit, to the nearest
/// multiple of another number (约), or down to one (余).
fn span(number: &str, rounding: &str) -> Option<Span> {
    let value: f64 = number.parse().ok()?;
    let digits = number.split_once('.').map_or(0, |(_, digits)| digits.len());
    let last = 10_f64.powi(-i32::try_from(digits).ok()?);
    Some(match rounding.split_once(' ') {
        None => Span { from: value - last / 2.0, to: value + last / 2.0 },
        Some(("near", step)) => {
            let step: f64 = step.parse().ok()?;
            Span { from: value - step / 2.0, to: value + step / 2.0 }
        }
        Some(("down", step)) => Span { from: value, to: value + step.parse::<f64>().ok()? },
        Some(_) => return None,
    })
}

fn fits(figure: &Figure, span: Span, grows: bool, scale: f64) -> bool {
    let Some(value) = figure.value.as_deref().and_then(|value| value.parse::<f64>().ok()) else {
        return false;
    };
    let share = if grows { scale } else { 1.0 };
    // A share of the report need not be a whole number of rows, of which the city consists.
    let row = match (figure.unit, figure.denominator) {
        _ if is_whole(scale) => 0.0,
        #[allow(clippy::cast_precision_loss)] // counts are far below 2^53
        (Unit::Percent, Some(denominator)) if denominator > 0 => 100.0 / denominator as f64,
        _ if grows => 0.5,
        _ => 0.0,
    };
    (span.from * share - row..=span.to * share + row).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(unit: Unit, value: &str, denominator: Option<i64>) -> Figure {
        Figure {
            key: "k".into(),
            title: String::new(),
            unit,
            value: Some(value.into()),
            numerator: 0,
            denominator,
            definition: String::new(),
            valid_from: String::new(),
            owner: String::new(),
            snapshot: 1,
        }
    }

    #[test]
    fn at_full_size_every_digit_that_the_report_has_must_be_right() {
        let fit = |value: &str, report: &str, rounding: &str| {
            fits(&figure(Unit::Count, value, None), span(report, rounding).unwrap(), true, 1.0)
        };
        assert!(fit("346499", "346499", "") && !fit("346500", "346499", ""));
        assert!(fit("99.97", "99.97", "") && !fit("99.96", "99.97", ""));
        assert!(fit("115326", "110000", "down 10000") && !fit("109999", "110000", "down 10000"));
        assert!(fit("50271", "50000", "near 10000") && !fit("44999", "50000", "near 10000"));
        assert_eq!(span("1", "up 10"), None);
        assert_eq!(span("2017-12-20", ""), None);
    }

    #[test]
    fn a_smaller_city_has_its_share_of_what_grows_and_all_of_the_rest() {
        let fit = |unit, value: &str, of, report: &str, grows| {
            fits(&figure(unit, value, of), span(report, "").unwrap(), grows, 0.05)
        };
        assert!(fit(Unit::Count, "17325", None, "346499", true));
        assert!(!fit(Unit::Count, "17327", None, "346499", true));
        assert!(fit(Unit::Count, "39", None, "39", false));
        assert!(!fit(Unit::Count, "2", None, "39", false));
        assert!(fit(Unit::Percent, "99.96", Some(2618), "99.97", false));
        assert!(!fit(Unit::Percent, "99.90", Some(2618), "99.97", false));
    }
}
