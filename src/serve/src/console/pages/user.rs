//! Users and the tokens of programs, for who keeps accounts.

use huiliu_core::access::{Permission, Role};
use maud::{Markup, html};

use crate::console::layout::{Page, Sheet};
use crate::console::parts::{
    Choice, badge, button, choice_field, danger_button, empty, facts, maybe, post_form, section,
    state, table, text, text_field, word,
};
use crate::console::words::{self, Tone};
use crate::data::{Login, Token, User};

fn standing(user: &User) -> &'static str {
    if user.disabled { "disabled" } else { "active" }
}

fn roles(page: &Page) -> Vec<Choice> {
    let choice = |role: Role| {
        let title =
            format!("{} — {}", words::role(role, page.language), words::duty(role, page.language));
        Choice::new(role.as_str(), title)
    };
    Role::ALL.into_iter().map(choice).collect()
}

/// All users; making one.
pub(crate) fn list(page: &Page, users: &[User]) -> Sheet {
    let columns = [
        text(page.t("User", "用户")),
        word(page.t("Role", "角色")),
        word(page.t("Account", "账号")),
        word(page.t("Last login", "最近登录")),
        word(page.t("Made", "创建")),
    ];
    let rows = users.iter().map(|user| {
        vec![
            html! { a href=(format!("/users/{}", user.name)) { (user.name) }
                @if !user.title.is_empty() { span.of { (user.title) } } },
            html! { (words::role(user.role, page.language)) },
            html! { (state(page, standing(user)))
                @if user.must_change { span.of { (page.t("has to change the password", "需改密码")) } } },
            page.times.moment(user.last_login_at.as_deref()),
            html! { (page.times.day(&user.created_at)) },
        ]
    });
    let form = html! {
        div.inline {
            (text_field("name", page.t("User name", "用户名"), "", "required off"))
            (text_field("title", page.t("Name for people", "姓名"), "", "off"))
        }
        (choice_field("role", page.t("Role", "角色"), "", &roles(page)))
        (text_field("password", page.t("First password", "初始密码"), "", "password required new-password"))
        p.hint { (page.t("It must be changed at the first login.", "首次登录时必须更改。")) }
        (button(page.t("Make the account", "创建账号")))
    };
    let body = html! {
        (table(page.t("Users", "用户"), &columns, rows.collect()))
        (section(page.t("A new user", "新用户"), "", post_form(page, "/users", "panel stacked", form)))
    };
    Sheet::new(page.t("Users", "用户"), body).lead(html! {
        p { (page.t(
            "Duties are separated: who keeps accounts reads no data, who reads the audit does nothing else.",
            "三员分立：管理账号的不接触数据，查看审计的不做其他事。",
        )) }
    })
}

/// One user: role, password, sessions, tokens.
pub(crate) fn user(page: &Page, user: &User, logins: &[Login], tokens: &[Token]) -> Sheet {
    let path = format!("/users/{}", user.name);
    let is_me = page.reader.as_ref().is_some_and(|reader| reader.name == user.name);
    let body = html! {
        div.panel {
            (facts(vec![
                (page.t("Name for people", "姓名"), maybe(Some(&user.title))),
                (page.t("Role", "角色"), html! { (words::role(user.role, page.language)) }),
                (page.t("Sees rows of", "可见范围"), if user.limits.is_open() {
                    html! { (page.t("all", "全部")) }
                } else {
                    html! { (user.limits) }
                }),
                (page.t("Account", "账号"), state(page, standing(user))),
                (page.t("Last login", "最近登录"), page.times.moment(user.last_login_at.as_deref())),
                (page.t("Password set", "密码设于"), page.times.moment(Some(&user.password_at))),
                (page.t("Second factor", "双因素验证"), html! { @if user.second_factor {
                    (page.t("codes of an app", "动态验证码"))
                } @else { (page.t("none", "未启用")) } }),
                (page.t("Made", "创建"), page.times.moment(Some(&user.created_at))),
            ]))
        }
        @if is_me {
            p.hint { (page.t("Nobody changes the own account here; ask another administrator.", "不能在这里修改自己的账号，请由另一位管理员操作。")) }
        } @else { (changes(page, user, &path)) }
        (section(page.t("Open sessions", "登录中的会话"), "", sessions(page, logins, &path)))
        (section(page.t("Tokens", "令牌"), "", html! {
            (token_table(page, tokens, "/tokens"))
            @if !user.disabled { (token_form(page, user.role, "/tokens", Some(&user.name))) }
        }))
    };
    Sheet::new(user.name.clone(), body).under(page.t("Users", "用户"), "/users")
}

fn changes(page: &Page, user: &User, path: &str) -> Markup {
    html! {
        div.columns {
            div.panel {
                h3 { (page.t("Role", "角色")) }
                (post_form(page, &format!("{path}/role"), "stacked", html! {
                    (choice_field("role", page.t("Role", "角色"), user.role.as_str(), &roles(page)))
                    button type="submit" { (page.t("Change the role", "更改角色")) }
                }))
            }
            div.panel {
                h3 { (page.t("Sees rows of", "可见范围")) }
                (post_form(page, &format!("{path}/limits"), "stacked", html! {
                    (text_field("divisions", page.t("Divisions (codes)", "区划（代码）"), &user.limits.divisions.join(", "), "off"))
                    (text_field("departments", page.t("Departments (codes or names)", "部门（代码或名称）"), &user.limits.departments.join(", "), "off"))
                    p.hint { (page.t("Separated by commas; all rows without any.", "以逗号分隔；都不填则不限。")) }
                    button type="submit" { (page.t("Change the limits", "更改范围")) }
                }))
            }
            div.panel {
                h3 { (page.t("Password", "密码")) }
                (post_form(page, &format!("{path}/password"), "stacked", html! {
                    (text_field("password", page.t("New password, to be changed at the next login", "新密码（下次登录须更改）"), "", "password required new-password"))
                    button type="submit" { (page.t("Set the password", "重设密码")) }
                }))
                @if user.second_factor {
                    h3.second { (page.t("Second factor", "双因素验证")) }
                    (post_form(page, &format!("{path}/second-factor"), "", html! {
                        button type="submit" { (page.t("Ask for no more codes", "重置双因素验证")) }
                    }))
                }
                h3.second { (page.t("Account", "账号")) }
                @if user.disabled {
                    (post_form(page, &format!("{path}/enable"), "", html! { button type="submit" { (page.t("Let in again", "恢复账号")) } }))
                } @else {
                    p.soft { (page.t("Sessions end at once, tokens open nothing.", "会话立即结束，令牌不再有效。")) }
                    (post_form(page, &format!("{path}/disable"), "", danger_button(page.t("Let in no more", "停用账号"))))
                }
            }
        }
    }
}

/// Sessions with a button each that ends them.
pub(crate) fn sessions(page: &Page, logins: &[Login], path: &str) -> Markup {
    let columns = [
        word(page.t("Began", "开始")),
        word(page.t("Last used", "最近使用")),
        text(page.t("From", "来自")),
        word(page.t("End", "结束")),
    ];
    let rows = logins.iter().map(|login| {
        vec![
            page.times.moment(Some(&login.created_at)),
            page.times.moment(Some(&login.seen_at)),
            html! { (login.address) },
            html! {
                @if login.is_this { (badge(page.t("this one", "本次"), Tone::Good)) }
                @else {
                    (post_form(page, &format!("{path}/sessions/end"), "", html! {
                        input type="hidden" name="id" value=(login.id);
                        button.quiet type="submit" { (page.t("End it", "结束")) }
                    }))
                }
            },
        ]
    });
    if logins.is_empty() {
        return empty(page.t("No open session", "没有登录中的会话"), "");
    }
    table(page.t("Open sessions", "登录中的会话"), &columns, rows.collect())
}

/// All tokens.
pub(crate) fn tokens(page: &Page, tokens: &[Token]) -> Sheet {
    let body = html! {
        (token_table(page, tokens, "/tokens"))
        p.hint { (page.t("A token is made on the page of its user, or by the user under “My account”.",
            "令牌在用户的页面上创建，或由用户本人在“我的账号”中创建。")) }
    };
    Sheet::new(page.t("Tokens", "令牌"), body).lead(html! {
        p { (page.t("With a token a program comes in: the API, psql, BI tools.", "程序凭令牌接入：接口、psql、BI 工具。")) }
    })
}

/// How a token stands.
fn token_state(page: &Page, token: &Token) -> &'static str {
    let now = page.times.now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    match token {
        Token { revoked_at: Some(_), .. } => "revoked",
        Token { expires_at, .. } if *expires_at <= now => "expired",
        _ => "active",
    }
}

/// Tokens with a button each that revokes them.
pub(crate) fn token_table(page: &Page, tokens: &[Token], path: &str) -> Markup {
    let columns = [
        text(page.t("For what", "用途")),
        word(page.t("Of", "用户")),
        text(page.t("May", "权限")),
        word(page.t("Stands", "状态")),
        word(page.t("Good until", "有效至")),
        word(page.t("Last used", "最近使用")),
        word(page.t("Revoke", "吊销")),
    ];
    let rows = tokens.iter().map(|token| {
        let stands = token_state(page, token);
        let scopes: Vec<&str> =
            token.scopes.iter().map(|scope| words::permission(*scope, page.language)).collect();
        vec![
            html! { (token.title) span.of { code { (token.id) } } },
            html! { (token.user) },
            html! { (scopes.join(page.t(", ", "、"))) },
            state(page, stands),
            html! { (page.times.day(&token.expires_at)) },
            page.times.moment(token.last_used_at.as_deref()),
            html! { @if stands == "active" {
                (post_form(page, &format!("{path}/revoke"), "", html! {
                    input type="hidden" name="id" value=(token.id);
                    button.quiet type="submit" { (page.t("Revoke", "吊销")) }
                }))
            } },
        ]
    });
    if tokens.is_empty() {
        return empty(page.t("No tokens", "没有令牌"), "");
    }
    table(page.t("Tokens", "令牌"), &columns, rows.collect())
}

/// A form that makes a token. `user` is for whom, where that is not oneself.
pub(crate) fn token_form(page: &Page, role: Role, path: &str, user: Option<&str>) -> Markup {
    let permissions: &[Permission] = role.permissions();
    html! {
        details.panel.starter {
            summary { (page.t("Make a token", "创建令牌")) }
            (post_form(page, path, "stacked", html! {
                @if let Some(user) = user { input type="hidden" name="user" value=(user); }
                (text_field("title", page.t("For what", "用途"), "", "required off"))
                (text_field("days", page.t("Good for days (1 to 366)", "有效天数（1 至 366）"), "90", "number required"))
                fieldset.checks {
                    legend { (page.t("What it may do", "权限范围")) }
                    @for permission in permissions {
                        label { input type="checkbox" name="scope" value=(permission.as_str()) checked;
                            (words::permission(*permission, page.language)) }
                    }
                }
                (button(page.t("Make it", "创建")))
            }))
        }
    }
}

/// A token that was just made, shown once.
pub(crate) fn made(page: &Page, secret: &str, token: &Token, back: &str) -> Sheet {
    let body = html! {
        p { (page.t("Copy it now: it is shown this once and kept nowhere.", "请立即复制：令牌只显示这一次，系统不保存原文。")) }
        p.secret { (secret) }
        div.panelgap { (facts(vec![
            (page.t("For what", "用途"), html! { (token.title) }),
            (page.t("Of", "用户"), html! { (token.user) }),
            (page.t("Good until", "有效至"), html! { (page.times.day(&token.expires_at)) }),
        ])) }
        p.mistake { a.button href=(back) { (page.t("Done", "完成")) } }
    };
    Sheet::new(page.t("The token", "新令牌"), body)
}
