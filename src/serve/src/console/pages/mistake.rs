//! What is said when something cannot be done.

use axum::http::StatusCode;
use maud::html;

use crate::console::layout::{Page, Sheet, home};
use crate::console::parts::facts;
use crate::web::FailureInfo;

/// A failure as a page: what happened, what to do, by which code and number it can be asked about.
/// `message` and `hint` are in the reader's language.
pub(crate) fn mistake(page: &Page, info: &FailureInfo, message: &str, hint: Option<&str>) -> Sheet {
    let title = match info.status {
        StatusCode::NOT_FOUND => page.t("There is no such thing", "没有找到"),
        StatusCode::UNAUTHORIZED => page.t("Sign in first", "请先登录"),
        StatusCode::FORBIDDEN => page.t("Not allowed", "不允许"),
        StatusCode::CONFLICT => page.t("Something is in the way", "与现状冲突"),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::GATEWAY_TIMEOUT => {
            page.t("Not just now", "暂时无法完成")
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            page.t("That does not work", "无法处理")
        }
        _ => page.t("Something went wrong", "出错了"),
    };
    let has_more = info.message != message && !info.status.is_server_error();
    let mut known = vec![(page.t("Code", "错误码"), html! { code { (info.code) } })];
    if let Some(id) = &info.id {
        known.push((page.t("Number in the log", "日志编号"), html! { code { (id) } }));
    }
    let back = if page.reader.is_some() { home(page) } else { "/login" };
    let body = html! {
        div.trouble role="alert" {
            p { b { (message) } }
            @if has_more { p.soft { (info.message) } }
            @if let Some(hint) = hint { p { span.soft { (page.t("What to do: ", "怎么办：")) } (hint) } }
        }
        (facts(known))
        p.mistake { a.button href=(back) {
            @if page.reader.is_some() { (page.t("Back to the start", "回到首页")) }
            @else { (page.t("To the door", "去登录")) }
        } }
    };
    Sheet::new(title, body)
}
