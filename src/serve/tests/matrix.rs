//! Every operation of the API and every page and form of the console, asked by everybody, is compared
//! with what is declared here.
//!
//! The list is written down a second time on purpose: whoever opens something to a role changes two
//! places.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use futures::future::join_all;
use huiliu_core::access::{Limits, Role};
use huiliu_serve::data::NewToken;
use huiliu_serve::web::Route;
use huiliu_serve::{console_routes, operations};

use crate::site::{Answer, Session, Site};
use crate::world::{add_user, by};

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
end_my_session oaum
openapi oaum
overview oam
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
reset_second_factor m
make_user_token m
tokens m
revoke_token m
sessions m
end_session m
audit u
verify_audit u
";

/// The same of the console.
const PAGES: &str = "
page_style *
page_script *
page_sign *
page_language *
page_login *
form_login *
page_setup *
form_setup *
page_password oaum
form_password oaum
form_logout oaum
page_account oaum
form_my_session oaum
form_my_token oaum
form_my_token_revoke oaum
page_overview oam
page_figures oa
page_metric oa
page_metric_rows oa
page_metric_change oa
page_differences oa
form_explain o
page_trace oa
page_sql a
form_sql a
form_sql_export a
page_systems oam
page_system oam
page_runs oam
form_run o
page_run oam
page_run_live oam
page_jobs oam
page_job oam
form_job_run o
form_job_unpark o
page_alerts oam
page_quarantine oa
page_quarantine_row oa
form_replay o
form_discard o
page_pushes oam
page_push oa
form_decide o
page_repairs oa
page_repair_plan o
form_repair_apply o
page_users m
form_user m
page_user m
form_user_role m
form_user_limits m
form_user_password m
form_user_second_factor m
form_user_disable m
form_user_enable m
form_user_session m
page_tokens m
form_token m
form_token_revoke m
page_audit u
form_audit_verify u
";

/// What operators and analysts may ask who see only some rows.
const WITHIN_LIMITS: &str = "
    logout me change_password my_tokens make_token revoke_my_token my_sessions end_my_session openapi
    overview systems system streams runs run run_events jobs upcoming job_history alerts figures metric
    metric_rows reconciliations quarantine_counts pushes push_days query export
    page_password form_password form_logout page_account form_my_session form_my_token
    form_my_token_revoke page_overview page_figures page_metric page_metric_rows page_sql form_sql
    form_sql_export page_systems page_system page_runs page_run page_run_live page_jobs page_job
    page_alerts page_pushes
";

/// By which operations a program does what a page or a form of the console does.
const BY_PROGRAM: &str = "
form_login login
form_setup first_admin
form_password change_password
form_logout logout
page_account me my_sessions my_tokens
form_my_session end_my_session
form_my_token make_token
form_my_token_revoke revoke_my_token
page_overview overview runs upcoming
page_figures figures
page_metric metric breakdown
page_metric_rows metric metric_rows
page_metric_change metric change
page_differences reconciliations differences
form_explain explain
page_trace reconciliations trace decided
page_sql query
form_sql query
form_sql_export export
page_systems systems
page_system system
page_runs runs
form_run start_run
page_run run
page_run_live run_events
page_jobs jobs upcoming
page_job jobs job_history
form_job_run run_job
form_job_unpark unpark_job
page_alerts alerts
page_quarantine quarantine_counts quarantine
page_quarantine_row quarantined
form_replay replay
form_discard discard
page_pushes pushes push_days
page_push pushes push_days push_records
form_decide decide
page_repairs repairs
page_repair_plan plan_repair
form_repair_apply apply_repair undo_repair
page_users users
form_user add_user
page_user user sessions tokens
form_user_role set_role
form_user_limits set_limits
form_user_password reset_password
form_user_second_factor reset_second_factor
form_user_disable disable_user
form_user_enable enable_user
form_user_session end_session
page_tokens tokens
form_token make_user_token
form_token_revoke revoke_token
page_audit audit
form_audit_verify verify_audit
";

/// What only people need: files of the pages, empty forms, the choice of a language.
const FOR_PEOPLE: [&str; 7] = [
    "page_style",
    "page_script",
    "page_sign",
    "page_language",
    "page_login",
    "page_setup",
    "page_password",
];

const ROLES: [(&str, Role, char); 4] = [
    ("operator", Role::Operator, 'o'),
    ("analyst", Role::Analyst, 'a'),
    ("auditor", Role::Auditor, 'u'),
    ("admin", Role::Admin, 'm'),
];

/// What would end the session that asks.
const ENDING: [&str; 2] = ["logout", "form_logout"];

/// One thing that can be asked for.
#[derive(Clone, Copy)]
struct Door {
    route: Route,
    /// Whether it is one of the console.
    is_page: bool,
}

fn doors() -> Vec<Door> {
    let operations = operations().iter().map(|o| Door { route: o.route, is_page: false });
    let pages = console_routes().iter().map(|route| Door { route: *route, is_page: true });
    operations.chain(pages).collect()
}

fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.trim().lines().filter_map(|line| line.split_once(' '))
}

fn declared() -> BTreeMap<&'static str, &'static str> {
    lines(DECLARED).chain(lines(PAGES)).collect()
}

#[test]
fn every_operation_is_declared_and_no_declaration_is_left_over() {
    let doors = doors();
    let known: BTreeSet<&str> = doors.iter().map(|door| door.route.name).collect();
    let declared: BTreeSet<&str> = declared().into_keys().collect();
    assert_eq!(known, declared);
    assert_eq!(known.len(), doors.len(), "each name is given once");
    assert_eq!(lines(DECLARED).count() + lines(PAGES).count(), doors.len());
    let paths: BTreeSet<(&str, &str)> =
        doors.iter().map(|door| (door.route.method, door.route.path)).collect();
    assert_eq!(paths.len(), doors.len(), "each address is given once");
}

#[test]
fn whatever_the_console_does_a_program_of_the_same_role_can_do() {
    let declared = declared();
    let by_program: BTreeMap<&str, &str> = lines(BY_PROGRAM).collect();
    let operations: BTreeSet<&str> = operations().iter().map(|o| o.route.name).collect();
    for route in console_routes() {
        let Some(names) = by_program.get(route.name) else {
            assert!(FOR_PEOPLE.contains(&route.name), "no operation does what {} does", route.name);
            continue;
        };
        assert!(!FOR_PEOPLE.contains(&route.name), "{}", route.name);
        for name in names.split(' ') {
            assert!(operations.contains(name), "{}: there is no operation {name}", route.name);
            let (people, programs) = (declared[route.name], declared[name]);
            let may = people.chars().all(|role| programs.contains(role));
            assert!(may, "{} is for {people}, {name} for {programs}", route.name);
        }
    }
    let routes: BTreeSet<&str> = console_routes().iter().map(|route| route.name).collect();
    let left_over = by_program.keys().chain(&FOR_PEOPLE).find(|name| !routes.contains(*name));
    assert_eq!(left_over, None);
}

/// Whoever asks.
struct Asker {
    label: String,
    headers: Vec<(&'static str, String)>,
    /// The letter of the role; none when nobody should be known.
    role: Option<char>,
    is_token: bool,
}

impl Asker {
    fn session(label: &str, session: &Session, role: Option<char>) -> Self {
        let headers = session.headers().map(|(name, value)| match name {
            "Cookie" => ("Cookie", value.to_owned()),
            _ => ("X-CSRF-Token", value.to_owned()),
        });
        Self { label: label.into(), headers: headers.to_vec(), role, is_token: false }
    }

    fn token(label: &str, secret: &str, role: Option<char>) -> Self {
        let headers = vec![("Authorization", format!("Bearer {secret}"))];
        Self { label: label.into(), headers, role, is_token: true }
    }

    /// The same who should not be known any more.
    fn ended(self) -> Self {
        Self { label: format!("{}, ended", self.label), role: None, ..self }
    }
}

/// How an asker was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Let in, whatever came of it.
    In,
    /// Asked to log in.
    LogIn,
    /// Known, and not allowed.
    Forbidden,
    /// Allowed, if all rows were seen.
    Limited,
}

fn told(door: Door, answer: &Answer) -> Told {
    // The page of the first account leads to the login once there is one, whoever asks.
    let is_sent_away = door.is_page
        && answer.status == 303
        && answer.header("location") == Some("/login")
        && door.route.name != "page_setup";
    let says = |code: &str| answer.body.contains(code);
    match answer.status {
        _ if is_sent_away => Told::LogIn,
        401 if says("E-SIGN-IN-FIRST") => Told::LogIn,
        403 if says("E-FORBIDDEN") => Told::Forbidden,
        403 if says("E-LIMITS") => Told::Limited,
        403 => panic!("{}: {}", door.route.name, answer.body),
        _ => Told::In,
    }
}

fn path(route: Route) -> String {
    [
        ("{id}", "4711"),
        ("{key}", "K1"),
        ("{job}", "j"),
        ("{name}", "nobody"),
        ("{hash}", "h"),
        ("{push}", "s.p"),
        ("{run}", "4711"),
        ("{word}", "en"),
    ]
    .into_iter()
    .fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value))
}

/// Asks for one thing, from an address of the asker's own, so that nobody has to wait for others.
async fn ask(site: &Site, place: u8, asker: &Asker, door: Door) -> Told {
    let (kind, body) = match door.is_page {
        true => ("application/x-www-form-urlencoded", ""),
        false => ("application/json", "{}"),
    };
    let mut headers = vec![("Content-Type", kind)];
    headers.extend(asker.headers.iter().map(|(name, value)| (*name, value.as_str())));
    let path = path(door.route);
    let answer = site.send_from(place, door.route.method, &path, &headers, body).await;
    told(door, &answer)
}

/// Asks for everything but what would end a session, all askers side by side, and compares with
/// what is declared.
async fn walk(site: &Site, askers: &[Asker]) {
    let declared = &declared();
    let walks = askers.iter().zip(2_u8..).map(|(asker, place)| async move {
        for door in doors() {
            let name = door.route.name;
            if ENDING.contains(&name) && asker.role.is_some() && !asker.is_token {
                continue;
            }
            let who = declared[name];
            // Tokens are for programs: no page knows them.
            let role = asker.role.filter(|_| !(door.is_page && asker.is_token));
            let expected = match role {
                _ if who == "*" => Told::In,
                None => Told::LogIn,
                Some(role) if who.contains(role) => Told::In,
                Some(_) => Told::Forbidden,
            };
            let told = ask(site, place, asker, door).await;
            assert_eq!(told, expected, "{name} by {}", asker.label);
        }
    });
    join_all(walks).await;
}

/// A token that does all its user may, for a day.
async fn token(site: &Site, user: &str) -> String {
    let new = NewToken { title: "test".into(), scopes: Vec::new(), days: Some(1) };
    site.world.accounts.make_token(user, &new, &by()).await.unwrap().secret
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_answers_whom_it_is_declared_for_and_nobody_else() {
    let site = Site::open().await;
    let nobody = Asker { label: "nobody".into(), headers: vec![], role: None, is_token: false };
    let (mut askers, mut sessions, mut tokens) = (vec![nobody], Vec::new(), Vec::new());
    for (name, role, letter) in ROLES {
        sessions.push(Asker::session(name, &site.login(name).await, Some(letter)));
        tokens.push(Asker::token(name, &token(&site, name).await, Some(letter)));
        // Who was disabled, with a session and a token from before.
        let gone = format!("gone-{name}");
        add_user(&site.world.accounts, &gone, role).await;
        let (session, secret) = (site.login(&gone).await, token(&site, &gone).await);
        let (one, other) =
            (Asker::session(&gone, &session, Some(letter)), Asker::token(&gone, &secret, None));
        assert_eq!(ask(&site, 99, &one, me()).await, Told::In);
        assert_eq!(ask(&site, 99, &other, me()).await, Told::In);
        site.world.accounts.disable(&gone, &by()).await.unwrap();
        askers.extend([one.ended(), other.ended()]);
    }
    walk(&site, &askers).await;
    walk(&site, &sessions).await;
    walk(&site, &tokens).await;
    // What ends a session does so for everybody who has one.
    for (name, _, letter) in ROLES {
        for door in doors().into_iter().filter(|door| ENDING.contains(&door.route.name)) {
            let asker = Asker::session(name, &site.login(name).await, Some(letter));
            assert_eq!(ask(&site, 99, &asker, door).await, Told::In, "{name}");
            assert_eq!(ask(&site, 99, &asker, me()).await, Told::LogIn, "{name}");
        }
    }
    // Rested for too long, and then everybody is a stranger again; tokens hold for their day.
    site.world.clock.advance(TimeDelta::minutes(31));
    for asker in &tokens {
        assert_eq!(ask(&site, 99, asker, me()).await, Told::In, "{}", asker.label);
    }
    let ended: Vec<Asker> = sessions.into_iter().map(Asker::ended).collect();
    walk(&site, &ended).await;
    site.world.clock.advance(TimeDelta::days(1));
    let ended: Vec<Asker> = tokens.into_iter().map(Asker::ended).collect();
    walk(&site, &ended).await;
}

/// What tells everybody who is known who that is.
fn me() -> Door {
    doors().into_iter().find(|door| door.route.name == "me").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_only_some_rows_is_refused_by_what_tells_of_all() {
    let site = Site::open().await;
    let declared = declared();
    let within: BTreeSet<&str> = WITHIN_LIMITS.split_whitespace().collect();
    for name in &within {
        assert!(declared.contains_key(name), "{name} is not there");
    }
    for name in ["operator", "analyst"] {
        let limits = Limits { divisions: vec!["340503".into()], departments: Vec::new() };
        site.world.accounts.set_limits(name, limits, &by()).await.unwrap();
    }
    for (place, (name, letter)) in [("operator", 'o'), ("analyst", 'a')].into_iter().enumerate() {
        let asker = Asker::session(name, &site.login(name).await, Some(letter));
        for door in doors() {
            let (route, who) = (door.route, declared[door.route.name]);
            if !who.contains(letter) || ENDING.contains(&route.name) {
                continue;
            }
            let expected = if within.contains(route.name) { Told::In } else { Told::Limited };
            let told = ask(&site, 2 + u8::try_from(place).unwrap(), &asker, door).await;
            assert_eq!(told, expected, "{} by {name}", route.name);
        }
    }
}
