//! The service with planted secrets and persons behind it: whatever it answers, whoever asks, and
//! whatever it writes, none of them is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use huiliu_core::identifier::id_card_valid;
use huiliu_serve::web::Route;
use huiliu_serve::{console_routes, operations};
use serde_json::{Value, json};

use crate::hub::Hub;
use crate::serve::{ANALYST, Service};
use crate::site::{Caller, JSON};
use crate::stop::terminate;

const PASSWORD: &str = "tide-Lantern-orbit-42";
const FORM: &str = "application/x-www-form-urlencoded";
/// What shows persons, masked.
const PERSONS: &str =
    "select applicant_name, applicant_id, mobile from current.dept_education_cases";
/// What fails on the value of a person.
const FAILING: &str = "select cast(applicant_id as date) from current.dept_education_cases";
const PEOPLE: [(&str, &str); 4] =
    [("caozuo", "operator"), (ANALYST, "analyst"), ("shenji", "auditor"), ("guanli", "admin")];
/// Pages that answer nobody here with 200: they lead on, and there are no jobs.
const LEADING_ON: [&str; 4] = ["page_language", "page_setup", "page_password", "page_job"];

/// What was heard, and of whom.
#[derive(Default)]
struct Heard(Vec<(String, String)>);

impl Heard {
    fn bytes(&mut self, what: String, bytes: &[u8]) {
        self.text(what, String::from_utf8_lossy(bytes).into_owned());
    }

    fn text(&mut self, what: String, text: String) {
        self.0.push((what, text));
    }
}

/// The first of `numbers` in a text.
fn number_in<'a>(text: &'a str, numbers: &BTreeSet<String>) -> Option<&'a str> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(17))
        .filter(|at| bytes[*at].is_ascii_digit())
        .find_map(|at| text.get(at..at + 18).filter(|part| numbers.contains(*part)))
}

/// The identity numbers of persons as the lake has them, which only the owner of its folder sees.
fn persons(hub: &Hub) -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for (table, column) in [
        ("dept_education_cases", "applicant_id"),
        ("dept_planning_cases", "applyer_page_code"),
        ("dept_land_cases", "applicant_paper_code"),
        ("dept_fund_cases", "apply_cardnumber"),
        ("province_cases", "cert_no"),
        ("portal_accounts", "cert_no"),
        ("realestate_applications", "id_number"),
    ] {
        let rows = hub.query(&format!("select distinct {column} as no from current.{table}"));
        let found = rows.iter().filter_map(|row| row["no"].as_str());
        numbers.extend(found.filter(|no| id_card_valid(no)).map(str::to_owned));
    }
    assert!(numbers.len() > 100, "{}", numbers.len());
    numbers
}

/// The files of a workbook, which is an archive of them.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("book.xlsx");
    std::fs::write(&file, bytes).unwrap();
    let program = "import sys, zipfile\nfor file in (book := zipfile.ZipFile(sys.argv[1])).namelist():\n \
                   sys.stdout.buffer.write(book.read(file))";
    let output = Command::new("python3").args(["-c", program]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What stands for the parts of addresses that vary, by route.
struct Places {
    key: String,
    quarantined: String,
    push: String,
    dimension: String,
    snapshot: String,
}

impl Places {
    async fn of(operator: &Caller) -> Self {
        let found = operator.get("/differences?limit=1&rule=missing_in_province").await.expect(200);
        let aside = operator.get("/quarantine?limit=1").await.expect(200);
        let pushes = operator.get("/pushes").await.expect(200);
        let metric = operator.get("/metrics/cases_ytd").await.expect(200);
        let overview = operator.get("/overview").await.expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            key: text(&found["items"][0]["key"]),
            quarantined: aside["items"][0]["id"].to_string(),
            push: text(&pushes[0]["push"]),
            dimension: text(&metric["dimensions"][0]),
            snapshot: overview["snapshot"].to_string(),
        }
    }

    fn path(&self, route: &Route) -> String {
        let is_entity = route.path.contains("/entities/");
        let id = match route.name {
            "system" | "page_system" => "province",
            "quarantined" | "page_quarantine_row" => self.quarantined.as_str(),
            _ => "1",
        };
        let key = if is_entity { self.key.as_str() } else { "cases_ytd" };
        let path = route
            .path
            .replace("{id}", id)
            .replace("{key}", key)
            .replace("{run}", "1")
            .replace("{job}", "none")
            .replace("{name}", ANALYST)
            .replace("{push}", &self.push)
            .replace("{word}", "zh");
        match route.name {
            "breakdown" | "page_metric" => format!("{path}?by={}", self.dimension),
            // From the latest snapshot on nothing moved, and that can be told.
            "change" | "page_metric_change" => format!("{path}?from={}", self.snapshot),
            "page_trace" => format!("{path}?key={}", self.key),
            _ => path,
        }
    }
}

/// Asks all that only asks, as everybody; gives the statuses by route.
async fn walk(
    callers: &[(&str, Caller)],
    places: &Places,
    heard: &mut Heard,
) -> BTreeMap<&'static str, BTreeSet<u16>> {
    let routes = operations().iter().map(|operation| operation.route);
    let routes = routes.chain(console_routes().iter().copied());
    let mut statuses: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for route in routes.filter(|route| route.method == "GET") {
        let path = places.path(&route);
        for (who, caller) in callers {
            let (status, body) = caller.raw("GET", &path, JSON, "").await;
            let text = String::from_utf8_lossy(&body);
            assert!(status < 500, "{path} by {who}: {status} {text}");
            statuses.entry(route.name).or_default().insert(status);
            heard.bytes(format!("{path} by {who}"), &body);
        }
    }
    statuses
}

/// One statement that shows persons and one that fails on them, on each door and in each form.
async fn ask(service: &Service, analyst: &Caller, token: &str, heard: &mut Heard) {
    for sql in [PERSONS, FAILING] {
        let answers = sql == PERSONS;
        for (path, format) in [
            ("/api/v1/query", None),
            ("/api/v1/query/export", Some("csv")),
            ("/api/v1/query/export", Some("csv_for_people")),
            ("/api/v1/query/export", Some("xlsx")),
        ] {
            let mut question = json!({ "sql": sql });
            if let Some(format) = format {
                question["format"] = format.into();
            }
            let (status, body) = analyst.raw("POST", path, JSON, &question.to_string()).await;
            assert_eq!(status == 200, answers, "{path}: {}", String::from_utf8_lossy(&body));
            let body = if answers && format == Some("xlsx") { unpacked(&body) } else { body };
            heard.bytes(format!("{path} as {format:?}: {sql}"), &body);
        }
        for (path, kind) in [("/sql", ""), ("/sql/export", ""), ("/sql/export", "&as=xlsx")] {
            let form = format!("sql={}{kind}", sql.replace(' ', "+"));
            let (status, body) = analyst.raw("POST", path, FORM, &form).await;
            assert_eq!(status == 200, answers, "{path}: {}", String::from_utf8_lossy(&body));
            let body = if answers && kind == "&as=xlsx" { unpacked(&body) } else { body };
            heard.bytes(format!("{path}{kind}: {sql}"), &body);
        }
        for (door, said) in [
            ("Postgres wire", service.psql(token, sql).await),
            ("Flight", service.flight(token, sql).await),
        ] {
            assert_eq!(said.is_ok(), answers, "{door}: {said:?}");
            let said = said.unwrap_or_else(|refused| refused);
            assert!(!answers || said.contains("********"), "{door}: {said}");
            heard.text(format!("{door}: {sql}"), said);
        }
    }
}

#[tokio::test]
async fn no_secret_and_no_person_is_in_anything_the_service_says() {
    let hub = Hub::edited();
    std::fs::remove_file(hub.project().join("config/jobs.toml")).unwrap();
    hub.prepared(62);
    let numbers = persons(&hub);
    let plain = hub.run(&["query", PERSONS, "--limit", "1000000"]).expect(0).out;
    assert!(number_in(&plain, &numbers).is_some(), "whoever owns the folder sees them");
    let credentials = huiliu_city::credentials(&hub.city()).unwrap().by_name();
    let mut secrets: Vec<(String, String)> =
        credentials.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert!(secrets.len() > 5);
    let mut firsts = Vec::new();
    for (name, role) in PEOPLE {
        let made = ["user", "add", name, "--title", "同事", "--role", role];
        let made = hub.run_json(&made).expect(0).json();
        firsts.push(made["password"].as_str().unwrap().to_owned());
    }
    let made = ["user", "token", "create", ANALYST, "--title", "test"];
    let made = hub.run_json(&made).expect(0).json();
    let token = made["secret"].as_str().unwrap().to_owned();

    let mut service = Service::start_with(&hub, &["-vv", "--log-format", "json"]).await;
    let mut callers = vec![("nobody", Caller::nobody(&service.web))];
    for ((name, role), first) in PEOPLE.into_iter().zip(&firsts) {
        let login = json!({ "user": name, "password": first });
        let caller = Caller::session(&service.web, "/login", &login).await;
        let change = json!({ "old": first, "new": PASSWORD });
        caller.post("/me/password", &change).await.expect(204);
        let cookie = caller.headers[0].1.split_once('=').unwrap().1;
        secrets.push((format!("the session of {name}"), cookie.to_owned()));
        secrets.push((format!("the first password of {name}"), first.clone()));
        callers.push((role, caller));
    }
    secrets.push(("the password".into(), PASSWORD.into()));
    secrets.push(("the token".into(), token.clone()));

    let mut heard = Heard::default();
    let places = Places::of(&callers[1].1).await;
    ask(&service, &callers[2].1, &token, &mut heard).await;
    let statuses = walk(&callers, &places, &mut heard).await;
    for (name, statuses) in &statuses {
        let is_seen = statuses.contains(&200);
        assert_eq!(is_seen, !LEADING_ON.contains(name), "{name}: {statuses:?}");
    }
    let figures = Caller::nobody(&service.metrics);
    let (status, body) = figures.raw("GET", "/metrics", JSON, "").await;
    assert_eq!(status, 200);
    heard.bytes("/metrics".into(), &body);
    assert_eq!(terminate(&mut service.process).await, Some(143));
    let log = service.said.await.unwrap();
    assert!(log.contains("127.0.0.1") && log.lines().count() > 3, "{log}");
    heard.text("the log".into(), log);
    if let Ok(alerts) = std::fs::read_to_string(hub.data().join("alerts.log")) {
        heard.text("the alerts".into(), alerts);
    }

    assert!(heard.0.iter().any(|(_, text)| text.contains("********")), "masked ones are shown");
    for (what, text) in &heard.0 {
        for (name, secret) in &secrets {
            assert!(!text.contains(secret.as_str()), "{what} tells {name}");
        }
        assert_eq!(number_in(text, &numbers), None, "{what}");
    }
}
