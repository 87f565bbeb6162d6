//! Findings about items: what was planted is found, nothing else is, whatever the city.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hub::Hub;

/// Every rule that items, their catalogue and their cases are checked by.
const RULES: [&str; 21] = [
    "rule_01",
    "rule_02",
    "rule_03",
    "rule_04",
    "rule_05",
    "rule_06",
    "rule_07",
    "rule_08",
    "rule_09",
    "rule_10",
    "code_length",
    "code_credit",
    "code_level",
    "code_catalog",
    "catalog_unknown",
    "catalog_type",
    "catalog_name",
    "catalog_unused",
    "case_not_in_force",
    "case_cancelled",
    "case_outside_platform",
];

/// Every fault of the items that was planted is found, and nothing else is.
pub(crate) fn check_findings(hub: &Hub, report: &Value) {
    let truth = hub.truth();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in hub.query("select * from reconciled.item_findings") {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        for column in ["area", "task_name", "owner", "found", "expected"] {
            assert!(!text(column).is_empty(), "no {column}: {row}");
        }
        // A department's own number is behind the name of its system.
        let subject = text("subject").rsplit('/').next().unwrap_or_default().to_owned();
        assert!(found.entry(text("rule")).or_default().insert(subject), "twice: {row}");
    }
    let mut count = 0;
    for rule in RULES {
        let planted: BTreeSet<String> = truth["item_findings"][rule]["keys"]
            .as_array()
            .unwrap_or_else(|| panic!("{rule} was not planted"))
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect();
        assert!(!planted.is_empty(), "nothing breaks {rule}");
        count += planted.len();
        assert_eq!(found.remove(rule).unwrap_or_default(), planted, "{rule}");
    }
    assert!(found.is_empty(), "never planted: {found:?}");
    let figures = report["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["key"] == "item_findings").unwrap();
    assert_eq!(figure["numerator"], count);
    let by = hub.run_json(&["metric", "show", "item_findings", "--by", "rule"]).expect(0).json();
    assert_eq!(by["groups"].as_array().unwrap().len(), RULES.len(), "{by}");
}
