//! Data full of one text.

use std::collections::BTreeMap;

use huiliu_core::access::{Limits, Permission, Role};
use serde_json::json;

use crate::console::format::Times;
use crate::console::layout::{Page, Reader};
use crate::data::{
    self, Alert, AuditRecord, Breakdown, Change, ChangeStep, Class, Counts, Decided, DecidedField,
    DecidedSystem, DefinitionVersion, Difference, DifferenceTotal, Figure, FigurePoint, Freshness,
    Group, Job, JobRun, LeftOut, Login, MetricDetail, Overview, OwnerCount, PublishedValue, Push,
    PushDay, PushRecord, PushTotal, QuarantineTotal, QuarantinedRow, Reconciliation, RepairChange,
    RepairPlan, RepairRecord, RepairScope, Run, RunDetail, Step, Stream, System, Table, Token,
    Trace, TraceDetail, TraceEntry, UnknownCode, User,
};
use crate::web::Language;

pub(super) const AT: &str = "2018-12-13T01:48:00Z";

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
            reader: self.role.map(|role| Reader {
                name: "zhang".into(),
                title: "Zhang".into(),
                role,
            }),
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

pub(super) struct Of<'a>(pub(super) &'a str);

impl Of<'_> {
    pub(super) fn s(&self) -> String {
        self.0.to_owned()
    }

    pub(super) fn o(&self) -> Option<String> {
        Some(self.s())
    }

    pub(super) fn figure(&self, unit: &str) -> Figure {
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

    pub(super) fn stream(&self, freshness: Freshness) -> Stream {
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

    pub(super) fn run(&self, state: &str, ended: bool) -> Run {
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

    pub(super) fn step(&self, kind: &str, state: &str) -> Step {
        let counts =
            Counts { read: 10, written: 9, balanced: kind != "stream", ..Counts::default() };
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

    pub(super) fn run_detail(&self, ended: bool) -> RunDetail {
        let steps = vec![
            self.step("stream", "failed"),
            self.step("replay", "succeeded"),
            self.step("model", "blocked"),
        ];
        RunDetail { run_row: self.run("partial", ended), steps, balanced: false }
    }

    pub(super) fn job(&self, parked: bool) -> Job {
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

    pub(super) fn job_run(&self) -> JobRun {
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

    pub(super) fn alert(&self, kind: &str) -> Alert {
        Alert { kind: kind.into(), object: "s.cases".into(), detail: self.s(), since: AT.into() }
    }

    pub(super) fn rec(&self) -> Reconciliation {
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

    pub(super) fn difference(&self) -> Difference {
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

    pub(super) fn decided(&self) -> Decided {
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

    pub(super) fn trace(&self) -> Trace {
        let details: Vec<TraceDetail> = (0..12)
            .map(|_| TraceDetail { name: self.s(), value: json!(self.0) })
            .chain([TraceDetail {
                name: self.s(),
                value: json!({ "value": self.0, "from": self.0 }),
            }])
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

    pub(super) fn system(&self, id: Option<&str>) -> System {
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

    pub(super) fn push(&self) -> Push {
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

    pub(super) fn push_day(&self) -> PushDay {
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

    pub(super) fn record(&self) -> PushRecord {
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

    pub(super) fn row(&self) -> QuarantinedRow {
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

    pub(super) fn table(&self) -> Table {
        let column = |data_type: &str| data::Column { name: self.s(), data_type: data_type.into() };
        Table {
            columns: vec![column("Utf8"), column("Int64")],
            rows: vec![vec![json!(self.0), json!(1)], vec![json!(null), json!(null)]],
            is_cut: true,
            snapshot: 9,
        }
    }

    pub(super) fn plan(&self) -> RepairPlan {
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

    pub(super) fn user(&self) -> User {
        User {
            name: "u".into(),
            title: self.s(),
            role: Role::Analyst,
            limits: Limits { divisions: vec![self.s()], departments: vec![self.s()] },
            must_change: true,
            second_factor: true,
            disabled: false,
            created_at: AT.into(),
            password_at: AT.into(),
            last_login_at: None,
        }
    }

    pub(super) fn login(&self) -> Login {
        Login {
            id: self.s(),
            user: "u".into(),
            created_at: AT.into(),
            seen_at: AT.into(),
            address: self.s(),
            is_this: false,
        }
    }

    pub(super) fn token(&self) -> Token {
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

    pub(super) fn audit(&self) -> data::Page<AuditRecord> {
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

    pub(super) fn metric(&self) -> MetricDetail {
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

    pub(super) fn breakdown(&self) -> Breakdown {
        let group = |of: Option<String>| Group {
            of: vec![of],
            value: Some("1.00".into()),
            numerator: 3,
            denominator: Some(4),
        };
        Breakdown {
            key: "k".into(),
            by: vec![self.s()],
            groups: vec![group(None), group(self.o())],
            snapshot: 3,
        }
    }

    pub(super) fn change(&self) -> Change {
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

    pub(super) fn overview(&self) -> Overview {
        Overview {
            office: self.s(),
            at: "2018-12-13 10:00:00".into(),
            day: "2018-12-13".into(),
            is_workday: Some(true),
            snapshot: 58,
            figures: vec![self.figure("percent"), self.figure("count")],
            streams: [
                Freshness::Fresh,
                Freshness::Missing,
                Freshness::LateButUsual,
                Freshness::Unknown,
            ]
            .map(|freshness| self.stream(freshness))
            .to_vec(),
            last_run: Some(self.run("failed", true)),
            failed_runs: vec![self.run("failed", true)],
            alerts: ["job_failed", "stream_missing", "push_unknown"]
                .map(|kind| self.alert(kind))
                .to_vec(),
            quarantine: vec![QuarantineTotal { stream: self.s(), rows: 3 }],
            unknown_pushes: vec![PushTotal { push: "p".into(), unknown: 2, missing: 1 }],
            parked_jobs: vec![self.job(true)],
            differences: vec![DifferenceTotal {
                reconciliation: "cases".into(),
                title: self.s(),
                open: 12,
                oldest_workdays: None,
            }],
        }
    }
}

pub(super) fn page_of<T>(items: Vec<T>) -> data::Page<T> {
    data::Page { items, next: Some("c&d".into()), total: Some(700) }
}
