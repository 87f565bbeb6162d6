//! Forms: every field has its label, every form that changes something its token.

use maud::{Markup, html};

use crate::console::layout::{Page, token};

/// One of several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// What is sent.
    pub(crate) value: String,
    /// What is read.
    pub(crate) title: String,
}

impl Choice {
    /// A value with its name.
    pub(crate) fn new(value: impl Into<String>, title: impl Into<String>) -> Self {
        Self { value: value.into(), title: title.into() }
    }
}

/// A line to write into. `more` is attributes as words: `required`, `password`, `date`.
pub(crate) fn text_field(name: &str, label: &str, value: &str, more: &str) -> Markup {
    let has = |word: &str| more.split(' ').any(|part| part == word);
    let kind = ["password", "date", "number", "search"].into_iter().find(|kind| has(kind));
    let complete = ["username", "current-password", "new-password", "one-time-code", "off"]
        .into_iter()
        .find(|word| has(word));
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type=(kind.unwrap_or("text")) value=(value)
                required[has("required")] autofocus[has("autofocus")] autocomplete=[complete];
        }
    }
}

/// The line for a reason, with an id of its own for pages that have several.
pub(crate) fn reason_field(label: &str, id: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            input id=(id) name="reason" type="text" required autocomplete="off";
        }
    }
}

/// Several lines to write into.
pub(crate) fn area_field(name: &str, label: &str, value: &str, rows: u32) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            textarea id=(name) name=(name) rows=(rows) spellcheck="false" data-send { (value) }
        }
    }
}

/// One of several values; the first choice is what stands for all of them.
pub(crate) fn choice_field(name: &str, label: &str, value: &str, choices: &[Choice]) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @for choice in choices {
                    option value=(choice.value) selected[choice.value == value] { (choice.title) }
                }
            }
        }
    }
}

/// A form of filters, which stay in the address.
pub(crate) fn filters(page: &Page, path: &str, fields: Markup, is_set: bool) -> Markup {
    html! {
        form.filters method="get" action=(path) role="search" {
            (fields)
            div.filterbuttons {
                button type="submit" { (page.t("Filter", "筛选")) }
                @if is_set { a href=(path) { (page.t("Show all", "清除条件")) } }
            }
        }
    }
}

/// A form that changes something.
pub(crate) fn post_form(page: &Page, path: &str, class: &str, body: Markup) -> Markup {
    html! { form.(class) method="post" action=(path) { (token(page)) (body) } }
}

/// A button that does what a page is mostly for.
pub(crate) fn button(text: &str) -> Markup {
    html! { button.primary type="submit" { (text) } }
}

/// A button that does what cannot be taken back.
pub(crate) fn danger_button(text: &str) -> Markup {
    html! { button.danger type="submit" { (text) } }
}
