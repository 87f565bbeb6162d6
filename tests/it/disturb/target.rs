//! A system that takes records, each idempotency key once, and remembers them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The records by their idempotency key.
type Records = BTreeMap<String, Value>;

/// The system. Its thread ends with the test's process.
pub(crate) struct Target {
    pub(crate) url: String,
    records: Arc<Mutex<Records>>,
}

impl Target {
    /// A system that has received nothing.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let records: Arc<Mutex<Records>> = Arc::default();
        let kept = Arc::clone(&records);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.unwrap(), Arc::clone(&kept));
                // Whoever asks may be gone at any moment, which is what the tests are about.
                std::thread::spawn(move || drop(serve(stream, &kept)));
            }
        });
        Self { url, records }
    }

    /// What it has received: number, version and hash of each record, as often as it came under
    /// different keys.
    pub(crate) fn received(&self) -> Vec<(i64, i64, String)> {
        let records = self.records.lock().unwrap();
        let number = |record: &Value, name: &str| -> i64 {
            record[name].as_str().unwrap_or_default().parse().unwrap()
        };
        let mut received: Vec<_> = records
            .values()
            .map(|record| {
                let hash = record["hash"].as_str().unwrap().to_owned();
                (number(record, "id"), number(record, "version"), hash)
            })
            .collect();
        received.sort();
        received
    }
}

fn serve(stream: TcpStream, records: &Mutex<Records>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        let mut first = String::new();
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
        let body: Value = serde_json::from_slice(&body)?;
        let mut answers = Vec::new();
        let mut kept = records.lock().unwrap();
        for record in body["records"].as_array().unwrap() {
            // Without a key it cannot tell what it has, and takes everything.
            let key = record["requestId"].as_str();
            let key = key.map_or_else(|| format!("record {}", kept.len()), str::to_owned);
            kept.entry(key.clone()).or_insert_with(|| record.clone());
            answers.push(json!({ "requestId": key, "result": "accepted" }));
        }
        drop(kept);
        let body = json!({ "data": answers }).to_string();
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}
