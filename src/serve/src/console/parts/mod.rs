//! What pages are put together from.

mod chart;
mod form;
mod table;
mod timeline;

use huiliu_core::access::Permission;
use maud::{Markup, html};

use super::format::count;
use super::layout::Page;
use super::words::{self, Tone};
use crate::data::Freshness;

pub(crate) use chart::{Series, balance_bar, series_chart, share_bar, sparkline};
pub(crate) use form::{
    Choice, area_field, button, choice_field, danger_button, filters, post_form, reason_field,
    text_field,
};
pub(crate) use table::{address, data_table, dense_table, number, pager, table, text, word};
pub(crate) use timeline::{Event, timeline};

/// A word with its colour and sign.
pub(crate) fn badge(text: &str, tone: Tone) -> Markup {
    html! {
        span.badge.(tone.class()) { span.sign aria-hidden="true" { (tone.sign()) } (text) }
    }
}

/// How fresh a stream is.
pub(crate) fn freshness(page: &Page, of: Freshness) -> Markup {
    let (text, tone) = match of {
        Freshness::Unknown => (page.t("not judged yet", "暂不判断"), Tone::Calm),
        Freshness::Fresh => (page.t("fresh", "正常"), Tone::Good),
        Freshness::LateButUsual => (page.t("late but usual", "偏晚但常见"), Tone::Warn),
        Freshness::Missing => (page.t("missing", "缺失"), Tone::Bad),
    };
    badge(text, tone)
}

/// A code, as long as it is one.
pub(crate) fn code(text: &str) -> Markup {
    html! { @if !text.is_empty() { code { (text) } } }
}

/// A text, or a dash.
pub(crate) fn maybe(text: Option<&str>) -> Markup {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => html! { (text) },
        None => html! { span.nothing { "—" } },
    }
}

/// A number, faint when it is nothing.
pub(crate) fn quantity(number: u64) -> Markup {
    html! { span.zero[number == 0] { (count(number)) } }
}

/// A link for who may follow it; for others the text alone.
pub(crate) fn link(page: &Page, needs: Permission, path: &str, text: Markup) -> Markup {
    match page.may(needs) {
        true => html! { a href=(path) { (text) } },
        false => text,
    }
}

/// A link to a run.
pub(crate) fn run_link(run: i64) -> Markup {
    html! { a href=(format!("/runs/{run}")) { "#" (run) } }
}

/// How something stands.
pub(crate) fn state(page: &Page, code: &str) -> Markup {
    let (text, tone) = words::state(code, page.language);
    badge(&text, tone)
}

/// A part of a page with its heading.
pub(crate) fn section(title: &str, note: &str, body: Markup) -> Markup {
    html! {
        section.part {
            div.parthead { h2 { (title) } @if !note.is_empty() { p { (note) } } }
            (body)
        }
    }
}

/// What is said where there is nothing: why, and what fills it.
pub(crate) fn empty(title: &str, what: &str) -> Markup {
    html! {
        div.empty {
            svg.emptysign viewBox="0 0 64 40" aria-hidden="true" focusable="false" {
                path d="M4 30c10 0 10-8 20-8s10 8 20 8 10-8 16-8" {}
                path d="M4 20c10 0 10-8 20-8s10 8 20 8 10-8 16-8" {}
            }
            p.emptytitle { (title) }
            @if !what.is_empty() { p.soft { (what) } }
        }
    }
}

/// Names with their values.
pub(crate) fn facts(pairs: Vec<(&str, Markup)>) -> Markup {
    html! {
        dl.facts { @for (name, value) in pairs { div { dt { (name) } dd { (value) } } } }
    }
}

/// Numbers that say how things stand, side by side.
pub(crate) fn tally(pairs: Vec<(String, String, Tone)>) -> Markup {
    html! {
        dl.tally {
            @for (name, value, tone) in pairs {
                div.(tone.class()) { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// An error as a person reads it: what happened, what to do, its code.
pub(crate) fn trouble(page: &Page, code: &str, message: &str, hint: Option<&str>) -> Markup {
    html! {
        div.trouble role="alert" {
            p { span.sign aria-hidden="true" { "✕" } b { (message) } }
            @if let Some(hint) = hint.filter(|hint| !hint.is_empty()) {
                p { span.soft { (page.t("What to do: ", "怎么办：")) } (hint) }
            }
            @if !code.is_empty() { p.soft { code { (code) } } }
        }
    }
}
