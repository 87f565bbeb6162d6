//! Every operation of the API, asked by everybody, is compared with what is declared here.
//!
//! The list is written down a second time on purpose: whoever opens an operation to a role changes
//! two places.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use huiliu_core::access::Limits;
use huiliu_serve::operations;
use serde_json::json;

use crate::site::{Session, Site};
use crate::world::by;

/// Who may: o operator, a analyst, u auditor, m admin, * anybody even without a login.
const DECLARED: &str = "
login *
first_admin *
logout oaum
me oaum
change_password oaum
my_tokens oaum
make_token oaum
revoke_my_token oaum
my_sessions oaum
openapi oaum
overview oa
systems oam
system oam
streams oam
runs oam
run oam
run_events oam
start_run o
jobs oam
upcoming oam
job_history oam
run_job o
unpark_job o
alerts oam
figures oa
metric oa
breakdown oa
change oa
metric_rows oa
reconciliations oa
differences oa
decided oa
explain o
trace oa
repairs oam
plan_repair oa
apply_repair o
undo_repair o
quarantine_counts oam
quarantine oa
quarantined oa
replay o
discard o
pushes oam
push_days oam
push_records oa
decide o
query a
export a
users m
user m
add_user m
set_role m
set_limits m
disable_user m
enable_user m
reset_password m
tokens m
revoke_token m
sessions m
end_session m
audit u
verify_audit u
";

/// What operators and analysts may ask who see only some rows.
const WITHIN_LIMITS: &str = "
    logout me change_password my_tokens make_token revoke_my_token my_sessions openapi overview systems
    system streams runs run run_events jobs upcoming job_history alerts figures metric metric_rows
    reconciliations quarantine_counts pushes push_days query export
";

const ROLES: [(&str, char); 4] =
    [("operator", 'o'), ("analyst", 'a'), ("auditor", 'u'), ("admin", 'm')];

fn declared() -> BTreeMap<&'static str, &'static str> {
    DECLARED.trim().lines().filter_map(|line| line.split_once(' ')).collect()
}

#[test]
fn every_operation_is_declared_and_no_declaration_is_left_over() {
    let known: BTreeSet<&str> = operations().iter().map(|o| o.route.name).collect();
    let declared: BTreeSet<&str> = declared().into_keys().collect();
    assert_eq!(known, declared);
    assert_eq!(known.len(), operations().len(), "each name is given once");
    let paths: BTreeSet<(&str, &str)> =
        operations().iter().map(|o| (o.route.method, o.route.path)).collect();
    assert_eq!(paths.len(), operations().len(), "each address is given once");
}

/// Operations that would end the session that asks.
const ENDING: [&str; 1] = ["logout"];

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_answers_whom_it_is_declared_for_and_nobody_else() {
    let site = Site::open().await;
    let mut sessions: Vec<(Session, char)> = Vec::new();
    for (name, letter) in ROLES {
        sessions.push((site.login(name).await, letter));
    }
    let disabled = {
        let session = site.login("operator").await;
        crate::world::add_user(&site.world.accounts, "gone", huiliu_core::access::Role::Operator)
            .await;
        let gone = site.login("gone").await;
        site.world.accounts.disable("gone", &by()).await.unwrap();
        drop(session);
        gone
    };
    for operation in operations() {
        let route = operation.route;
        let path = route.path.replace("{id}", "4711").replace("{key}", "K1");
        let path = path.replace("{job}", "j").replace("{name}", "nobody").replace("{hash}", "h");
        let path = path.replace("{push}", "s.p");
        let who = declared()[route.name];
        let anonymous = site.json(route.method, &path, &[], &json!({})).await;
        let refused = site.json(route.method, &path, &disabled.headers(), &json!({})).await;
        if who == "*" {
            assert_ne!(anonymous.code(), "E-SIGN-IN-FIRST", "{}", route.name);
            continue;
        }
        for answer in [anonymous, refused] {
            assert_eq!(
                (answer.status, answer.code()),
                (401, "E-SIGN-IN-FIRST".into()),
                "{}",
                route.name
            );
        }
        for (session, letter) in &sessions {
            if ENDING.contains(&route.name) {
                continue;
            }
            let answer = site.json(route.method, &path, &session.headers(), &json!({})).await;
            let is_refused = answer.status == 401 || answer.status == 403;
            let may = who.contains(*letter);
            assert_eq!(is_refused, !may, "{} by {letter}: {}", route.name, answer.body);
            if !may {
                assert_eq!(answer.code(), "E-FORBIDDEN", "{} by {letter}", route.name);
            }
        }
    }
    // Rested for too long, and then everybody is a stranger again.
    site.world.clock.advance(TimeDelta::minutes(31));
    for operation in operations().iter().filter(|o| declared()[o.route.name] != "*") {
        let path = operation.route.path.replace("{id}", "1");
        let (session, _) = &sessions[0];
        let answer = site.json(operation.route.method, &path, &session.headers(), &json!({})).await;
        assert_eq!(answer.status, 401, "{}", operation.route.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_only_some_rows_is_refused_by_what_tells_of_all() {
    let site = Site::open().await;
    let declared = declared();
    let within: BTreeSet<&str> = WITHIN_LIMITS.split_whitespace().collect();
    for name in ["operator", "analyst"] {
        let limits = Limits { divisions: vec!["340503".into()], departments: Vec::new() };
        site.world.accounts.set_limits(name, limits, &by()).await.unwrap();
    }
    for (name, letter) in [("operator", 'o'), ("analyst", 'a')] {
        let session = site.login(name).await;
        for operation in operations() {
            let (route, who) = (operation.route, declared[operation.route.name]);
            if !who.contains(letter) || ENDING.contains(&route.name) {
                continue;
            }
            let path = route.path.replace("{id}", "4711").replace("{key}", "K1");
            let path = path.replace("{job}", "j").replace("{hash}", "h").replace("{push}", "s.p");
            let answer = site.json(route.method, &path, &session.headers(), &json!({})).await;
            let is_refused = answer.status == 403 && answer.body.contains("E-LIMITS");
            assert_eq!(is_refused, !within.contains(route.name), "{}: {}", route.name, answer.body);
        }
    }
}
