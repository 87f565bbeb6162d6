//! Files as they are where nobody looked.

use std::io::{Cursor, Write};

use encoding_rs::GB18030;
use huiliu_sdk::{ErrorKind, Event};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{Drops, codes, csv, limited, read, request};

#[tokio::test]
async fn totals_notes_titles_and_two_rows_of_header_are_no_records() {
    let text =
        "马鞍山市办件台账,,\n,时间,时间\n编号,受理,办结\n1,a,b\n合计：1,,\n2,c,d\n注：截至月底,,\n";
    let drops = Drops::with("a.csv", GB18030.encode(text).0);
    let options = json!({
        "pattern": "*", "encoding": "gb18030", "header_row": 2, "header_rows": 2,
        "skip": ["合计*", "注：*"],
    });
    let outcome = drops.read(options).await.unwrap();
    assert_eq!(outcome.column("编号"), ["1", "2"]);
    assert_eq!(outcome.column("时间/办结"), ["b", "d"]);
    assert_eq!(outcome.positions, [4, 6]);
    assert_eq!(outcome.notes, ["2 rows of file a.csv left out by `skip`"]);
}

#[tokio::test]
async fn a_file_without_header_has_columns_by_their_place() {
    let drops = Drops::with("a.csv", "1,张三\n2,李四\n3\n");
    let options = json!({ "pattern": "*", "header_rows": 0, "fields": { "id": "1", "name": "2" } });
    let outcome = drops.read(options).await.unwrap();
    assert_eq!(outcome.column("name"), ["张三", "李四"]);
    assert_eq!(codes(&outcome), [(3, "E-RAGGED")]);
}

#[tokio::test]
async fn skipped_rows_are_not_among_those_a_control_file_counts() {
    let content = "编号\n1\n合计\n";
    let drops = Drops::with("a.csv", content);
    drops.put("a.ctl", format!("rows=1\nsha256={}\n", crate::support::sha256(content)));
    let options = json!({ "pattern": "*.csv", "skip": ["合计"], "control": {} });
    assert_eq!(drops.read(options).await.unwrap().len(), 1);
}

#[tokio::test]
async fn five_thousand_columns_with_odd_names_are_columns() {
    let odd = ["a b", "a\"b", "select", "😀", "%s", "a.b", "A", "长".repeat(500).leak(), "${x}"];
    let mut names: Vec<String> = odd.iter().map(|name| (*name).to_owned()).collect();
    names.extend((names.len()..5_000).map(|n| format!("c{n}")));
    let quoted: Vec<String> =
        names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let row = vec!["😀"; 5_000].join(",");
    let drops = Drops::with("a.csv", format!("{}\n{row}\n{row}\n", quoted.join(",")));
    let outcome = drops.read(csv()).await.unwrap();
    assert_eq!(outcome.schemas[0].fields().len(), 5_000);
    assert_eq!(outcome.column("a\"b"), ["😀", "😀"]);
    assert_eq!(outcome.column("c4999"), ["😀", "😀"]);
}

#[tokio::test]
async fn nul_and_half_characters_harm_only_their_row() {
    let drops = Drops::with("a.csv", b"a,b\n1,x\0y\n2,\xf0\x9f\x98\n3,\xed\xa0\x80\n4,ok\n");
    let outcome = drops.read(csv()).await.unwrap();
    assert_eq!(outcome.column("a"), ["4"]);
    assert_eq!(codes(&outcome), [(2, "E-NUL"), (3, "E-ENCODING"), (4, "E-ENCODING")]);
}

#[tokio::test]
async fn a_cell_of_64_mib_is_set_aside_or_refused_and_never_cut() {
    let long = "x".repeat((64 << 20) + 1);
    // A line that is no record of a CSV file at all.
    let error = Drops::with("a.csv", format!("a\n{long}\n")).read(csv()).await.err().unwrap();
    assert_eq!(error.code(), "E-ROW-SIZE");
    let lines = format!("{{\"a\":\"{}\"}}\n", &long[..long.len() - 5_000]);
    let outcome = Drops::with("a.ndjson", lines)
        .read(json!({ "pattern": "*", "format": "ndjson" }))
        .await
        .unwrap();
    assert_eq!(outcome.column("a")[0].len(), long.len() - 5_000);
    let json = format!("[{{\"a\":\"1\"}},{{\"a\":\"{long}\"}}]");
    let of_json = json!({ "pattern": "*", "format": "json" });
    let outcome = Drops::with("a.json", json).read(of_json.clone()).await.unwrap();
    assert_eq!((outcome.len(), codes(&outcome)), (1, vec![(2, "E-ROW-SIZE")]));
    let json = format!("[{{\"a\":\"1\"}},{{\"a\":\"{long}{}\"}}]", "x".repeat(1 << 20));
    let error = Drops::with("a.json", json).read(of_json).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-FILE-LIMIT"));
}

#[tokio::test]
async fn empty_files_of_every_format_are_errors_and_not_empty_tables() {
    for format in ["csv", "xlsx", "xls", "json", "ndjson", "xml", "parquet", "arrow"] {
        let mut options = json!({ "pattern": "*", "format": format });
        if format == "xml" {
            options["record"] = json!("r");
        }
        let error = Drops::with("a", "").read(options.clone()).await.err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Data | ErrorKind::Schema), "{format}: {error:?}");
        // And so is a file of another kind.
        let read = Drops::with("a", [0x89, b'P', b'N', b'G', 0, 0, 0, 1]).read(options).await;
        let told = read.err().map(|error| error.code().to_owned());
        assert_ne!(told.as_deref(), Some("E-PANIC"), "{format}");
        assert!(told.is_some() || format == "csv", "{format}");
    }
}

/// A workbook of parts by hand.
fn workbook(sheet: &str, shared: &str, method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let rels =
        r#"<Relationships><Relationship Id="r1" Target="worksheets/s.xml"/></Relationships>"#;
    for (name, content) in [
        ("xl/workbook.xml", r#"<workbook><sheets><sheet name="s" r:id="r1"/></sheets></workbook>"#),
        ("xl/_rels/workbook.xml.rels", rels),
        ("xl/worksheets/s.xml", sheet),
        ("xl/sharedStrings.xml", shared),
    ] {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(name, options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn workbooks_that_lie_about_their_size_cost_what_they_are() {
    let head = r#"<worksheet><dimension ref="XFD1048576:A1"/><sheetData>"#;
    let a1 = r#"<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row>"#;
    let last = r#"<row r="1048576"><c r="A1048576"><v>7</v></c></row>"#;
    let far = r#"<row r="1048576"><c r="XFD1048576"><v>7</v></c></row>"#;
    let end = "</sheetData><mergeCells><mergeCell ref=\"XFD1048576:A1\"/></mergeCells></worksheet>";
    let shared = r#"<sst count="4000000000" uniqueCount="4000000000"><si><t>x</t></si></sst>"#;
    let options = json!({ "pattern": "*", "format": "xlsx" });
    let read = |sheet: String| {
        let content = workbook(&sheet, shared, CompressionMethod::Deflated);
        let drops = Drops::with("a.xlsx", content);
        let options: Value = options.clone();
        async move { drops.read(options).await }
    };
    // All cells are joined, so that the far one is the only value of its own.
    let error = read(format!("{head}{a1}{last}{end}")).await.err().unwrap();
    assert_eq!(error.code(), "E-HEADER", "a header of 16384 times the same name");
    let outcome = read(format!("{head}{a1}{last}</sheetData></worksheet>")).await.unwrap();
    assert_eq!(
        (outcome.column("a"), outcome.positions.as_slice()),
        (vec!["7".into()], &[1_048_576][..])
    );
    let outcome = read(format!("{head}{a1}{far}</sheetData></worksheet>")).await.unwrap();
    assert_eq!(codes(&outcome), [(1_048_576, "E-RAGGED")]);
    for (cell, code) in [
        (r#"<c r="A2" t="s"><v>3999999999</v></c>"#, "E-FILE-DAMAGED"),
        (r#"<c r="B2"><v>1</v></c><c r="A2"><v>1</v></c>"#, "E-FILE-DAMAGED"),
        (r#"<c r="A2"><v>1e999</v></c>"#, "E-FILE-DAMAGED"),
        (r#"<c r="ZZZZ2"><v>1</v></c>"#, "E-FILE-DAMAGED"),
    ] {
        let sheet = format!("{head}{a1}<row r=\"2\">{cell}</row></sheetData></worksheet>");
        assert_eq!(read(sheet).await.err().unwrap().code(), code, "{cell}");
    }
    let back = format!("{head}{a1}<row r=\"1\"></row></sheetData></worksheet>");
    assert_eq!(read(back).await.err().unwrap().code(), "E-FILE-DAMAGED");
    let bomb = format!("{head}{a1}{}</sheetData></worksheet>", " ".repeat(96 << 20));
    assert_eq!(read(bomb).await.err().unwrap().code(), "E-FILE-LIMIT");
}

#[tokio::test]
async fn a_row_of_a_workbook_that_is_larger_than_any_is_refused() {
    let shared = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(1 << 20));
    let cell = r#"<c t="s"><v>0</v></c>"#;
    let head = r#"<worksheet><sheetData><row><c t="inlineStr"><is><t>a</t></is></c></row><row>"#;
    let end = "</row></sheetData>";
    let joined = r#"<mergeCells><mergeCell ref="A2:BM2"/></mergeCells>"#;
    let formula = format!("<c><f>{}</f><v>1</v></c>", "x".repeat(65 << 20));
    for (row, after, told) in [
        (cell.repeat(65).as_str(), "", "row 2 of file a.xlsx"),
        (cell, joined, "row 2 of file a.xlsx"),
        (formula.as_str(), "", "a record of more than 64 MiB"),
    ] {
        let sheet = format!("{head}{row}{end}{after}</worksheet>");
        let content = workbook(&sheet, &shared, CompressionMethod::Stored);
        let drops = Drops::with("a.xlsx", content);
        let options = json!({ "pattern": "*", "format": "xlsx" });
        let error = drops.read(options).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-FILE-LIMIT"));
        assert!(error.message().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_changed_byte_anywhere_in_an_old_workbook_is_no_panic() {
    let whole = std::fs::read(Drops::fixture("book.xls").path("book.xls")).unwrap();
    let options = json!({ "pattern": "*", "format": "xls" });
    let drops = Drops::new();
    for at in (0..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] = changed[at].wrapping_add(0x7f);
        drops.put("a.xls", changed);
        if let Err(error) = drops.read(options.clone()).await {
            assert!(
                matches!(error.kind(), ErrorKind::Data | ErrorKind::Schema),
                "changed at {at}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_renamed_over_another_during_the_read_is_read_by_the_next_one() {
    let old: String = (0..5_000).map(|row| format!("{row}\n")).collect();
    let drops = Drops::with("a.csv", format!("a\n{old}"));
    let endpoint = drops.endpoint(csv(), json!({ "read": "incremental" }));
    let cx = limited(10);
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    assert!(matches!(source.next(&cx).await.unwrap(), Some(Event::Schema(..))));
    drops.put("new", "a\nnew\n");
    std::fs::rename(drops.path("new"), drops.path("a.csv")).unwrap();
    let (mut rows, mut last) = (0, None);
    while let Some(event) = source.next(&cx).await.unwrap() {
        match event {
            Event::Rows(batch) => rows += batch.batch.num_rows(),
            Event::Checkpoint(checkpoint) => last = Some(checkpoint),
            _ => {}
        }
    }
    assert_eq!(rows, 5_000, "all of the old file");
    let next = read(&*endpoint, &cx, last, None).await.unwrap();
    assert_eq!(next.column("a"), ["new"]);
    assert_eq!(next.notes, ["file a.csv was replaced and is read again"]);
}

#[tokio::test]
async fn a_column_without_values_is_a_column() {
    let drops = Drops::with("a.csv", "a,b\n1,\n2,\n");
    let settings = json!({ "columns": { "b": { "type": "timestamp" } } });
    let endpoint = drops.endpoint(csv(), settings);
    let outcome = read(&*endpoint, &limited(10), None, None).await.unwrap();
    assert_eq!(outcome.column("b"), ["NULL", "NULL"]);
}
