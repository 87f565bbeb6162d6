//! What each page says: data in, markup out. Nothing here asks anybody for anything.

pub mod account;
pub mod alert;
pub mod audit;
pub mod difference;
pub mod door;
pub mod figure;
pub mod job;
pub mod metric;
pub mod mistake;
pub mod overview;
pub mod push;
pub mod quarantine;
pub mod query;
pub mod repair;
pub mod run;
pub mod system;
pub mod trace;
pub mod user;

use maud::{Markup, html};

use super::format::grouped;
use super::layout::Page;

/// A value with its unit, as large as a figure is.
fn value(page: &Page, unit: &str, value: Option<&str>, numerator: Option<i64>) -> Markup {
    match (value, numerator) {
        (Some(value), _) => html! {
            data value=(value) { (grouped(value)) }
            @if unit == "percent" { span.unit { "%" } }
        },
        (None, Some(_)) => html! { span.nothing { (page.t("nothing to count", "没有分母")) } },
        (None, None) => html! { span.nothing { (page.t("not computed yet", "尚未计算")) } },
    }
}

/// What stands behind a unit when a change is said.
fn unit_of_change<'a>(page: &Page, unit: &str) -> &'a str {
    match (unit, page.t("en", "zh")) {
        ("percent", "en") => " points",
        ("percent", _) => " 个百分点",
        _ => "",
    }
}
