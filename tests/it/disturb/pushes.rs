//! `kill -9` in the middle of pushes, at moments that the target chooses: before it takes a request
//! in, after it has and before it answers, and after the answer. `HUILIU_PUSH_KILLS` says how many
//! in all; see `benches/kills.sh`.
//!
//! A target that tells records by their idempotency key has each of them exactly once. To one that
//! does not, nothing is sent a second time unless it says itself that it does not have it, or a
//! person does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::chance::Chance;
use crate::hub::Hub;
use crate::lake;
use crate::office::{Office, execute};

/// Kills in all unless `HUILIU_PUSH_KILLS` says otherwise; each kind of target gets a third.
const KILLS: usize = 60;
/// Requests of one run before which it is killed.
const REQUESTS: usize = 3;
/// Records in one request.
const BATCH: usize = 4;
/// How long a run may take before it counts as stuck.
const STUCK: Duration = Duration::from_secs(60);

/// When in the life of a request the hub dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    /// The request has arrived and had no effect.
    Before,
    /// It had its effect and no answer.
    Between,
    /// It was answered.
    Answered,
}

/// What a target is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Tells records by their idempotency key.
    Keyed,
    /// Knows records by their business key and can be asked for it.
    Asked,
    /// Knows nothing and takes everything.
    Blind,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Asked => "asked",
            Self::Blind => "blind",
        }
    }
}

#[derive(Default)]
struct Inbox {
    /// How often each record took effect.
    effects: BTreeMap<String, u32>,
    /// The idempotency keys that were seen, where there are any.
    keys: BTreeMap<String, String>,
    /// How many more requests come through before the hub dies, and when in the next one.
    trap: Option<(usize, When)>,
}

/// A target. Its threads end with the test's process.
struct Target {
    url: String,
    inbox: Arc<Mutex<Inbox>>,
    sprung: UnboundedReceiver<()>,
}

impl Target {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inbox: Arc<Mutex<Inbox>> = Arc::default();
        let (sender, sprung) = unbounded_channel();
        let kept = Arc::clone(&inbox);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept, sender) = (stream.unwrap(), Arc::clone(&kept), sender.clone());
                // Whoever asks may be gone at any moment, which is what the test is about.
                std::thread::spawn(move || drop(serve(stream, &kept, &sender)));
            }
        });
        Self { url, inbox, sprung }
    }

    /// What it has more than once.
    fn doubled(&self) -> Vec<(String, u32)> {
        let inbox = self.inbox.lock().unwrap();
        inbox.effects.iter().filter(|(_, n)| **n != 1).map(|(no, n)| (no.clone(), *n)).collect()
    }

    fn has(&self, no: &str) -> bool {
        self.inbox.lock().unwrap().effects.contains_key(no)
    }
}

fn serve(
    stream: TcpStream,
    inbox: &Mutex<Inbox>,
    sprung: &UnboundedSender<()>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if first.starts_with("GET ") {
            let no = first.split("no=").nth(1).unwrap().split([' ', '&']).next().unwrap();
            let is_here = inbox.lock().unwrap().effects.contains_key(no);
            let state = if is_here { "here" } else { "none" };
            answer(&mut writer, &json!({ "data": [{ "no": no, "state": state }] }))?;
            continue;
        }
        let body: Value = serde_json::from_slice(&body)?;
        let when = {
            let mut inbox = inbox.lock().unwrap();
            match inbox.trap {
                Some((0, when)) => {
                    inbox.trap = None;
                    Some(when)
                }
                Some((more, when)) => {
                    inbox.trap = Some((more - 1, when));
                    None
                }
                None => None,
            }
        };
        if when != Some(When::Before) {
            take(&mut inbox.lock().unwrap(), &body);
        }
        if when != Some(When::Before) && when != Some(When::Between) {
            answer(&mut writer, &json!({ "data": [] }))?;
        }
        if when.is_some() {
            sprung.send(()).unwrap();
            // Nobody is told anything any more; the hub's end closes the line.
            reader.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
    }
}

fn take(inbox: &mut Inbox, body: &Value) {
    for record in body["records"].as_array().unwrap() {
        let no = record["no"].as_str().unwrap().to_owned();
        if let Some(key) = record["requestId"].as_str()
            && inbox.keys.insert(key.to_owned(), no.clone()).is_some()
        {
            continue;
        }
        *inbox.effects.entry(no).or_default() += 1;
    }
}

fn answer(writer: &mut TcpStream, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        writer,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A hub with records queued for one target, and nothing sent.
async fn town(kind: Kind, url: &str, records: usize) -> Hub {
    let stream = "path = \"office.db\"\n\n[[streams]]\nname = \"cases\"\ntable = \"cases\"\n\
                  key = [\"no\"]\nread = \"full\"\n";
    let hub = Office::new("sqlite", stream).hub;
    let values: Vec<String> = (0..records).map(|no| format!("('{no:05}')")).collect();
    let sql =
        format!("create table cases (no text); insert into cases values {}", values.join(","));
    execute(&hub.project().join("office.db"), &sql).await;
    let model = hub.project().join("pipelines/models/standard");
    std::fs::create_dir_all(&model).unwrap();
    let header =
        "/* +++\nkind = \"table\"\ndescription = \"要上报的办件\"\nkey = [\"no\"]\n+++ */\n";
    std::fs::write(
        model.join("outgoing.sql"),
        format!("{header}select no from current.office_cases"),
    )
    .unwrap();
    let own = match kind {
        Kind::Keyed => "idempotency_field = \"requestId\"\n",
        Kind::Asked => {
            "\n[pushes.lookup]\npath = \"/records\"\nparam = \"no\"\ncolumn = \"no\"\n\
             outcomes = { list = \"/data\", id = \"/no\", result = \"/state\", \
             accepted = [\"here\"], absent = [\"none\"] }\n"
        }
        Kind::Blind => "",
    };
    let text = format!(
        "version = 1\nkind = \"http\"\ntitle = \"上级\"\nowner = \"省局\"\nstage = \"live\"\n\
         url = \"{url}\"\n\n[[pushes]]\nname = \"cases\"\nfrom = \"standard.outgoing\"\n\
         key = [\"no\"]\npath = \"/push\"\nrecords = \"/records\"\nbatch = {BATCH}\n{own}"
    );
    std::fs::write(hub.project().join("config/systems/above.toml"), text).unwrap();
    hub.run(&["run", "+standard.outgoing"]).expect(0);
    hub
}

/// Starts the push and kills it when the target says so; says whether it was still running.
async fn kill(hub: &Hub, target: &mut Target) -> bool {
    let mut command = hub.command(&["run", "push.above.cases"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let killed = tokio::time::timeout(STUCK, async {
        tokio::select! {
            sprung = target.sprung.recv() => {
                sprung.unwrap();
                child.start_kill().unwrap();
                child.wait().await.unwrap().signal() == Some(9)
            }
            ended = child.wait() => {
                ended.unwrap();
                false
            }
        }
    });
    killed.await.unwrap_or_else(|_| panic!("a push is stuck"))
}

fn kills_of_one_kind() -> usize {
    let given = std::env::var_os("HUILIU_PUSH_KILLS").and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or(KILLS).div_ceil(3)
}

/// Kills pushes to a target of `kind`; the hub and the target afterwards.
async fn killed(kind: Kind, seed: u64) -> (Hub, Target, usize) {
    let wanted = kills_of_one_kind();
    let mut chance = Chance::new(seed, kind.name());
    let mut target = Target::start();
    // More than the runs can send before they are killed.
    let records = wanted * (REQUESTS + 1) * BATCH + BATCH;
    let hub = town(kind, &target.url, records).await;
    let began = Instant::now();
    for kill_number in 1..=wanted {
        let when = [When::Before, When::Between, When::Answered][chance.below(3)];
        let after = chance.below(REQUESTS);
        target.inbox.lock().unwrap().trap = Some((after, when));
        let is_killed = kill(&hub, &mut target).await;
        assert!(is_killed, "{kind:?}: run {kill_number} ended by itself, {when:?} after {after}");
        let doubled = target.doubled();
        assert!(doubled.is_empty(), "{kind:?}, kill {kill_number}, {when:?}: {doubled:?}");
    }
    println!("{}: {wanted} kills in {:?}", kind.name(), began.elapsed());
    (hub, target, records)
}

/// Records by state.
async fn states(hub: &Hub) -> BTreeMap<String, i64> {
    let sql = "select state, records from ops.outbox where system = 'above'";
    let of =
        |row: &Value| (row["state"].as_str().unwrap().to_owned(), row["records"].as_i64().unwrap());
    hub.query(sql).iter().map(of).collect()
}

fn all_accepted(records: usize) -> BTreeMap<String, i64> {
    BTreeMap::from([("accepted".to_owned(), i64::try_from(records).unwrap())])
}

async fn each_is_there_once(target: &Target, records: usize) {
    let doubled = target.doubled();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert_eq!(target.inbox.lock().unwrap().effects.len(), records, "some are missing");
}

#[tokio::test]
async fn a_target_that_tells_keys_has_each_record_once_whenever_the_hub_dies() {
    let (hub, target, records) = killed(Kind::Keyed, 201).await;
    hub.run(&["run", "push.above.cases"]).expect(0);
    assert_eq!(states(&hub).await, all_accepted(records));
    each_is_there_once(&target, records).await;
    assert_eq!(target.inbox.lock().unwrap().keys.len(), records, "one record had two keys");
}

#[tokio::test]
async fn a_target_that_can_be_asked_has_each_record_once_whenever_the_hub_dies() {
    let (hub, target, records) = killed(Kind::Asked, 202).await;
    hub.run(&["run", "push.above.cases"]).expect(0);
    assert_eq!(states(&hub).await, all_accepted(records));
    each_is_there_once(&target, records).await;
}

#[tokio::test]
async fn a_target_that_knows_nothing_is_sent_nothing_twice_until_a_person_decides() {
    let (hub, target, records) = killed(Kind::Blind, 203).await;
    let stopped = hub.run(&["run", "push.above.cases"]).expect(5);
    assert!(stopped.out.contains("E-PUSH-UNKNOWN"), "{}", stopped.said());
    let unknown = states(&hub).await["unknown"];
    let most = i64::try_from(kills_of_one_kind() * BATCH).unwrap();
    assert!(unknown > 0 && unknown <= most, "{unknown} are in doubt, of at most {most}");
    assert!(target.doubled().is_empty(), "{:?}", target.doubled());

    // A person looks at the target, and says which are there.
    let shown =
        hub.run_json(&["push", "show", "above.cases", "--state", "unknown", "--limit", "9999"]);
    let shown = shown.expect(0).json();
    let (mut here, mut gone) = (Vec::new(), Vec::new());
    for record in shown["records"].as_array().unwrap() {
        let ids =
            if target.has(record["record_key"].as_str().unwrap()) { &mut here } else { &mut gone };
        ids.push(record["outbox_id"].to_string());
    }
    for (ids, word) in
        [(here, "arrived"), (gone, "again")].into_iter().filter(|(ids, _)| !ids.is_empty())
    {
        let mut arguments = vec!["push", "decide", "above.cases"];
        arguments.extend(ids.iter().map(String::as_str));
        arguments.extend(["--as", word, "--reason", "与对方核对"]);
        hub.run(&arguments).expect(0);
    }
    hub.run(&["run", "push.above.cases"]).expect(0);
    assert_eq!(states(&hub).await, all_accepted(records));
    each_is_there_once(&target, records).await;
    let mut database = lake::sqlite(&hub.database()).await;
    let noted = "select count(*) from huiliu_audit where action = 'push decide'";
    assert_eq!(lake::number(&mut database, noted).await, unknown);
}
