//! What every handler of the console begins with: who asks for what, in which language.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use huiliu_sdk::{Error, ErrorKind, Result};

use super::format::Times;
use super::layout::{Flash, Page, Reader, Sheet, document};
use super::words::Tone;
use crate::data::{Deed, PageQuery};
use crate::identity::Visitor;
use crate::web::{App, Failure, FailureInfo, Form, Language, ReadNote};

/// What a handler answers.
pub(super) type Answer = Result<Response, Failure>;

/// The parameter by which a page says what was done before it was shown.
const DONE: &str = "done";

/// What a handler begins with.
pub(super) struct Desk {
    pub(super) app: Arc<App>,
    pub(super) page: Page,
    visitor: Option<Visitor>,
    asked: Vec<(String, String)>,
}

impl Desk {
    /// Whoever asks.
    pub(super) fn visitor(&self) -> Result<&Visitor> {
        let visitor = self.visitor.as_ref();
        visitor.ok_or_else(|| Error::internal("a page asks for a visitor its row lets out"))
    }

    /// A parameter of the address, if it is there and not blank.
    pub(super) fn ask(&self, name: &str) -> Option<&str> {
        let found = self.asked.iter().find(|(asked, _)| asked == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A parameter as text of its own.
    pub(super) fn asked(&self, name: &str) -> Option<String> {
        self.ask(name).map(str::to_owned)
    }

    /// Which page of a list is asked for.
    pub(super) fn place(&self) -> PageQuery {
        PageQuery { cursor: self.asked("cursor"), limit: None }
    }

    /// A page.
    pub(super) fn show(&self, sheet: &Sheet) -> Answer {
        Ok(html(&self.page, sheet))
    }

    /// A page that shows single records; which is noted before it is given out.
    pub(super) fn show_records(&self, sheet: &Sheet, note: ReadNote) -> Answer {
        let mut response = html(&self.page, sheet);
        response.extensions_mut().insert(note);
        Ok(response)
    }

    /// A page that says what went wrong with what was sent.
    pub(super) fn show_fault(&mut self, error: &Error, sheet: impl Fn(&Page) -> Sheet) -> Answer {
        let info = FailureInfo::of(error);
        let (message, hint) = info.texts(&self.app, self.page.language);
        // What is wrong with a password is said in full by the message alone.
        let mut text = match message == info.message || info.status.is_server_error() {
            true => message,
            false => format!("{message} · {}", info.message),
        };
        if let Some(hint) = hint {
            text = format!("{text} · {hint}");
        }
        self.page.flash = Some(Flash { tone: Tone::Bad, text });
        let mut response = html(&self.page, &sheet(&self.page));
        *response.status_mut() = info.status;
        Ok(response)
    }

    /// What an error says: in Chinese first what its code means, then what it is about.
    pub(super) fn said(&self, code: &str, message: &str) -> String {
        match self.meaning(code) {
            Some((meaning, _)) if message.is_empty() => meaning.to_owned(),
            Some((meaning, _)) => format!("{meaning} · {message}"),
            None => message.to_owned(),
        }
    }

    /// What can be done about an error, likewise.
    pub(super) fn advice(&self, code: &str, hint: Option<String>) -> Option<String> {
        match (self.meaning(code), hint) {
            (Some((_, todo)), None) if !todo.is_empty() => Some(todo.to_owned()),
            (Some((_, todo)), Some(hint)) if !todo.is_empty() => Some(format!("{todo} · {hint}")),
            (_, hint) => hint,
        }
    }

    fn meaning(&self, code: &str) -> Option<(&'static str, &'static str)> {
        self.app.hub().meaning(code).filter(|_| self.page.language == Language::Zh)
    }

    /// Who does something and why, as the form says.
    pub(super) fn deed(&self, form: &Form) -> Result<Deed> {
        let who = self.visitor()?.user.clone();
        Ok(Deed { who, reason: form.text("reason")?.to_owned() })
    }
}

impl FromRequestParts<Arc<App>> for Desk {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        let visitor = parts.extensions.get::<Visitor>().cloned();
        let query = parts.uri.query().unwrap_or_default();
        let asked: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        // What was done is said once, so it is no part of the page's address.
        let kept = asked.iter().filter(|(name, _)| name != DONE);
        let mut left = form_urlencoded::Serializer::new(String::new());
        left.extend_pairs(kept);
        let left = left.finish();
        let here = match left.as_str() {
            "" => parts.uri.path().to_owned(),
            query => format!("{}?{query}", parts.uri.path()),
        };
        let mut page = page(app, visitor.as_ref(), Language::of(&parts.headers), &here);
        let done = asked.iter().find(|(name, _)| name == DONE);
        page.flash = done.and_then(|(_, word)| flash(&page, word));
        Ok(Self { app: Arc::clone(app), page, visitor, asked })
    }
}

/// What pages need to know beside what they show.
pub(super) fn page(app: &App, visitor: Option<&Visitor>, language: Language, here: &str) -> Page {
    // Whoever has to change the password first is not inside yet.
    let inside = visitor.filter(|visitor| !visitor.must_change);
    let reader = inside.map(|visitor| Reader {
        name: visitor.user.clone(),
        title: visitor.title.clone(),
        role: visitor.role,
    });
    Page {
        language,
        times: Times { now: app.accounts().clock_now(), zone: app.hub().zone(), language },
        office: app.hub().office(),
        reader,
        csrf: visitor.map(|visitor| visitor.csrf.clone()).unwrap_or_default(),
        here: here.to_owned(),
        flash: None,
    }
}

/// A page as it is sent.
pub(super) fn html(page: &Page, sheet: &Sheet) -> Response {
    Html(document(page, sheet).into_string()).into_response()
}

/// Sends the browser on, after something was done, to a page that says so. `done` is one of the
/// words of [`flash`], with numbers behind dots.
pub(super) fn go_on(path: &str, done: &str) -> Answer {
    let mark = if path.contains('?') { '&' } else { '?' };
    go_to(&format!("{path}{mark}{DONE}={done}"))
}

/// Sends the browser to another page.
pub(super) fn go_to(path: &str) -> Answer {
    let to = HeaderValue::from_str(path)
        .map_err(|e| Error::internal("an address cannot be sent").cause(e))?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response())
}

/// One part of a path, as it is written in an address.
pub(super) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The number in a path.
pub(super) fn numbered(text: &str) -> Result<i64> {
    text.parse().map_err(|_| {
        Error::new(ErrorKind::NotFound, "E-NO-PAGE", "there is nothing at this address")
            .hint("take a link of a list; this address holds no number")
    })
}

/// What was done, by a word that says nothing by itself, so that an address cannot put words into
/// the hub's mouth.
fn flash(page: &Page, done: &str) -> Option<Flash> {
    let mut parts = done.split('.');
    let word = parts.next()?;
    let numbers: Vec<u64> = parts.filter_map(|part| part.parse().ok()).collect();
    let number = |at: usize| super::format::count(numbers.get(at).copied().unwrap_or(0));
    let (tone, text) = match word {
        "started" => (Tone::Good, page.t("The run has begun.", "运行已开始。").to_owned()),
        "queued" => (Tone::Good, page.t("The job is in the queue.", "作业已排队。").to_owned()),
        "waits" => {
            (Tone::Calm, page.t("It waits or runs already.", "作业已在等待或运行。").to_owned())
        }
        "unparked" => (Tone::Good, page.t("The job may run again.", "作业已恢复。").to_owned()),
        "explained" => (
            Tone::Good,
            format!("{}{}", number(0), page.t(" differences are explained.", " 条差异已作说明。")),
        ),
        "replayed" => {
            let text = page.t(
                "tried {0}: {1} settled, {2} kept",
                "重新处理 {0} 行：{1} 行已入湖，{2} 行仍不合格",
            );
            let text = text
                .replace("{0}", &number(0))
                .replace("{1}", &number(1))
                .replace("{2}", &number(2));
            (if numbers.get(2) == Some(&0) { Tone::Good } else { Tone::Warn }, text)
        }
        "discarded" => {
            (Tone::Good, page.t("The row is out of quarantine.", "该行已移出隔离区。").to_owned())
        }
        "decided" => (
            Tone::Good,
            format!("{}{}", number(0), page.t(" records are decided.", " 条记录已作决定。")),
        ),
        "applied" => (Tone::Good, page.t("The repair is being sent.", "更正正在执行。").to_owned()),
        "changed" => (Tone::Good, page.t("Changed.", "已更改。").to_owned()),
        "made" => (Tone::Good, page.t("The account is made.", "账号已创建。").to_owned()),
        "ended" => (Tone::Good, page.t("The session has ended.", "会话已结束。").to_owned()),
        "revoked" => (Tone::Good, page.t("The token is revoked.", "令牌已吊销。").to_owned()),
        "left" => (Tone::Good, page.t("You have signed out.", "已退出登录。").to_owned()),
        _ => return None,
    };
    Some(Flash { tone, text })
}
