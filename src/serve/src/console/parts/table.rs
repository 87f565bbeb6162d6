//! Tables, and pages of them.

use maud::{Markup, html};

use crate::console::layout::Page;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    title: String,
    class: &'static str,
}

/// A column of text.
pub fn text(title: &str) -> Column {
    Column { title: title.to_owned(), class: "" }
}

/// A column of numbers, right-aligned.
pub fn number(title: &str) -> Column {
    Column { title: title.to_owned(), class: "num" }
}

/// A column of short words that are not broken.
pub fn word(title: &str) -> Column {
    Column { title: title.to_owned(), class: "word" }
}

/// A table. The first cell of a row is its heading. Where there is no room each row is a block
/// whose cells are named, so roles are said that the blocks would lose.
pub fn table(caption: &str, columns: &[Column], rows: Vec<Vec<Markup>>) -> Markup {
    html! {
        table.list role="table" {
            caption { (caption) }
            thead role="rowgroup" { tr role="row" {
                @for column in columns {
                    th.(column.class) scope="col" role="columnheader" { (column.title) }
                }
            } }
            tbody role="rowgroup" {
                @for cells in rows {
                    tr role="row" {
                        @for (index, (cell, column)) in cells.into_iter().zip(columns).enumerate() {
                            @if index == 0 {
                                th.(column.class) scope="row" role="rowheader" { (cell) }
                            } @else {
                                td.(column.class) role="cell" data-label=(column.title) { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where a page of a list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pager {
    /// Its number, from 0.
    pub page: u64,
    /// Rows on a page.
    pub size: u64,
    /// Rows in all, where that is known.
    pub total: Option<u64>,
    /// Whether there are more.
    pub has_more: bool,
}

impl Pager {
    /// The page of a list of `total` rows.
    pub fn of_total(page: u64, size: u64, total: u64) -> Self {
        Self { page, size, total: Some(total), has_more: (page + 1) * size < total }
    }
}

/// Links to the page before and after. `path` is without a query; `asked` is what is asked beside
/// the page's number.
pub fn pager(page: &Page, at: Pager, path: &str, asked: &[(&str, &str)]) -> Markup {
    let to = |number: u64| {
        let text = number.to_string();
        let mut asked = asked.to_vec();
        if number > 0 {
            asked.push(("page", &text));
        }
        address(path, &asked)
    };
    let first = at.page * at.size + 1;
    html! {
        @if at.page > 0 || at.has_more {
            nav.pager aria-label=(page.t("Pages", "分页")) {
                @if at.page > 0 {
                    a rel="prev" href=(to(at.page - 1)) { "‹ " (page.t("Previous", "上一页")) }
                } @else { span.off { "‹ " (page.t("Previous", "上一页")) } }
                span.soft {
                    @if let Some(total) = at.total {
                        (super::super::format::count(first)) "–"
                        (super::super::format::count((first + at.size - 1).min(total)))
                        " / " (super::super::format::count(total))
                    } @else {
                        (page.t("page ", "第 ")) (at.page + 1) (page.t("", " 页"))
                    }
                }
                @if at.has_more {
                    a rel="next" href=(to(at.page + 1)) { (page.t("Next", "下一页")) " ›" }
                } @else { span.off { (page.t("Next", "下一页")) " ›" } }
            }
        }
    }
}

/// An address with what is asked; what is empty is left out.
pub fn address(path: &str, asked: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(asked.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish() {
        text if text.is_empty() => path.to_owned(),
        text => format!("{path}?{text}"),
    }
}
