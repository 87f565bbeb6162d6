#![allow(clippy::disallowed_methods)] // where the store is comes from the environment
//! A bucket of a store that speaks S3 and checks every signature, on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use huiliu_sdk::{
    Cx, Endpoint, Error, ErrorKind, LoadMode, LoadRequest, Outcome, RawPush, Result, StreamId,
    WriteBatch, WriteRequest,
};
use serde_json::{Value, json};

use crate::support::{configure, limited, raw, read, sha256};

struct Store {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    port: u64,
    /// Names and secrets of the keys.
    keys: Value,
}

impl Drop for Store {
    fn drop(&mut self) {
        // It ends with its input.
        self.input = None;
        self.process.wait().unwrap();
    }
}

impl Store {
    fn start() -> Self {
        let folder = std::env::var("HUILIU_TEST_FILES").unwrap_or_else(|_| {
            panic!("HUILIU_TEST_FILES must name the folder that `./test` makes")
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/s3.py");
        let mut process = Command::new(format!("{folder}/s3/bin/python"))
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        let output = BufReader::new(output);
        let mut store = Self { process, input, output, port: 0, keys: Value::Null };
        store.keys = store.answer();
        store.port = store.keys["port"].as_u64().unwrap();
        assert_eq!(store.tell(json!(["bucket", "city"])), Value::Null);
        store
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|cause| panic!("the store says {line:?}: {cause}"))
    }

    /// Has the store do something by another client of the protocol.
    fn tell(&mut self, what: Value) -> Value {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{what}").unwrap();
        input.flush().unwrap();
        self.answer()
    }

    fn put(&mut self, name: &str, content: impl AsRef<[u8]>) {
        let hex: String = content.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.tell(json!(["put", "city", name, hex]));
    }

    fn get(&mut self, name: &str) -> String {
        let hex = self.tell(json!(["get", "city", name]));
        let hex = hex.as_str().unwrap();
        let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16));
        String::from_utf8(bytes.map(Result::unwrap).collect()).unwrap()
    }

    fn names(&mut self) -> Vec<String> {
        let listed = self.tell(json!(["list", "city"]));
        let name = |object: &Value| object[0].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(name).collect()
    }

    fn options(&self) -> Value {
        json!({
            "path": "drops/land",
            "s3": {
                "endpoint": format!("http://127.0.0.1:{}", self.port), "bucket": "city",
                "access_key": self.keys["hub"][0], "secret_key": self.keys["hub"][1],
            },
        })
    }
}

fn endpoint(system: Value, stream: Value) -> Arc<dyn Endpoint> {
    let mut raw = raw("/".into(), system, vec![(stream, json!({ "read": "incremental" }))]);
    for (name, file) in [("whole", "out.csv"), ("each", "out_{time}.csv")] {
        let options = json!({ "file": file, "control": {} });
        raw.pushes.push(RawPush { name: name.into(), key: vec![], options });
    }
    configure(raw).map_err(|faults| faults.0).unwrap()
}

fn rows(count: usize, width: usize) -> RecordBatch {
    let values = (0..count).map(|row| format!("办件{row} {}", "x".repeat(width)));
    let array: ArrayRef = Arc::new(StringArray::from_iter_values(values));
    RecordBatch::try_from_iter([("a", array)]).unwrap()
}

async fn load(endpoint: &dyn Endpoint, cx: &Cx, batch: &RecordBatch) -> Result<u64> {
    let (push, schema) = (StreamId::new("whole"), batch.schema());
    let request = LoadRequest { push, schema, mode: LoadMode::Replace };
    let mut loader = endpoint.loader(cx, request).await?;
    loader.write(cx, batch.clone()).await?;
    loader.finish(cx).await
}

async fn write(endpoint: &dyn Endpoint, cx: &Cx, batch: RecordBatch) -> Result<Vec<Outcome>> {
    let stream = StreamId::new("each");
    let mut sink = endpoint.sink(cx, WriteRequest { push: stream.clone() }).await?;
    let idempotency_keys = (0..batch.num_rows()).map(|row| row.to_string()).collect();
    Ok(sink.write(cx, WriteBatch { stream, batch, idempotency_keys }).await?.outcomes)
}

#[tokio::test]
async fn a_drop_in_a_bucket_is_read_receipted_and_written() {
    let mut store = Store::start();
    let content: String = std::iter::once("a\n".to_owned())
        .chain((0..900_000).map(|n| format!("办件{n}\n")))
        .collect();
    assert!(content.len() > 10 << 20, "more than one range");
    store.put("drops/land/a b'+$.csv", &content);
    store.put("drops/land/a b'+$.ctl", format!("rows=900000\nsha256={}\n", sha256(&content)));
    store.put("drops/land/b.csv", "a\n1\n");
    store.put("drops/land/empty.csv", "");
    // Neither what is deeper nor what only begins alike is of this folder.
    store.put("drops/land/old/c.csv", "a\n1\n");
    store.put("drops/landing.csv", "a\n1\n");
    store.put("drops/land/", "");
    let stream = json!({ "pattern": "*.csv", "control": {}, "receipt": {} });
    let system = endpoint(store.options(), stream.clone());
    let cx = limited(65_536);
    assert_eq!(system.probe(&cx).await.unwrap().summary, "folder readable, 3 files match");
    let first = read(&*system, &cx, None, None).await.unwrap();
    assert_eq!((first.len(), first.complete), (900_000, Some(false)));
    assert_eq!(first.column("a")[899_999], "办件899999");
    // The receipt was left owing; the next read writes it and reads nothing again.
    let second = read(&*system, &cx, first.resume(), None).await.unwrap();
    assert_eq!(second.len(), 0);
    assert!(store.get("drops/land/a b'+$.csv.ack").contains("rows=900000\n"));

    // More than one part goes up in parts, which leave nothing behind.
    let batch = rows(100_000, 200);
    for _ in 0..2 {
        assert_eq!(load(&*system, &cx, &batch).await.unwrap(), 100_000);
    }
    assert_eq!(store.tell(json!(["uploads", "city"])), 0);
    // The same bucket, named before the host.
    let mut by_host = store.options();
    by_host["s3"]["endpoint"] = json!(format!("http://localhost:{}", store.port));
    by_host["s3"]["addressing"] = json!("host");
    by_host["path"] = json!("/drops/land/");
    let system = endpoint(by_host, stream);
    let third = read(&*system, &cx, first.resume(), None).await.unwrap();
    assert_eq!((third.len(), third.origins[0].as_str()), (100_000, "out.csv"));

    let outcomes = write(&*system, &cx, rows(2, 1)).await.unwrap();
    assert_eq!(outcomes, [Outcome::Accepted, Outcome::Accepted]);
    let names = store.names();
    let written: Vec<&String> = names.iter().filter(|name| name.contains("/out_")).collect();
    assert_eq!(written.len(), 2, "the file and its control file: {names:?}");

    // Another folder, of more objects than any page of a listing has.
    store.tell(json!(["many", "city", "many/d", "5000"]));
    let mut options = store.options();
    options["path"] = json!("many");
    let many = endpoint(options, json!({ "pattern": "d*.csv" }));
    assert_eq!(many.probe(&cx).await.unwrap().summary, "folder readable, 5000 files match");
}

#[tokio::test]
async fn a_key_a_bucket_and_a_right_that_are_not_there_are_told_apart() {
    let mut store = Store::start();
    store.put("drops/land/a.csv", "a\n1\n");
    store.put("drops/land/out.csv", "a\n1\n");
    let cx = limited(10);
    let secret = store.keys["hub"][1].as_str().unwrap().to_owned();
    let told = |error: &Error, kind: ErrorKind, code: &str| {
        assert_eq!((error.kind(), error.code()), (kind, code), "{error}");
        assert!(error.hint_text().is_some());
        assert!(!format!("{error:?}").contains(&secret));
    };
    let probe = |change: &dyn Fn(&mut Value)| {
        let mut system = store.options();
        change(&mut system["s3"]);
        let (endpoint, cx) = (endpoint(system, json!({ "pattern": "*" })), cx.clone());
        async move { endpoint.probe(&cx).await.err().unwrap() }
    };
    let error = probe(&|s3| s3["secret_key"] = json!(format!("{secret}x"))).await;
    told(&error, ErrorKind::Auth, "E-AUTH");
    let error = probe(&|s3| s3["access_key"] = json!("AKIANOBODYNOBODYNOBO")).await;
    told(&error, ErrorKind::Auth, "E-AUTH");
    let error = probe(&|s3| s3["bucket"] = json!("no-such-bucket")).await;
    told(&error, ErrorKind::NotFound, "E-FILE-MISSING");
    let error = probe(&|s3| s3["endpoint"] = json!("http://169.254.169.254")).await;
    told(&error, ErrorKind::Config, "E-FORBIDDEN-ADDRESS");
    // Who may only read reads, and does not write.
    let mut system = store.options();
    system["s3"]["access_key"] = store.keys["reader"][0].clone();
    system["s3"]["secret_key"] = store.keys["reader"][1].clone();
    let reader = endpoint(system, json!({ "pattern": "a.csv" }));
    assert_eq!(read(&*reader, &cx, None, None).await.unwrap().len(), 1);
    let error = load(&*reader, &cx, &rows(1, 1)).await.err().unwrap();
    told(&error, ErrorKind::Permission, "E-FILE-PERMISSION");
    assert_eq!(store.get("drops/land/out.csv"), "a\n1\n");
}

/// Answers each request with the next text, and gives the requests.
fn answering(answers: Vec<String>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = std::thread::spawn(move || {
        let asked = answers.into_iter().map(|answer| {
            let (mut line, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                line.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            line.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        asked.collect()
    });
    (port, requests)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

#[tokio::test]
async fn an_object_that_is_replaced_while_it_is_read_is_refused() {
    let listing = "<ListBucketResult><Contents><Key>a.csv</Key><Size>9</Size></Contents>\
                   <IsTruncated>false</IsTruncated></ListBucketResult>";
    let (port, requests) = answering(vec![
        answer("200 OK", "", listing),
        answer("206 Partial", "etag: \"one\"\r\ncontent-range: bytes 0-3/9\r\n", "a\n1\n"),
        answer("412 Precondition Failed", "", "<Error><Code>PreconditionFailed</Code></Error>"),
    ]);
    let system = json!({ "path": "/", "s3": {
        "endpoint": format!("http://127.0.0.1:{port}"), "bucket": "city", "access_key": "k",
        "secret_key": "s",
    } });
    let endpoint = endpoint(system, json!({ "pattern": "*" }));
    let error = read(&*endpoint, &limited(10), None, None).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "E-FILE-CHANGED"), "{error}");
    let requests = requests.join().unwrap();
    assert!(requests[2].contains("if-match: \"one\"\r\n"), "{}", requests[2]);
    assert!(requests[2].contains("range: bytes=4-"), "{}", requests[2]);
}

#[test]
fn faults_of_a_store_are_told_at_once() {
    let system = json!({ "path": "a/../b", "s3": {
        "endpoint": "https://10.0.0.1/x", "bucket": "No Such", "region": "", "access_key": "a b",
        "secret_key": "", "addressing": "host",
    } });
    let faults = configure(raw("/".into(), system, vec![])).err().unwrap();
    let paths: Vec<&str> = faults.0.iter().map(|fault| fault.path.as_str()).collect();
    let expected =
        ["path", "s3.bucket", "s3.region", "s3.access_key", "s3.secret_key", "s3.endpoint"];
    assert_eq!(paths, expected);
    let system = json!({ "path": "a", "s3": {
        "endpoint": "https://10.0.0.1", "bucket": "abc", "access_key": "a", "secret_key": "s",
        "addressing": "host",
    } });
    let faults = configure(raw("/".into(), system, vec![])).err().unwrap();
    assert_eq!(faults.0[0].path, "s3.addressing");
}
