//! Charts as SVG in the page. What draws them says nothing of colours: those are classes.

use maud::{Markup, html};

use crate::report::{Chart, Table};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;
/// Room for the width of the line.
const EDGE: f64 = 3.0;

/// A small line over time that fills its place. `title` says in words what it shows. Lines keep
/// their width however it is stretched.
pub fn sparkline(heights: &[f64], title: &str) -> Markup {
    let places = line_places(heights);
    let text: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let line = text.join(" ");
    let last = places.last().copied();
    let moves = places.iter().any(|(_, y)| Some(*y) != last.map(|(_, y)| y));
    html! {
        svg.spark viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" {
            title { (title) }
            @if let (Some((first_x, _)), Some((x, y))) = (places.first(), last) {
                @if places.len() > 1 {
                    @if moves { polygon points=(format!("{first_x:.1},{HEIGHT} {line} {x:.1},{HEIGHT}")) {} }
                    polyline points=(line) {}
                } @else {
                    path.ground d=(format!("M0,{y:.1}H{x:.1}")) {}
                }
                // A dot that stays round: a line of no length with round ends.
                path.now d=(format!("M{x:.1},{y:.1}h0")) {}
            }
        }
    }
}

/// Where the points of a line are: from left to right, the highest value at the top. A line that
/// does not move is in the middle.
fn line_places(heights: &[f64]) -> Vec<(f64, f64)> {
    let low = heights.iter().copied().fold(f64::INFINITY, f64::min);
    let high = heights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let steps = heights.len().saturating_sub(1);
    let place = |(index, value): (usize, &f64)| {
        let along = if steps == 0 { 1.0 } else { index as f64 / steps as f64 };
        let up = if high > low { (value - low) / (high - low) } else { 0.5 };
        (EDGE + along * (WIDTH - 2.0 * EDGE), HEIGHT - EDGE - up * (HEIGHT - 2.0 * EDGE))
    };
    heights.iter().enumerate().map(place).collect()
}

/// A bar of parts side by side, as long as its share of `full`. `title` says the same in words.
pub fn bar(parts: &[u64], full: u64, title: &str) -> Markup {
    let share = |count: u64| count as f64 * 100.0 / full.max(1) as f64;
    let mut from = 0.0;
    let mut pieces = Vec::new();
    for (index, count) in parts.iter().enumerate().filter(|(_, count)| **count > 0) {
        pieces.push((index, from, share(*count)));
        from += share(*count);
    }
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" role="img" {
            title { (title) }
            @for (index, x, width) in pieces {
                rect class=(format!("k{}", index + 1)) x=(format!("{x:.2}")) y="0"
                    width=(format!("{width:.2}")) height="10" {}
            }
        }
    }
}

/// Rows that are drawn as bars; the table has the others too.
const BARS: usize = 20;
/// Height of a bar with its gap, and what is taken by names and numbers beside it.
const STEP: f64 = 26.0;
const NAMES: f64 = 190.0;
const NUMBERS: f64 = 90.0;
/// A chart's width; it is stretched as a whole.
const BREADTH: f64 = 760.0;
/// Height of a chart of lines, and the room under it for words.
const TALL: f64 = 240.0;
const FOOT: f64 = 26.0;
/// Colours there are.
const COLOURS: usize = 6;

/// Lying bars, a row each, the first column of numbers.
pub(crate) fn bars(table: &Table, chart: &Chart, title: &str) -> Markup {
    let column = chart.y.first().copied().unwrap_or_default();
    let numbers = table.numbers(column);
    let shown = numbers.len().min(BARS);
    let most = numbers.iter().take(shown).flatten().copied().fold(0.0, f64::max);
    let room = BREADTH - NAMES - NUMBERS;
    let long = |number: f64| if most > 0.0 { (number.max(0.0) / most) * room } else { 0.0 };
    let height = STEP * shown as f64;
    html! {
        svg.chart viewBox=(format!("0 0 {BREADTH} {height}")) role="img" {
            title { (title) }
            @for (row, number) in numbers.iter().enumerate().take(shown) {
                @let y = STEP * row as f64;
                text.name x=(format!("{:.1}", NAMES - 10.0)) y=(format!("{:.1}", y + 17.0)) {
                    (table.text(row, chart.x))
                }
                rect.k1 x=(format!("{NAMES:.1}")) y=(format!("{:.1}", y + 4.0))
                    width=(format!("{:.1}", long(number.unwrap_or(0.0)))) height=(format!("{:.1}", STEP - 8.0)) {}
                text x=(format!("{:.1}", NAMES + long(number.unwrap_or(0.0)) + 8.0))
                    y=(format!("{:.1}", y + 17.0)) { (table.text(row, column)) }
            }
        }
    }
}

/// A line for each column of numbers, from the first row to the last.
pub(crate) fn lines(table: &Table, chart: &Chart, title: &str) -> Markup {
    let columns: Vec<Vec<Option<f64>>> =
        chart.y.iter().map(|column| table.numbers(*column)).collect();
    let most = columns.iter().flatten().flatten().copied().fold(0.0, f64::max);
    let steps = table.rows.len().saturating_sub(1).max(1) as f64;
    let place = |row: usize, number: f64| {
        let up = if most > 0.0 { number / most } else { 0.0 };
        let x = 12.0 + row as f64 / steps * (BREADTH - 24.0);
        (x, 14.0 + (1.0 - up) * (TALL - FOOT - 24.0))
    };
    let last = table.rows.len().saturating_sub(1);
    html! {
        svg.chart viewBox=(format!("0 0 {BREADTH} {TALL}")) role="img" {
            title { (title) }
            line.ground x1="12" x2=(format!("{:.0}", BREADTH - 12.0))
                y1=(format!("{:.1}", TALL - FOOT - 10.0)) y2=(format!("{:.1}", TALL - FOOT - 10.0)) {}
            @for (number, column) in columns.iter().enumerate() {
                polyline class=(format!("l{}", number % COLOURS + 1)) points=(points(column, place)) {}
            }
            text x="12" y=(format!("{:.1}", TALL - 8.0)) { (table.text(0, chart.x)) }
            text.name x=(format!("{:.0}", BREADTH - 12.0)) y=(format!("{:.1}", TALL - 8.0)) {
                (table.text(last, chart.x))
            }
            text x="12" y="12" { (most) }
        }
        p.legend {
            @for (number, column) in chart.y.iter().enumerate() {
                span { i.key.(format!("k{}", number % COLOURS + 1)) {}
                    (table.columns.get(*column).map(|c| c.title.as_str()).unwrap_or_default()) }
            }
        }
    }
}

/// The points of a line; rows without a number are left out.
fn points(column: &[Option<f64>], place: impl Fn(usize, f64) -> (f64, f64)) -> String {
    let known = column.iter().enumerate().filter_map(|(row, number)| Some((row, (*number)?)));
    let places = known.map(|(row, number)| place(row, number));
    places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_spans_its_place_and_a_flat_one_is_in_the_middle() {
        let places = line_places(&[1.0, 3.0, 2.0]);
        assert_eq!(places[0], (EDGE, HEIGHT - EDGE));
        assert_eq!(places[1], (WIDTH / 2.0, EDGE));
        assert_eq!(places[2], (WIDTH - EDGE, HEIGHT / 2.0));
        assert_eq!(line_places(&[5.0, 5.0]), [(EDGE, 16.0), (WIDTH - EDGE, 16.0)]);
        assert_eq!(line_places(&[]), []);
        let one = sparkline(&[7.0], "一天").into_string();
        assert!(one.contains("M117.0,16.0h0") && !one.contains("polyline"), "{one}");
    }

    #[test]
    fn the_parts_of_a_bar_join_and_empty_ones_are_left_out() {
        let bar = bar(&[30, 0, 20], 100, "甲 50").into_string();
        assert!(bar.contains(r#"<rect class="k1" x="0.00" y="0" width="30.00""#), "{bar}");
        assert!(bar.contains(r#"<rect class="k3" x="30.00" y="0" width="20.00""#), "{bar}");
        assert!(!bar.contains("k2"), "{bar}");
        assert!(!super::bar(&[], 0, "").into_string().contains("NaN"));
    }
}
