//! A data folder that came out of a backup: the hub finds what the backup lacks and reads it
//! again, and nothing is there twice.

use std::path::Path;

use serde_json::Value;

use crate::hub::copy;
use crate::lake;
use crate::office::{Office, execute};

const STREAMS: &str = "path = \"office.db\"\n\n\
    [[streams]]\nname = \"cases\"\ntable = \"cases\"\nkey = [\"id\"]\nread = \"incremental\"\n\
    cursor = \"changed\"\n\n\
    [[streams]]\nname = \"log\"\ntable = \"cases\"\nwrite = \"append\"\nread = \"incremental\"\n\
    key = [\"id\"]\ncursor = \"changed\"\n";

/// An office with a row for each number below `rows`.
async fn office(rows: i64) -> Office {
    let office = Office::new("sqlite", STREAMS);
    office.edit("create table cases (id integer primary key, name text, changed integer)").await;
    add(&office, 0, rows).await;
    office
}

async fn add(office: &Office, from: i64, to: i64) {
    let rows = format!(
        "with recursive n(i) as (select {from} union all select i + 1 from n where i < {to} - 1)
         insert into cases select i, 'row ' || i, i from n"
    );
    office.edit(&rows).await;
}

fn contents(office: &Office) -> Value {
    let sql = "select count(*) as cases, count(distinct id) as ids, sum(id) as total \
               from current.office_cases";
    office.hub.query(sql)[0].clone()
}

/// The hub's database as a backup takes it while the hub is at work.
async fn backup(office: &Office, to: &Path) {
    execute(&office.hub.database(), &format!("vacuum into '{}'", to.display())).await;
}

fn restore(office: &Office, from: &Path) {
    for ending in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!("{}{ending}", office.hub.database().display())));
    }
    std::fs::copy(from, office.hub.database()).unwrap();
}

#[tokio::test]
async fn a_database_twenty_commits_old_goes_on_from_there_and_doubles_nothing() {
    let office = office(100).await;
    office.hub.run(&["run"]).expect(0);
    let old = office.hub.project().join("old.db");
    backup(&office, &old).await;
    for commit in 1..=20 {
        add(&office, commit * 100, commit * 100 + 10).await;
        office.hub.run(&["run"]).expect(0);
    }
    let before = contents(&office);
    assert_eq!(before["cases"], 300);
    restore(&office, &old);
    assert_eq!(contents(&office)["cases"], 100);
    office.hub.run(&["doctor"]).expect(0);
    office.hub.run(&["run"]).expect(0);
    assert_eq!(contents(&office), before);
    let log =
        office.hub.query("select count(*) as n, count(distinct id) as ids from current.office_log");
    assert_eq!((&log[0]["n"], &log[0]["ids"]), (&300.into(), &300.into()));
    // What the lost commits had written is in no snapshot and goes.
    office.hub.run(&["maintain", "--grace", "0s"]).expect(0);
    office.hub.run(&["doctor"]).expect(0);
    let named = "select count(*) from ducklake_data_file";
    let files = office.number(named).await
        + office.number("select count(*) from ducklake_delete_file").await;
    let on_disk = walk(&office.hub.data().join("lake"));
    assert_eq!(i64::try_from(on_disk).unwrap(), files);
    assert_eq!(contents(&office), before);
}

/// Parquet files below a folder.
fn walk(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        count += if path.is_dir() { walk(&path) } else { 1 };
    }
    count
}

#[tokio::test]
async fn a_backup_taken_while_the_hub_works_converges_on_an_empty_machine() {
    let office = office(200_000).await;
    let reason = ["--reason", "a row for the audit"];
    office.hub.run(&["run"]).expect(0);
    let reset = [&["state", "reset", "office.cases"], reason.as_slice()].concat();
    office.hub.run(&reset).expect(0);
    office.edit("update cases set name = name || '!', changed = changed + 1000000").await;
    let mut run = office.hub.command(&["run"]).spawn().unwrap();
    // The first merged rows are in files that no snapshot names yet.
    let folder = office.hub.data().join("lake/current/office_cases");
    let files = std::fs::read_dir(&folder).unwrap().count();
    let begin = std::time::Instant::now();
    while std::fs::read_dir(&folder).unwrap().count() == files {
        assert!(begin.elapsed() < crate::office::SOON, "nothing was merged");
        tokio::task::yield_now().await;
    }
    // The database first: whatever it names is on the disk by then.
    let elsewhere = tempfile::TempDir::new().unwrap();
    let data = elsewhere.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    backup(&office, &data.join("huiliu.db")).await;
    copy(&office.hub.data().join("lake"), &data.join("lake"));
    std::fs::copy(office.hub.data().join("key"), data.join("key")).unwrap();
    assert!(run.wait().unwrap().success());

    let there = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_huiliu"));
        command.env_clear().env("LC_ALL", "C.UTF-8").arg("--project").arg(office.hub.project());
        let output = command.arg("--data").arg(&data).args(arguments).output().unwrap();
        crate::hub::Done::of(output, arguments)
    };
    there(&["doctor"]).expect(0);
    there(&["audit", "verify"]).expect(0);
    there(&["run"]).expect(0);
    let here = lake::content(&office.hub.database());
    assert_eq!(
        lake::content(&data.join("huiliu.db"))["current.office_cases"],
        here["current.office_cases"]
    );
}
