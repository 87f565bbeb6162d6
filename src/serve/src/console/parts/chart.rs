//! Charts as SVG. Their colours are classes of the style, for nothing may be styled in place.

use huiliu_page::chart;
use maud::{Markup, html};

use crate::console::format::grouped;

pub(crate) use huiliu_page::chart::sparkline;

/// A bar of parts side by side. `title` says the same in words.
pub(crate) fn balance_bar(parts: &[u64], full: u64, title: &str) -> Markup {
    chart::bar(parts, full, title)
}

/// How much of a whole something is.
pub(crate) fn share_bar(part: u64, full: u64, title: &str) -> Markup {
    chart::bar(&[part], full, title)
}

/// A line over time: what stands under and beside its points, and how high they are.
pub(crate) struct Series<'a> {
    /// Name of each point and its value as it is read.
    pub(crate) points: &'a [(String, String)],
    /// What it shows, in words.
    pub(crate) title: &'a str,
    /// The unit behind values.
    pub(crate) unit: &'a str,
}

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 18.0;
const FOOT: f64 = 34.0;
/// Lines across the chart.
const GROUNDS: usize = 4;
/// Points that are marked each; more would be a caterpillar.
const MARKED: usize = 40;

/// A series as a line with its scale.
pub(crate) fn series_chart(series: &Series<'_>) -> Markup {
    let known: Vec<(usize, &str, &str, f64)> = series
        .points
        .iter()
        .enumerate()
        .filter_map(|(index, (name, text))| {
            Some((index, name.as_str(), text.as_str(), text.parse::<f64>().ok()?))
        })
        .collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return html! {} };
    let low = known.iter().map(|point| point.3).fold(f64::INFINITY, f64::min);
    let high = known.iter().map(|point| point.3).fold(f64::NEG_INFINITY, f64::max);
    // A flat line lies in the middle, and a small move is not made to look like a large one.
    let room = (high - low).max(high.abs() * 0.001).max(1e-9);
    let (floor, mut ceiling) = (low - room * 0.15, high + room * 0.15);
    // No scale goes beyond all there is.
    if series.unit == "%" && high <= 100.0 {
        ceiling = ceiling.min(100.0);
    }
    let steps = series.points.len().saturating_sub(1).max(1) as f64;
    let x = |index: usize| match series.points.len() {
        1 => f64::midpoint(LEFT, WIDTH - RIGHT),
        _ => LEFT + index as f64 / steps * (WIDTH - LEFT - RIGHT),
    };
    let y = |value: f64| TOP + (ceiling - value) / (ceiling - floor) * (HEIGHT - TOP - FOOT);
    let line: Vec<String> =
        known.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.3))).collect();
    let line = line.join(" ");
    let base = HEIGHT - FOOT;
    let digits = first.2.split_once('.').map_or(0, |(_, part)| part.len());
    let precision = if room < 2.0 { digits.max(2) } else { digits.min(1) };
    let grounds = (0..=GROUNDS).map(|step| {
        let value = floor + (ceiling - floor) * step as f64 / GROUNDS as f64;
        (y(value), grouped(&format!("{value:.precision$}")))
    });
    html! {
        svg.series viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" {
            title { (series.title) }
            @for (at, text) in grounds {
                line.ground x1=(LEFT) x2=(WIDTH - RIGHT) y1=(format!("{at:.1}")) y2=(format!("{at:.1}")) {}
                text.scale x=(LEFT - 10.0) y=(format!("{:.1}", at + 4.0)) { (text) }
            }
            polygon points=(format!("{:.1},{base:.1} {line} {:.1},{base:.1}", x(first.0), x(last.0))) {}
            polyline points=(line) {}
            @if known.len() <= MARKED {
                @for (index, name, text, value) in &known {
                    circle cx=(format!("{:.1}", x(*index))) cy=(format!("{:.1}", y(*value))) r="3.5" {
                        title { (name) " " (grouped(text)) (series.unit) }
                    }
                }
            }
            text.foot x=(LEFT) y=(HEIGHT - 8.0) { (first.1) }
            @if known.len() > 1 { text.foot.end x=(WIDTH - RIGHT) y=(HEIGHT - 8.0) { (last.1) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stays_in_its_place_whatever_its_values() {
        for values in [vec![], vec!["5"], vec!["5", "5"], vec!["1", "-", "1000000"], vec!["0", "0"]]
        {
            let points: Vec<(String, String)> =
                values.iter().map(|value| ("2018-12-13".to_owned(), (*value).to_owned())).collect();
            let series = Series { points: &points, title: "t", unit: "" };
            let text = series_chart(&series).into_string();
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            assert_eq!(text.is_empty(), values.is_empty());
        }
    }
}
