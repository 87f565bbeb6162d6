//! The figures side by side.

use maud::{Markup, html};

use super::{unit_of_change, value};
use crate::console::format::{count, grouped};
use crate::console::layout::{Page, Sheet};
use crate::console::parts::{badge, empty, section, sparkline};
use crate::console::words::Tone;
use crate::data::Figure;

/// All figures.
pub(crate) fn list(page: &Page, figures: &[Figure]) -> Sheet {
    let (ratios, counts): (Vec<&Figure>, Vec<&Figure>) =
        figures.iter().partition(|figure| figure.unit == "percent");
    let body = html! {
        @if figures.is_empty() {
            (empty(
                page.t("No figures yet", "还没有指标"),
                page.t("A metric is a file in pipelines/metrics.", "指标是 pipelines/metrics 中的文件。"),
            ))
        }
        @if !ratios.is_empty() { (section(page.t("Ratios", "比例"), "", tiles(page, &ratios))) }
        @if !counts.is_empty() { (section(page.t("Counts", "数量"), "", tiles(page, &counts))) }
    };
    Sheet::new(page.t("Figures", "指标"), body).lead(html! {
        p { (page.t(
            "Each figure opens to its definition, the rows it counts, and why it moved.",
            "每个指标都可以点开，查看口径、明细和变化的原因。",
        )) }
    })
}

/// Figures as tiles that open.
pub(crate) fn tiles(page: &Page, figures: &[&Figure]) -> Markup {
    html! { div.tiles { @for figure in figures { (tile(page, figure)) } } }
}

fn tile(page: &Page, figure: &Figure) -> Markup {
    let heights: Vec<f64> = figure.trend.iter().map(|point| point.height).collect();
    html! {
        article.tile {
            h3 { a href=(format!("/figures/{}", figure.key)) { (figure.title) } }
            p.value { (value(page, &figure.unit, figure.value.as_deref(), figure.numerator)) }
            p.fraction {
                @if let (Some(over), Some(under)) = (figure.numerator, figure.denominator) {
                    (count(over)) " / " (count(under))
                }
            }
            p.move { (moved(page, figure)) }
            @if heights.len() > 1 { (sparkline(&heights, &trend_words(figure))) }
            @if !figure.held_back_by.is_empty() {
                p { (badge(page.t("held back by an audit", "被审核规则暂缓"), Tone::Warn)) }
            }
        }
    }
}

/// How a figure moved since the day before.
pub(crate) fn moved(page: &Page, figure: &Figure) -> Markup {
    let Some(change) = &figure.change else {
        return html! { span { (page.t("nothing to compare with yet", "暂无前日可比")) } };
    };
    let since = page.t("since the day before", "较前一日");
    let size = change.trim_start_matches(['+', '-']);
    if size.chars().all(|letter| matches!(letter, '0' | '.')) {
        return html! { span { (since) " " (page.t("unchanged", "持平")) } };
    }
    let arrow = if change.starts_with('-') { "▼" } else { "▲" };
    html! {
        b { (arrow) " " (grouped(size)) (unit_of_change(page, &figure.unit)) }
        span { (since) }
    }
}

/// A trend in words, for who does not see it.
pub(crate) fn trend_words(figure: &Figure) -> String {
    let unit = if figure.unit == "percent" { "%" } else { "" };
    match figure.trend.as_slice() {
        [] => String::new(),
        [only] => format!("{}: {} {}{unit}", figure.title, only.day, only.text),
        [first, .., last] => format!(
            "{}: {} {}{unit} → {} {}{unit}",
            figure.title, first.day, first.text, last.day, last.text
        ),
    }
}
