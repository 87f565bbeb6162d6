//! The systems beside items and cases: the report's figures, and faults that were planted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hub::{Hub, step};

/// What finds the faults that were planted under a name: each row is one of them.
const FINDERS: [(&str, &str); 7] = [
    (
        "duplicate_accounts",
        "select account_id as key from standard.portal_accounts where is_duplicate",
    ),
    (
        "withdrawn_interfaces",
        "select interface_id as key from standard.app_interfaces where state = 'withdrawn'",
    ),
    ("investment_behind", "select approval_id as key from reconciled.investment_push"),
    (
        "refuse_no_reason",
        "select subject as key from standard.supervision_cards where rule = 'refuse_no_reason'",
    ),
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
const FINDINGS: [&str; 8] = [
    "linked_findings",
    "vertical_findings",
    "hall_findings",
    "micro_findings",
    "supervision_findings",
    "ems_findings",
    "parallel_findings",
    "item_copies",
];
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
    // What has waited for too long is a card as well.
    for (card, name) in [("accept_late", "micro_lost"), ("suspend_too_long", "linked_endless_wait")]
    {
        let sql =
            format!("select subject as key from standard.supervision_cards where rule = '{card}'");
        assert_eq!(keys(hub.query(&sql)), found[name], "{card}");
    }
    let held = keys(hub.query("select audit as key from ops.audits where rows = 0"));
    for audit in HOLDING {
        assert!(held.contains(audit), "{audit}: {report}");
    }
}

#[test]
fn every_figure_of_the_report_is_there_and_in_proportion() {
    let hub = Hub::shipped();
    let report = hub.demo(73);
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

#[test]
fn what_is_tried_out_is_read_and_counted_nowhere() {
    let hub = Hub::shipped();
    let report = hub.demo(74);
    let truth = hub.truth();
    for (stream, table) in [
        ("dept_hrss.finished", "hrss.spbanjie"),
        ("dept_fund.cases", "fund.pre_apasinfo"),
        ("dept_housing.cases", "housing.ea_jc_step_basicinfo"),
    ] {
        let step = step(&report, "streams", stream);
        assert_eq!(step["read"], truth["rows"][table], "{step}");
        let name = stream.replace('.', "_");
        for folder in ["models/standard", "models/reconciled", "metrics", "reconcile", "audits"] {
            for file in std::fs::read_dir(hub.project().join("pipelines").join(folder)).unwrap() {
                let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
                assert!(!text.contains(&name), "{folder} reads {name}");
            }
        }
    }
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

/// Pushes record by record: the target's database, and the name under which it notes them.
const PUSHES: [(&str, &str, &str); 5] = [
    ("push.app.interfaces", "app.db", "interfaces"),
    ("push.ems.orders", "ems.db", "orders"),
    ("push.investment.results", "investment.db", "results"),
    ("push.province.items", "province.db", "items"),
    ("push.supervision.cases", "supervision.db", "cases"),
];

#[tokio::test]
async fn every_push_is_answered_for_as_its_target_notes_it() {
    let hub = Hub::shipped();
    let report = hub.demo(76);
    let mut refused = 0;
    for (push, file, name) in PUSHES {
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
        assert_eq!(step["accepted"], noted("accepted"), "{step}");
        assert_eq!(step["rejected"], noted("rejected"), "{step}");
        assert_eq!(step["waiting"], 0, "{step}");
        assert!(step["accepted"].as_i64().unwrap() > 0, "{step}");
        refused += noted("rejected");
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
        let acks: Vec<String> = names.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(acks.len(), 1, "{push}");
        let said = format!("result=accepted\nrows={}\n", step["sent"]);
        assert!(acks[0].starts_with(&said), "{} is not {said}", acks[0]);
    }
    let figures = report["figures"].as_array().unwrap().len();
    assert_eq!(step(&report, "pushes", "push.publish.figures")["sent"], figures);
}
