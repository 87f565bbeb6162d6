//! What is said when something cannot be done.

use huiliu_sdk::{Error, ErrorKind};
use maud::html;

use crate::console::layout::{Page, Sheet, home};
use crate::console::parts::facts;

/// An error as a page: what happened, what to do, by which code and number it can be asked about.
pub fn mistake(
    page: &Page,
    error: &Error,
    meaning: Option<(&'static str, &'static str)>,
    id: Option<&str>,
) -> Sheet {
    let title = match error.kind() {
        ErrorKind::NotFound => page.t("There is no such thing", "没有找到"),
        ErrorKind::Permission => page.t("Not for this role", "没有权限"),
        ErrorKind::Auth => page.t("Sign in first", "请先登录"),
        ErrorKind::Config => page.t("That does not work", "无法处理"),
        ErrorKind::Conflict => page.t("Something is in the way", "与现状冲突"),
        ErrorKind::Timeout | ErrorKind::Throttled => page.t("That took too long", "暂时无法完成"),
        _ => page.t("Something went wrong", "出错了"),
    };
    let (meaning, todo) = match meaning {
        Some((meaning, todo)) if page.t("en", "zh") == "zh" => (meaning, todo),
        _ => ("", error.hint_text().unwrap_or_default()),
    };
    let message = error.message();
    let body = html! {
        div.trouble role="alert" {
            @if !meaning.is_empty() { p { b { (meaning) } } p.soft { (message) } }
            @else { p { b { (message) } } }
            @if !todo.is_empty() { p { span.soft { (page.t("What to do: ", "怎么办：")) } (todo) } }
        }
        (facts(vec![
            (page.t("Code", "错误码"), html! { code { (error.code()) } }),
            (page.t("Number", "编号"), html! { @match id { Some(id) => { code { (id) } }, None => { "—" } } }),
        ]))
        p.mistake { a.button href=(home(page)) { (page.t("Back to the start", "回到首页")) } }
    };
    Sheet::new(title, body)
}
