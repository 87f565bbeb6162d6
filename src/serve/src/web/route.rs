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

impl Need {
    /// Whether what needs this shows rows and changes nothing, whatever its method.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Permission(Permission::Records | Permission::Query))
    }
}

/// How somebody who is not let in is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// A problem document; sessions and tokens come in.
    Api,
    /// A page; only sessions come in, and whoever has none is sent to `/login`.
    Page,
}

/// What somebody with limits may ask for of what reads data: it tells no rows, or keeps to the limits.
const WITHIN_LIMITS: [&str; 36] = [
    "overview",
    "systems",
    "system",
    "streams",
    "runs",
    "run",
    "run_events",
    "jobs",
    "upcoming",
    "job_history",
    "alerts",
    "figures",
    "metric",
    "metric_rows",
    "reconciliations",
    "quarantine_counts",
    "pushes",
    "push_days",
    "query",
    "export",
    "page_overview",
    "page_figures",
    "page_metric",
    "page_metric_rows",
    "page_sql",
    "form_sql",
    "form_sql_export",
    "page_systems",
    "page_system",
    "page_runs",
    "page_run",
    "page_run_live",
    "page_jobs",
    "page_job",
    "page_alerts",
    "page_pushes",
];

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

impl Route {
    /// Whether it answers somebody who sees only some rows. What is not on the list does not.
    pub fn is_within_limits(&self) -> bool {
        match self.need {
            Need::Nothing | Need::Login | Need::User => true,
            // Neither shows a row of the data.
            Need::Permission(Permission::Accounts | Permission::Audit) => true,
            Need::Permission(_) => WITHIN_LIMITS.contains(&self.name),
        }
    }
}
