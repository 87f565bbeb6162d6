//! The console: pages for people, made by the server.
//!
//! A page is a pure function of what it shows (`pages`), put into one frame (`layout`) from the
//! same parts (`parts`) in the reader's language (`words`). A handler (`answer`) asks the hub and
//! passes on what it says. Nothing needs a script: the one there is (`console.js`) shows a run as it
//! goes and saves a click here and there. The style is one file too, for the policy that pages are
//! sent with allows nothing within them.

mod answer;
mod desk;
mod format;
mod icon;
mod layout;
mod pages;
mod parts;
mod routes;
mod words;

use axum::response::Response;

use crate::identity::Visitor;
use crate::web::{App, FailureInfo, Language};

pub(crate) use routes::ROUTES;
pub use routes::console_routes;

/// A failure as a page for `visitor`.
pub(crate) fn failure(
    app: &App,
    visitor: Option<&Visitor>,
    info: &FailureInfo,
    language: Language,
) -> Response {
    let page = desk::page(app, visitor, language, "/");
    let (message, hint) = info.texts(app, language);
    desk::html(&page, &pages::mistake::mistake(&page, info, &message, hint.as_deref()))
}

#[cfg(test)]
mod tests;
