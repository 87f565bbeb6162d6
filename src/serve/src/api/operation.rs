//! All operations of the API, one row each.

use axum::routing::{delete, get, post};
use huiliu_core::access::Permission::{
    Accounts, Audit, Figures, Operate, Operations, Query, Records,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{account, event, figure, openapi, operate, query, record};
use crate::data;
use crate::web::{Need, Route};

/// Gives the schema of a type.
pub(super) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// One operation of the API.
#[derive(Clone, Copy)]
pub struct Operation {
    /// Where it is and whom it is for.
    pub route: Route,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its parameters after `?`, each an object.
    pub(super) queries: [Option<Describe>; 2],
    /// What its body holds.
    pub(super) body: Option<Describe>,
    /// What it answers.
    pub(super) answer: Option<Describe>,
}

impl Operation {
    const fn asks<T: JsonSchema>(self) -> Self {
        let queries = match self.queries {
            [None, second] => [Some(describe::<T> as Describe), second],
            [first, _] => [first, Some(describe::<T> as Describe)],
        };
        Self { queries, ..self }
    }

    const fn takes<T: JsonSchema>(self) -> Self {
        Self { body: Some(describe::<T>), ..self }
    }

    const fn gives<T: JsonSchema>(self) -> Self {
        Self { answer: Some(describe::<T>), ..self }
    }
}

fn describe<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

macro_rules! operation {
    ($name:literal, $verb:ident $method:literal, $path:literal, $need:expr, $handler:path, $summary:literal) => {
        Operation {
            route: Route {
                name: $name,
                method: $method,
                path: concat!("/api/v1", $path),
                need: $need,
                handler: || $verb($handler),
            },
            summary: $summary,
            queries: [None, None],
            body: None,
            answer: None,
        }
    };
}

/// A row that asks.
macro_rules! ask {
    ($name:literal, $path:literal, $need:expr, $handler:path, $summary:literal) => {
        operation!($name, get "GET", $path, $need, $handler, $summary)
    };
}

/// A row that changes.
macro_rules! change {
    ($name:literal, $path:literal, $need:expr, $handler:path, $summary:literal) => {
        operation!($name, post "POST", $path, $need, $handler, $summary)
    };
}

/// A row that takes away.
macro_rules! remove {
    ($name:literal, $path:literal, $need:expr, $handler:path, $summary:literal) => {
        operation!($name, delete "DELETE", $path, $need, $handler, $summary)
    };
}

const fn may(permission: huiliu_core::access::Permission) -> Need {
    Need::Permission(permission)
}

const ALL: &[Operation] = &[
    // Oneself.
    change!(
        "login",
        "/login",
        Need::Nothing,
        account::login,
        "Begins a session with a password, and a code for who has a second factor."
    )
    .takes::<account::LoginRequest>()
    .gives::<account::Me>(),
    change!(
        "first_admin",
        "/first-admin",
        Need::Nothing,
        account::first,
        "Makes the first administrator with the one-time token that the service printed."
    )
    .takes::<account::FirstRequest>()
    .gives::<account::Me>(),
    change!("logout", "/logout", Need::Login, account::logout, "Ends the session."),
    ask!("me", "/me", Need::Login, account::me, "Who asks, and what that person may do.")
        .gives::<account::Me>(),
    change!(
        "change_password",
        "/me/password",
        Need::Login,
        account::change_password,
        "Changes the own password; all other sessions end."
    )
    .takes::<account::PasswordChange>(),
    ask!("my_tokens", "/me/tokens", Need::User, account::my_tokens, "The own tokens.")
        .gives::<Vec<data::Token>>(),
    change!(
        "make_token",
        "/me/tokens",
        Need::User,
        account::make_token,
        "Makes a token of one's own; it is shown this once."
    )
    .takes::<data::NewToken>()
    .gives::<account::TokenAnswer>(),
    remove!(
        "revoke_my_token",
        "/me/tokens/{id}",
        Need::User,
        account::revoke_my_token,
        "Revokes a token of one's own."
    ),
    ask!("my_sessions", "/me/sessions", Need::User, account::my_sessions, "The own sessions.")
        .gives::<Vec<data::Login>>(),
    remove!(
        "end_my_session",
        "/me/sessions/{id}",
        Need::User,
        account::end_my_session,
        "Ends a session of one's own."
    ),
    ask!("openapi", "/openapi.json", Need::User, openapi::document, "This document."),
    // How the hub works.
    ask!(
        "overview",
        "/overview",
        may(Operations),
        figure::overview,
        "Freshness and what needs a person, and to whom may see them figures and differences."
    )
    .gives::<data::Overview>(),
    ask!(
        "systems",
        "/systems",
        may(Operations),
        operate::systems,
        "All systems, those of the register that are not connected too."
    )
    .gives::<data::Register>(),
    ask!("system", "/systems/{id}", may(Operations), operate::system, "One connected system.")
        .gives::<data::SystemDetail>(),
    ask!("streams", "/streams", may(Operations), operate::streams, "All streams.")
        .gives::<Vec<data::Stream>>(),
    ask!("runs", "/runs", may(Operations), operate::runs, "Runs, newest first.")
        .asks::<data::PageQuery>()
        .gives::<data::Page<data::Run>>(),
    ask!(
        "run",
        "/runs/{id}",
        may(Operations),
        operate::run,
        "One run with the balance of each step."
    )
    .gives::<data::RunDetail>(),
    ask!(
        "run_events",
        "/runs/{id}/events",
        may(Operations),
        event::run,
        "One run as it goes: server-sent events `run`, each a whole RunDetail, until it ends."
    ),
    change!("start_run", "/runs", may(Operate), operate::start_run, "Starts a run.")
        .takes::<operate::RunOrder>()
        .gives::<data::Started>(),
    ask!("jobs", "/jobs", may(Operations), operate::jobs, "All jobs with how they stand.")
        .gives::<Vec<data::Job>>(),
    ask!(
        "upcoming",
        "/jobs-upcoming",
        may(Operations),
        operate::upcoming,
        "The next times of all jobs."
    )
    .asks::<operate::Count>()
    .gives::<Vec<data::Upcoming>>(),
    ask!(
        "job_history",
        "/jobs-history",
        may(Operations),
        operate::job_history,
        "What became of the times of a job, newest first."
    )
    .asks::<operate::HistoryQuery>()
    .gives::<Vec<data::JobRun>>(),
    change!(
        "run_job",
        "/jobs/{job}/run",
        may(Operate),
        operate::run_job,
        "Puts a job into the queue."
    )
    .takes::<operate::Reason>()
    .gives::<operate::Queued>(),
    change!(
        "unpark_job",
        "/jobs/{job}/unpark",
        may(Operate),
        operate::unpark_job,
        "Lets a parked job run again."
    )
    .takes::<operate::Reason>(),
    ask!("alerts", "/alerts", may(Operations), operate::alerts, "The alerts that are on.")
        .gives::<Vec<data::Alert>>(),
    // Figures.
    ask!("figures", "/metrics", may(Figures), figure::figures, "All figures with their trends.")
        .gives::<Vec<data::Figure>>(),
    ask!(
        "metric",
        "/metrics/{key}",
        may(Figures),
        figure::metric,
        "One metric: figure, definitions, trend, dimensions."
    )
    .gives::<data::MetricDetail>(),
    ask!(
        "breakdown",
        "/metrics/{key}/breakdown",
        may(Figures),
        figure::breakdown,
        "A figure broken down by dimensions of its metric."
    )
    .asks::<figure::By>()
    .gives::<data::Breakdown>(),
    ask!(
        "change",
        "/metrics/{key}/change",
        may(Figures),
        figure::change,
        "Why a figure moved from one snapshot or day to another."
    )
    .asks::<figure::Moments>()
    .gives::<data::Change>(),
    ask!(
        "metric_rows",
        "/metrics/{key}/rows",
        may(Records),
        record::metric_rows,
        "The rows a figure counts, personal data masked."
    )
    .asks::<record::PartQuery>()
    .asks::<data::PageQuery>()
    .gives::<data::Page<data::Table>>(),
    // Differences.
    ask!(
        "reconciliations",
        "/reconciliations",
        may(Figures),
        figure::reconciliations,
        "All reconciliations as they stand."
    )
    .gives::<Vec<data::Reconciliation>>(),
    ask!(
        "differences",
        "/differences",
        may(Records),
        record::differences,
        "Differences of a reconciliation, oldest first."
    )
    .asks::<data::DifferenceQuery>()
    .asks::<data::PageQuery>()
    .gives::<data::Page<data::Difference>>(),
    ask!("decided", "/entities/{key}", may(Records), record::decided, "Why a key is in its class.")
        .asks::<record::Of>()
        .gives::<data::Decided>(),
    change!(
        "explain",
        "/entities/{key}/explain",
        may(Operate),
        record::explain,
        "Notes why the differences of a key are as they should be."
    )
    .takes::<record::Explain>()
    .gives::<record::Explained>(),
    ask!(
        "trace",
        "/entities/{key}/trace",
        may(Records),
        record::trace,
        "The whole life of one record over all systems."
    )
    .asks::<record::Of>()
    .gives::<data::Trace>(),
    ask!(
        "repairs",
        "/repairs",
        may(Operations),
        operate::repairs,
        "Repairs that were planned or applied."
    )
    .gives::<Vec<data::Repair>>(),
    change!(
        "plan_repair",
        "/repairs/plan",
        may(Records),
        record::plan_repair,
        "What would be corrected where. Sends nothing."
    )
    .takes::<data::RepairScope>()
    .gives::<data::RepairPlan>(),
    change!(
        "apply_repair",
        "/repairs/{hash}/apply",
        may(Operate),
        operate::apply_repair,
        "Sends exactly what the plan of this hash showed."
    )
    .takes::<operate::Reason>()
    .gives::<data::Started>(),
    change!(
        "undo_repair",
        "/repairs/{hash}/undo",
        may(Operate),
        operate::undo_repair,
        "Sends back what the targets had before."
    )
    .takes::<operate::Reason>()
    .gives::<data::Started>(),
    // Quarantine.
    ask!(
        "quarantine_counts",
        "/quarantine-counts",
        may(Operations),
        operate::quarantine_counts,
        "How many rows are in quarantine by stream and code."
    )
    .gives::<Vec<data::QuarantineCount>>(),
    ask!(
        "quarantine",
        "/quarantine",
        may(Records),
        record::quarantine,
        "Rows in quarantine, newest first."
    )
    .asks::<data::QuarantineQuery>()
    .asks::<data::PageQuery>()
    .gives::<data::Page<data::QuarantinedRow>>(),
    ask!(
        "quarantined",
        "/quarantine/{id}",
        may(Records),
        record::quarantined,
        "One row in quarantine with its original, masked."
    )
    .gives::<data::QuarantineDetail>(),
    change!("replay", "/quarantine/replay", may(Operate), operate::replay, "Tries rows again.")
        .takes::<operate::ReplayOrder>()
        .gives::<Vec<data::Replayed>>(),
    change!(
        "discard",
        "/quarantine/{id}/discard",
        may(Operate),
        operate::discard,
        "Takes a row out of quarantine for good."
    )
    .takes::<operate::Reason>()
    .gives::<data::QuarantinedRow>(),
    // Pushes.
    ask!(
        "pushes",
        "/pushes",
        may(Operations),
        operate::pushes,
        "All pushes with what became of their records."
    )
    .gives::<Vec<data::Push>>(),
    ask!(
        "push_days",
        "/push-days",
        may(Operations),
        operate::push_days,
        "What became of what was handed over, by target and day."
    )
    .gives::<Vec<data::PushDay>>(),
    ask!(
        "push_records",
        "/push-records",
        may(Records),
        record::push_records,
        "Records that were sent, with their receipts, newest first."
    )
    .asks::<data::PushQuery>()
    .asks::<data::PageQuery>()
    .gives::<data::Page<data::PushRecord>>(),
    change!(
        "decide",
        "/pushes/{push}/decide",
        may(Operate),
        operate::decide,
        "Decides about records of which nobody knows whether they arrived."
    )
    .takes::<operate::DecisionOrder>()
    .gives::<Vec<data::PushRecord>>(),
    // SQL.
    change!(
        "query",
        "/query",
        may(Query),
        query::query,
        "Answers one SELECT with at most 10,000 rows, personal data masked."
    )
    .takes::<query::Question>()
    .gives::<data::Table>(),
    change!(
        "export",
        "/query/export",
        may(Query),
        query::export,
        "Answers one SELECT as a file: CSV for programs, CSV or a workbook for people."
    )
    .takes::<query::ExportQuestion>(),
    // Accounts.
    ask!("users", "/users", may(Accounts), account::users, "All users.").gives::<Vec<data::User>>(),
    ask!("user", "/users/{name}", may(Accounts), account::user, "One user.").gives::<data::User>(),
    change!(
        "add_user",
        "/users",
        may(Accounts),
        account::add_user,
        "Makes a user, who must change the password at the first login."
    )
    .takes::<data::NewUser>()
    .gives::<data::User>(),
    change!(
        "set_role",
        "/users/{name}/role",
        may(Accounts),
        account::set_role,
        "Gives a user another role; the user's sessions end."
    )
    .takes::<account::RoleChange>()
    .gives::<data::User>(),
    change!(
        "set_limits",
        "/users/{name}/limits",
        may(Accounts),
        account::set_limits,
        "Limits a user to rows of divisions and departments; the user's sessions end."
    )
    .takes::<account::LimitsChange>()
    .gives::<data::User>(),
    change!(
        "disable_user",
        "/users/{name}/disable",
        may(Accounts),
        account::disable,
        "Lets a user in no more."
    )
    .takes::<operate::Reason>()
    .gives::<data::User>(),
    change!(
        "enable_user",
        "/users/{name}/enable",
        may(Accounts),
        account::enable,
        "Lets a user in again."
    )
    .takes::<operate::Reason>()
    .gives::<data::User>(),
    change!(
        "reset_password",
        "/users/{name}/password",
        may(Accounts),
        account::reset_password,
        "Gives a user another password, which must be changed at the next login."
    )
    .takes::<account::PasswordReset>()
    .gives::<data::User>(),
    change!(
        "reset_second_factor",
        "/users/{name}/second-factor/reset",
        may(Accounts),
        account::reset_second_factor,
        "Asks a user for no more codes beside the password; the user's sessions end."
    )
    .takes::<operate::Reason>()
    .gives::<data::User>(),
    change!(
        "make_user_token",
        "/users/{name}/tokens",
        may(Accounts),
        account::make_user_token,
        "Makes a token of a user; it is shown this once."
    )
    .takes::<data::NewToken>()
    .gives::<account::TokenAnswer>(),
    ask!("tokens", "/tokens", may(Accounts), account::tokens, "All tokens.")
        .gives::<Vec<data::Token>>(),
    remove!(
        "revoke_token",
        "/tokens/{id}",
        may(Accounts),
        account::revoke_token,
        "Revokes a token."
    ),
    ask!("sessions", "/sessions", may(Accounts), account::sessions, "All open sessions.")
        .gives::<Vec<data::Login>>(),
    remove!(
        "end_session",
        "/sessions/{id}",
        may(Accounts),
        account::end_session,
        "Ends a session."
    ),
    // The audit.
    ask!("audit", "/audit", may(Audit), account::audit, "The audit, newest first.")
        .asks::<data::AuditQuery>()
        .asks::<data::PageQuery>()
        .gives::<data::Page<data::AuditRecord>>(),
    ask!(
        "verify_audit",
        "/audit-check",
        may(Audit),
        account::verify_audit,
        "Checks that no row of the audit was edited, removed or put in between."
    )
    .asks::<account::Expected>()
    .gives::<data::AuditState>(),
];

/// All operations of the API.
pub fn operations() -> &'static [Operation] {
    ALL
}
