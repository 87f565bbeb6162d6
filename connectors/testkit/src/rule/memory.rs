//! How much memory a read takes.

use huiliu_sdk::{BatchLimits, Cx, Event, RawConfig, RawStream, ReadMode, StreamSettings};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{capabilities, does_not_apply, put, reading};
use crate::{System, cx, hazard, open, request};

/// Rows and bytes of each: much more than a read may hold.
const ROWS: usize = 6_000;
const BYTES: usize = 16_000;

/// Tells a process that it is there to read, and what.
const READING: &str = "HUILIU_TESTKIT_READING";

/// What stands before the bytes that the process tells.
const GROWN: &str = "memory grew by: ";

/// A read holds no more than [`System::memory`], however much there is to read.
///
/// A process of its own reads, and this one only keeps the system: what the table took when it was
/// put there, and what other tests take, would hide the rest. It is the same test once more, which
/// then finds the configuration in its environment.
pub async fn memory_stays_within_what_is_declared<S: System>() {
    if let Some(text) = std::env::var_os(READING) {
        let text = text.into_string().expect("a configuration is text");
        return read_alone::<S>(&text).await;
    }
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    let Some(most) = system.memory() else {
        return does_not_apply(system, "bound of its memory").await;
    };
    let table = hazard::wide_rows(ROWS, BYTES);
    put(&mut system, &table).await;
    let reading = written(&reading(&system, &table, ReadMode::Full));
    let thread = std::thread::current();
    let test = thread.name().expect("a test has a thread of its name");
    let program = std::env::current_exe().expect("a test is a program");
    let output = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(READING, reading.to_string())
        .output()
        .await
        .expect("the test can be run again");
    let said = String::from_utf8_lossy(&output.stderr);
    let grown = said.lines().find_map(|line| line.strip_prefix(GROWN));
    let grown: usize = match grown.and_then(|bytes| bytes.parse().ok()) {
        Some(grown) => grown,
        None => panic!("the process that reads says nothing of its memory:\n{said}"),
    };
    let (mib, allowed) = (grown >> 20, most >> 20);
    eprintln!("{mib} MiB for a read of {} MiB; allowed are {allowed}", (ROWS * BYTES) >> 20);
    assert!(grown <= most, "a read takes {mib} MiB, and {allowed} MiB are declared");
    system.end().await;
}

/// Reads what the other process has put there, and tells by how much this one has grown.
async fn read_alone<S: System>(text: &str) {
    let (raw, stream) = configured(text);
    let system = S::fresh().await;
    let endpoint = open(&system, raw);
    let limits = BatchLimits { rows: 16_384, bytes: 1 << 20 };
    let cx = Cx { limits, ..cx() };
    let before = peak();
    let mut source = endpoint.source(&cx, request(&stream, None)).await.expect("a read starts");
    let mut rows = 0;
    while let Some(event) = source.next(&cx).await.expect("a read goes well") {
        if let Event::Rows(of) = event {
            rows += of.batch.num_rows();
        }
    }
    assert_eq!(rows, ROWS);
    eprintln!("{GROWN}{}", peak() - before);
    drop(source);
    system.end().await;
}

/// The configuration of one stream as text.
fn written(raw: &RawConfig) -> Value {
    let stream = &raw.streams[0];
    json!({
        "system": raw.system, "base_dir": raw.base_dir, "hub_zone": raw.hub_zone.name(),
        "options": raw.options, "settings": stream.settings, "stream": stream.options,
    })
}

/// The configuration that [`written`] wrote, and the stream's name.
fn configured(text: &str) -> (RawConfig, String) {
    let value: Value = serde_json::from_str(text).expect("a configuration");
    let word = |key: &str| value[key].as_str().expect("a text").to_owned();
    let settings: StreamSettings =
        serde_json::from_value(value["settings"].clone()).expect("settings of a stream");
    let name = settings.name.clone();
    let raw = RawConfig {
        system: word("system"),
        base_dir: word("base_dir").into(),
        hub_zone: word("hub_zone").parse().expect("a zone"),
        options: value["options"].clone(),
        streams: vec![RawStream { settings, options: value["stream"].clone() }],
        pushes: Vec::new(),
    };
    (raw, name)
}

/// The most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).expect("the most memory");
    kib.parse::<usize>().expect("a number of KiB") << 10
}
