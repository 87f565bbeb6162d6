//! Before one is inside: signing in, the first account, a password that must be changed.

use maud::html;

use crate::console::layout::{Page, Sheet};
use crate::console::parts::{button, post_form, text_field};

/// Signing in. `to` is where the visitor wanted to go.
pub(crate) fn login(page: &Page, name: &str, to: &str) -> Sheet {
    let form = html! {
        input type="hidden" name="to" value=(to);
        (text_field("name", page.t("User name", "用户名"), name, "required username autofocus"))
        (text_field("password", page.t("Password", "密码"), "", "password required current-password"))
        (text_field("code", page.t("Code of the app, if you have one", "动态验证码（未启用的留空）"), "", "one-time-code"))
        (button(page.t("Sign in", "登录")))
    };
    Sheet::new(page.t("Sign in", "登录"), post_form(page, "/login", "stacked", form))
}

/// The first account, made with the one-time token that the service printed when it first started.
pub(crate) fn setup(page: &Page, token: &str, name: &str) -> Sheet {
    let form = html! {
        (text_field("token", page.t("One-time token", "一次性令牌"), token, "required off"))
        (text_field("name", page.t("User name", "用户名"), name, "required username"))
        (text_field("password", page.t("New password", "新密码"), "", "password required new-password"))
        (text_field("again", page.t("The same again", "再输一次"), "", "password required new-password"))
        (button(page.t("Make the account", "创建账号")))
    };
    let lead = html! {
        p { (page.t(
            "Nobody has an account yet. The first one is an administrator, who makes the others. The token was printed where the service was started, and works once.",
            "系统还没有账号。第一个账号是管理员，由其为他人开通账号。令牌在服务首次启动时打印在终端上，只能用一次。",
        )) }
    };
    Sheet::new(
        page.t("Make the first account", "创建第一个账号"),
        post_form(page, "/setup", "stacked", form),
    )
    .lead(lead)
}

/// A password that must be changed before anything else.
pub(crate) fn password(page: &Page) -> Sheet {
    let form = html! {
        (text_field("old", page.t("Present password", "当前密码"), "", "password required current-password autofocus"))
        (text_field("new", page.t("New password", "新密码"), "", "password required new-password"))
        (text_field("again", page.t("The same again", "再输一次"), "", "password required new-password"))
        p.hint { (page.t(
            "At least 12 characters; long is better than complicated.",
            "至少 12 个字符，长比复杂更安全。",
        )) }
        (button(page.t("Change it", "更改密码")))
    };
    let lead = html! {
        p { (page.t(
            "This password was chosen by somebody else. Choose your own before going on.",
            "当前密码由他人设定，请先改成自己的密码。",
        )) }
    };
    Sheet::new(
        page.t("Change the password", "更改密码"),
        post_form(page, "/password", "stacked", form),
    )
    .lead(lead)
}
