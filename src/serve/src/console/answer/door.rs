//! Coming in and going out, and the files of the program itself.

use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::console::desk::{Answer, Desk, go_on, go_to};
use crate::console::layout::home;
use crate::console::pages::door;
use crate::console::{desk, layout};
use crate::identity::{FirstAdmin, LoggedIn, Visitor};
use crate::web::{Address, Form, Language, clear_session, session_cookie};

/// What browsers forget when somebody leaves.
const CLEAR: HeaderName = HeaderName::from_static("clear-site-data");

/// The page to come in by; the one of the first account while there is none.
pub(in crate::console) async fn login_page(desk: Desk) -> Answer {
    if desk.app.accounts().awaits_first().await? {
        return go_to("/setup");
    }
    if desk.page.reader.is_some() {
        return go_to(home(&desk.page));
    }
    desk.show(&door::login(&desk.page, "", desk.ask("to").unwrap_or_default()))
}

/// Begins a session.
pub(in crate::console) async fn login(
    mut desk: Desk,
    Address(address): Address,
    form: Form,
) -> Answer {
    let name = form.get("name").unwrap_or_default().trim().to_owned();
    let to = form.get("to").unwrap_or_default().to_owned();
    let password = form.get("password").unwrap_or_default();
    let code = form.get("code").unwrap_or_default();
    let login = desk.app.accounts().login(&name, password, code, &address);
    match Box::pin(login).await {
        Ok(logged_in) => come_in(&desk, &logged_in, &to),
        Err(error) => desk.show_fault(&error, |page| door::login(page, &name, &to)),
    }
}

fn come_in(desk: &Desk, logged_in: &LoggedIn, to: &str) -> Answer {
    let page = desk::page(&desk.app, Some(&logged_in.visitor), desk.page.language, "/");
    let to = match (logged_in.visitor.must_change, local(to)) {
        (true, _) => "/password",
        (false, Some(to)) => to,
        (false, None) => home(&page),
    };
    let mut response = go_to(to)?;
    let cookie = session_cookie(desk.app.settings(), &logged_in.secret)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// A path of ours, and not of another site.
fn local(to: &str) -> Option<&str> {
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_plain && to.starts_with('/') && !to.starts_with("//")).then_some(to)
}

/// The page of the first account.
pub(in crate::console) async fn setup_page(desk: Desk) -> Answer {
    if !desk.app.accounts().awaits_first().await? {
        return go_to("/login");
    }
    desk.show(&door::setup(&desk.page, desk.ask("token").unwrap_or_default(), ""))
}

/// Makes the first account.
pub(in crate::console) async fn setup(
    mut desk: Desk,
    Address(address): Address,
    form: Form,
) -> Answer {
    let token = form.get("token").unwrap_or_default().trim().to_owned();
    let name = form.get("name").unwrap_or_default().trim().to_owned();
    let made = match twice(&form, "password") {
        Err(error) => Err(error),
        Ok(password) => {
            let first = FirstAdmin {
                token: token.clone(),
                name: name.clone(),
                title: name.clone(),
                password,
            };
            desk.app.accounts().make_first(&first, &address).await
        }
    };
    match made {
        Ok(logged_in) => come_in(&desk, &logged_in, ""),
        Err(error) => desk.show_fault(&error, |page| door::setup(page, &token, &name)),
    }
}

/// A new password, which was written twice alike.
fn twice(form: &Form, name: &str) -> Result<String> {
    let password = form.get(name).unwrap_or_default();
    if form.get("again") != Some(password) {
        let message = "the two passwords differ";
        return Err(Error::new(ErrorKind::Config, "E-PASSWORD-TWICE", message)
            .hint("write the same password into both fields"));
    }
    Ok(password.to_owned())
}

/// The page of a password that must be changed.
pub(in crate::console) async fn password_page(desk: Desk) -> Answer {
    if desk.page.reader.is_some() {
        return go_to("/account");
    }
    desk.show(&door::password(&desk.page))
}

/// Changes the visitor's own password.
pub(in crate::console) async fn password(mut desk: Desk, form: Form) -> Answer {
    let visitor = desk.visitor()?.clone();
    let changed = match twice(&form, "new") {
        Err(error) => Err(error),
        Ok(new) => {
            let old = form.get("old").unwrap_or_default();
            desk.app.accounts().change_password(&visitor, old, &new).await
        }
    };
    match changed {
        Ok(()) if visitor.must_change => {
            let inside = Visitor { must_change: false, ..visitor };
            let page = desk::page(&desk.app, Some(&inside), desk.page.language, "/");
            go_on(home(&page), "changed")
        }
        Ok(()) => go_on("/account", "changed"),
        Err(error) => desk.show_fault(&error, door::password),
    }
}

/// Ends the session.
pub(in crate::console) async fn logout(desk: Desk) -> Answer {
    desk.app.accounts().logout(desk.visitor()?).await?;
    let mut response = go_on("/login", "left")?;
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, clear_session(desk.app.settings())?);
    headers.insert(CLEAR, HeaderValue::from_static("\"cache\", \"storage\""));
    Ok(response)
}

/// Chooses a language.
#[allow(clippy::unused_async)] // as handlers are
pub(in crate::console) async fn language(desk: Desk, Path(word): Path<String>) -> Answer {
    let chosen = if word == "en" { Language::En } else { Language::Zh };
    let mut response = go_to(desk.ask("to").and_then(local).unwrap_or("/"))?;
    let text = format!("lang={}; Path=/; Max-Age=31536000; SameSite=Lax", layout::word(chosen));
    let cookie = HeaderValue::from_str(&text)
        .map_err(|e| Error::internal("a cookie cannot be sent").cause(e))?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "private, max-age=300")];
    (headers, text).into_response()
}

/// The style.
#[allow(clippy::unused_async)] // as handlers are
pub(in crate::console) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("../console.css"))
}

/// The script.
#[allow(clippy::unused_async)] // as handlers are
pub(in crate::console) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("../console.js"))
}

/// The sign of the hub.
#[allow(clippy::unused_async)] // as handlers are
pub(in crate::console) async fn sign() -> Response {
    file("image/svg+xml", include_str!("../huiliu.svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for to in ["/", "/runs?cursor=1", "/trace?key=%E5%BC%A0"] {
            assert_eq!(local(to), Some(to));
        }
        for to in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "runs", "/a\r\nb"]
        {
            assert_eq!(local(to), None, "{to}");
        }
    }
}
