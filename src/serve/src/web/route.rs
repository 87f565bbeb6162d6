//! What can be asked for over HTTP: one row each, from which the router is built, so that nothing
//! can be reached without saying whom it is for.

use std::sync::Arc;

use axum::routing::MethodRouter;
use huiliu_core::access::Permission;

use super::App;

/// Whom something is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Anybody, logged in or not.
    Nothing,
    /// Whoever is logged in, even with a password that must be changed first.
    Login,
    /// Whoever is logged in, whatever the role.
    User,
    /// Whoever has this permission.
    Permission(Permission),
}

/// How somebody who is not let in is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// A problem document; sessions and tokens come in.
    Api,
    /// A page; only sessions come in, and whoever has none is sent to `/login`.
    Page,
}

/// One thing that can be asked for.
#[derive(Clone, Copy)]
pub struct Route {
    /// Its name; an API's operation is known by it.
    pub name: &'static str,
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// Where it is, with `{name}` for what varies.
    pub path: &'static str,
    /// Whom it is for.
    pub need: Need,
    /// What answers: `|| axum::routing::get(handler)`, of the same method.
    pub handler: fn() -> MethodRouter<Arc<App>>,
}
