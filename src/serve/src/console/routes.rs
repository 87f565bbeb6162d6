//! Everything the console answers to, with whom it is for.

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};
use huiliu_core::access::Permission::{
    self, Accounts, Audit, Figures, Operate, Operations, Query, Records,
};

use super::answer::{account, door, figure, handling, keeping, query, record, running};
use crate::web::{App, Need, Route};

type Handler = fn() -> MethodRouter<Arc<App>>;

const fn page(name: &'static str, path: &'static str, need: Permission, handler: Handler) -> Route {
    Route { name, method: "GET", path, need: Need::Permission(need), handler }
}

const fn deed(name: &'static str, path: &'static str, need: Permission, handler: Handler) -> Route {
    Route { name, method: "POST", path, need: Need::Permission(need), handler }
}

const fn open(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    need: Need,
    handler: Handler,
) -> Route {
    Route { name, method, path, need, handler }
}

/// Everything the console answers to.
pub fn console_routes() -> &'static [Route] {
    ROUTES
}

/// The rows of the console.
pub(crate) const ROUTES: &[Route] = &[
    open("page_style", "GET", super::layout::STYLE, Need::Nothing, || get(door::style)),
    open("page_script", "GET", super::layout::SCRIPT, Need::Nothing, || get(door::script)),
    open("page_sign", "GET", super::layout::SIGN, Need::Nothing, || get(door::sign)),
    open("page_language", "GET", "/language/{word}", Need::Nothing, || get(door::language)),
    open("page_login", "GET", "/login", Need::Nothing, || get(door::login_page)),
    open("form_login", "POST", "/login", Need::Nothing, || post(door::login)),
    open("page_setup", "GET", "/setup", Need::Nothing, || get(door::setup_page)),
    open("form_setup", "POST", "/setup", Need::Nothing, || post(door::setup)),
    open("page_password", "GET", "/password", Need::Login, || get(door::password_page)),
    open("form_password", "POST", "/password", Need::Login, || post(door::password)),
    open("form_logout", "POST", "/logout", Need::Login, || post(door::logout)),
    open("page_account", "GET", "/account", Need::User, || get(account::account_page)),
    open("form_my_session", "POST", "/account/sessions/end", Need::User, || {
        post(account::end_my_session)
    }),
    open("form_my_token", "POST", "/account/tokens", Need::User, || post(account::make_my_token)),
    open("form_my_token_revoke", "POST", "/account/tokens/revoke", Need::User, || {
        post(account::revoke_my_token)
    }),
    page("page_overview", "/", Operations, || get(figure::overview_page)),
    page("page_figures", "/figures", Figures, || get(figure::figures_page)),
    page("page_metric", "/figures/{key}", Figures, || get(figure::metric_page)),
    page("page_metric_rows", "/figures/{key}/rows", Records, || get(figure::metric_rows_page)),
    page("page_metric_change", "/figures/{key}/change", Figures, || {
        get(figure::metric_change_page)
    }),
    page("page_differences", "/differences", Records, || get(record::differences_page)),
    deed("form_explain", "/differences/explain", Operate, || post(record::explain)),
    page("page_trace", "/trace", Records, || get(record::trace_page)),
    page("page_sql", "/sql", Query, || get(query::sql_page)),
    deed("form_sql", "/sql", Query, || post(query::sql)),
    deed("form_sql_export", "/sql/export", Query, || post(query::sql_export)),
    page("page_systems", "/systems", Operations, || get(running::systems_page)),
    page("page_system", "/systems/{id}", Operations, || get(running::system_page)),
    page("page_runs", "/runs", Operations, || get(running::runs_page)),
    deed("form_run", "/runs", Operate, || post(running::start_run)),
    page("page_run", "/runs/{run}", Operations, || get(running::run_page)),
    page("page_run_live", "/runs/{run}/live", Operations, || get(running::run_live)),
    page("page_jobs", "/jobs", Operations, || get(running::jobs_page)),
    page("page_job", "/jobs/{job}", Operations, || get(running::job_page)),
    deed("form_job_run", "/jobs/{job}/run", Operate, || post(running::run_job)),
    deed("form_job_unpark", "/jobs/{job}/unpark", Operate, || post(running::unpark_job)),
    page("page_alerts", "/alerts", Operations, || get(running::alerts_page)),
    page("page_quarantine", "/quarantine", Records, || get(handling::quarantine_page)),
    page("page_quarantine_row", "/quarantine/{id}", Records, || get(handling::quarantine_row_page)),
    deed("form_replay", "/quarantine/replay", Operate, || post(handling::replay)),
    deed("form_discard", "/quarantine/{id}/discard", Operate, || post(handling::discard)),
    page("page_pushes", "/pushes", Operations, || get(handling::pushes_page)),
    page("page_push", "/pushes/{push}", Records, || get(handling::push_page)),
    deed("form_decide", "/pushes/{push}/decide", Operate, || post(handling::decide)),
    page("page_repairs", "/repairs", Records, || get(handling::repairs_page)),
    page("page_repair_plan", "/repairs/plan", Operate, || get(handling::repair_plan_page)),
    deed("form_repair_apply", "/repairs/apply", Operate, || post(handling::apply_repair)),
    page("page_users", "/users", Accounts, || get(keeping::users_page)),
    deed("form_user", "/users", Accounts, || post(keeping::make_user)),
    page("page_user", "/users/{name}", Accounts, || get(keeping::user_page)),
    deed("form_user_role", "/users/{name}/role", Accounts, || post(keeping::set_role)),
    deed("form_user_limits", "/users/{name}/limits", Accounts, || post(keeping::set_limits)),
    deed("form_user_password", "/users/{name}/password", Accounts, || {
        post(keeping::reset_password)
    }),
    deed("form_user_second_factor", "/users/{name}/second-factor", Accounts, || {
        post(keeping::reset_second_factor)
    }),
    deed("form_user_disable", "/users/{name}/disable", Accounts, || post(keeping::disable)),
    deed("form_user_enable", "/users/{name}/enable", Accounts, || post(keeping::enable)),
    deed("form_user_session", "/users/{name}/sessions/end", Accounts, || {
        post(keeping::end_session)
    }),
    page("page_tokens", "/tokens", Accounts, || get(keeping::tokens_page)),
    deed("form_token", "/tokens", Accounts, || post(keeping::make_token)),
    deed("form_token_revoke", "/tokens/revoke", Accounts, || post(keeping::revoke_token)),
    page("page_audit", "/audit", Audit, || get(keeping::audit_page)),
    deed("form_audit_verify", "/audit/verify", Audit, || post(keeping::verify_audit)),
];
