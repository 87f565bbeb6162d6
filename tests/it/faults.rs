//! What is wrong is said clearly, stops only what needs it, and leaves nothing half done.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::hub::{Hub, step};
use crate::lake;
use crate::world::{WRONG, World};

impl World {
    /// Tables of the lake and stored positions that belong to a system.
    async fn traces(&self, system: &str) -> i64 {
        let mut database = lake::sqlite(&self.hub.database()).await;
        let tables = "select table_name as name from ducklake_table";
        let states = "select system || '_' || stream from huiliu_state";
        let sql = format!(
            "select count(*) from ({tables} union all {states}) \
             where substr(name, 1, length(?1) + 1) = ?1 || '_'"
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(system)
            .fetch_one(&mut database)
            .await
            .unwrap()
    }

    /// Stored positions and the newest snapshot.
    async fn state(&self) -> Vec<(String, i64, String)> {
        let mut database = lake::sqlite(&self.hub.database()).await;
        let sql = "select system || '.' || stream, seq, coalesce(checkpoint, '') from huiliu_state \
                   union all select 'snapshot', max(snapshot_id), '' from ducklake_snapshot";
        sqlx::query_as(sql).fetch_all(&mut database).await.unwrap()
    }

    /// `system` fails with `code` and these words, in a run of everything and alone; everything
    /// else goes on; nothing of `system` is stored. Once mended, all is well; broken again, what
    /// is there stays as it is.
    async fn check(&self, fault: Fault<'_>, break_it: impl Fn(), mend: impl Fn()) {
        let Fault { system, owner, code, alone, words } = fault;
        break_it();
        let report = self.run(&["--output", "json", "run"]).expect(4).json();
        let mut failed = 0;
        for stream in report["streams"].as_array().unwrap() {
            let node = stream["node"].as_str().unwrap();
            if node.split_once('.').unwrap().0 != system {
                assert_eq!(stream["state"], "succeeded", "{stream}");
                assert!(stream["written"].as_u64() > Some(0), "{stream}");
                continue;
            }
            failed += 1;
            assert_eq!(stream["state"], "failed", "{stream}");
            assert_eq!(stream["code"], code, "{stream}");
            assert_eq!(stream["written"], 0, "{stream}");
            assert_eq!(stream["snapshot_id"], Value::Null, "{stream}");
            let message = stream["message"].as_str().unwrap();
            let hint = stream["hint"].as_str().unwrap();
            assert!(message.contains(node), "where is not said: {message}");
            for word in words {
                assert!(message.contains(word) || hint.contains(word), "{word}: {message}; {hint}");
            }
            assert!(hint.contains(owner), "the owner is not named: {hint}");
            assert!(hint.contains(&format!("systems/{system}.toml")), "{hint}");
        }
        assert!(failed > 0, "{report}");
        assert_eq!(self.traces(system).await, 0, "something of {system} was stored");

        let selector = format!("{system}.*");
        let text = self.run(&["run", &selector]).expect(alone).out;
        for part in [format!("error[{code}]").as_str(), "hint:", owner] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert_eq!(self.traces(system).await, 0, "something of {system} was stored");

        mend();
        let report = self.run(&["--output", "json", "run"]).expect(0).json();
        for stream in report["streams"].as_array().unwrap() {
            let is_mended = stream["node"].as_str().unwrap().starts_with(system);
            let expected = if is_mended { "succeeded" } else { "unchanged" };
            assert_eq!(stream["state"], expected, "{stream}");
        }
        assert_eq!(step(&report, "pushes", "push.province.cases")["waiting"], 0);

        // Two tables and a position for each stream, which also shows that traces are found.
        assert!(self.traces(system).await >= 3);
        let state = self.state().await;
        break_it();
        let report = self.run(&["--output", "json", "run"]).expect(4).json();
        for stream in report["streams"].as_array().unwrap() {
            let is_broken = stream["node"].as_str().unwrap().starts_with(system);
            let expected = if is_broken { "failed" } else { "unchanged" };
            assert_eq!(stream["state"], expected, "{stream}");
        }
        assert_eq!(self.state().await, state, "what was there before was touched");
    }
}

struct Fault<'a> {
    system: &'a str,
    owner: &'a str,
    code: &'a str,
    /// The exit code when the system alone is selected.
    alone: i32,
    /// What the message or the hint must say.
    words: &'a [&'a str],
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_stops_its_system_only() {
    let world = World::new(41).await;
    let break_it = || world.set("investment_api_key", None);
    let line = world.hub.line_of("config/systems/investment.toml", "value = ");
    let place = format!("systems/investment.toml:{line}: no value for secret:investment_api_key");
    let words = &[place.as_str(), "`huiliu secret set`"];
    let (system, owner, code) = ("investment", "省发改委", "E-SECRET-MISSING");
    world.check(Fault { system, owner, code, alone: 6, words }, break_it, || world.mend()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_stops_its_system_only() {
    let world = World::new(42).await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let break_it = || world.set("INVESTMENT_URL", Some(&format!("http://{free}")));
    let address = free.to_string();
    let words = &["refused", "/invest/", address.as_str()];
    let (system, owner, code) = ("investment", "省发改委", "E-CONNECT");
    world.check(Fault { system, owner, code, alone: 6, words }, break_it, || world.mend()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_stops_its_system_only() {
    let world = World::new(43).await;
    let break_it = || world.set("province_app_secret", Some(WRONG));
    let words = &["/api/token", "HTTP 401", "[auth]"];
    let (system, owner, code) = ("province", "省数据资源主管部门", "E-AUTH");
    world.check(Fault { system, owner, code, alone: 6, words }, break_it, || world.mend()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_api_key_stops_its_system_only() {
    let world = World::new(44).await;
    let break_it = || world.set("investment_api_key", Some(WRONG));
    let words = &["/invest/"];
    let (system, owner, code) = ("investment", "省发改委", "E-REMOTE");
    world.check(Fault { system, owner, code, alone: 6, words }, break_it, || world.mend()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_instead_of_json_stops_its_system_only() {
    let world = World::new(45).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test's process.
    std::thread::spawn(move || {
        let page = "<html><body>请先登录</body></html>";
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // A request for a list is short and has no body.
            let read = stream.read(&mut [0; 4096]).unwrap();
            assert!(read > 0);
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{page}",
                page.len()
            )
            .unwrap();
        }
    });
    let break_it = || world.set("INVESTMENT_URL", Some(&format!("http://{address}")));
    let words = &["a web page instead of data", "/invest/", "check the url"];
    let (system, owner, code) = ("investment", "省发改委", "E-CONTENT");
    world.check(Fault { system, owner, code, alone: 3, words }, break_it, || world.mend()).await;
}

/// The newest drop of the department of quality, and its control file.
fn newest_drop(world: &World) -> (PathBuf, PathBuf) {
    let folder = std::fs::read_dir(world.hub.city().join("drops/quality")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let drops = files.filter(|path| path.extension().is_some_and(|ending| ending == "csv"));
    let newest = drops.max().unwrap();
    let control = newest.with_extension("ctl");
    (newest, control)
}

fn name_of(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_shorter_than_its_control_file_says_is_not_taken() {
    let world = World::new(46).await;
    let (file, control) = newest_drop(&world);
    let whole = std::fs::read(&file).unwrap();
    let break_it = || std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let words = &[name_of(&file), name_of(&control), "deliver"];
    let (system, owner, code) = ("dept_quality", "市质监局", "E-CONTROL");
    let mend = || std::fs::write(&file, &whole).unwrap();
    world.check(Fault { system, owner, code, alone: 3, words }, break_it, mend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_within_quotes_is_not_taken() {
    let world = World::new(47).await;
    let (file, control) = newest_drop(&world);
    let (whole, promise) = (std::fs::read(&file).unwrap(), std::fs::read(&control).unwrap());
    let rows = whole.iter().filter(|byte| **byte == b'\n').count();
    let cut = [whole.as_slice(), b"ZJ201812999999,\"3405"].concat();
    let digest: String = Sha256::digest(&cut).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = name_of(&file);
    let promised = format!("file={name}\nrows={rows}\nsha256={digest}\n");
    let break_it = || {
        std::fs::write(&file, &cut).unwrap();
        std::fs::write(&control, &promised).unwrap();
    };
    let place = format!("line {} of file {name}", rows + 1);
    let words = &[place.as_str(), "quote"];
    let (system, owner, code) = ("dept_quality", "市质监局", "E-QUOTE");
    let mend = || {
        std::fs::write(&file, &whole).unwrap();
        std::fs::write(&control, &promise).unwrap();
    };
    world.check(Fault { system, owner, code, alone: 3, words }, break_it, mend).await;
}

/// Every command that needs the configuration says what is wrong with it and does nothing.
fn check_refused(hub: &Hub, words: &[&str]) {
    for arguments in [["check"].as_slice(), &["run"], &["query", "select 1"]] {
        let done = hub.run(arguments);
        if arguments[0] == "query" {
            // Without data there is nothing to ask, whatever the configuration is.
            assert_eq!(done.code, Some(2));
            continue;
        }
        let done = done.expect(2);
        assert_eq!(done.out, "");
        for word in words {
            assert!(done.err.contains(word), "`{word}` is not in: {}", done.err);
        }
    }
    let faults = hub.run_json(&["run"]).expect(2).json();
    let first = &faults["faults"][0];
    assert!(first["line"].as_u64() > Some(0) && first["message"].is_string(), "{faults}");
    assert!(!hub.database().exists(), "something ran");
}

#[test]
fn malformed_toml_is_refused_with_its_place() {
    let hub = Hub::edited();
    let file = "config/systems/city_items.toml";
    hub.edit(file, "kind = \"sqlite\"", "kind = \"sqlite");
    let place = format!("{file}:{}:", hub.line_of(file, "kind"));
    check_refused(&hub, &[&place, "string", "kind = \"sqlite", "^", "hint:"]);
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_likely_one() {
    let hub = Hub::edited();
    let file = "config/systems/city_cases.toml";
    hub.edit(file, "preset = ", "prset = ");
    let place = format!("{file}:{}:1:", hub.line_of(file, "prset"));
    check_refused(&hub, &[&place, "prset", "^^^^^", "hint:", "preset"]);
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let hub = Hub::edited();
    hub.edit("config/systems/city_cases.toml", "owner = ", "onwer = ");
    hub.edit("config/jobs.toml", "cron = \"30 7 * * *\"", "cron = \"30 77 * * *\"");
    let jobs = format!("config/jobs.toml:{}:", hub.line_of("config/jobs.toml", "cron = \"30 77"));
    let cases = "config/systems/city_cases.toml:";
    check_refused(&hub, &[&jobs, "77", cases, "onwer", "owner"]);
}
