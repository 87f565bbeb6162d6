//! What stands around a read: limits of a system, retries, parking, and stopping in time.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::hub::Done;
use crate::office::{Office, SOON, Service};
use crate::stop::terminate;

const LIST: &str = r#"{"list":[{"id":"1"},{"id":"2"}]}"#;

fn start(office: &Office, arguments: &[&str]) -> Child {
    let mut command: Command = office.hub.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child, what: &'static str) -> Done {
    Done::of(child.wait_with_output().unwrap(), &[what])
}

#[test]
fn a_system_in_its_quiet_hours_is_left_alone_unless_somebody_insists() {
    let service = Service::start();
    let office = Office::new("http", &service.system("limits = { quiet_hours = \"00:00-24:00\" }"));
    let step = office.run(1, "office.cases");
    assert_eq!((&step["state"], &step["code"]), (&"blocked".into(), &"E-QUIET-HOURS".into()));
    assert!(step["hint"].as_str().unwrap().contains("--during-quiet-hours"), "{step}");
    assert!(service.is_quiet(), "the system was asked");
    let insisting = start(&office, &["run", "--during-quiet-hours"]);
    service.next().answer("200 OK", LIST);
    ended(insisting, "run --during-quiet-hours").expect(0);
    let fault = "limits = { quiet_hours = \"8-18\" }";
    office.describe("http", &service.system(fault));
    let refused = office.hub.run(&["check"]).expect(2);
    assert!(refused.err.contains("`8-18` is not a stretch of the day"), "{}", refused.err);
}

#[test]
fn a_system_outside_of_what_the_hub_may_connect_to_is_not_asked() {
    let service = Service::start();
    let office = Office::new("http", &service.system(""));
    let file = office.hub.project().join("config/hub.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let allow = |entry: &str| {
        std::fs::write(&file, format!("{text}\n[network]\nallow = [\"{entry}\"]\n")).unwrap();
    };
    allow("10.0.0.0/8");
    let report = office.hub.run_json(&["run"]).json();
    let step = crate::hub::step(&report, "streams", "office.cases");
    assert_eq!(step["code"], "E-FORBIDDEN-ADDRESS", "{step}");
    assert!(step["hint"].as_str().unwrap().contains("[network]"), "{step}");
    assert!(service.is_quiet(), "the system was asked");
    allow("127.0.0.0/8");
    let allowed = start(&office, &["run"]);
    service.next().answer("200 OK", LIST);
    ended(allowed, "run").expect(0);
    allow("10.0.0.0/99");
    assert!(office.hub.run(&["check"]).expect(2).err.contains("E-NETWORK"));
}

#[tokio::test]
async fn two_processes_share_the_connections_of_a_system() {
    let service = Service::start();
    let office = Office::new("http", &service.system("limits = { connections = 1 }"));
    let run = start(&office, &["run"]);
    let first = service.next();
    let mut command = office.hub.command(&["-v", "preview", "office.cases"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut preview = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(preview.stderr.take().unwrap()).lines();
    let waits = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("waits for a connection") {
                return line;
            }
        }
        panic!("it did not wait");
    };
    let line = tokio::time::timeout(SOON, waits).await.unwrap();
    assert!(line.contains("run of process"), "the holder is not named: {line}");
    assert!(service.is_quiet(), "the second one did not wait");
    first.answer("200 OK", LIST);
    ended(run, "run").expect(0);
    service.next().answer("200 OK", LIST);
    assert!(tokio::time::timeout(SOON, preview.wait()).await.unwrap().unwrap().success());
    assert_eq!(office.number("select count(*) from huiliu_slot").await, 0);
}

#[test]
fn requests_of_all_processes_keep_one_pace() {
    let service = Service::start();
    let limits = "limits = { requests_per_minute = 30 }";
    let office = Office::new("http", &service.system(limits));
    let mut moments = Vec::new();
    for arguments in [["run"].as_slice(), &["preview", "office.cases"], &["run"]] {
        let process = start(&office, arguments);
        let asked = service.next();
        moments.push(std::time::Instant::now());
        asked.answer("200 OK", LIST);
        ended(process, "run or preview").expect(0);
    }
    let apart = moments[2] - moments[0];
    assert!(apart.as_millis() >= 3_900, "three requests at one in two seconds in {apart:?}");
}

#[test]
fn a_read_that_broke_off_is_tried_again_as_often_as_the_hub_says() {
    let service = Service::start();
    let office = Office::new("http", &service.system(""));
    let run = start(&office, &["--output", "json", "run"]);
    service.next().answer("503 Busy", "");
    service.next().answer("429 Slow\r\nretry-after: 1", "");
    service.next().answer("200 OK", LIST);
    let report = ended(run, "run").expect(0).json();
    let step = crate::hub::step(&report, "streams", "office.cases");
    assert_eq!((&step["read"], &step["written"]), (&2.into(), &2.into()), "{step}");

    office.hub.edit("config/hub.toml", "parallel = 4", "parallel = 4\nretries = 1");
    let run = start(&office, &["run"]);
    service.next().answer("503 Busy", "");
    service.next().answer("503 Busy", "");
    let done = ended(run, "run").expect(6);
    assert!(done.out.contains("E-STATUS"), "{}", done.out);
    assert!(service.is_quiet(), "it was tried more often");

    // What a person has to mend is not tried again.
    let run = start(&office, &["run"]);
    service.next().answer("401 No", "");
    ended(run, "run").expect(6);
    assert!(service.is_quiet());
}

#[tokio::test]
async fn a_stream_in_which_the_process_keeps_dying_is_parked() {
    let service = Service::start();
    let office = Office::new("http", &service.system("limits = { connections = 1 }"));
    for attempt in 1..=3 {
        let mut run = start(&office, &["run"]);
        let asked = service.next();
        run.kill().unwrap();
        run.wait().unwrap();
        drop(asked);
        let counted = office.number("select attempts from huiliu_attempt").await;
        assert_eq!(counted, attempt);
    }
    let step = office.run(3, "office.cases");
    assert_eq!(step["code"], "E-PARKED", "{step}");
    assert!(service.is_quiet(), "it was read");
    let list = office.hub.run(&["state", "list"]).expect(0).out;
    assert!(list.contains("(parked)"), "{list}");
    let unpark = ["state", "unpark", "office.cases", "--reason", "more memory"];
    // The lease of the last process that died runs out by itself; a run would end it.
    office.hub.run(&["run", "office.cases"]).expect(3);
    office.hub.run(&unpark).expect(0);
    let run = start(&office, &["run"]);
    service.next().answer("200 OK", LIST);
    ended(run, "run").expect(0);
    assert_eq!(office.number("select count(*) from huiliu_attempt").await, 0);
}

#[tokio::test]
async fn sigterm_while_a_source_stalls_ends_the_run_and_gives_everything_back() {
    let service = Service::start();
    let office = Office::new("http", &service.system("limits = { connections = 1 }"));
    let mut command = office.hub.command(&["run"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let asked = service.next();
    assert_eq!(terminate(&mut run).await, Some(143));
    drop(asked);
    let held = "select (select count(*) from huiliu_lease where holder is not null)
                     + (select count(*) from huiliu_slot) + (select count(*) from huiliu_attempt)";
    assert_eq!(office.number(held).await, 0);
    let shown: Value = office.hub.run_json(&["runs", "show", "1"]).expect(0).json();
    assert_eq!(
        (&shown["run"]["state"], &shown["steps"][0]["state"]),
        (&"cancelled".into(), &"cancelled".into())
    );
    let run = start(&office, &["run"]);
    service.next().answer("200 OK", LIST);
    ended(run, "run").expect(0);
}

#[tokio::test]
async fn sigterm_during_a_big_merge_leaves_all_or_nothing() {
    let office = Office::new(
        "sqlite",
        "path = \"office.db\"\n[[streams]]\nname = \"cases\"\ntable = \"cases\"\nkey = [\"id\"]\n",
    );
    office
        .edit(
            "create table cases (id integer, a text, b text);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
             insert into cases select i, hex(randomblob(20)), hex(randomblob(20)) from n",
        )
        .await;
    let mut command = office.hub.command(&["run"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    // The first merged chunk is a file that no snapshot has.
    let folder = office.hub.data().join("lake/current/office_cases");
    let begin = std::time::Instant::now();
    while std::fs::read_dir(&folder).map_or(0, Iterator::count) == 0 {
        assert!(begin.elapsed() < SOON, "nothing was merged");
        tokio::task::yield_now().await;
    }
    let code = terminate(&mut run).await;
    // A run that was faster than the signal did everything.
    let expected = if code == Some(0) { 200_000 } else { 0 };
    assert!(matches!(code, Some(0 | 143)), "{code:?}");
    assert_eq!(
        office.number("select coalesce(sum(record_count), 0) from ducklake_data_file").await,
        expected
    );
    assert_eq!(
        office.number("select count(*) from huiliu_lease where holder is not null").await,
        0
    );
    office.hub.run(&["run"]).expect(0);
    assert_eq!(office.number("select sum(record_count) from ducklake_data_file").await, 200_000);
}
