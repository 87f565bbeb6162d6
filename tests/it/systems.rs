//! The systems beside items and cases: the report's figures, and faults that were planted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hub::{Hub, step};

/// What finds the faults that were planted under a name: each row is one of them.
const FINDERS: [(&str, &str); 6] = [
    (
        "duplicate_accounts",
        "select account_id as key from standard.portal_accounts where is_duplicate",
    ),
    (
        "withdrawn_interfaces",
        "select interface_id as key from standard.app_interfaces where state = 'withdrawn'",
    ),
    ("investment_behind", "select approval_id as key from reconciled.investment_push"),
    ("steer_totals", "select kind as key from reconciled.steer_totals where difference <> 0"),
    (
        "claimed_bundles",
        "select bundle_id as key from standard.enterprise_bundles \
         where state = 'finished' and days is null",
    ),
    (
        "endless_waits",
        "select internal_no as key from standard.realestate_cases \
         where days is not null and open_waits > 0",
    ),
];
/// Views whose rows are a rule and what breaks it, each planted under the name of its rule.
const FINDINGS: [&str; 9] = [
    "linked_findings",
    "vertical_findings",
    "hall_findings",
    "micro_findings",
    "supervision_findings",
    "ems_findings",
    "parallel_findings",
    "item_copies",
    "trial_findings",
];
/// The streams of the systems that are tried out, the tables of the city that they are read from,
/// and the one view that compares them.
const ON_TRIAL: [(&str, &str); 3] = [
    ("dept_hrss.finished", "hrss.spbanjie"),
    ("dept_fund.cases", "fund.pre_apasinfo"),
    ("dept_housing.cases", "housing.ea_jc_step_basicinfo"),
];
const TRIAL_VIEW: &str = "pipelines/models/reconciled/trial_findings.sql";
/// Audits that hold in every city.
const HOLDING: [&str; 3] =
    ["audits.registrations_agree", "audits.item_history_agrees", "audits.no_case_before_go_live"];
/// What the report has and is no figure: a date, and a number of the whole province.
const NO_FIGURES: [&str; 2] = ["go_live", "prov_online_able"];

fn keys(rows: Vec<Value>) -> BTreeSet<String> {
    rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

/// Every fault that was planted in the smaller systems is found, and nothing else is.
pub(crate) fn check_systems(hub: &Hub, report: &Value) {
    let truth = hub.truth();
    let mut planted: BTreeMap<String, BTreeSet<String>> = truth["planted"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, set)| {
            let keys = set["keys"].as_array().unwrap();
            (name.clone(), keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect())
        })
        .collect();
    assert!(planted.values().all(|keys| !keys.is_empty()), "{planted:?}");
    for (name, sql) in FINDERS {
        assert_eq!(Some(keys(hub.query(sql))), planted.remove(name), "{name}");
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for view in FINDINGS {
        for row in hub.query(&format!("select rule, subject from reconciled.{view}")) {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            found.entry(text("rule")).or_default().insert(text("subject"));
        }
    }
    assert_eq!(found, planted);
    check_cards(hub, &truth);
    let held = keys(hub.query("select audit as key from ops.audits where rows = 0"));
    for audit in HOLDING {
        assert!(held.contains(audit), "{audit}: {report}");
    }
}

/// Electronic supervision has issued the cards that it must, by each of its rules, and no others.
fn check_cards(hub: &Hub, truth: &Value) {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let sql = "select rule, subject, county, found_on from standard.supervision_cards";
    for row in hub.query(sql) {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        assert!(!text("found_on").is_empty() && text("county") != "未知", "{row}");
        // A department's own number is behind the name of its system.
        let subject = text("subject").rsplit('|').next().unwrap_or_default().to_owned();
        assert!(found.entry(text("rule")).or_default().insert(subject), "twice: {row}");
    }
    let file = hub.project().join("config/codes/supervision_rules.csv");
    let rules = std::fs::read_to_string(file).unwrap();
    assert_eq!(rules.lines().count(), 12, "eleven rules");
    for rule in rules.lines().skip(1).map(|line| line.split(',').next().unwrap()) {
        let keys = truth["cards"][rule]["keys"].as_array().unwrap_or_else(|| panic!("no {rule}"));
        let expected: BTreeSet<String> =
            keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect();
        assert!(!expected.is_empty(), "nothing breaks {rule}");
        let found = found.remove(rule).unwrap_or_default();
        let lacks: Vec<_> = expected.difference(&found).take(5).collect();
        let extra: Vec<_> = found.difference(&expected).take(5).collect();
        let counts = (expected.len(), found.len());
        assert!(
            lacks.is_empty() && extra.is_empty(),
            "{rule}: {counts:?}, lacks {lacks:?}, extra {extra:?}"
        );
    }
    assert!(found.is_empty(), "rules that nobody knows: {:?}", found.keys());
}

#[test]
fn cards_and_cases_finished_in_time_are_shown_by_county_and_department() {
    let hub = Hub::shipped();
    let report = hub.prepared(7);
    let figures = report["figures"].as_array().unwrap();
    for (key, by) in [
        ("red_cards", "county"),
        ("yellow_cards", "county"),
        ("on_time_ratio", "county"),
        ("red_cards", "department"),
    ] {
        let figure = figures.iter().find(|figure| figure["key"] == key).unwrap();
        let shown = hub.run_json(&["metric", "show", key, "--by", by]).expect(0).json();
        let groups = shown["groups"].as_array().unwrap();
        let sum = |part: &str| groups.iter().filter_map(|group| group[part].as_i64()).sum::<i64>();
        assert_eq!(figure["numerator"], sum("numerator"), "{shown}");
        if key == "on_time_ratio" {
            assert_eq!(figure["denominator"], sum("denominator"), "{shown}");
            // The city itself, six counties, three parks.
            assert_eq!(groups.len(), 10, "{shown}");
        }
        assert!(groups.len() > 3, "{shown}");
    }
}

#[test]
fn every_figure_of_the_report_is_there_and_in_proportion() {
    let hub = Hub::shipped();
    let report = hub.prepared(7);
    let lines = std::fs::read_to_string(hub.project().join("pipelines/reports/2018.csv")).unwrap();
    let mut missing = Vec::new();
    for line in lines.lines().skip(1) {
        let key = line.split(',').next().unwrap();
        let figures = report["figures"].as_array().unwrap();
        match figures.iter().find(|figure| figure["key"] == key) {
            Some(figure) => assert_eq!(figure["match"], true, "{figure}"),
            None => missing.push(key),
        }
    }
    assert_eq!(missing, NO_FIGURES);
}

/// The files of a folder of the project, with what they say.
fn files(hub: &Hub, folder: &str) -> Vec<(std::path::PathBuf, String)> {
    let entries = std::fs::read_dir(hub.project().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn what_is_tried_out_is_read_and_compared_and_counted_nowhere() {
    let hub = Hub::shipped();
    let report = hub.prepared(7);
    let truth = hub.truth();
    for (stream, table) in ON_TRIAL {
        let step = step(&report, "streams", stream);
        assert_eq!(step["read"], truth["rows"][table], "{step}");
        let name = stream.replace('.', "_");
        for folder in ["models/standard", "models/reconciled", "metrics", "reconcile", "audits"] {
            for (path, text) in files(&hub, &format!("pipelines/{folder}")) {
                let compares = path.ends_with(TRIAL_VIEW);
                assert_eq!(text.contains(&name), compares, "{}: {name}", path.display());
            }
        }
    }
    // What the comparison finds is in reports for people, in no figure and sent to nobody.
    for folder in ["models/standard", "models/reconciled", "metrics", "reconcile", "audits"] {
        for (path, text) in files(&hub, &format!("pipelines/{folder}")) {
            assert!(!text.contains("trial_findings"), "{}", path.display());
        }
    }
    for (path, text) in files(&hub, "config/systems") {
        assert!(!text.contains("trial_findings"), "{}", path.display());
        if text.contains("stage = \"trial\"") {
            assert!(!text.contains("[[pushes]]"), "{} is pushed to", path.display());
        }
    }
    let biweekly = files(&hub, "pipelines/reports").into_iter();
    assert_eq!(biweekly.filter(|(_, text)| text.contains("reconciled.trial_findings")).count(), 1);
    // Every kind of difference is found in each system that can have it, and nothing else is.
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in hub.query("select rule, subject from reconciled.trial_findings") {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        assert!(found.entry(text("rule")).or_default().insert(text("subject")), "twice: {row}");
    }
    for rule in
        ["trial_not_on_platform", "trial_not_in_department", "trial_state", "trial_accept_time"]
    {
        let keys = truth["planted"][rule]["keys"].as_array().unwrap();
        let planted: BTreeSet<String> =
            keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect();
        for (stream, _) in ON_TRIAL {
            let (system, _) = stream.split_once('.').unwrap();
            let has_one = planted.iter().any(|key| key.starts_with(&format!("{system}|")));
            // Of housing only what was accepted is known.
            assert_eq!(has_one, (rule, system) != ("trial_state", "dept_housing"), "{planted:?}");
        }
        assert_eq!(found.remove(rule).unwrap_or_default(), planted, "{rule}");
    }
    assert!(found.is_empty(), "{found:?}");
    // GBK came through.
    let names = hub.query(
        "select count(*) as n from current.dept_hrss_finished where bjbmmc = '马鞍山市人社局'",
    );
    assert_eq!(names[0]["n"], truth["rows"]["hrss.spbanjie"]);
}

#[test]
fn the_register_has_all_departments_with_stage_deadline_items_and_last_contact() {
    let hub = Hub::edited();
    let before = hub.run_json(&["systems"]).expect(0).json();
    assert_eq!(before["register"]["departments"], 0);
    hub.demo(75);
    let register = hub.run_json(&["systems"]).expect(0).json();
    let sums = serde_json::json!({
        "departments": 50, "live": 4, "trial": 3, "survey": 43, "items": 62,
    });
    assert_eq!(register["register"], sums);
    let systems = register["systems"].as_array().unwrap();
    let files = std::fs::read_dir(hub.project().join("config/systems")).unwrap().count();
    assert_eq!(systems.len(), files + 43, "departments without a system have a line of their own");
    for system in systems {
        let is_connected = system["id"].is_string();
        assert_eq!(system["last_contact"].is_string(), is_connected, "{system}");
        assert_eq!(system["deadline"].is_string(), system["registered_stage"].is_string());
    }
    let text = hub.run(&["systems"]).expect(0).out;
    assert!(text.contains("items integrated 62"), "{text}");

    // A file and the register that name different stages are a finding.
    let file = "config/systems/dept_hrss.toml";
    hub.edit(file, "\nstage = \"trial\"", "\nstage = \"live\"");
    let text = hub.run(&["systems"]).expect(1).out;
    assert!(text.contains("live (register: trial)"), "{text}");
}

/// Pushes record by record: the target's database, the name under which it notes them, and whether
/// it answers at once or takes them over until its night (tests/it/receipts.rs).
const PUSHES: [(&str, &str, &str, bool); 5] = [
    ("push.app.interfaces", "app.db", "interfaces", true),
    ("push.ems.orders", "ems.db", "orders", true),
    ("push.investment.results", "investment.db", "results", false),
    ("push.province.items", "province.db", "items", true),
    ("push.supervision.cases", "supervision.db", "cases", false),
];

#[tokio::test]
async fn every_push_is_answered_for_as_its_target_notes_it() {
    let hub = Hub::shipped();
    let report = hub.prepared(7);
    let mut refused = 0;
    for (push, file, name, is_at_once) in PUSHES {
        let mut target = crate::lake::sqlite(&hub.city().join(file)).await;
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "select result, count(*), count(distinct business_key) from pushed where push = $1 \
             group by result order by result",
        )
        .bind(name)
        .fetch_all(&mut target)
        .await
        .unwrap();
        let noted = |result: &str| {
            rows.iter().find(|row| row.0 == result).map_or(0, |(_, records, keys)| {
                assert_eq!(records, keys, "{push} has a record twice");
                *records
            })
        };
        let step = step(&report, "pushes", push);
        assert!(step["sent"].as_i64().unwrap() > 0, "{step}");
        refused += noted("rejected");
        if !is_at_once {
            assert_eq!(step["sent"], noted("accepted") + noted("rejected"), "{step}");
            assert_eq!(step["waiting"], step["sent"], "{step}");
            continue;
        }
        assert_eq!(step["accepted"], noted("accepted"), "{step}");
        assert_eq!(step["rejected"], noted("rejected"), "{step}");
        assert_eq!(step["waiting"], 0, "{step}");
        assert!(step["accepted"].as_i64().unwrap() > 0, "{step}");
    }
    assert!(refused > 0, "no target refused anything");
    assert_eq!(step(&report, "pushes", "push.app.interfaces")["accepted"], 39);

    // Whole files, each with what its receiver said of it.
    for (push, prefix) in
        [("push.publish.figures", "figures_"), ("push.publish.results", "results_")]
    {
        let step = step(&report, "pushes", push);
        let files = std::fs::read_dir(hub.city().join("publish")).unwrap();
        let names = files.map(|file| file.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(prefix) && name.ends_with(".csv.ack")
        });
        let mut rows = 0;
        for ack in names.map(|path| std::fs::read_to_string(path).unwrap()) {
            let said = ack.strip_prefix("result=accepted\nrows=");
            let said = said.and_then(|rest| rest.lines().next()?.parse::<u64>().ok());
            rows += said.unwrap_or_else(|| panic!("{push}: {ack}"));
        }
        assert_eq!(step["sent"], rows, "{push}");
    }
    let figures = report["figures"].as_array().unwrap().len();
    assert_eq!(step(&report, "pushes", "push.publish.figures")["sent"], figures);
}
