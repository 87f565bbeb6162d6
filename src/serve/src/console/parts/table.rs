//! Tables, and pages of them.

use maud::{Markup, html};
use serde_json::Value;

use crate::console::format::count;
use crate::console::layout::Page;
use crate::data;

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    title: String,
    class: &'static str,
}

/// A column of text.
pub(crate) fn text(title: &str) -> Column {
    Column { title: title.to_owned(), class: "" }
}

/// A column of numbers, right-aligned.
pub(crate) fn number(title: &str) -> Column {
    Column { title: title.to_owned(), class: "num" }
}

/// A column of short words that are not broken.
pub(crate) fn word(title: &str) -> Column {
    Column { title: title.to_owned(), class: "word" }
}

/// A table of many short numbers; where there is no room they follow one another in a line.
pub(crate) fn dense_table(caption: &str, columns: &[Column], rows: Vec<Vec<Markup>>) -> Markup {
    drawn("list dense", caption, columns, rows)
}

/// A table. The first cell of a row is its heading. Where there is no room each row is a block
/// whose cells are named, so roles are said that the blocks would lose.
pub(crate) fn table(caption: &str, columns: &[Column], rows: Vec<Vec<Markup>>) -> Markup {
    drawn("list", caption, columns, rows)
}

fn drawn(class: &str, caption: &str, columns: &[Column], rows: Vec<Vec<Markup>>) -> Markup {
    html! {
        table.(class) role="table" {
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

/// How much there is, and links to what follows and back to the start. `path` is without a query;
/// `asked` is what is asked beside the place in the list.
pub(crate) fn pager<T>(
    page: &Page,
    list: &data::Page<T>,
    path: &str,
    asked: &[(&str, &str)],
) -> Markup {
    let is_first = !page.here.contains("cursor=");
    let next = list.next.as_deref().map(|cursor| {
        let mut asked = asked.to_vec();
        asked.push(("cursor", cursor));
        address(path, &asked)
    });
    html! {
        @if list.total.is_some() || next.is_some() || !is_first {
            nav.pager aria-label=(page.t("Pages", "分页")) {
                @if let Some(total) = list.total {
                    span.soft { (page.t("", "共 ")) (count(total)) (page.t(" in all", " 条")) }
                }
                @if !is_first { a href=(address(path, asked)) { "« " (page.t("First page", "第一页")) } }
                @if let Some(next) = next {
                    a rel="next" href=(next) { (page.t("Next page", "下一页")) " ›" }
                }
            }
        }
    }
}

/// Rows whose columns are known only from the data. It is as wide as it is and scrolls in its place.
pub(crate) fn data_table(page: &Page, caption: &str, table: &data::Table) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table {
                caption { (caption) }
                thead { tr {
                    @for column in &table.columns {
                        th.num[is_number(&column.data_type)] scope="col" title=(column.data_type) { (column.name) }
                    }
                } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (value, column) in row.iter().zip(&table.columns) {
                                td.num[is_number(&column.data_type)] { (cell(page, value)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn is_number(data_type: &str) -> bool {
    ["Int", "UInt", "Float", "Decimal"].iter().any(|start| data_type.starts_with(start))
}

/// A value as it is, for it may be copied; nothing is told apart from an empty text.
fn cell(page: &Page, value: &Value) -> Markup {
    match value {
        Value::Null => html! { span.null { (page.t("null", "空")) } },
        Value::String(text) => html! { (text) },
        other => html! { (other) },
    }
}

/// An address with what is asked; what is empty is left out.
pub(crate) fn address(path: &str, asked: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(asked.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish() {
        text if text.is_empty() => path.to_owned(),
        text => format!("{path}?{text}"),
    }
}
