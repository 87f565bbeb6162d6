//! The protocol of a drop folder: control files, receipts, files that settle.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use huiliu_sdk::{Cx, Endpoint, ErrorKind, Event, ManualClock, Source};
use serde_json::{Value, json};

use crate::support::{Drops, limited, read, request, sha256};

fn incremental() -> Value {
    json!({ "read": "incremental" })
}

const CONTENT: &str = "a\n1\n2\n";

#[tokio::test]
async fn every_layout_and_algorithm_of_a_control_file_is_understood() {
    let sum = sha256(CONTENT);
    let md5 = "dddddddddddddddddddddddddddddddd";
    let cases = [
        (json!({}), "a.ctl", format!("rows=2\nsha256={sum}\n"), true),
        (json!({}), "a.csv.ctl", format!("rows=2\nsha256={sum}\n"), true),
        (
            json!({ "suffix": ".ok", "rows": "记录数", "digest": "" }),
            "a.ok",
            "记录数=2".into(),
            true,
        ),
        (json!({ "rows": "" }), "a.ctl", format!("sha256={sum}"), true),
        (json!({ "layout": "line" }), "a.ctl", format!("b.csv|9|x\na.csv|2|{sum}\n"), true),
        (json!({ "layout": "line", "separator": "," }), "a.ctl", format!("a.csv, 2, {sum}"), true),
        (json!({ "layout": "line" }), "a.ctl", format!("a.csv|3|{sum}"), false),
        (json!({ "layout": "line" }), "a.ctl", "a.csv|2".into(), false),
        (
            json!({ "layout": "json", "digest": "sum" }),
            "a.ctl",
            format!("{{\"rows\": 2, \"sum\": \"{sum}\"}}"),
            true,
        ),
        (json!({ "layout": "json" }), "a.ctl", "{".into(), false),
        (
            json!({ "layout": "xml" }),
            "a.ctl",
            format!("<?xml version='1.0'?><f><rows> 2 </rows><sha256>{sum}</sha256></f>"),
            true,
        ),
        (json!({ "layout": "xml" }), "a.ctl", "<f><rows>2</rows></f>".into(), false),
        (json!({ "algorithm": "md5" }), "a.ctl", format!("rows=2\nmd5={md5}\n"), false),
        (json!({ "algorithm": "md5" }), "a.ctl", format!("rows=2\nmd5={sum}\n"), false),
    ];
    for (control, name, text, is_right) in cases {
        let drops = Drops::with("a.csv", CONTENT);
        drops.put(name, &text);
        let options = json!({ "pattern": "*.csv", "control": control });
        let endpoint = drops.endpoint(options, incremental());
        match read(&*endpoint, &limited(10), None, None).await {
            Ok(outcome) => assert!(is_right && outcome.len() == 2, "{text}"),
            Err(error) => {
                assert!(!is_right, "{text}: {error}");
                assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-CONTROL"), "{text}");
            }
        }
    }
    // As openssl computes them.
    for (algorithm, digest) in [
        ("md5", "cbbe57c40a3f974e0186abc0e8a3643f"),
        ("sha1", "78e7d02c5e2f71064a46b786edf4118f3ded434f"),
        ("sm3", "c841e0f3b0eede49446cba8902a06bd1a2e851bf2fbdd17e0df86a4a4209a456"),
    ] {
        let drops = Drops::with("a.csv", CONTENT);
        drops.put("a.ctl", format!("rows=2\n{algorithm}={digest}\n"));
        let options = json!({ "pattern": "*.csv", "control": { "algorithm": algorithm } });
        let endpoint = drops.endpoint(options, incremental());
        assert_eq!(read(&*endpoint, &limited(10), None, None).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn files_that_wait_are_counted() {
    let drops = Drops::with("a.csv", CONTENT);
    drops.put("b.csv", CONTENT);
    drops.put("b.ctl", format!("rows=2\nsha256={}\n", sha256(CONTENT)));
    let options = json!({ "pattern": "*.csv", "control": {} });
    let endpoint = drops.endpoint(options, incremental());
    let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!((outcome.len(), outcome.complete), (2, Some(false)));
    assert_eq!(outcome.notes, ["waiting for their control file: 1"]);
}

/// Reads to the end and acknowledges each checkpoint, or only the first ones.
async fn acknowledge(source: &mut dyn Source, cx: &Cx, most: usize) -> usize {
    let mut acknowledged = 0;
    while let Some(event) = source.next(cx).await.unwrap() {
        if let Event::Checkpoint(checkpoint) = event
            && acknowledged < most
        {
            source.acknowledge(cx, &checkpoint).await.unwrap();
            acknowledged += 1;
        }
    }
    acknowledged
}

fn clock(text: &str) -> (Arc<ManualClock>, Cx) {
    let now: DateTime<Utc> = text.parse().unwrap();
    let clock = Arc::new(ManualClock::new(now));
    let cx = Cx { clock: Arc::clone(&clock) as _, ..limited(10) };
    (clock, cx)
}

#[tokio::test]
async fn a_receipt_follows_the_commit_and_no_earlier() {
    let drops = Drops::with("a.csv", "a\n1\n2,\n");
    let options = json!({ "pattern": "*", "receipt": {} });
    let endpoint = drops.endpoint(options, incremental());
    let (_, cx) = clock("2018-06-12T01:00:00Z");

    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    assert_eq!(acknowledge(&mut *source, &cx, 0).await, 0);
    assert_eq!(drops.names(), ["a.csv"], "what is not committed has no receipt");

    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    acknowledge(&mut *source, &cx, 9).await;
    assert_eq!(drops.names(), ["a.csv", "a.csv.ack"]);
    assert_eq!(
        drops.text("a.csv.ack"),
        format!(
            "file=a.csv\nrows=2\nrefused=1\nsha256={}\nreceived=2018-06-12T09:00:00+08:00\n",
            sha256("a\n1\n2,\n")
        )
    );
}

#[tokio::test]
async fn receipts_have_the_layout_the_sender_reads() {
    for (layout, expected) in [
        (
            "json",
            format!(
                "{{\"file\":\"a.csv\",\"rows\":2,\"refused\":0,\"sha256\":\"{}\"",
                sha256(CONTENT)
            ),
        ),
        ("xml", "<file>a.csv</file><rows>2</rows><refused>0</refused>".to_owned()),
        ("line", format!("a.csv|2|0|{}|", sha256(CONTENT))),
    ] {
        let drops = Drops::with("a.csv", CONTENT);
        let options =
            json!({ "pattern": "*.csv", "receipt": { "suffix": ".rcp", "layout": layout } });
        let endpoint = drops.endpoint(options, incremental());
        let cx = limited(10);
        let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
        acknowledge(&mut *source, &cx, 9).await;
        let text = drops.text("a.csv.rcp");
        assert!(text.contains(&expected), "{text}");
    }
}

#[tokio::test]
async fn a_receipt_that_was_left_owing_is_written_by_the_next_read() {
    let drops = Drops::with("a.csv", CONTENT);
    drops.put("b.csv", "a\n3\n");
    let endpoint = drops.endpoint(json!({ "pattern": "*.csv", "receipt": {} }), incremental());
    // The hub commits, and ends before it acknowledges.
    let first = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!(drops.names(), ["a.csv", "b.csv"]);
    // A preview changes nothing.
    read(&*endpoint, &limited(10), first.resume(), Some(5)).await.unwrap();
    assert_eq!(drops.names(), ["a.csv", "b.csv"]);
    let second = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
    assert_eq!(second.resume(), first.resume());
    assert_eq!(drops.names(), ["a.csv", "a.csv.ack", "b.csv", "b.csv.ack"]);

    // The receipt of a file that was replaced is that of the new one.
    drops.put("a.csv", "a\n9\n");
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(second.resume(), None)).await.unwrap();
    acknowledge(&mut *source, &cx, 9).await;
    assert!(drops.text("a.csv.ack").contains(&sha256("a\n9\n")));
}

#[tokio::test]
async fn a_file_is_read_once_it_has_stayed_as_it_is() {
    let drops = Drops::with("a.csv", CONTENT);
    let options = json!({ "pattern": "*", "stable": "60s" });
    let endpoint: Arc<dyn Endpoint> = drops.endpoint(options, incremental());
    let changed: DateTime<Utc> =
        std::fs::metadata(drops.path("a.csv")).unwrap().modified().unwrap().into();
    let clock = Arc::new(ManualClock::new(changed + Duration::seconds(30)));
    let cx = Cx { clock: Arc::clone(&clock) as _, ..limited(10) };
    let waiting = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!((waiting.len(), waiting.complete), (0, Some(false)));
    assert_eq!(waiting.notes, ["waiting until they stay as they are: 1"]);
    clock.advance(Duration::seconds(31));
    assert_eq!(read(&*endpoint, &cx, waiting.resume(), None).await.unwrap().len(), 2);

    // A sender that sets an old time of the content while it writes does not deceive anybody.
    let file = std::fs::File::options().append(true).open(drops.path("a.csv")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let now = std::fs::metadata(drops.path("a.csv")).unwrap();
    assert_eq!(now.modified().unwrap(), std::time::SystemTime::UNIX_EPOCH);
    let clock = Arc::new(ManualClock::new(put_now(&drops)));
    let cx = Cx { clock, ..limited(10) };
    assert_eq!(read(&*endpoint, &cx, None, None).await.unwrap().len(), 0);
}

/// The machine's time, as it notes it on a file.
fn put_now(drops: &Drops) -> DateTime<Utc> {
    drops.put("../probe", "");
    std::fs::metadata(drops.path("../probe")).unwrap().modified().unwrap().into()
}

#[tokio::test]
async fn files_that_are_being_written_are_left_out_by_their_names() {
    let drops = Drops::with("a.csv", CONTENT);
    for name in ["b.csv.part", "c.csv.tmp", ".d.csv", "~$e.csv", "f.csv.filepart"] {
        drops.put(name, CONTENT);
    }
    let outcome = drops.read(json!({ "pattern": "*" })).await.unwrap();
    assert_eq!(outcome.origins, ["a.csv"]);
}

#[tokio::test]
async fn the_same_content_under_a_new_name_is_said() {
    let drops = Drops::with("a.csv", CONTENT);
    drops.put("b.csv", CONTENT);
    let outcome = drops.read(json!({ "pattern": "*" })).await.unwrap();
    assert_eq!(outcome.len(), 4);
    assert_eq!(outcome.notes, ["file b.csv has the content of a.csv, which was read before"]);
    let outcome = drops.read(json!({ "pattern": "*", "same_content": "skip" })).await.unwrap();
    assert_eq!((outcome.len(), outcome.complete), (2, Some(true)));
    assert!(outcome.notes[0].contains("is left out"), "{:?}", outcome.notes);
}
