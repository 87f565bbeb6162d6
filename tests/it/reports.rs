//! Reports of a period: HTML and Excel from one template, letters by department, files by a job.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::hub::{Hub, step};

/// Reads an Excel file without the library that wrote it.
const INSIDE: &str = r#"
import json, re, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
read = lambda name: z.read(name).decode() if name in z.namelist() else ''
styles = read('xl/styles.xml')
codes = dict(re.findall(r'<numFmt numFmtId="(\d+)" formatCode="([^"]+)"', styles))
looks = re.findall(r'<xf numFmtId="(\d+)"', styles.split('<cellXfs')[1].split('</cellXfs')[0])
formats = {}
for name in z.namelist():
    if name.startswith('xl/worksheets/sheet'):
        numbers = re.findall(r'<c r="[A-Z]+\d+" s="(\d+)"><v>', read(name))
        formats[name] = sorted({codes.get(looks[int(look)], '') for look in numbers})
charts = sorted(name for name in z.namelist() if name.startswith('xl/charts/chart'))
kinds = [re.search(r'<c:(bar|line)Chart>', read(name)).group(1) for name in charts]
print(json.dumps([z.namelist(), read('xl/sharedStrings.xml'), formats, sorted(kinds)]))
"#;

/// What is in an Excel file.
struct Inside {
    parts: BTreeSet<String>,
    /// The texts of all cells.
    texts: String,
    /// By sheet, how its numbers are written.
    formats: BTreeMap<String, Vec<String>>,
    /// The kinds of its charts.
    charts: Vec<String>,
}

fn inside(file: &str) -> Inside {
    let python = std::env::var_os("HUILIU_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(python).args(["-c", INSIDE, file]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (parts, texts, formats, charts) = serde_json::from_slice(&done.stdout).unwrap();
    Inside { parts, texts, formats, charts }
}

/// The file of a report with this ending.
fn file<'r>(report: &'r Value, ending: &str) -> &'r str {
    let files = report["files"].as_array().unwrap();
    files.iter().map(|file| file.as_str().unwrap()).find(|file| file.ends_with(ending)).unwrap()
}

/// Every report has its charts in both forms, its numbers as numbers, and says of each table and
/// figure what it was read from.
fn check_form(written: &Value) {
    let report = &written["report"];
    let html = std::fs::read_to_string(file(written, ".html")).unwrap();
    let book = inside(file(written, ".xlsx"));
    let sections = report["sections"].as_array().unwrap();
    let is_filled =
        |section: &&Value| section["table"]["rows"].as_array().is_some_and(|r| !r.is_empty());
    let drawn: Vec<&Value> =
        sections.iter().filter(is_filled).filter(|section| section["chart"].is_object()).collect();
    assert!(!drawn.is_empty(), "{report}");
    assert_eq!(html.matches("<svg class=\"chart\"").count(), drawn.len());
    let mut kinds: Vec<&str> = drawn
        .iter()
        .map(|section| if section["chart"]["is_line"] == true { "line" } else { "bar" })
        .collect();
    kinds.sort_unstable();
    assert_eq!(book.charts, kinds);

    // A sheet for the figures, then one for each table.
    let tables: Vec<&Value> =
        sections.iter().filter(|section| section["table"].is_object()).collect();
    assert!(!book.parts.contains(&format!("xl/worksheets/sheet{}.xml", tables.len() + 2)));
    let figures = &book.formats["xl/worksheets/sheet1.xml"];
    assert!(figures.contains(&"#,##0".to_owned()), "{figures:?}");
    assert!(figures.contains(&"#,##0.00".to_owned()), "a ratio has two digits: {figures:?}");
    for (number, section) in (2..).zip(&tables) {
        let table = &section["table"];
        assert_eq!(table["snapshot"], report["snapshot"], "{section}");
        let formats = &book.formats[&format!("xl/worksheets/sheet{number}.xml")];
        if is_filled(section) {
            assert!(!formats.is_empty(), "no numbers in {section}");
            let caption = format!("<caption>数据快照 {}</caption>", table["snapshot"]);
            assert!(html.contains(&caption), "{caption}");
        }
        assert!(formats.iter().all(|format| format.starts_with("#,##0")), "{formats:?}");
    }
    for section in sections {
        for figure in section["figures"].as_array().unwrap() {
            assert!(figure["snapshot"].is_i64(), "{figure}");
            assert!(!figure["definition"].as_str().unwrap().is_empty(), "{figure}");
            let key = figure["key"].as_str().unwrap();
            assert!(html.contains(&format!("<code>{key}</code>")) && book.texts.contains(key));
        }
    }
}

fn reports(hub: &Hub, name: &str) -> Vec<Value> {
    let out = hub.data().join("out");
    let args = ["report", name, "--end", "2018-12-13", "--out", out.to_str().unwrap()];
    hub.run_json(&args).expect(0).json()["reports"].as_array().unwrap().clone()
}

#[test]
fn the_shipped_reports_say_what_the_lake_says() {
    let hub = Hub::shipped();
    hub.prepared(7);
    hub.run(&["metric", "seal", "items_total", "--reason", "published"]).expect(0);

    hub.run(&["metric", "seal", "red_cards", "--reason", "published"]).expect(0);

    for name in ["weekly", "biweekly", "monthly"] {
        check_form(&reports(&hub, name)[0]);
    }
    // Of pushes the report says what is accounted for by day, those of whole tables too.
    let days = hub.query(
        "select concat(system, '.', push) as push, sum(sent) as sent, sum(accepted) as accepted, \
         sum(rejected) as rejected, sum(waiting) as waiting, sum(unknown) as unknown \
         from ops.push_days group by 1 order by 1",
    );
    let biweekly = reports(&hub, "biweekly").remove(0);
    let shown = biweekly["report"]["sections"][1]["table"]["rows"].as_array().unwrap();
    assert_eq!(shown.len(), days.len(), "{shown:?}");
    for (row, day) in shown.iter().zip(&days) {
        assert_eq!(row[0], day["push"]);
        for (cell, part) in (1_usize..).zip(["sent", "accepted", "rejected", "waiting", "unknown"])
        {
            assert_eq!(row[cell].as_str(), Some(day[part].to_string().as_str()), "{row} {part}");
        }
    }
    assert!(days.iter().any(|day| day["push"] == "publish.figures"));
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
    let texts = inside(weekly["files"][1].as_str().unwrap()).texts;
    assert!(texts.contains("online_able_ratio") && texts.contains("县(区)、园区"), "{texts}");
    let cards = hub.query(
        "select county, count(*) as n from standard.supervision_cards where level = 4 and \
         found_on between date '2018-12-07' and date '2018-12-13' group by county",
    );
    let of_counties = report["sections"][3]["table"]["rows"].as_array().unwrap();
    for row in &cards {
        let shown = of_counties.iter().find(|shown| shown[0] == row["county"]);
        assert_eq!(shown.map(|shown| shown[1].to_string()), Some(format!("\"{}\"", row["n"])));
    }
    assert!(!cards.is_empty());

    let owners = hub.query(
        "select owner, count(*) as n from reconciled.case_differences where state = 'open' \
         group by owner order by n desc, owner",
    );
    let letters = reports(&hub, "rectification");
    assert_eq!(letters.len(), owners.len());
    for (letter, owner) in letters.iter().zip(&owners) {
        let report = &letter["report"];
        assert_eq!(report["addressee"], owner["owner"]);
        let text = report["text"].as_str().unwrap();
        assert!(text.contains(&format!("仍有 {} 条差异", owner["n"])), "{text}");
        let red = hub.query(&format!(
            "select count(*) as n from standard.supervision_cards where level = 4 \
             and org_name = '{}'",
            owner["owner"].as_str().unwrap()
        ));
        assert!(text.contains(&format!("红牌 {} 张", red[0]["n"])), "{text}");
        let figures = report["sections"][0]["figures"].as_array().unwrap();
        let keys: Vec<&str> = figures.iter().map(|f| f["key"].as_str().unwrap()).collect();
        assert_eq!(keys, ["red_cards", "yellow_cards", "on_time_ratio", "open_differences"]);
        assert_eq!(figures[0]["value"], red[0]["n"].to_string());
        // The part of a figure that is sealed as a whole.
        assert_eq!((&figures[0]["of"], &figures[0]["seal"]), (&owner["owner"], &2.into()));
        assert_eq!((&figures[1]["of"], &figures[1]["seal"]), (&owner["owner"], &Value::Null));
        for figure in figures {
            assert_eq!(figure["snapshot"], report["snapshot"], "{figure}");
        }
        let html = std::fs::read_to_string(file(letter, ".html")).unwrap();
        assert!(html.contains("<code>red_cards</code>") && html.contains("封存 2"), "{text}");
    }
    let departments = letters.iter().filter(|letter| {
        let figures = &letter["report"]["sections"][0]["figures"];
        figures[2]["parts"][1].as_i64().is_some_and(|finished| finished > 0)
    });
    assert!(departments.count() > 0, "no letter is to a department with cases");

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
    std::fs::write(
        &file,
        "version = 1\ntitle = \"快报\"\nperiod = \"week\"\n[[sections]]\ntitle = \"一\"\nfigures = \
         [\"red_cards\"]\nof = { departmnt = \"甲\" }\n",
    )
    .unwrap();
    let check = hub.run(&["check"]).expect(2);
    assert!(check.err.contains("did you mean `department`?"), "{}", check.err);
    std::fs::remove_file(file).unwrap();
    hub.run_json(&["demo", "--scale", "0.02"]).expect(0);
    // From how many red cards on a letter is written is a line of the template.
    let letters = "pipelines/reports/rectification.toml";
    let few = reports(&hub, "rectification").len();
    hub.edit(letters, "red_cards = 50", "red_cards = 1");
    assert!(reports(&hub, "rectification").len() > few);
    let unknown = hub.run(&["report", "weakly"]).expect(2);
    assert!(unknown.err.contains("did you mean `weekly`?"), "{}", unknown.err);
    hub.edit("pipelines/reports/monthly.toml", "x = \"accept_date\"", "x = \"accept_dat\"");
    let chart = hub.run(&["report", "monthly", "--end", "2018-11-30"]).expect(2);
    assert!(chart.err.contains("did you mean `accept_date`?"), "{}", chart.err);
}
