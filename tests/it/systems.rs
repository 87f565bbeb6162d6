//! The systems beside items and cases: the report's figures, and faults that were planted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hub::{Hub, step};

/// What finds the faults that were planted under a name: each row is one of them.
const FINDERS: [(&str, &str); 5] = [
    (
        "duplicate_accounts",
        "select account_id as key from standard.portal_accounts where is_duplicate",
    ),
    (
        "withdrawn_interfaces",
        "select interface_id as key from standard.app_interfaces where state = 'withdrawn'",
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
/// Audits that hold in every city.
const HOLDING: [&str; 3] =
    ["audits.registrations_agree", "audits.item_history_agrees", "audits.no_case_before_go_live"];
/// What the report has and is no figure: a date, and a number of the whole province.
const NO_FIGURES: [&str; 2] = ["go_live", "prov_online_able"];

fn keys(rows: Vec<Value>) -> BTreeSet<String> {
    rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

fn check_systems(seed: u64) {
    let hub = Hub::shipped();
    let report = hub.demo(seed);
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
        assert_eq!(Some(keys(hub.query(sql))), planted.remove(name), "{name}, seed {seed}");
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in hub.query("select rule, subject from reconciled.linked_findings") {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        found.entry(text("rule")).or_default().insert(text("subject"));
    }
    assert_eq!(found, planted, "seed {seed}");
    let held = keys(hub.query("select audit as key from ops.audits where rows = 0"));
    for audit in HOLDING {
        assert!(held.contains(audit), "{audit}, seed {seed}: {report}");
    }
}

#[test]
fn every_planted_fault_of_the_systems_of_seed_71_is_found() {
    check_systems(71);
}

#[test]
fn every_planted_fault_of_the_systems_of_seed_72_is_found() {
    check_systems(72);
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
