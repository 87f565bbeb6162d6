//! What stands in files: encodings, quotes, headers, faults.

use encoding_rs::GB18030;
use huiliu_sdk::ErrorKind;
use serde_json::json;

use crate::support::{Drops, csv, limited, read, request};

#[tokio::test]
async fn rows_carry_file_and_line() {
    let drops = Drops::with("b.csv", "编号,说明\r\n\r\n2,\"two\nlines\"\r\n3,\r\n");
    drops.put("a.csv", "编号,说明\n1,one");
    let outcome = drops.read(csv()).await.unwrap();
    assert_eq!(outcome.column("编号"), ["1", "2", "3"]);
    assert_eq!(outcome.column("说明"), ["one", "two\nlines", "NULL"]);
    assert_eq!(outcome.origins, ["a.csv", "b.csv"]);
    assert_eq!(outcome.positions, [2, 3, 5]);
    assert_eq!((outcome.schemas.len(), outcome.complete), (1, Some(true)));
}

#[tokio::test]
async fn a_header_alone_is_a_file_without_rows() {
    let drops = Drops::with("a.csv", "a,b\n");
    let outcome = drops.read(csv()).await.unwrap();
    assert_eq!((outcome.len(), outcome.schemas.len()), (0, 1));
    assert_eq!(outcome.complete, Some(true));
    assert!(outcome.checkpoints[0].1.state["files"]["a.csv"]["sha256"].is_string());
}

#[tokio::test]
async fn an_empty_file_is_an_error_and_an_empty_folder_is_not() {
    let drops = Drops::with("a.csv", "");
    let error = drops.read(csv()).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-HEADER"));
    let outcome = Drops::new().read(csv()).await.unwrap();
    assert_eq!((outcome.len(), outcome.complete), (0, Some(false)));
    assert_eq!(outcome.checkpoints.len(), 1);
}

#[tokio::test]
async fn every_encoding_gives_the_same_rows() {
    // The first name begins in plane 2, with four bytes of GB18030.
    let text = "编号,姓名\n1,𠮷野\n2,倈㐀\n3,\"a,\"\"b\"\n";
    let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let gb = GB18030.encode(text).0.into_owned();
    assert_eq!(GB18030.encode("𠮷").0.len(), 4);
    let cases = [
        ("utf-8", text.as_bytes().to_vec()),
        ("utf-8", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("gb18030", gb.clone()),
        ("gb18030", [b"\x84\x31\x95\x33".to_vec(), gb].concat()),
        ("utf-16le", le.clone()),
        ("utf-16le", [b"\xff\xfe".to_vec(), le].concat()),
        ("utf-16be", be.clone()),
        ("utf-16be", [b"\xfe\xff".to_vec(), be].concat()),
    ];
    for (encoding, bytes) in cases {
        let drops = Drops::with("a.csv", bytes);
        let outcome =
            drops.read(json!({ "pattern": "*.csv", "encoding": encoding })).await.unwrap();
        assert_eq!(outcome.column("姓名"), ["𠮷野", "倈㐀", "a,\"b"], "{encoding}");
        assert_eq!(outcome.column("编号"), ["1", "2", "3"], "{encoding}");
        assert_eq!(outcome.positions, [2, 3, 4]);
    }
}

#[tokio::test]
async fn a_delimiter_that_gb18030_uses_inside_characters_does_not_split_them() {
    // 0x7c is `|` and the second byte of this character.
    let (text, _) = GB18030.decode_without_bom_handling(b"\x81\x7c");
    let content = [b"a|b\n".as_slice(), b"\x81\x7c|2\nbad\xff|3\n"].concat();
    let drops = Drops::with("a.csv", content);
    let options = json!({ "pattern": "*.csv", "encoding": "gb18030", "delimiter": "|" });
    let outcome = drops.read(options).await.unwrap();
    assert_eq!(outcome.column("a"), [text.into_owned()]);
    assert_eq!(outcome.column("b"), ["2"]);
    assert_eq!((outcome.rejected[0].position, outcome.rejected[0].code), (3, "E-ENCODING"));
}

#[tokio::test]
async fn one_undecodable_record_harms_no_other() {
    let mut content = GB18030.encode("编号,姓名\n1,张三\n").0.into_owned();
    content.extend(b"2,\xc0\x2c\n3,\x81\n");
    content.extend(&*GB18030.encode("4,李四\n").0);
    let drops = Drops::with("a.csv", content);
    let outcome = drops.read(json!({ "pattern": "*.csv", "encoding": "gb18030" })).await.unwrap();
    assert_eq!(outcome.column("编号"), ["1", "4"]);
    let rejected: Vec<(u64, &str, &[u8])> =
        outcome.rejected.iter().map(|row| (row.position, row.code, &*row.raw)).collect();
    // The half character is followed by a delimiter, so its record has a field too many.
    assert_eq!(
        rejected,
        [
            (3, "E-RAGGED", br#"{"_line":{"hex":"322cc02c"}}"#.as_slice()),
            (4, "E-ENCODING", r#"{"编号":"3","姓名":{"hex":"81"}}"#.as_bytes()),
        ]
    );

    let drops = Drops::with("a.csv", "a,b\n1,é\n");
    drops.put("b.csv", b"a,b\n1,\xd6\xd0\n2,ok\n");
    let outcome = drops.read(csv()).await.unwrap();
    assert_eq!(outcome.column("b"), ["é", "ok"]);
    assert_eq!((outcome.rejected[0].position, outcome.rejected[0].code), (2, "E-ENCODING"));
}

#[tokio::test]
async fn a_mark_of_another_encoding_is_an_error() {
    let drops = Drops::with("a.csv", "\u{feff}a,b\n1,2\n");
    let error =
        drops.read(json!({ "pattern": "*.csv", "encoding": "gb18030" })).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-ENCODING"));
}

#[tokio::test]
async fn ragged_and_mistyped_records_are_rejected_at_their_line() {
    let drops = Drops::with("a.csv", "id,n\n1,1\n2\n3,3,3\n4,many\n\"5\n\",5\n6,x\n");
    let settings = json!({ "columns": { "n": { "type": "int" } } });
    let endpoint = drops.endpoint(csv(), settings);
    let outcome = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(outcome.column("n"), ["1", "5"]);
    assert_eq!(outcome.positions, [2, 6]);
    let rejected: Vec<(u64, &str)> =
        outcome.rejected.iter().map(|row| (row.position, row.code)).collect();
    assert_eq!(rejected, [(3, "E-RAGGED"), (4, "E-RAGGED"), (5, "E-TYPE"), (8, "E-TYPE")]);
    assert_eq!(outcome.rejected[0].raw, br#"{"_line":"2"}"#);
    assert_eq!(outcome.rejected[2].raw, br#"{"id":"4","n":"many"}"#);
    assert!(!format!("{:?}", outcome.rejected).contains("many"));
}

#[tokio::test]
async fn an_unclosed_quote_is_told_with_its_line_and_commits_nothing() {
    for (content, line) in [
        ("a,b\n1,\"x\n2,y\n3,z\n", 2),
        ("a,b\n1,x\n\"two\nlines\",\"open\n\n", 4),
        ("a,b\n\n1,\"\"\"open", 3),
        ("a,b\n\"one\n\",\"tw\"\"o\",\n1,\"x\"\"", 4),
    ] {
        for limits in [limited(1), limited(100)] {
            let drops = Drops::with("a.csv", content);
            let endpoint = drops.endpoint(csv(), json!({}));
            let mut source = endpoint.source(&limits, request(None, None)).await.unwrap();
            let error = loop {
                match source.next(&limits).await {
                    Ok(Some(event)) => {
                        assert!(!matches!(event, huiliu_sdk::Event::Checkpoint(_)), "{content}");
                    }
                    Ok(None) => panic!("the file has to be refused"),
                    Err(error) => break error,
                }
            };
            assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-QUOTE"));
            assert!(error.message().contains(&format!("line {line} of file a.csv")), "{error}");
        }
    }
    // A closed quote at the very end is no fault.
    let outcome = Drops::with("a.csv", "a\n\"x\"").read(csv()).await.unwrap();
    assert_eq!(outcome.column("a"), ["x"]);
}

#[tokio::test]
async fn headers_have_to_be_there_once() {
    for content in ["a,b,a\n", "a,,b\n", "a, ,b\n", "a,b,\n"] {
        let error = Drops::with("a.csv", content).read(csv()).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-HEADER"), "{content}");
    }
    let drops = Drops::with("a.csv", "编号,姓名\n1,张三\n");
    let options = json!({ "pattern": "*.csv", "fields": { "id": "编号", "no": "证件号" } });
    let error = drops.read(options).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-COLUMN-MISSING"));
}

#[tokio::test]
async fn fields_pick_and_rename_columns() {
    let drops = Drops::with("a.csv", "编号,多余,日期\n1,x,2018/6/12\n2,x,无\n");
    drops.put("b.csv", "日期,编号\n2018-06-13,3\n");
    let endpoint = drops.endpoint(
        json!({ "pattern": "*.csv", "null": "无", "fields": { "id": "编号", "day": "日期" } }),
        json!({ "key": ["id"], "columns": { "day": { "type": "date" } } }),
    );
    let outcome = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!(outcome.schemas.len(), 1, "both files have the same columns");
    assert_eq!(outcome.column("id"), ["1", "2", "3"]);
    assert_eq!(outcome.column("day"), ["2018-06-12", "NULL", "2018-06-13"]);
}

#[tokio::test]
async fn changed_headers_change_the_schema() {
    let drops = Drops::with("a.csv", "a\n1\n");
    drops.put("b.csv", "a,b\n1,2\n");
    let outcome = drops.read(csv()).await.unwrap();
    assert_eq!(outcome.schemas.len(), 2);
}

#[tokio::test]
async fn a_record_without_end_is_refused_in_bounded_memory() {
    for content in [
        ["a,b\n1,".as_bytes(), &vec![b'x'; 65 << 20]].concat(),
        ["a,b\n1,\"".as_bytes(), &b"x\n".repeat(33 << 20), b"\",2\n"].concat(),
    ] {
        let error = Drops::with("a.csv", content).read(csv()).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-ROW-SIZE"));
        assert!(error.message().contains("line 2"), "{error}");
    }
}

#[tokio::test]
async fn a_hundred_thousand_rows_come_in_bounded_batches() {
    let mut content = String::from("编号,姓名,说明\n");
    for row in 0..100_000 {
        content += &format!("{row},张三{row},\"办件, 第{row}号\"\n");
    }
    let drops = Drops::with("a.csv", GB18030.encode(&content).0);
    let options = json!({ "pattern": "*.csv", "encoding": "gb18030" });
    let endpoint = drops.endpoint(options, json!({}));
    let mut cx = limited(4_096);
    cx.limits.bytes = 64 << 10;
    let outcome = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!(outcome.len(), 100_000);
    assert_eq!(outcome.positions.last(), Some(&100_001));
    assert_eq!(outcome.column("说明")[99_999], "办件, 第99999号");
    for batch in &outcome.batches {
        assert!(batch.num_rows() <= 2_000, "bytes bound the batch too: {}", batch.num_rows());
    }
}

#[tokio::test]
async fn errors_hold_no_values() {
    let id = "341024199001011234";
    for content in
        [format!("{id},{id}\n"), format!("{id},\n"), format!("a,b\n{id},\"{id}"), format!("{id}\n")]
    {
        let drops = Drops::with("a.csv", content);
        let options = json!({ "pattern": "*.csv", "fields": { "a": "甲" } });
        let error = drops.read(options).await.err().unwrap();
        let told = format!("{error:?} {error}");
        assert!(!told.contains("341024"), "{told}");
    }
}
