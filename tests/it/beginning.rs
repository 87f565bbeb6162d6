//! The first working file of a system, whatever its kind.

use std::time::{Duration, Instant};

use crate::hub::Hub;
use crate::office::{Office, SOON, Service};

/// The time since the first command about a new system.
pub(crate) struct Begun(Instant);

impl Begun {
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// Rows of the system are in the lake. A first working file takes a minute, and what the person
    /// types is part of it, so the commands must leave time.
    pub(crate) fn has_rows(self, kind: &str) {
        let taken = self.0.elapsed();
        println!("{kind}: {:.1} s of commands from nothing to the first rows", taken.as_secs_f64());
        assert!(taken < Duration::from_secs(60), "{kind}: {taken:?}");
    }
}

const KINDS: &[&str] = &[
    "files",
    "http",
    "mysql",
    #[cfg(feature = "odbc")]
    "odbc",
    "postgres",
    "singer",
    "sqlite",
];

fn text(hub: &Hub, system: &str) -> String {
    let file = hub.project().join(format!("config/systems/{system}.toml"));
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn every_kind_gets_a_file_to_be_filled_in_that_is_valid_as_it_is() {
    let office = Office::new("sqlite", "path = \"office.db\"\n");
    let hub = &office.hub;
    for kind in KINDS {
        let id = format!("new_{kind}");
        hub.run(&["init", "system", &id, "--kind", kind, "--owner", "数据局"]).expect(0);
        let text = text(hub, &id);
        assert!(text.contains("owner = \"数据局\""), "{text}");
        // The streams and pushes it can have stand there to be taken out of their comments.
        let uncommented: String = text
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        assert!(uncommented.contains("[[streams]]\nname = \"cases\""), "{text}");
        assert!(!text.contains("= null"), "{text}");
        hub.run(&["init", "system", &id, "--kind", kind]).expect(2);
    }
    // What has no value yet is said and is no fault.
    let checked = hub.run(&["check"]).expect(0);
    assert!(checked.err.contains("secret:"), "{}", checked.err);
    let unknown = hub.run(&["init", "system", "x", "--kind", "oracle"]).expect(2);
    assert!(unknown.err.contains("files, http, "), "{}", unknown.err);
    assert!(!hub.project().join("config/systems/x.toml").exists());
}

#[test]
fn any_key_can_be_set_when_a_system_is_discovered_and_no_secret() {
    let office = Office::new("sqlite", "path = \"office.db\"\n");
    let hub = &office.hub;
    std::fs::create_dir_all(hub.project().join("drops")).unwrap();
    std::fs::write(hub.project().join("drops/a.csv"), "id,名称\n1,甲\n2,乙\n").unwrap();
    let time = Begun::now();
    let begun = ["discover", "land", "--kind", "files", "--set", "path=drops", "--write"];
    hub.run(&begun).expect(0);
    let text = text(hub, "land");
    assert!(text.contains("path = \"drops\"") && text.contains("pattern = \"a.csv\""), "{text}");
    let file = hub.project().join("config/systems/land.toml");
    std::fs::write(&file, text.replace("stable = \"60s\"\n", "")).unwrap();
    let shown = hub.run(&["preview", "land.a"]).expect(0);
    assert!(shown.out.contains("甲"), "{}", shown.out);
    hub.run(&["run", "land.*"]).expect(0);
    time.has_rows("files");
    assert_eq!(hub.query("select count(*) as n from current.land_a")[0]["n"], 2);

    let nowhere = hub.run(&["discover", "x", "--kind", "singer"]).expect(2);
    assert!(nowhere.err.contains("--set command=…"), "{}", nowhere.err);
    let command = "command=[\"tap-x\"]";
    let inline = ["--set", command, "--set", "config.password=secret-0123", "--write"];
    let begun = ["discover", "x", "--kind", "singer"];
    let refused = hub.run(&[&begun[..], &inline].concat()).expect(2);
    assert!(refused.err.contains("E-SECRET-INLINE"), "{}", refused.err);
    assert!(!refused.said().contains("secret-0123"), "{}", refused.said());
    assert!(!hub.project().join("config/systems/x.toml").exists());
}

/// Nobody can ask a web service what it offers, so a person writes its address and streams into the
/// file; `discover` then says what they give.
#[test]
fn a_web_service_is_read_once_its_address_and_a_stream_are_filled_in() {
    let office = Office::new("sqlite", "path = \"office.db\"\n");
    let hub = &office.hub;
    let service = Service::start();
    let address = format!("url = \"{}\"", service.url);
    std::thread::spawn(move || {
        while let Some(asked) = service.next_within(SOON) {
            let body = r#"{"list": [{"id": "A1", "name": "甲"}, {"id": "A2", "name": "乙"}]}"#;
            asked.answer("200 OK", body);
        }
    });
    let time = Begun::now();
    hub.run(&["init", "system", "portal", "--kind", "http", "--owner", "数据局"]).expect(0);
    let offered = text(hub, "portal");
    let example = offered.lines().find(|line| line.starts_with("url = ")).unwrap();
    let stream =
        "\n[[streams]]\nname = \"cases\"\npath = \"/cases\"\nrecords = \"/list\"\nkey = [\"id\"]\n";
    let file = hub.project().join("config/systems/portal.toml");
    std::fs::write(&file, offered.replace(example, &address) + stream).unwrap();
    let found = hub.run(&["discover", "portal"]).expect(0);
    assert!(
        found.out.contains("path = \"/cases\"") && found.out.contains("\"name\""),
        "{}",
        found.out
    );
    let shown = hub.run(&["preview", "portal.cases"]).expect(0);
    assert!(shown.out.contains('乙'), "{}", shown.out);
    hub.run(&["run", "portal.*"]).expect(0);
    time.has_rows("http");
    assert_eq!(hub.query("select count(*) as n from current.portal_cases")[0]["n"], 2);
    // What is there is not written a second time.
    let before = text(hub, "portal");
    hub.run(&["discover", "portal", "--write"]).expect(0);
    assert_eq!(text(hub, "portal"), before);
}

/// A database behind a driver is found, shown, read and written by the program as any other.
#[cfg(feature = "odbc")]
#[tokio::test]
async fn a_database_behind_an_odbc_driver_is_read_and_written() {
    let office = Office::new("sqlite", "path = \"office.db\"\n");
    let hub = &office.hub;
    office
        .edit(
            "create table cases (case_no text primary key, name text, changed text);
             create table done (case_no text primary key, name text);
             insert into cases values ('A1', '甲', '2018-06-01 08:00:00'),
                                      ('A2', '乙', '2018-06-02 09:30:00')",
        )
        .await;
    let connection =
        format!("connection=Driver={{SQLite3}};Database={};NoCreat=1", office.source().display());
    let time = Begun::now();
    let begun = ["discover", "hall", "--kind", "odbc", "--set", &connection];
    hub.run(&[&begun[..], &["--table", "cases", "--write"]].concat()).expect(0);
    let shown = hub.run(&["preview", "hall.cases"]).expect(0);
    assert!(shown.out.contains('乙'), "{}", shown.out);

    let push = "\n[[pushes]]\nname = \"done\"\nfrom = \"reconciled.done\"\nto = \"done\"\n\
                key = [\"case_no\"]\n";
    let file = hub.project().join("config/systems/hall.toml");
    // Nothing is sent to a system that is only tried out.
    let found = text(hub, "hall").replace("stage = \"trial\"", "stage = \"live\"");
    std::fs::write(&file, found + push).unwrap();
    let models = hub.project().join("pipelines/models/reconciled");
    std::fs::create_dir_all(&models).unwrap();
    let model = "/* +++\nkind = \"table\"\nkey = [\"case_no\"]\ndescription = \"done\"\n+++ */\n\
                 select case_no, name from current.hall_cases\n";
    std::fs::write(models.join("done.sql"), model).unwrap();
    let report = hub.run_json(&["run", "+push.hall.done"]).expect(0).json();
    time.has_rows("odbc");
    assert_eq!(crate::hub::step(&report, "streams", "hall.cases")["read"], 2);
    let mut database = crate::lake::sqlite(&office.source()).await;
    let told = "select count(*) from done where case_no || name in ('A1甲', 'A2乙')";
    assert_eq!(crate::lake::number(&mut database, told).await, 2);
}
