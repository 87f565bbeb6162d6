//! The figures: value, parts, change, trend, definition.

use maud::{Markup, html};

use super::section_head;
use crate::chart::sparkline;
use crate::daily::{Daily, Figure};
use crate::text;

pub(super) fn section(daily: &Daily) -> Markup {
    let (ratios, counts): (Vec<&Figure>, Vec<&Figure>) =
        daily.figures.iter().partition(|figure| figure.is_percent);
    html! {
        section aria-labelledby="figures" {
            (section_head("figures", "指标", "与前一日相比，折线为近一个月每日日终的数"))
            @if daily.figures.is_empty() { p.none { "项目里还没有指标。" } }
            @if !ratios.is_empty() {
                div.cards.ratios { @for figure in ratios { (card(figure)) } }
            }
            @if !counts.is_empty() {
                div.cards.counts { @for figure in counts { (card(figure)) } }
            }
        }
    }
}

/// What the figures mean, for paper, where nothing can be unfolded.
pub(super) fn definitions(daily: &Daily) -> Markup {
    html! {
        @if !daily.figures.is_empty() {
            section.paper aria-labelledby="definitions" {
                (section_head("definitions", "指标口径", ""))
                dl {
                    @for figure in &daily.figures {
                        dt { (figure.title) }
                        dd { (meaning(figure)) }
                    }
                }
            }
        }
    }
}

fn meaning(figure: &Figure) -> Markup {
    html! {
        p { (figure.definition) }
        p.small {
            span { "负责：" (figure.owner) }
            span { "自 " (figure.valid_from) " 起" }
            @if let Some(snapshot) = figure.snapshot { span { "快照 " (snapshot) } }
            code { (figure.key) }
        }
    }
}

fn card(figure: &Figure) -> Markup {
    html! {
        article.card {
            h3 { (figure.title) }
            p.value {
                @match (&figure.value, figure.numerator) {
                    (Some(value), _) => {
                        data value=(value) { (value) }
                        @if figure.is_percent { span.unit { "%" } }
                    }
                    (None, Some(_)) => { span.none { "没有分母" } }
                    (None, None) => { span.none { "尚未计算" } }
                }
            }
            p.parts {
                @if let (Some(numerator), Some(denominator)) = (figure.numerator, figure.denominator) {
                    (numerator) " / " (denominator)
                }
            }
            div.move {
                p { (change(figure)) }
                (sparkline(&heights(figure), &trend_words(figure)))
            }
            details {
                summary { "口径" }
                (meaning(figure))
            }
        }
    }
}

fn change(figure: &Figure) -> Markup {
    let Some(change) = &figure.change else {
        return html! { span.flat { "无前日可比" } };
    };
    let unit = if figure.is_percent { " 个百分点" } else { "" };
    let redefined = if change.is_redefined { "，口径有变" } else { "" };
    let since = format!("较{}", text::short_day(&change.since));
    let is_nothing = change.size.chars().all(|c| matches!(c, '0' | '.'));
    match (change.sign, is_nothing) {
        (0, _) => html! { span.flat { (since) " 持平" (redefined) } },
        (sign, true) => {
            let way = if sign > 0 { "微升" } else { "微降" };
            html! { span.flat { (since) " " (way) "，不足一位" (redefined) } }
        }
        (sign, false) => {
            let (class, arrow) = if sign > 0 { ("up", "▲") } else { ("down", "▼") };
            html! {
                span class=(class) { (arrow) " " (change.size) (unit) }
                span.since { (since) (redefined) }
            }
        }
    }
}

fn heights(figure: &Figure) -> Vec<f64> {
    figure.trend.iter().map(|point| point.height).collect()
}

fn trend_words(figure: &Figure) -> String {
    let unit = if figure.is_percent { "%" } else { "" };
    let name = &figure.title;
    match figure.trend.as_slice() {
        [] => format!("{name}：还没有数"),
        [only] => {
            format!("{name}：只有 {} 一天的数，{}{unit}", text::short_day(&only.day), only.text)
        }
        [first, .., last] => format!(
            "{name}：{} {}{unit}，{} {}{unit}，共 {} 天",
            text::short_day(&first.day),
            first.text,
            text::short_day(&last.day),
            last.text,
            figure.trend.len()
        ),
    }
}
