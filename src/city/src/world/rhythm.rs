//! How many cases each day has, and at which time of the day.

use rand::Rng;
use rand::rngs::StdRng;

use super::items::scaled;
use super::moment::{Moment, day_of, is_workday};
use crate::seed::chance;

/// Cases of 2018 in the report.
const REPORT_CASES: f64 = 346_499.0;
/// Cases from the start to 2018-06-27 in the report.
const REPORT_EARLY_CASES: f64 = 24_521.0;
/// How many of those we place in 2017.
const FIRST_DAYS_CASES: f64 = 480.0;
/// The share of a working day's cases that a day off has.
const DAY_OFF: f64 = 0.03;

/// The figures that the countable cases must give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CaseFigures {
    /// In 2017.
    pub(crate) in_2017: u64,
    /// Up to 2018-06-27, the ones of 2017 among them.
    pub(crate) early: u64,
    /// In 2018.
    pub(crate) in_2018: u64,
}

/// The figures at `scale`.
pub(crate) fn figures(scale: f64) -> CaseFigures {
    CaseFigures {
        in_2017: scaled(FIRST_DAYS_CASES, scale),
        early: scaled(REPORT_EARLY_CASES, scale),
        in_2018: scaled(REPORT_CASES, scale),
    }
}

/// The city's present: 2018-12-13 18:00:00.
pub(crate) fn now() -> Moment {
    Moment::at(day_of("2018-12-13"), 18 * 3600)
}

/// The spans within which a case may move without changing a figure: first and last day.
pub(crate) fn spans() -> [(u32, u32); 3] {
    [
        (day_of("2017-12-20"), day_of("2017-12-31")),
        (day_of("2018-01-01"), day_of("2018-06-27")),
        (day_of("2018-06-28"), day_of("2018-12-13")),
    ]
}

/// For each day with cases, how many.
pub(crate) fn cases_per_day(rng: &mut StdRng, figures: CaseFigures) -> Vec<(u32, u64)> {
    let counts = [
        figures.in_2017,
        figures.early - figures.in_2017,
        figures.in_2018 + figures.in_2017 - figures.early,
    ];
    // Weight on the first and last day of each span: the platform grows.
    let growth = [(0.8, 1.2), (0.4, 1.6), (0.7, 1.3)];
    let mut days = Vec::new();
    for (((first, last), count), (from, to)) in spans().into_iter().zip(counts).zip(growth) {
        let length = f64::from(last - first);
        let weights: Vec<f64> = (first..=last)
            .map(|day| {
                let trend = from + (to - from) * f64::from(day - first) / length;
                let rhythm = if is_workday(day) { 1.0 } else { DAY_OFF };
                trend * rhythm * rng.random_range(0.85..1.15)
            })
            .collect();
        days.extend((first..=last).zip(allot(count, &weights)));
    }
    days
}

/// Splits `total` by `weights`; what is left after rounding down goes to the largest remainders.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(super) fn allot(total: u64, weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|weight| weight / sum * total as f64).collect();
    let mut counts: Vec<u64> = exact.iter().map(|share| share.floor() as u64).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| (exact[*b].fract()).total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    let given: u64 = counts.iter().sum();
    let left = usize::try_from(total.saturating_sub(given)).unwrap_or(0);
    for index in order.into_iter().cycle().take(left) {
        counts[index] += 1;
    }
    counts
}

/// A time of `day` at which people apply.
pub(crate) fn time_of(rng: &mut StdRng, day: u32) -> Moment {
    const HOUR: u32 = 3600;
    let second = if !is_workday(day) {
        rng.random_range(7 * HOUR..22 * HOUR)
    } else if chance(rng, 0.54) {
        rng.random_range(8 * HOUR + 1800..12 * HOUR)
    } else if chance(rng, 0.9) {
        rng.random_range(14 * HOUR..17 * HOUR + 2400)
    } else {
        rng.random_range(6 * HOUR..23 * HOUR)
    };
    let moment = Moment::at(day, second);
    // Nothing happens after the city's present, nor in its last minutes.
    if moment >= now().plus(-600) { Moment::at(day, 9 * HOUR + second % HOUR) } else { moment }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::generator;

    #[test]
    fn the_days_add_up_to_the_report_at_any_scale() {
        for scale in [0.02, 0.37, 1.0] {
            let figures = figures(scale);
            let days = cases_per_day(&mut generator(1, "test"), figures);
            let sum = |from: &str, to: &str| -> u64 {
                let span = day_of(from)..=day_of(to);
                days.iter().filter(|(day, _)| span.contains(day)).map(|(_, count)| count).sum()
            };
            assert_eq!(sum("2018-01-01", "2018-12-13"), figures.in_2018);
            assert_eq!(sum("2017-12-20", "2018-06-27"), figures.early);
        }
        let full = figures(1.0);
        assert_eq!((full.in_2018, full.early), (346_499, 24_521));
    }
}
