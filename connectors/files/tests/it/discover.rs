//! Proposals for streams, by the files of a folder.

use encoding_rs::GB18030;
use huiliu_sdk::StreamSpec;
use serde_json::{Value, json};

use crate::support::{Drops, csv, limited, read};

async fn discover(drops: &Drops) -> Vec<StreamSpec> {
    drops.endpoint(csv(), json!({})).discover(&limited(10)).await.unwrap()
}

fn columns(stream: &StreamSpec) -> Vec<&str> {
    stream.columns.iter().map(|(name, _)| name.as_str()).collect()
}

/// Reads the folder as a proposal says.
async fn run(drops: &Drops, stream: &StreamSpec) -> Vec<String> {
    let mut options = stream.options.clone();
    options.as_object_mut().unwrap().remove("stable");
    let outcome = drops.endpoint(options, json!({ "key": stream.key }));
    let outcome = read(&*outcome, &limited(100), None, None).await.unwrap();
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    outcome.column(&stream.columns[0].0)
}

#[tokio::test]
async fn files_are_listed_by_the_pattern_of_their_names() {
    let drops = Drops::with("cases_20180611.csv", GB18030.encode("编号;姓名\n1;张三\n").0);
    drops.put("cases_20180612.csv", GB18030.encode("编号;姓名\n2;李四\n3;王五\n").0);
    drops.put("cases_20180612.ctl", "rows=2\n");
    drops.put("items.txt", "\u{feff}code\tname\n");
    drops.put("notes.pdf", "x");
    let streams = discover(&drops).await;
    assert_eq!(streams.len(), 2);
    assert_eq!(streams[0].name, "cases");
    assert_eq!(
        streams[0].options,
        json!({
            "pattern": "cases_*.csv", "format": "csv", "encoding": "gb18030", "delimiter": ";",
            "control": { "suffix": ".ctl", "rows": "rows", "digest": "sha256" },
        })
    );
    assert_eq!(columns(&streams[0]), ["编号", "姓名"]);
    assert_eq!(streams[0].row_estimate, Some(3));
    assert_eq!(streams[1].options["encoding"], json!("utf-8"));
    assert_eq!(streams[1].options["stable"], json!("60s"));
    assert_eq!(streams[1].columns[0].0, "code");
}

#[tokio::test]
async fn every_format_is_recognised_and_runs_as_proposed() {
    for (name, content, expected) in [
        ("a.json", br#"{"code":"0","data":{"rows":[{"id":"1"},{"id":"2"}]}}"#.to_vec(), 2),
        ("a.ndjson", b"{\"id\":\"1\"}\n".to_vec(), 1),
        ("a.xml", b"<d><h/><case><id>1</id></case><case><id>2</id></case></d>".to_vec(), 2),
        ("a.tsv", b"id\tn\n1\tx\n2\ty\n".to_vec(), 2),
        ("a.csv", GB18030.encode("马鞍山市台账\n编号|姓名\n1|张三\n2|李四\n").0.into_owned(), 2),
    ] {
        let drops = Drops::with(name, content);
        let streams = discover(&drops).await;
        assert_eq!(streams.len(), 1, "{name}");
        assert_eq!(run(&drops, &streams[0]).await.len(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_sheet_below_a_title_is_found_with_both_rows_of_its_header() {
    let drops = Drops::with("台账2018.xlsx", crate::sheets::titled());
    let streams = discover(&drops).await;
    assert_eq!(streams[0].options["format"], json!("xlsx"));
    assert_eq!(streams[0].options["header_row"], json!(2));
    assert_eq!(columns(&streams[0]), ["编号", "姓名"]);
    assert_eq!(streams[0].key, ["编号"]);
    assert_eq!(run(&drops, &streams[0]).await, ["1", "2"]);
}

#[tokio::test]
async fn a_key_is_proposed_only_if_its_values_differ_in_a_whole_file() {
    let drops = Drops::with("a.csv", "说明,办件编号,部门编码\nx,1,9\nx,2,9\n");
    assert_eq!(discover(&drops).await[0].key, ["办件编号"]);
    drops.put("a.csv", "说明,办件编号\nx,1\nx,1\n");
    assert!(discover(&drops).await[0].key.is_empty());
    // One row differs from nothing.
    drops.put("a.csv", "说明,办件编号\nx,1\n");
    assert!(discover(&drops).await[0].key.is_empty());
}

#[tokio::test]
async fn control_files_are_proposed_as_they_are() {
    let digest = crate::support::sha256("a\n1\n");
    for (name, content, expected) in [
        (
            "a.csv.ok",
            format!("记录数=1\n摘要={digest}\n"),
            json!({ "suffix": ".ok", "rows": "记录数", "digest": "摘要" }),
        ),
        (
            "a.ctl",
            format!("{{\"count\": 1, \"sum\": \"{digest}\"}}"),
            json!({ "suffix": ".ctl", "layout": "json", "rows": "count", "digest": "sum" }),
        ),
        (
            "a.ctl",
            format!("a.csv;1;{digest}\n"),
            json!({ "suffix": ".ctl", "layout": "line", "separator": ";" }),
        ),
    ] {
        let drops = Drops::with("a.csv", "a\n1\n");
        drops.put(name, content);
        let streams = discover(&drops).await;
        assert_eq!(streams[0].options["control"], expected);
        assert_eq!(streams[0].options.get("stable"), None::<&Value>);
        assert_eq!(run(&drops, &streams[0]).await, ["1"]);
    }
}

#[tokio::test]
async fn a_folder_of_ten_thousand_files_is_one_proposal_and_one_read() {
    let drops = Drops::new();
    for file in 0..10_000 {
        drops.put(&format!("cases_{file}.csv"), format!("编号\n{file}\n"));
    }
    let streams = discover(&drops).await;
    assert_eq!((streams.len(), streams[0].name.as_str()), (1, "cases"));
    assert!(streams[0].row_estimate.is_some_and(|rows| (9_000..11_000).contains(&rows)));
    let outcome = drops.read(json!({ "pattern": "cases_*.csv" })).await.unwrap();
    assert_eq!(outcome.len(), 10_000);
}
