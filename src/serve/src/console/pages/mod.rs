//! What each page says: data in, markup out. Nothing here asks anybody for anything.

pub(crate) mod account;
pub(crate) mod alert;
pub(crate) mod audit;
pub(crate) mod difference;
pub(crate) mod door;
pub(crate) mod figure;
pub(crate) mod job;
pub(crate) mod metric;
pub(crate) mod mistake;
pub(crate) mod overview;
pub(crate) mod push;
pub(crate) mod quarantine;
pub(crate) mod query;
pub(crate) mod repair;
pub(crate) mod run;
pub(crate) mod system;
pub(crate) mod trace;
pub(crate) mod user;

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
fn unit_of_change(page: &Page, unit: &str) -> &'static str {
    match (unit, page.t("en", "zh")) {
        ("percent", "en") => " points",
        ("percent", _) => " 个百分点",
        _ => "",
    }
}
