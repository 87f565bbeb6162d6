//! The service end to end: accounts, the API, masked SQL, the audit, through the real program.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::hub::Hub;
use crate::office::execute;
use crate::serve::{ANALYST, Service, with_analyst};
use crate::site::Caller;
use crate::stop::terminate;

const FIRST: &str = "first-Garden-anchor-77";
const PASSWORD: &str = "tide-Lantern-orbit-42";

/// The demo's hub without jobs, so that nothing runs beside the questions.
pub(crate) fn city(seed: u64) -> Hub {
    let hub = Hub::edited();
    std::fs::remove_file(hub.project().join("config/jobs.toml")).unwrap();
    hub.prepared(seed);
    hub
}

/// A user whom an administrator made, with the first password changed.
async fn colleague(admin: &Caller, name: &str, role: &str) -> Caller {
    let user = json!({ "name": name, "title": "同事", "role": role, "password": FIRST });
    admin.post("/users", &user).await.expect(201);
    let login = json!({ "user": name, "password": FIRST });
    let fresh = Caller::session(&admin.address, "/login", &login).await;
    assert_eq!(fresh.get("/streams").await.code(), "E-PASSWORD-CHANGE");
    let change = json!({ "old": FIRST, "new": PASSWORD });
    fresh.post("/me/password", &change).await.expect(204);
    fresh
}

#[tokio::test]
async fn from_the_first_token_to_a_disabled_user() {
    let hub = city(62);
    let mut service = Service::start(&hub).await;
    let web = service.web.clone();
    let first = service.first.clone().unwrap();
    let nobody = Caller::nobody(&web);
    assert_eq!(nobody.get("/overview").await.status, 401);
    let body = json!({ "token": first, "name": "guanli", "title": "管理员", "password": PASSWORD });
    let admin = Caller::session(&web, "/first-admin", &body).await;
    let again = nobody.post("/first-admin", &body).await;
    assert_eq!((again.status, again.code()), (403, "E-FIRST-TOKEN".into()));
    let seen = admin.get("/overview").await.expect(200);
    assert_eq!((&seen["figures"], &seen["differences"]), (&json!([]), &json!([])), "{seen}");
    assert_eq!(admin.get("/metrics").await.status, 403, "an administrator reads no data");

    let operator = colleague(&admin, "caozuo", "operator").await;
    let analyst = colleague(&admin, ANALYST, "analyst").await;
    let auditor = colleague(&admin, "shenji", "auditor").await;

    let overview = operator.get("/overview").await.expect(200);
    let figures = overview["figures"].as_array().unwrap();
    let items = figures.iter().find(|figure| figure["key"] == "items_total").unwrap();
    assert_eq!(items["value"], hub.truth()["figures"]["items_total"].to_string());
    assert_eq!(items["published"]["value"], "52353");
    assert!(overview["streams"].as_array().unwrap().len() > 10);

    let runs = operator.get("/runs?limit=1").await.expect(200);
    let run = &runs["items"][0];
    let detail = operator.get(&format!("/runs/{}", run["run"])).await.expect(200);
    assert_eq!(detail["balanced"], true, "{detail}");
    differences(&operator).await;
    rows_of_figures(&operator).await;
    masked_sql(&analyst, &service).await;
    a_run(&operator).await;

    let audit = auditor.get("/audit?action=login&limit=2").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
    let next = audit["next"].as_str().unwrap();
    let older = auditor.get(&format!("/audit?action=login&cursor={next}")).await.expect(200);
    let id = |page: &Value, at: usize| page["items"][at]["id"].as_i64().unwrap();
    assert!(id(&older, 0) < id(&audit, 1));
    reads_are_noted(&auditor).await;
    commands_are_noted(&hub);
    auditor.get("/audit-check").await.expect(200);
    hub.run(&["audit", "verify"]).expect(0);
    assert_eq!(terminate(&mut service.process).await, Some(143));
}

async fn differences(operator: &Caller) {
    let mut cursor = String::new();
    let (mut seen, mut total) = (std::collections::BTreeSet::new(), None);
    loop {
        let page = operator.get(&format!("/differences?limit=50{cursor}")).await.expect(200);
        total = total.or_else(|| page["total"].as_u64());
        for row in page["items"].as_array().unwrap() {
            assert!(seen.insert(row["difference_id"].as_str().unwrap().to_owned()), "twice: {row}");
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Some(seen.len() as u64), total);
    assert!(!seen.is_empty());
    let page = operator.get("/differences?limit=1&state=open").await.expect(200);
    let row = &page["items"][0];
    let key = row["key"].as_str().unwrap();
    let decided = operator.get(&format!("/entities/{key}")).await.expect(200);
    assert_eq!(decided["key"], row["key"]);
    let trace = operator.get(&format!("/entities/{key}/trace")).await.expect(200);
    assert!(!trace["entries"].as_array().unwrap().is_empty());
    let unknown = operator.get("/entities/no-such-key").await;
    assert_eq!((unknown.status, unknown.code()), (404, "E-RECONCILE-KEY".into()));
    let wrong = operator.get("/differences?cursor=abc").await;
    assert_eq!((wrong.status, wrong.code()), (400, "E-PAGE-CURSOR".into()));
}

/// Each read of single records is in the audit with its rows and columns.
async fn reads_are_noted(auditor: &Caller) {
    let page = auditor.get("/audit?action=read&limit=500").await.expect(200);
    let rows = page["items"].as_array().unwrap();
    let what = |row: &Value| -> Value {
        serde_json::from_str(row["after"].as_str().unwrap_or_default()).unwrap()
    };
    for row in rows {
        let noted = what(row);
        assert!(noted["rows"].is_u64() && noted["columns"].is_object(), "{row}");
        assert_eq!(row["who"], "caozuo", "{row}");
    }
    let of = |object: &str| {
        let found = rows.iter().find(|row| row["object"] == object);
        what(found.unwrap_or_else(|| panic!("{object} is not in the audit")))
    };
    let figure = of("/api/v1/metrics/items_total/rows");
    let columns = figure["columns"]["items_total"].as_array().unwrap();
    assert!(columns.contains(&json!("dept_code")), "{figure}");
    let differences = of("/api/v1/differences");
    assert!(!differences["columns"].as_object().unwrap().is_empty(), "{differences}");
    let mut lives = rows.iter().filter(|row| row["object"].as_str().unwrap().ends_with("/trace"));
    let life = what(lives.next_back().unwrap());
    assert!(life["columns"].as_object().unwrap().keys().any(|of| of.contains('.')), "{life}");
}

/// What is read of persons on the command line is in the audit too.
fn commands_are_noted(hub: &Hub) {
    let ledger = ["reconcile", "ledger", "--rule", "missing_in_province", "--limit", "2"];
    let ledger = hub.run_json(&ledger).expect(0).json();
    let key = ledger["differences"][0]["entity_key"].as_str().unwrap();
    hub.run(&["trace", key]).expect(0);
    hub.run(&["reconcile", "explain", key]).expect(0);
    hub.run(&["metric", "rows", "cases_ytd", "--limit", "3"]).expect(0);
    let sql = "select applicant_name, mobile from current.dept_education_cases \
               where mobile <> '4711' limit 5";
    assert_eq!(hub.query(sql).len(), 5);
    hub.query("select count(*) as n from ops.runs");
    hub.query("select internal_no from current.dept_education_cases limit 1");
    let audit = hub.run_json(&["audit", "list"]).expect(0).json();
    let noted = |action: &str, object: &str| -> Vec<Value> {
        let rows = audit["audit"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["action"] == action && row["object"] == object);
        // Others came in by the doors.
        let rows = rows.filter(|row| row["who"].as_str().unwrap().contains("uid "));
        rows.map(|row| serde_json::from_str(row["after"].as_str().unwrap()).unwrap()).collect()
    };
    let queried = noted("query", "current.dept_education_cases");
    assert_eq!(queried.len(), 1, "only what shows persons: {queried:?}");
    let columns = json!({ "current.dept_education_cases": ["applicant_name", "mobile"] });
    assert_eq!((&queried[0]["columns"], &queried[0]["rows"]), (&columns, &json!(5)));
    assert!(!queried[0]["sql"].as_str().unwrap().contains("4711"), "{queried:?}");
    let rows = noted("read", "metrics.cases_ytd");
    assert_eq!(rows[0]["rows"], 3);
    assert!(rows[0]["columns"].as_array().unwrap().len() > 3, "{rows:?}");
    for object in [format!("trace case {key}"), format!("case {key}"), "ledger case".to_owned()] {
        let read = noted("read", &object);
        assert_eq!(read.len(), 1, "{object}");
        assert!(read[0]["rows"].as_u64().unwrap() > 0, "{object}: {read:?}");
    }
}

async fn rows_of_figures(operator: &Caller) {
    let metric = operator.get("/metrics/items_total").await.expect(200);
    let wanted: usize = metric["value"].as_str().unwrap().parse().unwrap();
    let (mut cursor, mut rows) = (String::new(), 0);
    loop {
        let path = format!("/metrics/items_total/rows?limit=500{cursor}");
        let page = operator.get(&path).await.expect(200);
        rows += page["items"][0]["rows"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(rows, wanted, "all pages together are what the figure counts");
}

/// Identity numbers as they are, in a text.
fn numbers(text: &str) -> usize {
    let is_number = |window: &[u8]| {
        window[..17].iter().all(u8::is_ascii_digit)
            && (window[17].is_ascii_digit() || window[17] == b'X')
            && matches!(&window[6..8], b"18" | b"19" | b"20")
    };
    text.as_bytes().windows(18).filter(|window| is_number(window)).count()
}

async fn masked_sql(analyst: &Caller, service: &Service) {
    let token = analyst.post("/me/tokens", &json!({ "title": "psql" })).await.expect(201);
    let token = token["secret"].as_str().unwrap();
    let program = Caller::program(&service.web, token);
    let sql = "select applicant_name, applicant_id, mobile from current.dept_education_cases";
    let question = json!({ "sql": format!("{sql} limit 20") });
    let answer = program.post("/query", &question).await;
    let over_psql = service.psql(token, &format!("{sql} limit 20")).await;
    let (status, body) = (answer.status, answer.body);
    assert_eq!(status, 200, "{body}");
    let over_psql = over_psql.unwrap();
    assert!(body.contains("********") && over_psql.contains("********"), "{body} {over_psql}");
    assert_eq!((numbers(&body), numbers(&over_psql)), (0, 0), "{body} {over_psql}");
}

async fn a_run(operator: &Caller) {
    let order = json!({ "selector": "no_such_thing", "reason": "试" });
    let refused = operator.post("/runs", &order).await;
    assert_eq!((refused.status, refused.code()), (404, "E-SELECTOR".into()));
    let order = json!({ "selector": "metrics.*", "reason": "重新计算指标" });
    let started = operator.post("/runs", &order).await.expect(202);
    let run = started["run"].as_i64().unwrap();
    // The stream of events ends with the run.
    let events = operator.get(&format!("/runs/{run}/events")).await;
    assert_eq!(events.status, 200, "{}", events.body);
    let last = events.body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
    let last: Value = serde_json::from_str(last.unwrap()).unwrap();
    assert_eq!((&last["run"], last["finished_at"].is_string()), (&json!(run), true), "{last}");
}

#[tokio::test]
async fn disabling_a_user_takes_effect_within_a_second_everywhere() {
    let hub = city(63);
    let token = with_analyst(&hub);
    let service = Service::start(&hub).await;
    let program = Caller::program(&service.web, &token);
    program.get("/me").await.expect(200);
    let mut psql = service.psql_command(&token);
    psql.arg("-q").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut psql = psql.spawn().unwrap();
    let mut input = psql.stdin.take().unwrap();
    let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines();
    input.write_all(b"select 1;\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "1");

    // By another process, as the owner of the machine does it.
    hub.run(&["user", "disable", ANALYST, "--reason", "离职"]).expect(0);
    let began = Instant::now();
    assert_eq!(program.get("/me").await.status, 401);
    input.write_all(b"select 2;\n").await.unwrap();
    assert_eq!(lines.next_line().await.unwrap(), None);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(service.psql(&token, "select 3").await.is_err());
    assert!(service.flight(&token, "select 3").await.unwrap_err().contains("E-SIGN-IN"));
}

#[tokio::test]
async fn who_is_limited_to_a_division_sees_its_rows_alone() {
    let hub = city(65);
    let token = with_analyst(&hub);
    let service = Service::start(&hub).await;
    let program = Caller::program(&service.web, &token);
    let metric = program.get("/metrics/items_total").await.expect(200);
    let of_county = |table: &str, code: &str, condition: &str| {
        let sql = format!(
            "select count(*) as n from {table} where {condition} and substr({code}, 3, 6) = '340503'"
        );
        hub.query(&sql)[0]["n"].as_u64().unwrap()
    };
    let counted = metric["definitions"][0]["numerator"].as_str().unwrap();
    let items = of_county("standard.items", "dept_code", &format!("({counted})"));
    let cases = of_county("reconciled.cases", "org_code", "true");
    let all = program.get("/metrics/items_total/rows?limit=1").await.expect(200);
    assert!(items > 0 && cases > 0 && items < all["total"].as_u64().unwrap());

    let limited = ["user", "limit", ANALYST, "--division", "340503", "--reason", "花山区"];
    let user = hub.run_json(&limited).expect(0).json();
    assert_eq!(user["limits"]["divisions"], json!(["340503"]));
    assert!(hub.run(&["user", "list"]).expect(0).out.contains("340503"));
    hub.run(&["user", "limit", ANALYST, "--reason", "x"]).expect(2);

    let page = program.get("/metrics/items_total/rows?limit=500").await.expect(200);
    assert_eq!(page["total"], json!(items));
    let table = &page["items"][0];
    let columns = table["columns"].as_array().unwrap();
    let place = columns.iter().position(|column| column["name"] == "dept_code").unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row[place].as_str().unwrap()[2..8] == *"340503"), "{page}");
    assert_eq!(rows.len() as u64, items.min(500));
    let ask = async |sql: &str| service.psql(&token, sql).await.map(|out| out.trim().to_owned());
    assert_eq!(ask("select count(*) from reconciled.cases").await.unwrap(), cases.to_string());
    let counted = "select count(*) from reconciled.counted_cases where true";
    assert_eq!(ask(counted).await.unwrap(), cases.to_string(), "a view over what is seen");
    for closed in
        ["current.city_cases_results", "reconciled.case_differences", "standard.deliveries"]
    {
        let refused = ask(&format!("select count(*) from {closed}")).await.unwrap_err();
        assert!(refused.contains("limits"), "{closed}: {refused}");
    }
    for path in
        ["/differences", "/entities/K/trace", "/quarantine", "/metrics/items_total/breakdown"]
    {
        let refused = program.get(path).await;
        assert_eq!((refused.status, refused.code()), (403, "E-LIMITS".into()), "{path}");
    }
    hub.run(&["user", "limit", ANALYST, "--lift", "--reason", "调回"]).expect(0);
    program.get("/differences").await.expect(200);
}

#[tokio::test]
async fn what_cannot_be_noted_is_not_given_out() {
    let hub = city(64);
    let token = with_analyst(&hub);
    let service = Service::start(&hub).await;
    let program = Caller::program(&service.web, &token);
    let question = json!({ "sql": "select count(*) from metrics.figures" });
    program.post("/query", &question).await.expect(200);
    execute(&hub.database(), "alter table huiliu_audit rename to gone").await;
    let refused = program.post("/query", &question).await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "E-AUDIT-CLOSED".into()),
        "{}",
        refused.body
    );
    assert!(!refused.body.contains("huiliu_audit"), "{}", refused.body);
    let refused = service.psql(&token, "select count(*) from metrics.figures").await.unwrap_err();
    assert!(refused.contains("audit"), "{refused}");
    let refused = service.flight(&token, "select 1").await.unwrap_err();
    assert!(refused.contains("E-AUDIT-CLOSED"), "the login cannot be noted: {refused}");
    execute(&hub.database(), "alter table gone rename to huiliu_audit").await;
    program.post("/query", &question).await.expect(200);
    hub.run(&["audit", "verify"]).expect(0);
}

#[test]
fn accounts_are_kept_on_the_command_line_too() {
    let hub = Hub::edited();
    let made = ["user", "add", "zhang.wei", "--title", "张伟", "--role", "operator"];
    let made = hub.run_json(&made).expect(0).json();
    assert_eq!((&made["role"], &made["must_change"]), (&json!("operator"), &json!(true)));
    let password = made["password"].as_str().unwrap();
    assert!(password.len() >= 20);
    let again = hub.run(&["user", "add", "zhang.wei", "--title", "x", "--role", "admin"]);
    assert!(again.err.contains("E-USER"), "{}", again.err);
    let scoped = ["user", "token", "create", "zhang.wei", "--title", "看板"];
    let refused = hub.run(&[&scoped[..], &["--scope", "query"]].concat());
    assert!(refused.err.contains("E-TOKEN-SCOPE"), "{}", refused.err);
    let token = hub.run_json(&[&scoped[..], &["--scope", "operations"]].concat()).expect(0).json();
    assert_eq!(token["token"]["scopes"], json!(["operations"]));
    let id = token["token"]["id"].as_str().unwrap();
    hub.run(&["user", "token", "revoke", id, "--reason", "不再使用"]).expect(0);
    let alone = ["user", "role", "zhang.wei", "--role", "admin", "--reason", "任命"];
    hub.run(&alone).expect(0);
    let last = hub.run(&["user", "disable", "zhang.wei", "--reason", "试"]);
    assert!(last.err.contains("E-USER") && last.code != Some(0), "{}", last.err);
    let text = std::fs::read(hub.database()).unwrap();
    let secret = token["secret"].as_str().unwrap();
    for canary in [password, &secret[16..]] {
        let found = text.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!found, "the database holds a secret");
    }
    let audit = hub.run_json(&["audit", "list"]).expect(0).json();
    let actions: Vec<&str> = audit["audit"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["action"].as_str())
        .collect();
    assert_eq!(actions, ["user add", "token create", "token revoke", "user role"]);
    assert!(!audit.to_string().contains(password));
}

#[test]
fn the_description_of_the_api_in_the_docs_is_fresh() {
    let hub = Hub::shipped();
    let printed = hub.run(&["openapi"]).expect(0).json();
    let file = crate::hub::root().join("docs/openapi.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(printed, kept, "write it anew: huiliu openapi > docs/openapi.json");
    assert_eq!(printed["openapi"], "3.1.0");
    let text = printed.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(printed["components"]["schemas"][name].is_object(), "no schema {name}");
    }
}
