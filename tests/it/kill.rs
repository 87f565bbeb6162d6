//! `kill -9` at any moment costs time and nothing else.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use huiliu_city::CityOptions;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::hub::{Hub, copy, step};
use crate::lake::{self, Received};
use crate::world::World;

const SEED: u64 = 31;
const KILLS: usize = 8;
/// A folder that was killed this often has little left to do and is checked.
const KILLS_PER_FOLDER: usize = 4;
const DEMO: [&str; 7] = ["--output", "json", "demo", "--scale", "0.05", "--seed", "31"];

/// Chance that can be repeated.
struct Chance(u64);

impl Chance {
    /// A moment before `end`.
    fn moment(&mut self, end: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let part = u32::try_from(self.0 >> 40).unwrap();
        end * part / (1 << 24)
    }
}

/// What must be the same whatever was killed.
#[derive(Debug, PartialEq)]
struct Outcome {
    figures: BTreeMap<String, Value>,
    lake: BTreeMap<String, String>,
    received: Received,
}

impl Outcome {
    async fn of(hub: &Hub, report: &Value) -> Self {
        let figures = report["figures"].as_array().unwrap();
        assert!(!figures.is_empty());
        Self {
            figures: figures
                .iter()
                .map(|f| (f["key"].as_str().unwrap().to_owned(), f["value"].clone()))
                .collect(),
            lake: lake::content(&hub.database()),
            received: lake::received(&hub.city()).await,
        }
    }
}

/// A hub whose city is made already, so that every moment of a run is one of the hub's own.
fn hub_in(city: &Path) -> Hub {
    let hub = Hub::edited();
    // Processes die here on purpose, and more often in a row than an operator would bear.
    hub.edit("config/hub.toml", "parallel = 4", "parallel = 4\npark_after = 0");
    copy(city, &hub.city());
    hub
}

/// Starts a demo and kills it at `moment`; says whether it was still running.
async fn kill_at(hub: &Hub, moment: Duration) -> bool {
    let mut command = hub.command(&DEMO);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    if let Ok(ended) = tokio::time::timeout(moment, child.wait()).await {
        assert!(ended.unwrap().success());
        return false;
    }
    child.start_kill().unwrap();
    child.wait().await.unwrap().signal() == Some(9)
}

#[tokio::test]
async fn kill_9_at_random_moments_loses_and_doubles_nothing() {
    let template = TempDir::new().unwrap();
    let city = template.path().join("city");
    let options = CityOptions { seed: SEED, scale: 0.05 };
    huiliu_city::generate(&city, &options).await.unwrap();

    let undisturbed = hub_in(&city);
    let began = Instant::now();
    let report = undisturbed.run(&DEMO).expect(0).json();
    let duration = began.elapsed();
    let expected = Outcome::of(&undisturbed, &report).await;
    assert_eq!(expected.received.records, expected.received.cases);

    let seed = 20_181_213;
    println!("moments by seed {seed}, of a run of {duration:?}");
    let mut chance = Chance(seed);
    let mut kills = 0;
    let mut folders = 0;
    while kills < KILLS {
        folders += 1;
        let hub = hub_in(&city);
        for _ in 0..KILLS_PER_FOLDER {
            let moment = chance.moment(duration);
            if kills == KILLS || !kill_at(&hub, moment).await {
                break;
            }
            kills += 1;
            println!("folder {folders}: killed after {moment:?}");
        }
        let report = finish(&hub);
        let outcome = Outcome::of(&hub, &report).await;
        assert_eq!(outcome.figures, expected.figures, "folder {folders}");
        assert_eq!(outcome.received, expected.received, "folder {folders}");
        for (table, content) in &expected.lake {
            assert_eq!(outcome.lake.get(table), Some(content), "folder {folders}: {table}");
        }
        assert_eq!(outcome.lake.len(), expected.lake.len(), "folder {folders}");
        no_outbox_record_waits(&hub).await;
    }
}

/// A demo that comes to its end. A folder cannot tell a repeated record, so where the hub died between
/// writing results into it and noting that, a person looks whether they are there.
fn finish(hub: &Hub) -> Value {
    let done = hub.run(&DEMO);
    if done.code != Some(5) {
        return done.expect(0).json();
    }
    assert!(done.out.contains("E-PUSH-UNKNOWN"), "{}", done.said());
    let show = ["push", "show", "publish.results", "--state", "unknown", "--limit", "100000"];
    let shown = hub.run_json(&show).expect(0).json();
    let (mut here, mut gone) = (Vec::new(), Vec::new());
    for record in shown["records"].as_array().unwrap() {
        let is_here = is_published(hub, record["record_key"].as_str().unwrap());
        let ids = if is_here { &mut here } else { &mut gone };
        ids.push(record["outbox_id"].to_string());
    }
    println!("{} results were published without our knowing, {} were not", here.len(), gone.len());
    for (ids, word) in
        [(here, "arrived"), (gone, "again")].into_iter().filter(|(ids, _)| !ids.is_empty())
    {
        let mut arguments = vec!["push", "decide", "publish.results"];
        arguments.extend(ids.iter().map(String::as_str));
        arguments.extend(["--as", word, "--reason", "查看信息发布系统"]);
        hub.run(&arguments).expect(0);
    }
    hub.run(&DEMO).expect(0).json()
}

/// Whether a case is in a file of results that is whole.
fn is_published(hub: &Hub, project_no: &str) -> bool {
    let files = std::fs::read_dir(hub.city().join("publish")).unwrap();
    files.map(|file| file.unwrap().path()).any(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("results_")
            && name.ends_with(".csv")
            && path.with_extension("ctl").exists()
            && std::fs::read_to_string(&path).unwrap().contains(project_no)
    })
}

async fn no_outbox_record_waits(hub: &Hub) {
    let mut database = lake::sqlite(&hub.database()).await;
    let sql = "select count(*) from huiliu_outbox where state = 'waiting'";
    assert_eq!(lake::number(&mut database, sql).await, 0);
    let sql = "select count(*) - count(distinct system || '.' || push || ' ' || record_key) \
               from huiliu_outbox";
    assert_eq!(lake::number(&mut database, sql).await, 0, "a record was queued twice");
}

/// Passes everything on to the province, but swallows its answer to a push and tells of it.
async fn forgetful_line(to: String, swallowed: mpsc::UnboundedSender<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (hub, _) = listener.accept().await.unwrap();
            let province = TcpStream::connect(to.trim_start_matches("http://")).await.unwrap();
            tokio::spawn(pass(hub, province, swallowed.clone()));
        }
    });
    url
}

async fn pass(mut hub: TcpStream, mut province: TcpStream, swallowed: mpsc::UnboundedSender<()>) {
    let (mut question, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_push = false;
    loop {
        tokio::select! {
            read = hub.read(&mut question) => {
                let Ok(size @ 1..) = read else { return };
                is_push |= question[..size].starts_with(b"POST /api/cases/push ");
                if province.write_all(&question[..size]).await.is_err() { return }
            }
            read = province.read(&mut answer) => {
                let Ok(size @ 1..) = read else { return };
                // Who is told to come back later has not been heard.
                if is_push && !answer[..size].starts_with(b"HTTP/1.1 429 ") {
                    // The test may have seen enough.
                    swallowed.send(()).ok();
                } else if hub.write_all(&answer[..size]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_whose_answer_died_with_the_hub_are_at_the_province_once() {
    let world = World::new(51).await;
    let (swallowed, mut answers) = mpsc::unbounded_channel();
    let line = forgetful_line(world.city.province_url.clone(), swallowed).await;
    world.set("PROVINCE_URL", Some(&line));
    let mut command = world.hub.command(&["run"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    tokio::select! {
        answer = answers.recv() => answer.unwrap(),
        ended = child.wait() => panic!("it ended before it pushed: {ended:?}"),
    }
    child.start_kill().unwrap();
    assert_eq!(child.wait().await.unwrap().signal(), Some(9));

    let sent = lake::received(&world.hub.city()).await;
    assert!(sent.records > 10, "{sent:?}");
    let mut database = lake::sqlite(&world.hub.database()).await;
    let waiting = "select count(*) from huiliu_outbox where state = 'waiting'";
    assert_eq!(lake::number(&mut database, waiting).await, sent.records);

    world.mend();
    let report = world.run(&["--output", "json", "run"]).expect(0).json();
    let push = step(&report, "pushes", "push.province.cases");
    assert_eq!(push["accepted"].as_i64(), Some(sent.accepted), "{push}");
    assert_eq!(push["rejected"].as_i64(), Some(sent.rejected), "{push}");
    assert_eq!(push["waiting"], 0, "{push}");
    assert_eq!(lake::received(&world.hub.city()).await, sent);
    assert_eq!(sent.records, sent.cases);
    no_outbox_record_waits(&world.hub).await;
}
