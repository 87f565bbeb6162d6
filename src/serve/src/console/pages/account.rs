//! One's own account: password, sessions, tokens.

use maud::html;

use super::user::{sessions, token_form, token_table};
use crate::console::layout::{Page, Reader, Sheet};
use crate::console::parts::{button, facts, post_form, section, text_field};
use crate::console::words;
use crate::data::{Login, Token};

/// One's own account.
pub(crate) fn account(page: &Page, me: &Reader, logins: &[Login], tokens: &[Token]) -> Sheet {
    let password = html! {
        (text_field("old", page.t("Present password", "当前密码"), "", "password required current-password"))
        (text_field("new", page.t("New password", "新密码"), "", "password required new-password"))
        (text_field("again", page.t("The same again", "再输一次"), "", "password required new-password"))
        (button(page.t("Change it", "更改密码")))
    };
    let body = html! {
        div.panel {
            (facts(vec![
                (page.t("User name", "用户名"), html! { (me.name) }),
                (page.t("Role", "角色"), html! { (words::role(me.role, page.language)) }),
                (page.t("Duty", "职责"), html! { (words::duty(me.role, page.language)) }),
            ]))
        }
        (section(page.t("My sessions", "我的会话"), "", sessions(page, logins, "/account")))
        (section(page.t("My tokens", "我的令牌"), page.t("for programs: the API, psql, BI tools", "供程序使用：接口、psql、BI 工具"), html! {
            (token_table(page, tokens, "/account/tokens"))
            (token_form(page, me.role, "/account/tokens", None))
        }))
        (section(page.t("Password", "密码"), page.t("other sessions end when it is changed", "更改后其他会话自动结束"),
            post_form(page, "/password", "panel stacked", password)))
    };
    Sheet::new(page.t("My account", "我的账号"), body)
}
