//! Figures that open: cases of the pipelines, explanations, seals, through the program.

use std::collections::BTreeSet;

use crate::hub::{Hub, root};

/// The names of the files in a folder of the project, without their ending.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let stem = |path: std::path::PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_model_reconciliation_audit_and_metric_has_a_case_and_all_cases_pass() {
    let hub = Hub::shipped();
    let report = hub.run_json(&["test"]).expect(0).json();
    assert!(report["passed"].as_u64().unwrap() >= 3, "{report}");
    let mut asked = String::new();
    for entry in std::fs::read_dir(root().join("pipelines/tests")).unwrap() {
        asked.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    for schema in ["standard", "reconciled"] {
        for model in names(&format!("pipelines/models/{schema}")) {
            assert!(asked.contains(&format!("{schema}.{model}")), "no case asks for {model}");
        }
    }
    for entity in names("pipelines/reconcile") {
        for made in
            [format!("from reconciled.{entity}s"), format!("from reconciled.{entity}_ledger")]
        {
            assert!(asked.contains(&made), "no case asks for the reconciliation {entity}: {made}");
        }
    }
    for audit in names("pipelines/audits") {
        assert!(asked.contains(&format!("audits.{audit}")), "no case asks for the audit {audit}");
    }
    for metric in names("pipelines/metrics") {
        assert!(asked.contains(&format!("'{metric}'")), "no case asks for the metric {metric}");
    }
}

#[test]
fn a_case_that_is_not_as_its_file_says_fails_and_touches_no_data() {
    let hub = Hub::edited();
    hub.edit("pipelines/models/standard/units.sql", "count(*) as items", "count(*) + 1 as items");
    let done = hub.run(&["test", "items"]).expect(3);
    assert!(done.out.contains("FAILED  pipelines/tests/items.slt"), "{}", done.out);
    assert!(!hub.database().exists());
    let said = hub.run(&["test", "no_such"]).expect(2).said();
    assert!(said.contains("E-CASES"), "{said}");
}

#[test]
fn a_figure_is_explained_by_steps_and_a_seal_outlives_what_it_was_counted_from() {
    let hub = Hub::edited();
    hub.prepared(7);
    let figure = |hub: &Hub| {
        let shown = hub.run_json(&["metric", "show", "consistent_ratio"]).expect(0).json();
        shown["figures"][0].clone()
    };
    let before = figure(&hub);
    let sealed =
        hub.run_json(&["metric", "seal", "consistent_ratio", "--reason", "公布"]).expect(0).json();
    assert_eq!(sealed["value"], before["value"]);
    assert_eq!(sealed["row_count"], before["denominator"]);
    let by = hub.run_json(&["metric", "show", "items_total", "--by", "level"]).expect(0).json();
    let sum: i64 =
        by["groups"].as_array().unwrap().iter().map(|g| g["numerator"].as_i64().unwrap()).sum();
    assert_eq!(Some(sum), by["numerator"].as_i64());

    hub.run(&["demo", "change", "--rows", "60"]).expect(0);
    hub.demo(7);
    let from = before["snapshot"].to_string();
    let explained =
        hub.run_json(&["metric", "explain", "consistent_ratio", "--from", &from]).expect(0).json();
    let after = figure(&hub);
    assert_eq!(explained["from"]["numerator"], before["numerator"]);
    assert_eq!(explained["to"]["numerator"], after["numerator"]);
    let steps = explained["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 4);
    assert_eq!(steps[3]["numerator"], after["numerator"]);
    assert_eq!(steps[3]["denominator"], after["denominator"]);

    let holds = hub.run_json(&["metric", "verify"]).expect(0).json();
    assert_eq!(holds["seals"][0]["recounted"], before["value"]);
    assert_eq!(holds["seals"][0]["by_predicates"], true);
    let said = hub.run(&["metric", "explain", "consistent_ratio", "--from", "gestern"]).expect(2);
    assert!(said.said().contains("E-MOMENT"), "{}", said.said());
}

#[tokio::test]
async fn a_seal_that_was_tampered_with_does_not_hold() {
    let hub = Hub::edited();
    hub.prepared(7);
    hub.run(&["metric", "seal", "items_total", "--reason", "公布"]).expect(0);
    let mut database = crate::lake::sqlite(&hub.database()).await;
    sqlx::query("update huiliu_sealed_figure set numerator = numerator + 1, value = numerator + 1")
        .execute(&mut database)
        .await
        .unwrap();
    let said = hub.run(&["metric", "verify", "items_total"]).expect(3).out;
    assert!(said.contains("the rows do not count to the sealed figure"), "{said}");
}
