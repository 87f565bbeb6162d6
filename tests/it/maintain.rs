//! Maintenance by command, after runs and by jobs; and the look whether the lake is whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::lake;
use crate::world::World;

const STREAM: &str = "city_cases.accepted";
const TABLE: &str = "current.city_cases_accepted";
const CHANGES: i64 = 9;

fn by_hand(world: &World) {
    let settings = "[maintenance]\nauto = false\nkeep_days = 0\nkeep_snapshots = 1\n\n[serve]";
    world.hub.edit("config/hub.toml", "[serve]", settings);
}

/// Changes 20 rows at the source and reads them, several times.
fn change_often(world: &World) -> Value {
    let mut report = Value::Null;
    for _ in 0..CHANGES {
        world.run(&["demo", "change", "--rows", "20"]).expect(0);
        report = world.run(&["--output", "json", "run", STREAM]).expect(0).json();
        if report["maintenance"].as_array().unwrap().iter().any(|step| step["state"] == "succeeded")
        {
            break;
        }
    }
    report
}

/// What every table but those of history holds; history fills when superseded rows are moved.
fn content(world: &World) -> BTreeMap<String, String> {
    let mut content = lake::content(&world.hub.database());
    content.retain(|table, _| !table.starts_with("history."));
    content
}

fn table<'a>(report: &'a Value, name: &str) -> &'a Value {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|t| t["table"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn files(world: &World) -> Vec<PathBuf> {
    let folder = world.hub.data().join("lake").join(TABLE.replace('.', "/"));
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_by_hand_changes_files_and_no_content() {
    let world = World::new(61).await;
    by_hand(&world);
    world.run(&["run"]).expect(0);
    change_often(&world);
    let report = world.run(&["--output", "json", "run"]).expect(0).json();
    assert_eq!(report["maintenance"], Value::Array(Vec::new()));
    let before = content(&world);
    let history = "select count(*) as n from history.city_cases_accepted";
    let superseded = world.hub.query(history)[0]["n"].clone();
    assert_eq!(superseded, 20 * CHANGES);

    let snapshot = lake::newest_snapshot(&world.hub.database()).await;
    let due = world.run(&["--output", "json", "maintain", "--dry-run"]).expect(0).json();
    assert_eq!((&due["run_id"], &due["dry_run"]), (&Value::Null, &Value::Bool(true)));
    assert_eq!(table(&due, TABLE)["reasons"][0], "small files");
    assert!(due["snapshots_expired"].as_u64() > Some(3), "{due}");
    assert_eq!(lake::newest_snapshot(&world.hub.database()).await, snapshot);

    let done = world.run(&["--output", "json", "maintain"]).expect(0).json();
    let joined = table(&done, TABLE);
    assert_eq!(joined["files_before"].as_i64(), Some(CHANGES + 1), "{joined}");
    assert_eq!(joined["files_after"], 1, "{joined}");
    assert!(done["snapshots_expired"].as_u64() > Some(3), "{done}");
    assert_eq!(content(&world), before);
    assert_eq!(world.hub.query(history)[0]["n"], superseded, "each version is kept");
    let steps = world.hub.query(
        "select node, read, written, filtered from ops.steps where kind = 'maintain' and read > 0",
    );
    assert!(!steps.is_empty());
    for step in steps {
        let part = |name: &str| step[name].as_i64().unwrap();
        assert_eq!(part("read"), part("written") + part("filtered"), "{step}");
    }

    let again = world.run(&["--output", "json", "maintain", "--grace", "0s"]).expect(0).json();
    // The stream's state still names the snapshot before the compaction, which keeps its files.
    assert!(again["files_removed"].as_u64() > Some(0), "{again}");
    assert_eq!(content(&world), before);
    let snapshot = lake::newest_snapshot(&world.hub.database()).await;
    let report = world.run(&["--output", "json", "run"]).expect(0).json();
    for part in ["streams", "models", "metrics", "pushes"] {
        for step in report[part].as_array().unwrap() {
            assert_eq!(step["state"], "unchanged", "{step}");
        }
    }
    assert_eq!(lake::newest_snapshot(&world.hub.database()).await, snapshot);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_the_maintenance_that_is_due() {
    let world = World::new(62).await;
    world.run(&["run", STREAM]).expect(0);
    let report = change_often(&world);
    let steps = report["maintenance"].as_array().unwrap();
    assert_eq!(steps[0]["node"], format!("maintain.{TABLE}"), "{report}");
    assert_eq!(steps[0]["state"], "succeeded", "{report}");
    let rows = world.hub.query(&format!("select count(distinct row_guid) as n from {TABLE}"));
    let all = world.hub.query(&format!("select count(*) as n from {TABLE}"));
    assert_eq!(rows[0]["n"], all[0]["n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_name_maintenance_and_orphans_go() {
    let world = World::new(63).await;
    world.run(&["run", STREAM]).expect(0);
    let jobs = world.hub.project().join("config/jobs.toml");
    let mut text = std::fs::read_to_string(&jobs).unwrap();
    text.push_str("\n[[jobs]]\nname = \"upkeep\"\ncron = \"0 3 * * *\"\nrun = \"maintain\"\n");
    std::fs::write(&jobs, text).unwrap();
    world.run(&["check"]).expect(0);
    world.run(&["run", "maintain"]).expect(0);
    let orphan = files(&world)[0].with_file_name("left-by-a-killed-run.parquet");
    std::fs::copy(&files(&world)[0], &orphan).unwrap();
    world.run(&["maintain"]).expect(0);
    assert!(orphan.exists(), "a file this young may still be committed");
    let done = world.run(&["--output", "json", "maintain", "--grace", "0s"]).expect(0).json();
    assert_eq!(table(&done, TABLE)["orphans"], 1, "{done}");
    assert!(!orphan.exists());
    world.run(&["doctor"]).expect(0);
    let unknown = world.run(&["maintain", "--table", "current.nothing"]).expect(2);
    assert!(unknown.err.contains("E-SELECTOR"), "{}", unknown.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_lake_is_reported_and_nothing_runs_on_it() {
    let world = World::new(64).await;
    world.run(&["run", STREAM]).expect(0);
    let whole = world.run(&["--output", "json", "doctor"]).expect(0).json();
    assert_eq!(whole["lake"]["torn"], Value::Array(Vec::new()));
    let file = files(&world)[0].clone();
    let content = std::fs::read(&file).unwrap();
    std::fs::write(&file, &content[..content.len() - 10]).unwrap();
    let torn = world.run(&["--output", "json", "doctor"]).expect(3).json();
    let torn = &torn["lake"]["torn"][0];
    assert_eq!((torn["table"].as_str(), torn["code"].as_str()), (Some(TABLE), Some("E-LAKE-TORN")));
    assert_eq!(torn["file"].as_str(), file.canonicalize().unwrap().to_str());
    for command in [&["run"][..], &["serve", "--pgwire", "127.0.0.1:0"]] {
        let refused = world.run(command).expect(3);
        assert!(refused.err.contains("E-LAKE-TORN") && refused.err.contains(TABLE));
    }
    std::fs::write(&file, &content).unwrap();
    world.run(&["doctor"]).expect(0);
    world.run(&["run", STREAM]).expect(0);
}
