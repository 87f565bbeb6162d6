//! HTTP: the listener and its limits, who is let in, and what all answers have in common.
//!
//! Every route is a row of a table ([`Route`]); [`router`] builds from the rows of the API and of
//! the console. Before a handler runs, `guard` has looked up the visitor, compared with what the
//! row needs, and checked that no other site sent the request. Handlers take the [`Visitor`] and
//! give back an answer or a [`Failure`], which becomes a problem document or a page.
//!
//! [`Visitor`]: crate::identity::Visitor

mod app;
mod cookie;
mod failure;
mod form;
mod guard;
mod headers;
mod language;
mod note;
mod rate;
mod repeat;
mod route;
mod router;
mod server;

pub use app::{App, Watching, WebSettings};
pub use cookie::{clear_session, session_cookie};
pub use failure::{Failure, FailureInfo};
pub(crate) use form::read;
pub use form::{Form, csrf_field};
pub(crate) use guard::Address;
pub use language::Language;
pub use note::ReadNote;
pub(crate) use rate::Rates;
pub use route::{Face, Need, Route};
pub use router::router;
pub use server::{WebOptions, WebServer, serve};
