//! Records that name their fields: JSON, lines of JSON, XML.

use encoding_rs::GB18030;
use huiliu_sdk::ErrorKind;
use serde_json::{Value, json};

use crate::support::{Drops, codes, limited, read};

fn of(format: &str) -> Value {
    json!({ "pattern": "*", "format": format })
}

#[tokio::test]
async fn a_list_of_objects_is_read_wherever_it_is() {
    let list =
        r#"[{"id": 1, "name": "张三", "n": 12345678901234567890.5}, {"id": "2", "ok": true}]"#;
    for (content, record) in [
        (list.to_owned(), ""),
        (
            format!(r#"{{"code": 0, "data": {{"total": 2, "rows": {list}}}, "z": [1]}}"#),
            "data.rows",
        ),
    ] {
        let drops = Drops::with("a.json", content);
        let mut options = of("json");
        options["record"] = json!(record);
        let outcome = drops.read(options).await.unwrap();
        assert_eq!(outcome.column("id"), ["1", "2"]);
        assert_eq!(outcome.column("name"), ["张三", "NULL"]);
        assert_eq!(outcome.column("n"), ["12345678901234567890.5", "NULL"]);
        assert_eq!(outcome.column("ok"), ["NULL", "true"]);
        assert_eq!(outcome.positions, [1, 2]);
    }
}

#[tokio::test]
async fn fields_are_picked_by_name_or_path_and_what_is_never_there_is_said() {
    let content = r#"[{"no": "1", "who": {"name": "张三", "tags": ["a", "b"]}, "gone": null}]"#;
    let drops = Drops::with("a.json", content);
    let mut options = of("json");
    options["fields"] = json!({
        "no": "no", "name": "/who/name", "second": "/who/tags/1", "all": "/who/tags", "x": "renamed",
        "gone": "gone",
    });
    let outcome = drops.read(options).await.unwrap();
    for (column, value) in
        [("no", "1"), ("name", "张三"), ("second", "b"), ("all", r#"["a","b"]"#), ("x", "NULL")]
    {
        assert_eq!(outcome.column(column), [value], "{column}");
    }
    assert_eq!(outcome.notes, ["no record of file a.json has `renamed`"]);
}

#[tokio::test]
async fn records_that_are_none_are_set_aside_one_by_one() {
    let outcome = Drops::with("a.json", r#"[{"a": "1"}, 7, {"a": "2", "a": "3"}, {"a": "4"}]"#)
        .read(of("json"))
        .await
        .unwrap();
    assert_eq!(outcome.column("a"), ["1", "4"]);
    assert_eq!(codes(&outcome), [(2, "E-FILE-RECORD"), (3, "E-FILE-RECORD")]);

    let lines = "{\"a\":\"1\"}\r\n\n{\"a\":\n[1]\n{\"a\":\"\u{fffd}\"}\n{\"a\":\"5\"}";
    let outcome = Drops::with("a.ndjson", lines).read(of("ndjson")).await.unwrap();
    assert_eq!(outcome.column("a"), ["1", "5"]);
    assert_eq!(outcome.positions, [1, 6]);
    assert_eq!(codes(&outcome), [(3, "E-FILE-SYNTAX"), (4, "E-FILE-RECORD"), (5, "E-ENCODING")]);
    assert_eq!(outcome.rejected[0].raw, br#"{"_line":"{\"a\":"}"#);
}

#[tokio::test]
async fn a_line_that_is_no_text_is_kept_byte_by_byte() {
    let lone = [0x22, 0x00, 0x00, 0xd8, 0x0a, 0x0a, 0x22, 0x00];
    let units = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let wide = [&units("{\"a\":\"1\"}\r\n")[..], &lone, &units("\n{\"a\":\"办\"}")].concat();
    let cases: [(&str, Vec<u8>, &str); 3] = [
        (
            "utf-8",
            b"{\"a\":\"1\"}\n{\"a\":\"\xff\"}\r\n{\"a\":\"\xe5\x8a\x9e\"}\n".to_vec(),
            "7b2261223a22ff227d",
        ),
        (
            "gb18030",
            b"{\"a\":\"1\"}\n{\"a\":\"\xff\"}\n{\"a\":\"\xb0\xec\"}".to_vec(),
            "7b2261223a22ff227d",
        ),
        ("utf-16le", wide, "220000d80a0a2200"),
    ];
    for (encoding, content, hex) in cases {
        let mut options = of("ndjson");
        options["encoding"] = json!(encoding);
        let outcome = Drops::with("a.ndjson", content).read(options).await.unwrap();
        assert_eq!(outcome.column("a"), ["1", "办"], "{encoding}");
        assert_eq!(codes(&outcome), [(2, "E-ENCODING")], "{encoding}");
        let kept: Value = serde_json::from_slice(&outcome.rejected[0].raw).unwrap();
        assert_eq!(kept["_line"]["hex"], hex, "{encoding}");
    }
}

#[tokio::test]
async fn a_file_without_records_has_the_columns_that_are_declared() {
    let drops = Drops::with("a.ndjson", "\n");
    let error = drops.read(of("ndjson")).await.err().unwrap();
    assert_eq!(error.code(), "E-HEADER");
    let declared = json!({ "columns": { "a": {}, "n": { "type": "int" } } });
    let endpoint = drops.endpoint(of("ndjson"), declared);
    let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!(outcome.len(), 0);
    let fields = outcome.schemas[0].fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["a", "n"]);
}

#[tokio::test]
async fn a_document_that_breaks_off_gives_no_checkpoint_and_tells_no_value() {
    for content in
        [r#"[{"a": "340501199001011234"}, {"a": "#, r#"[{"a": "340501199001011234"} x]"#, "", "[1"]
    {
        let error = Drops::with("a.json", content).read(of("json")).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-FILE-SYNTAX"), "{content}");
        assert!(!format!("{error:?}").contains("3405"), "{error:?}");
    }
    for content in ["{}", r#"{"a": []}"#, "7", "null"] {
        let error = Drops::with("a.json", content).read(of("json")).await.err().unwrap();
        assert_eq!(error.code(), "E-FILE-RECORD", "{content}");
    }
    let deep = format!("[{}1{}]", "[".repeat(100_000), "]".repeat(100_000));
    // What is no record is passed over without any depth.
    let error = Drops::with("a.json", deep).read(of("json")).await.err().unwrap();
    assert_eq!(error.code(), "E-HEADER");
    let deep = format!("[{{\"a\":{}1{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    let error = Drops::with("a.json", deep).read(of("json")).await.err().unwrap();
    assert_eq!(error.code(), "E-FILE-SYNTAX");
}

#[tokio::test]
async fn a_list_without_records_is_no_fault_once_the_fields_are_named() {
    let drops = Drops::with("a.json", "[]");
    assert_eq!(drops.read(of("json")).await.err().unwrap().code(), "E-HEADER");
    let mut options = of("json");
    options["fields"] = json!({ "a": "a" });
    let outcome = drops.read(options).await.unwrap();
    assert_eq!((outcome.len(), outcome.complete), (0, Some(true)));
}

const XML: &str = r#"<?xml version="1.0" encoding="GBK"?>
<!-- 报送 -->
<root xmlns="urn:x" xmlns:n="urn:y">
  <head><count>3</count></head>
  <n:case id="1"><no>A&amp;1</no><who sex="女"><name>张三&#x2603;</name></who><note><![CDATA[<b> & c]]></note></n:case>
  <case id="2"><no/><who><name> 李四 </name></who></case>
  <case id="3"><no>x</no><no>y</no></case>
</root>"#;

#[tokio::test]
async fn elements_attributes_and_what_is_within_become_fields() {
    for content in [XML.as_bytes().to_vec(), GB18030.encode(XML).0.into_owned()] {
        let is_utf8 = std::str::from_utf8(&content).is_ok();
        let drops = Drops::with("a.xml", content);
        let mut options = of("xml");
        options["record"] = json!("case");
        if is_utf8 {
            // The declaration lies, as those of senders do that cut and paste it.
            options["encoding"] = json!("utf-8");
        }
        let outcome = drops.read(options).await.unwrap();
        assert_eq!(outcome.column("@id"), ["1", "2"]);
        assert_eq!(outcome.column("no"), ["A&1", "NULL"]);
        assert_eq!(outcome.column("who/name"), ["张三☃", "李四"]);
        assert_eq!(outcome.column("who/@sex"), ["女", "NULL"]);
        assert_eq!(outcome.column("note"), ["<b> & c", "NULL"]);
        assert_eq!(codes(&outcome), [(3, "E-FILE-RECORD")]);
    }
}

#[tokio::test]
async fn a_record_can_be_named_by_its_whole_path() {
    let content = "<d><case><a>1</a></case><old><case><a>2</a></case></old></d>";
    let drops = Drops::with("a.xml", content);
    let mut options = of("xml");
    options["record"] = json!("d/case");
    assert_eq!(drops.read(options).await.unwrap().column("a"), ["1"]);
}

#[tokio::test]
async fn hostile_documents_end_at_once_with_an_error() {
    let laughs =
        "<!DOCTYPE d [<!ENTITY a \"haha\"><!ENTITY b \"&a;&a;\">]><d><r><x>&b;</x></r></d>";
    let outside =
        "<!DOCTYPE d [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><d><r><x>&a;</x></r></d>";
    let attributes: String = (0..100_000).map(|n| format!(" a{n}='1'")).collect();
    let cases = [
        (laughs.to_owned(), "E-FILE-SYNTAX"),
        (outside.to_owned(), "E-FILE-SYNTAX"),
        ("<d><r><x>&b;</x></r></d>".to_owned(), "E-FILE-SYNTAX"),
        (format!("<d><r{attributes}/></d>"), "E-FILE-LIMIT"),
        ("<r>".repeat(1_000_000), "E-FILE-LIMIT"),
        ("<d><r><x>1</x></r>".to_owned(), "E-FILE-DAMAGED"),
        ("<d><r><x>1</y></r></d>".to_owned(), "E-FILE-SYNTAX"),
        (format!("<d><r><x>{}</x></r></d>", "x".repeat(65 << 20)), "E-FILE-LIMIT"),
    ];
    for (content, code) in cases {
        let start: String = content.chars().take(60).collect();
        let drops = Drops::with("a.xml", content);
        let mut options = of("xml");
        options["record"] = json!("r");
        let error = drops.read(options).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, code), "{start}");
    }
}

#[tokio::test]
async fn a_large_document_is_read_record_by_record() {
    let records: Vec<String> =
        (0..50_000).map(|n| format!("{{\"id\":\"{n}\",\"x\":\"办件{n}\"}}")).collect();
    let drops = Drops::with("a.json", format!("[{}]", records.join(",")));
    let endpoint = drops.endpoint(of("json"), json!({}));
    let mut cx = limited(1000);
    cx.limits.bytes = 16 << 10;
    let outcome = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!(outcome.len(), 50_000);
    assert_eq!(outcome.column("x")[49_999], "办件49999");
}
