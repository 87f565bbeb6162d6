//! One of every page, full of one text.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use huiliu_core::access::{Permission, Role};
use serde_json::json;

use crate::console::format::Times;
use crate::console::layout::{Page, Reader, Sheet};
use crate::console::pages::audit::Checked;
use crate::console::pages::query::{Answered, Limits};
use crate::console::pages::{
    account, alert, audit, difference, door, figure, job, metric, mistake, overview, push,
    quarantine, query, repair, run, system, trace, user,
};
use crate::data::{self, *};
use crate::web::{FailureInfo, Language};

const AT: &str = "2018-12-13T01:48:00Z";

/// Who looks, and in which language.
pub(super) struct Look {
    pub(super) role: Option<Role>,
    pub(super) language: Language,
}

impl Look {
    pub(super) fn page(&self) -> Page {
        let now = "2018-12-13T02:00:00Z".parse().unwrap();
        Page {
            language: self.language,
            times: Times { now, zone: chrono_tz::Asia::Shanghai, language: self.language },
            office: "office".into(),
            reader: self.role.map(|role| Reader { name: "zhang".into(), title: "Zhang".into(), role }),
            csrf: "token".into(),
            here: "/here".into(),
            flash: None,
        }
    }
}

/// Where a page of [`pages`] is.
pub(super) fn path_of(name: &str) -> &'static str {
    match name {
        "overview" => "/",
        "figures" => "/figures",
        "metric" | "metric plain" => "/figures/k",
        "rows" => "/figures/k/rows",
        "change" | "change plain" => "/figures/k/change",
        "differences" => "/differences",
        "trace" | "trace plain" => "/trace",
        "systems" => "/systems",
        "system" => "/systems/s",
        "runs" => "/runs",
        "run" | "run going" => "/runs/1",
        "jobs" => "/jobs",
        "job" | "job parked" => "/jobs/j",
        "alerts" => "/alerts",
        "quarantine" | "quarantine stream" | "quarantine empty" => "/quarantine",
        "row" => "/quarantine/1",
        "pushes" => "/pushes",
        "push" => "/pushes/p",
        "repairs" => "/repairs",
        "plan" => "/repairs/plan",
        "sql" | "sql failed" => "/sql",
        "users" => "/users",
        "user" => "/users/u",
        "tokens" | "made" => "/tokens",
        "account" => "/account",
        "audit" | "audit holds" | "audit broken" => "/audit",
        _ => "/login",
    }
}

struct Of<'a>(&'a str);

impl Of<'_> {
    fn s(&self) -> String {
        self.0.to_owned()
    }

    fn o(&self) -> Option<String> {
        Some(self.s())
    }

    fn figure(&self, unit: &str) -> Figure {
        let point = |height| FigurePoint { day: "2018-12-12".into(), text: "99.97".into(), height };
        Figure {
            key: "k".into(),
            title: self.s(),
            unit: unit.into(),
            value: Some("99.97".into()),
            numerator: Some(52_337),
            denominator: Some(52_353),
            definition: self.s(),
            valid_from: "2017-12-20".into(),
            owner: self.s(),
            snapshot: Some(58),
            change: Some("-0.02".into()),
            trend: vec![point(99.95), point(99.97)],
            published: Some(PublishedValue { value: self.s(), period: self.s(), source: self.s() }),
            held_back_by: vec![self.s()],
        }
    }

    fn stream(&self, freshness: Freshness) -> Stream {
        Stream {
            stream: "s.cases".into(),
            system_title: self.s(),
            table: self.s(),
            read: "incremental".into(),
            freshness,
            last_news: Some(AT.into()),
            silent_seconds: Some(3),
            rows: Some(1200),
            usual_rows: Some((900, 1500)),
            committed_at: Some(AT.into()),
            last_counts: Some(Counts { balanced: true, ..Counts::default() }),
            is_parked: true,
            quarantined: 3,
        }
    }

    fn run(&self, state: &str, ended: bool) -> Run {
        Run {
            run: 1,
            job: Some("j".into()),
            selector: self.s(),
            state: state.into(),
            started_at: AT.into(),
            finished_at: ended.then(|| AT.to_owned()),
            exit_code: Some(0),
        }
    }

    fn step(&self, kind: &str, state: &str) -> Step {
        let counts = Counts { read: 10, written: 9, balanced: kind != "stream", ..Counts::default() };
        Step {
            node: self.s(),
            kind: kind.into(),
            state: state.into(),
            counts,
            snapshot: Some(3),
            code: self.o(),
            message: self.o(),
            hint: Some(format!("{} --accept abc", self.0)),
            started_at: AT.into(),
            finished_at: Some(AT.into()),
        }
    }

    fn run_detail(&self, ended: bool) -> RunDetail {
        let steps = vec![
            self.step("stream", "failed"),
            self.step("replay", "succeeded"),
            self.step("model", "blocked"),
        ];
        RunDetail { run_row: self.run("partial", ended), steps, balanced: false }
    }

    fn job(&self, parked: bool) -> Job {
        Job {
            job: "j".into(),
            cron: self.s(),
            zone: self.s(),
            workdays_only: true,
            run: self.s(),
            next: Some(AT.into()),
            warning: self.o(),
            open: None,
            last: Some(self.job_run()),
            parked_at: parked.then(|| AT.to_owned()),
            deaths: 3,
        }
    }

    fn job_run(&self) -> JobRun {
        JobRun {
            job: "j".into(),
            scheduled_at: AT.into(),
            state: "failed".into(),
            attempts: 2,
            missed: 1,
            run: Some(1),
            exit_code: Some(3),
            code: self.o(),
            message: self.o(),
            started_at: Some(AT.into()),
            finished_at: Some(AT.into()),
        }
    }

    fn alert(&self, kind: &str) -> Alert {
        Alert { kind: kind.into(), object: "s.cases".into(), detail: self.s(), since: AT.into() }
    }

    fn rec(&self) -> Reconciliation {
        let owner = |rule: &str, field: Option<String>| OwnerCount {
            owner: self.s(),
            rule: rule.into(),
            field,
            differences: 5,
            oldest_workdays: None,
        };
        Reconciliation {
            name: "cases".into(),
            title: self.s(),
            table: self.s(),
            last_run: Some(1),
            last_run_at: Some(AT.into()),
            keys: 1000,
            classes: vec![
                Class { class: "matched".into(), keys: 990, is_above_level: false },
                Class { class: "missing_in_s".into(), keys: 10, is_above_level: true },
            ],
            states: BTreeMap::from([("open".into(), 10)]),
            by_owner: (0..10)
                .map(|_| owner("missing_in_s", None))
                .chain([owner("mismatch", self.o()), owner("mismatch", Some("other".into()))])
                .collect(),
            unknown_codes: vec![UnknownCode {
                system: "s".into(),
                field: self.s(),
                code: self.s(),
                rows: 3,
            }],
            systems: vec![("s".into(), self.s())],
        }
    }

    fn difference(&self) -> Difference {
        Difference {
            difference_id: self.s(),
            key: self.s(),
            rule: "mismatch".into(),
            field: self.o(),
            system: "s".into(),
            owner: self.o(),
            found: self.o(),
            expected: self.o(),
            expected_from: Some("s".into()),
            state: "open".into(),
            reason: self.o(),
            first_seen: "2018-12-01 08:00:00".into(),
            last_seen: "2018-12-01 08:00:00".into(),
            closed_at: None,
            first_run: 1,
            last_run: 1,
            reopened: 2,
            age_workdays: Some(8),
        }
    }

    fn decided(&self) -> Decided {
        Decided {
            reconciliation: "cases".into(),
            key: self.s(),
            class: "mismatch".into(),
            run: self.o(),
            systems: vec![DecidedSystem {
                system: "s".into(),
                title: self.s(),
                is_present: true,
                copies: 1,
                row: self.o(),
                run: self.o(),
            }],
            fields: vec![DecidedField {
                field: self.s(),
                title: "t".into(),
                value: self.o(),
                from: Some("s".into()),
                differs: Some(true),
                values: BTreeMap::from([("s".into(), Some(format!("{}!", self.0)))]),
            }],
            differences: vec![self.difference()],
            events: Vec::new(),
        }
    }

    fn trace(&self) -> Trace {
        let details: Vec<TraceDetail> = (0..12)
            .map(|_| TraceDetail { name: self.s(), value: json!(self.0) })
            .chain([TraceDetail { name: self.s(), value: json!({ "value": self.0, "from": self.0 }) }])
            .collect();
        let entry = |kind: &str| TraceEntry {
            at: "2018-12-01 08:00:00.000".into(),
            kind: kind.into(),
            of: self.s(),
            run: Some(1),
            details: details.clone(),
        };
        let entries = ["version", "decision", "difference", "push"].map(entry).to_vec();
        Trace { reconciliation: "cases".into(), key: self.s(), entries }
    }

    fn system(&self, id: Option<&str>) -> System {
        System {
            id: id.map(str::to_owned),
            title: self.s(),
            owner: self.s(),
            kind: self.o(),
            stage: "live".into(),
            registered_stage: Some("trial".into()),
            deadline: self.o(),
            items: Some(12),
            last_contact: Some(AT.into()),
        }
    }

    fn push(&self) -> Push {
        Push {
            push: "p".into(),
            system_title: self.s(),
            from: self.s(),
            has_receipts: true,
            stage: "live".into(),
            waiting: 1,
            delivered: 2,
            accepted: 3,
            rejected: 4,
            unknown: 5,
        }
    }

    fn push_day(&self) -> PushDay {
        PushDay {
            push: "p".into(),
            day: "2018-12-13".into(),
            sent: 10,
            accepted: 5,
            rejected: 2,
            waiting: 1,
            unknown: 1,
            missing: 1,
        }
    }

    fn record(&self) -> PushRecord {
        PushRecord {
            id: 1,
            push: "p".into(),
            key: self.s(),
            idempotency_key: self.s(),
            state: "unknown".into(),
            attempts: 1,
            run: 1,
            created_at: AT.into(),
            code: self.o(),
            message: self.o(),
            settled_at: None,
        }
    }

    fn row(&self) -> QuarantinedRow {
        QuarantinedRow {
            id: 1,
            run: 1,
            stream: self.s(),
            origin: self.s(),
            position: 7,
            code: self.s(),
            reason: self.s(),
            quarantined_at: AT.into(),
        }
    }

    fn table(&self) -> Table {
        let column = |data_type: &str| Column { name: self.s(), data_type: data_type.into() };
        Table {
            columns: vec![column("Utf8"), column("Int64")],
            rows: vec![vec![json!(self.0), json!(1)], vec![json!(null), json!(null)]],
            is_cut: true,
            snapshot: 9,
        }
    }

    fn plan(&self) -> RepairPlan {
        RepairPlan {
            scope: RepairScope { system: self.o(), ..RepairScope::default() },
            hash: Some("abcdef0123456789".into()),
            count: 600,
            records: vec![RepairRecord {
                reconciliation: "cases".into(),
                system: self.s(),
                push: self.s(),
                key: self.s(),
                action: "update".into(),
                refused_before: self.o(),
                differences: Vec::new(),
                changes: vec![RepairChange { column: self.s(), before: None, after: self.o() }],
            }],
            left_out: vec![LeftOut {
                system: self.s(),
                rule: "mismatch".into(),
                why: "no_push".into(),
                push: self.o(),
                differences: 3,
                example: self.s(),
            }],
        }
    }

    fn user(&self) -> User {
        User {
            name: "u".into(),
            title: self.s(),
            role: Role::Analyst,
            must_change: true,
            disabled: false,
            created_at: AT.into(),
            password_at: AT.into(),
            last_login_at: None,
        }
    }

    fn login(&self) -> Login {
        Login {
            id: self.s(),
            user: "u".into(),
            created_at: AT.into(),
            seen_at: AT.into(),
            address: self.s(),
            is_this: false,
        }
    }

    fn token(&self) -> Token {
        Token {
            id: self.s(),
            user: "u".into(),
            title: self.s(),
            scopes: vec![Permission::Query],
            created_at: AT.into(),
            expires_at: "2019-12-13T01:48:00.000Z".into(),
            last_used_at: None,
            revoked_at: None,
        }
    }

    fn audit(&self) -> data::Page<AuditRecord> {
        page_of(vec![AuditRecord {
            id: 1,
            at: AT.into(),
            who: self.s(),
            action: self.s(),
            object: self.s(),
            reason: self.s(),
            before: self.o(),
            after: self.o(),
            hash: self.s(),
        }])
    }

    fn metric(&self) -> MetricDetail {
        MetricDetail {
            figure: self.figure("percent"),
            from: self.s(),
            definitions: vec![DefinitionVersion {
                valid_from: "2017-12-20".into(),
                text: self.s(),
                denominator: self.o(),
                numerator: self.o(),
                distinct: self.o(),
                measure: self.o(),
                weight: self.o(),
            }],
            dimensions: vec![self.s()],
            is_ratio: true,
        }
    }

    fn breakdown(&self) -> Breakdown {
        let group = |of: Option<String>| Group {
            of: vec![of],
            value: Some("1.00".into()),
            numerator: 3,
            denominator: Some(4),
        };
        Breakdown { key: "k".into(), by: vec![self.s()], groups: vec![group(None), group(self.o())], snapshot: 3 }
    }

    fn change(&self) -> Change {
        let step = |name: &str, change: &str| ChangeStep {
            step: name.into(),
            rows: 3,
            numerator: 3,
            denominator: Some(4),
            change: Some(change.into()),
            exact_change: self.o(),
        };
        Change {
            key: "k".into(),
            from_snapshot: 1,
            from: Some("1.00".into()),
            from_numerator: 1,
            from_denominator: Some(2),
            to_snapshot: 3,
            to: None,
            to_numerator: 2,
            to_denominator: Some(0),
            change: Some("-0.50".into()),
            exact_change: self.o(),
            steps: vec![
                step("definition", "0.00"),
                step("gone", "-1.00"),
                step("corrected", "0.50"),
                step("new", "+1.00"),
            ],
        }
    }

    fn overview(&self) -> Overview {
        Overview {
            office: self.s(),
            at: "2018-12-13 10:00:00".into(),
            day: "2018-12-13".into(),
            is_workday: Some(true),
            snapshot: 58,
            figures: vec![self.figure("percent"), self.figure("count")],
            streams: [Freshness::Fresh, Freshness::Missing, Freshness::LateButUsual, Freshness::Unknown]
                .map(|freshness| self.stream(freshness))
                .to_vec(),
            last_run: Some(self.run("failed", true)),
            failed_runs: vec![self.run("failed", true)],
            alerts: ["job_failed", "stream_missing", "push_unknown"].map(|kind| self.alert(kind)).to_vec(),
            quarantine: vec![QuarantineTotal { stream: self.s(), rows: 3 }],
            unknown_pushes: vec![PushTotal { push: "p".into(), unknown: 2, missing: 1 }],
            parked_jobs: vec![self.job(true)],
            differences: Vec::new(),
        }
    }
}

fn page_of<T>(items: Vec<T>) -> data::Page<T> {
    data::Page { items, next: Some("c&d".into()), total: Some(700) }
}

/// One of every page.
pub(super) fn pages(page: &Page, text: &str) -> Vec<(&'static str, Sheet)> {
    let of = Of(text);
    let recs = [of.rec(), Reconciliation { name: "b".into(), ..of.rec() }];
    let counts = [QuarantineCount { stream: of.s(), code: of.s(), rows: 3 }];
    let upcoming = [Upcoming { job: "j".into(), at: AT.into() }];
    let limits = Limits { shown: 200, exported: 1000, seconds: 60 };
    let tables = [(of.s(), vec![of.s()])];
    let (query, none) = (DifferenceQuery { owner: of.o(), ..DifferenceQuery::default() }, QuarantineQuery::default());
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
    let (push_query, metric_of) = (PushQuery { push: None, state: Some("unknown".into()) }, of.metric());
    let failed = Answered::Failed("E-SQL", text, Some(text));
    vec![
        ("login", door::login(page, text, text)),
        ("setup", door::setup(page, text, text)),
        ("password", door::password(page)),
        ("mistake", mistake::mistake(page, &info, text, Some(text))),
        ("overview", overview::overview(page, &of.overview(), &[of.run("running", false)], &upcoming)),
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
        ("alerts", alert::list(page, &[of.alert("job_failed"), of.alert("push_unknown"), of.alert("stream_volume")])),
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
            quarantine::list(page, &[], &none, &data::Page { items: Vec::new(), next: None, total: None }),
        ),
        ("row", quarantine::row(page, &row)),
        ("pushes", push::list(page, &[of.push()], &[of.push_day()])),
        ("push", push::push(page, &of.push(), &[of.push_day()], &push_query, &page_of(vec![of.record()]))),
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
        ("audit broken", audit::list(page, &AuditQuery::default(), &of.audit(), &Checked::Broken(of.s()))),
    ]
}
