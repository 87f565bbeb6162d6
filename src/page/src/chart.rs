//! Charts as SVG in the page.

use maud::{Markup, html};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;
/// Room for the width of the line.
const EDGE: f64 = 3.0;

/// A small line over time that fills its place. `title` says in words what it shows. Lines keep
/// their width however it is stretched.
pub(crate) fn sparkline(heights: &[f64], title: &str) -> Markup {
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
pub(crate) fn bar(parts: &[u64], full: u64, title: &str) -> Markup {
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
