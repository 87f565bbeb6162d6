//! Reports of a period: HTML and Excel from one template, letters by department, files by a job.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::hub::{Hub, step};

/// What is in an Excel file: its parts, and the texts of all its cells.
fn inside(file: &str) -> (BTreeSet<String>, String) {
    let script = "import json, sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\n\
                  shared = z.read('xl/sharedStrings.xml').decode() if 'xl/sharedStrings.xml' in z.namelist() else ''\n\
                  print(json.dumps([z.namelist(), shared]))";
    let python = std::env::var_os("HUILIU_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(python).args(["-c", script, file]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said: (Vec<String>, String) = serde_json::from_slice(&done.stdout).unwrap();
    (said.0.into_iter().collect(), said.1)
}

fn reports(hub: &Hub, name: &str) -> Vec<Value> {
    let out = hub.data().join("out");
    let args = ["report", name, "--end", "2018-12-13", "--out", out.to_str().unwrap()];
    hub.run_json(&args).expect(0).json()["reports"].as_array().unwrap().clone()
}

#[test]
fn the_shipped_reports_say_what_the_lake_says() {
    let hub = Hub::shipped();
    hub.demo(41);
    hub.run(&["metric", "seal", "items_total", "--reason", "published"]).expect(0);

    let weekly = reports(&hub, "weekly").remove(0);
    let report = &weekly["report"];
    assert_eq!((&report["begin"], &report["end"]), (&"2018-12-07".into(), &"2018-12-13".into()));
    let html = std::fs::read_to_string(weekly["files"][0].as_str().unwrap()).unwrap();
    let figures = hub.query("select * from metrics.figures where key = 'items_total'");
    let value = figures[0]["value"].as_str().unwrap();
    assert!(html.contains(&format!("<data value=\"{value}\">")), "the figure");
    let figure = &report["sections"][0]["figures"][0];
    assert_eq!((&figure["seal"], &figure["snapshot"]), (&1.into(), &figures[0]["snapshot_id"]));
    assert!(html.contains("封存 1") && html.contains("未封存"));
    assert!(!html.contains("<script") && html.contains("<polyline"));
    let cases = hub.query(
        "select count(*) as n from reconciled.counted_cases where countable and accept_date \
         between date '2018-12-07' and date '2018-12-13'",
    );
    let days = report["sections"][1]["table"]["rows"].as_array().unwrap();
    let sum: i64 = days.iter().map(|day| day[1].as_str().unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(cases[0]["n"], sum, "the days of the week sum to its cases");
    let (parts, texts) = inside(weekly["files"][1].as_str().unwrap());
    for part in ["xl/charts/chart1.xml", "xl/charts/chart3.xml", "xl/worksheets/sheet4.xml"] {
        assert!(parts.contains(part), "{part} of {parts:?}");
    }
    assert!(texts.contains("online_able_ratio") && texts.contains("县(区)、园区"), "{texts}");

    for name in ["biweekly", "monthly"] {
        let report = reports(&hub, name).remove(0);
        let sections = report["report"]["sections"].as_array().unwrap();
        let is_filled =
            |section: &&Value| section["table"]["rows"].as_array().is_some_and(|r| !r.is_empty());
        assert!(sections.iter().filter(is_filled).count() >= 2, "{report}");
    }
    let owners = hub.query(
        "select owner, count(*) as n from reconciled.case_differences where state = 'open' \
         group by owner order by n desc, owner",
    );
    let letters = reports(&hub, "rectification");
    assert_eq!(letters.len(), owners.len());
    for (letter, owner) in letters.iter().zip(&owners) {
        assert_eq!(letter["report"]["addressee"], owner["owner"]);
        let text = letter["report"]["text"].as_str().unwrap();
        assert!(text.contains(&format!("仍有 {} 条差异", owner["n"])), "{text}");
    }

    // By a job, into the data folder, and never by `*`.
    assert!(!hub.data().join("reports/weekly-2018-12-13.html").exists());
    let run = hub.run_json(&["run", "reports.weekly"]).expect(0).json();
    assert_eq!(step(&run, "reports", "reports.weekly")["state"], "succeeded");
    let names = std::fs::read_dir(hub.data().join("reports")).unwrap();
    let names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let of = |ending: &str| {
        names.iter().filter(|n| n.starts_with("weekly-") && n.ends_with(ending)).count()
    };
    assert_eq!((of(".html"), of(".xlsx")), (1, 1), "{names:?}");
}

#[test]
fn a_template_with_faults_is_refused_with_its_place() {
    let hub = Hub::edited();
    let file = hub.project().join("pipelines/reports/odd.toml");
    std::fs::write(
        &file,
        "version = 1\ntitle = \"快报\"\nperiod = \"week\"\n[[sections]]\ntitle = \"一\"\nfigures = \
         [\"items_totl\"]\n",
    )
    .unwrap();
    let check = hub.run(&["check"]).expect(2);
    assert!(check.err.contains("odd.toml:6"), "{}", check.err);
    assert!(check.err.contains("did you mean `items_total`?"), "{}", check.err);
    std::fs::remove_file(file).unwrap();
    hub.run_json(&["demo", "--scale", "0.02"]).expect(0);
    let unknown = hub.run(&["report", "weakly"]).expect(2);
    assert!(unknown.err.contains("did you mean `weekly`?"), "{}", unknown.err);
    hub.edit("pipelines/reports/monthly.toml", "x = \"accept_date\"", "x = \"accept_dat\"");
    let chart = hub.run(&["report", "monthly", "--end", "2018-11-30"]).expect(2);
    assert!(chart.err.contains("did you mean `accept_date`?"), "{}", chart.err);
}
