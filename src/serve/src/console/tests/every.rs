//! One of every page, full of one text.

use axum::http::StatusCode;
use huiliu_core::access::Role;

use super::sample::{AT, Of, page_of};
use crate::console::layout::{Page, Reader, Sheet};
use crate::console::pages::audit::Checked;
use crate::console::pages::query::{Answered, Limits};
use crate::console::pages::{
    account, alert, audit, difference, door, figure, job, metric, mistake, overview, push,
    quarantine, query, repair, run, system, trace, user,
};
use crate::data::{
    AuditQuery, AuditState, DifferenceQuery, Freshness, OriginalColumn, Part, PushQuery,
    QuarantineCount, QuarantineDetail, QuarantineQuery, Reconciliation, Register, Repair,
    SystemDetail, Upcoming,
};
use crate::web::FailureInfo;

/// One of every page.
pub(super) fn pages(page: &Page, text: &str) -> Vec<(&'static str, Sheet)> {
    let of = Of(text);
    let recs = [of.rec(), Reconciliation { name: "b".into(), ..of.rec() }];
    let counts = [QuarantineCount { stream: of.s(), code: of.s(), rows: 3 }];
    let upcoming = [Upcoming { job: "j".into(), at: AT.into() }];
    let limits = Limits { shown: 200, exported: 1000, seconds: 60 };
    let tables = [(of.s(), vec![of.s()])];
    let (query, none) = (
        DifferenceQuery { owner: of.o(), ..DifferenceQuery::default() },
        QuarantineQuery::default(),
    );
    let register = Register {
        systems: vec![of.system(Some("s")), of.system(None)],
        departments: 50,
        live: 4,
        trial: 3,
        survey: 43,
        items: 62,
    };
    let detail = SystemDetail {
        system: of.system(Some("s")),
        missing: vec![of.s()],
        connections: Some(2),
        requests_per_minute: None,
        quiet_hours: of.o(),
        streams: vec![of.stream(Freshness::Fresh)],
        pushes: vec![of.push()],
    };
    let info = FailureInfo {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "E-INTERNAL",
        message: of.s(),
        hint: of.o(),
        id: of.o(),
        retry_after: None,
    };
    let row = QuarantineDetail {
        row: of.row(),
        columns: Some(vec![OriginalColumn { name: of.s(), value: of.o(), is_masked: true }]),
    };
    let me = Reader { name: of.s(), title: of.s(), role: Role::Analyst };
    let holds = Checked::Holds(AuditState { rows: 3, last_id: 3, last_hash: of.s() });
    let (push_query, metric_of) =
        (PushQuery { push: None, state: Some("unknown".into()) }, of.metric());
    let failed = Answered::Failed("E-SQL", text, Some(text));
    vec![
        ("login", door::login(page, text, text)),
        ("setup", door::setup(page, text, text)),
        ("password", door::password(page)),
        ("mistake", mistake::mistake(page, &info, text, Some(text))),
        (
            "overview",
            overview::overview(page, &of.overview(), &[of.run("running", false)], &upcoming),
        ),
        ("figures", figure::list(page, &[of.figure("percent"), of.figure("count")])),
        ("metric", metric::metric(page, &metric_of, Some(&of.breakdown()))),
        ("metric plain", metric::metric(page, &metric_of, None)),
        ("rows", metric::rows(page, &metric_of, Part::Denominator, &page_of(vec![of.table()]))),
        ("change", metric::change(page, &metric_of, (text, ""), Some(&of.change()))),
        ("change plain", metric::change(page, &metric_of, ("", ""), None)),
        ("differences", difference::ledger(page, &recs, &query, &page_of(vec![of.difference()]))),
        ("trace", trace::trace(page, &recs, &of.trace(), Some(&of.decided()))),
        ("trace plain", trace::search(page, &recs, "cases", text)),
        ("systems", system::register(page, &register)),
        ("system", system::system(page, &detail)),
        ("runs", run::list(page, &page_of(vec![of.run("failed", true)]))),
        ("run", run::run(page, &of.run_detail(true))),
        ("run going", run::run(page, &of.run_detail(false))),
        ("jobs", job::list(page, &[of.job(false), of.job(true)], &upcoming)),
        ("job", job::job(page, &of.job(false), &[of.job_run()])),
        ("job parked", job::job(page, &of.job(true), &[])),
        (
            "alerts",
            alert::list(
                page,
                &[of.alert("job_failed"), of.alert("push_unknown"), of.alert("stream_volume")],
            ),
        ),
        ("quarantine", quarantine::list(page, &counts, &none, &page_of(vec![of.row()]))),
        (
            "quarantine stream",
            quarantine::list(
                page,
                &counts,
                &QuarantineQuery { stream: of.o(), run: Some(1) },
                &page_of(vec![of.row()]),
            ),
        ),
        (
            "quarantine empty",
            quarantine::list(
                page,
                &[],
                &none,
                &crate::data::Page { items: Vec::new(), next: None, total: None },
            ),
        ),
        ("row", quarantine::row(page, &row)),
        ("pushes", push::list(page, &[of.push()], &[of.push_day()])),
        (
            "push",
            push::push(
                page,
                &of.push(),
                &[of.push_day()],
                &push_query,
                &page_of(vec![of.record()]),
            ),
        ),
        (
            "repairs",
            repair::list(
                page,
                &[Repair {
                    hash: "abcdef0123456789".into(),
                    planned_at: AT.into(),
                    applied_at: Some(AT.into()),
                    applied_by: of.o(),
                    reason: of.o(),
                    records: 3,
                    waiting: 0,
                    accepted: 3,
                    rejected: 0,
                    unknown: 0,
                    undone: 0,
                }],
            ),
        ),
        ("plan", repair::plan(page, &of.plan())),
        ("sql", query::workbench(page, text, &Answered::Rows(&of.table(), 12), limits, &tables)),
        ("sql failed", query::workbench(page, text, &failed, limits, &[])),
        ("users", user::list(page, &[of.user()])),
        ("user", user::user(page, &of.user(), &[of.login()], &[of.token()])),
        ("tokens", user::tokens(page, &[of.token()])),
        ("made", user::made(page, text, &of.token(), "/tokens")),
        ("account", account::account(page, &me, &[of.login()], &[of.token()])),
        ("audit", audit::list(page, &AuditQuery::default(), &of.audit(), &Checked::No)),
        ("audit holds", audit::list(page, &AuditQuery::default(), &of.audit(), &holds)),
        (
            "audit broken",
            audit::list(page, &AuditQuery::default(), &of.audit(), &Checked::Broken(of.s())),
        ),
    ]
}
