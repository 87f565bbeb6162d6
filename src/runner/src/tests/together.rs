//! Streams that one source delivers together.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use huiliu_core::config::Resolver;
use huiliu_sdk::{
    Capabilities, Checkpoint, ConfigErrors, Connector, Cx, Endpoint, Error, ErrorKind, Event, Ops,
    Probe, RawConfig, ReadRequest, Result, Rows, Scope, Source, Spec, StreamId, SystemClock,
};
use huiliu_store::StepRow;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::script::{batch, ints, items, texts};
use crate::{Hub, HubOptions, Project, Registry, RunReport, Silent};

/// One step of the shared source.
#[derive(Clone)]
enum Play {
    Say(Event),
    Break,
    Panic,
}

/// What the source was asked, what it says, and what it was told.
#[derive(Default)]
struct Choir {
    reads: Mutex<VecDeque<Vec<Play>>>,
    /// Of each read the streams, with the state from which each goes on.
    asked: Mutex<Vec<BTreeMap<String, Value>>>,
    acknowledged: Mutex<Vec<Value>>,
}

struct Kind(Arc<Choir>);

impl Connector for Kind {
    fn spec(&self) -> Spec {
        Spec {
            kind: "choir",
            title: "streams that speak together",
            capabilities: Capabilities { source: true, shared: true, ..Default::default() },
            system_schema: json!({}),
            stream_schema: json!({}),
            push_schema: json!({}),
        }
    }

    fn configure(&self, _raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        Ok(Arc::new(Place(Arc::clone(&self.0))))
    }
}

struct Place(Arc<Choir>);

#[async_trait]
impl Endpoint for Place {
    async fn probe(&self, _cx: &Cx) -> Result<Probe> {
        Ok(Probe { summary: "a choir".into() })
    }

    async fn source(&self, _cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        let asked = request.streams.iter().map(|stream| {
            let state = stream.resume.as_ref().map_or(Value::Null, |resume| resume.state.clone());
            (stream.stream.to_string(), state)
        });
        self.0.asked.lock().unwrap().push(asked.collect());
        let plays = self.0.reads.lock().unwrap().pop_front().unwrap();
        // What nobody asked for is not said.
        let is_asked = |play: &Play| {
            let stream = match play {
                Play::Say(Event::Schema(stream, _) | Event::End { stream, .. }) => stream,
                Play::Say(Event::Rows(rows)) => &rows.stream,
                _ => return true,
            };
            request.streams.iter().any(|asked| asked.stream == *stream)
        };
        let plays = plays.into_iter().filter(is_asked).collect();
        Ok(Box::new(Reading { choir: Arc::clone(&self.0), plays }))
    }
}

struct Reading {
    choir: Arc<Choir>,
    plays: VecDeque<Play>,
}

#[async_trait]
impl Source for Reading {
    async fn next(&mut self, _cx: &Cx) -> Result<Option<Event>> {
        match self.plays.pop_front() {
            None => Ok(None),
            Some(Play::Say(event)) => Ok(Some(event)),
            Some(Play::Break) => Err(Error::new(ErrorKind::Unreachable, "E-CUT", "cut off")),
            Some(Play::Panic) => panic!("as the script says"),
        }
    }

    async fn acknowledge(&mut self, _cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        self.choir.acknowledged.lock().unwrap().push(checkpoint.state.clone());
        Ok(())
    }
}

fn schema(stream: &str) -> Play {
    schema_of(stream, items(0..1, "a"))
}

fn schema_of(stream: &str, batch: arrow::record_batch::RecordBatch) -> Play {
    Play::Say(Event::Schema(StreamId::new(stream), batch.schema()))
}

fn rows(stream: &str, ids: std::ops::Range<i64>) -> Play {
    rows_of(stream, items(ids, "a"))
}

fn rows_of(stream: &str, batch: arrow::record_batch::RecordBatch) -> Play {
    let positions = (1..=batch.num_rows() as u64).collect();
    Play::Say(Event::Rows(Rows {
        stream: StreamId::new(stream),
        batch,
        ops: Ops::Upsert,
        origin: "choir".into(),
        positions,
        rejected: Vec::new(),
    }))
}

fn state(number: u64) -> Play {
    Play::Say(Event::Checkpoint(Checkpoint {
        scope: Scope::Shared,
        version: 1,
        state: json!(number),
    }))
}

fn end(stream: &str) -> Play {
    Play::Say(Event::End { stream: StreamId::new(stream), complete: false })
}

/// A hub of the system `s`, whose streams `a` and `b` come together.
struct World {
    folder: TempDir,
    choir: Arc<Choir>,
}

impl World {
    fn new(system: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("config");
        for sub in ["systems", "calendar"] {
            std::fs::create_dir_all(config.join(sub)).unwrap();
        }
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        for file in ["hub.toml", "calendar/holidays.csv"] {
            std::fs::copy(shipped.join(file), config.join(file)).unwrap();
        }
        let stream = |name: &str| format!("[[streams]]\nname = \"{name}\"\nkey = [\"id\"]\n");
        let text = format!(
            "version = 1\nkind = \"choir\"\ntitle = \"合唱\"\nowner = \"测试科\"\n{system}\n{}{}",
            stream("a"),
            stream("b")
        );
        std::fs::write(config.join("systems/s.toml"), text).unwrap();
        Self { folder, choir: Arc::default() }
    }

    async fn hub(&self) -> Arc<Hub> {
        let registry = Registry(vec![Box::new(Kind(Arc::clone(&self.choir)))]);
        let project = Project::load(self.folder.path(), &registry, &Resolver::default())
            .unwrap_or_else(|failure| panic!("{failure:?}"));
        let data = self.folder.path().join("data");
        let clock = Arc::new(SystemClock);
        let options = HubOptions { data, key_file: None, clock, meaning: |_| None };
        Arc::new(Hub::open(project, options).await.unwrap())
    }

    /// One run in which the source says `reads`, one after the other.
    async fn run(&self, selector: &str, reads: Vec<Vec<Play>>) -> RunReport {
        *self.choir.reads.lock().unwrap() = reads.into();
        let hub = self.hub().await;
        let report = hub.run(selector, None, CancellationToken::new(), Arc::new(Silent)).await;
        hub.close().await;
        report.unwrap()
    }

    /// What each read of the last runs was asked for; forgotten with that.
    fn asked(&self) -> Vec<Value> {
        let asked = std::mem::take(&mut *self.choir.asked.lock().unwrap());
        asked.into_iter().map(|asked| json!(asked)).collect()
    }

    async fn counts(&self) -> (String, String) {
        let hub = self.hub().await;
        let session = hub.engine.session(None).await.unwrap();
        let mut counts = Vec::new();
        for stream in ["a", "b"] {
            let sql = format!("select count(*) from current.s_{stream}");
            let batches = session.collect(&sql, None).await.unwrap();
            let cells = huiliu_engine::record_text(&batches[0], 0).unwrap();
            counts.push(cells[0].1.clone().unwrap());
        }
        drop(session);
        hub.close().await;
        (counts[0].clone(), counts[1].clone())
    }
}

fn step<'r>(report: &'r RunReport, node: &str) -> &'r StepRow {
    report.steps.iter().find(|step| step.node == node).unwrap()
}

fn states(report: &RunReport) -> [&str; 2] {
    [step(report, "s.a").state.as_str(), step(report, "s.b").state.as_str()]
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_source_are_read_by_one_read_and_committed_each() {
    // One connection is enough, because there is one source.
    let world = World::new("limits = { connections = 1 }");
    let plays = vec![
        schema("a"),
        schema("b"),
        rows("a", 0..3),
        rows("b", 0..2),
        state(1),
        rows("a", 3..4),
        state(2),
        end("a"),
        end("b"),
    ];
    let report = world.run("*", vec![plays.clone()]).await;
    assert_eq!(states(&report), ["succeeded", "succeeded"]);
    assert_eq!(world.counts().await, ("4".into(), "2".into()));
    assert_eq!(world.asked(), [json!({ "a": null, "b": null })]);
    assert_eq!(world.choir.acknowledged.lock().unwrap().last(), Some(&json!(2)));
    // A stream alone is read alone, and goes on where it stands.
    let report = world.run("s.b", vec![plays.clone()]).await;
    assert_eq!(step(&report, "s.b").state, "unchanged");
    assert_eq!(world.asked(), [json!({ "b": 2 })]);
    let report = world.run("*", vec![plays]).await;
    assert_eq!(states(&report), ["unchanged", "unchanged"]);
    assert_eq!(world.asked(), [json!({ "a": 2, "b": 2 })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_before_a_shared_source_broke_off_stays() {
    let world = World::new("");
    // A change of columns commits what the state before it covers.
    let wide = || batch(vec![("id", ints(5..6)), ("name", texts(["b"])), ("n", ints(1..2))]);
    let broken = vec![
        schema("a"),
        schema("b"),
        rows("a", 0..3),
        rows("b", 0..2),
        state(1),
        schema_of("a", wide()),
        rows_of("a", wide()),
        rows("b", 2..3),
        Play::Break,
    ];
    let rest = vec![
        schema_of("a", wide()),
        schema("b"),
        rows_of("a", wide()),
        rows("b", 0..3),
        state(2),
        end("a"),
        end("b"),
    ];
    let report = world.run("*", vec![broken, rest]).await;
    assert_eq!(states(&report), ["succeeded", "succeeded"]);
    // Both asked again, `a` from what it had committed, `b` from its start.
    assert_eq!(world.asked(), [json!({ "a": null, "b": null }), json!({ "a": 1, "b": null })]);
    assert_eq!(world.counts().await, ("4".into(), "3".into()));
    let balance = step(&report, "s.b").balance;
    assert_eq!((balance.read, balance.written), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_leaves_the_others_alone_and_holds_back_what_is_acknowledged() {
    let world = World::new("");
    let float: arrow::array::ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.0]));
    let bad = batch(vec![("id", float)]);
    let plays = vec![
        schema("a"),
        schema_of("b", bad.clone()),
        rows("a", 0..3),
        rows_of("b", bad),
        state(1),
        end("a"),
        end("b"),
    ];
    let report = world.run("*", vec![plays]).await;
    assert_eq!(states(&report), ["succeeded", "failed"]);
    assert_eq!(step(&report, "s.b").code.as_deref(), Some("E-KEY-TYPE"));
    assert!(world.choir.acknowledged.lock().unwrap().is_empty());
    let panics = vec![schema("a"), schema("b"), rows("a", 3..4), Play::Panic];
    let report = world.run("*", vec![panics]).await;
    assert_eq!(states(&report), ["failed", "failed"]);
    assert_eq!(step(&report, "s.b").code.as_deref(), Some("E-PANIC"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_columns_change_reads_anew_when_the_others_are_at_their_end() {
    let world = World::new("");
    let wide = || batch(vec![("id", ints(5..6)), ("name", texts(["b"])), ("n", ints(1..2))]);
    let plays = || {
        vec![
            schema("a"),
            schema("b"),
            rows("a", 0..3),
            rows("b", 0..2),
            schema_of("a", wide()),
            rows_of("a", wide()),
            rows("b", 2..4),
            state(1),
            end("a"),
            end("b"),
        ]
    };
    let report = world.run("*", vec![plays(), plays()]).await;
    assert_eq!(states(&report), ["succeeded", "succeeded"]);
    assert_eq!(world.asked(), [json!({ "a": null, "b": null }), json!({ "a": null })]);
    assert_eq!(world.counts().await, ("4".into(), "4".into()));
}
