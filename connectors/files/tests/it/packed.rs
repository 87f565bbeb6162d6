//! Files in `.gz` and `.zip`, honest and hostile.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use huiliu_sdk::ErrorKind;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{Drops, csv, limited, read};

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn all() -> Value {
    json!({ "pattern": "*" })
}

#[tokio::test]
async fn what_is_packed_is_read_as_what_is_within() {
    // Two streams one after the other are one file, as those of `cat a.gz b.gz` are.
    let twice = [gzip(b"a\n1\n"), gzip(b"2\n")].concat();
    assert_eq!(Drops::with("a.csv.gz", twice).read(all()).await.unwrap().column("a"), ["1", "2"]);

    let packed = zip(&[("b.csv", b"a\n2\n"), ("sub/a.csv", b"a\n1\n"), ("readme.md", b"x,y,z\n")]);
    let drops = Drops::with("a.zip", packed);
    let outcome = drops.read(json!({ "pattern": "*.zip", "member": "*.csv" })).await.unwrap();
    assert_eq!(outcome.column("a"), ["2", "1"]);
    assert_eq!(outcome.origins, ["a.zip/b.csv", "a.zip/sub/a.csv"]);
    assert_eq!(outcome.checkpoints.len(), 1, "the archive is one delivery");
}

#[tokio::test]
async fn formats_that_are_read_at_any_place_are_unpacked_to_the_disk_first() {
    let book = crate::sheets::titled();
    let options = json!({ "pattern": "*", "format": "xlsx", "header_row": 2 });
    for content in [gzip(&book), zip(&[("台账.xlsx", &book)])] {
        let outcome = Drops::with("a", content).read(options.clone()).await.unwrap();
        assert_eq!(outcome.column("姓名"), ["张三", "李四"]);
    }
}

#[tokio::test]
async fn counts_and_digests_are_those_of_the_packed_file_and_its_rows() {
    let packed = gzip(b"a\n1\n2\n");
    let digest = crate::support::sha256(&packed);
    let drops = Drops::with("a.csv.gz", packed);
    drops.put("a.csv.gz.ctl", format!("rows=2\nsha256={digest}\n"));
    let endpoint = drops.endpoint(json!({ "pattern": "*.gz", "control": {} }), json!({}));
    assert_eq!(read(&*endpoint, &limited(10), None, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn bombs_are_refused_before_they_expand() {
    let zeros = [b"0".repeat(1000), b"\n".to_vec()].concat().repeat(70_000);
    for content in [gzip(&zeros), zip(&[("a.csv", &zeros)])] {
        assert!(content.len() < zeros.len() / 300, "{}", content.len());
        let error = Drops::with("a.csv", content).read(csv()).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-FILE-LIMIT"));
        assert!(error.message().contains("300 times"), "{error}");
    }
    // Honest text in sum too large for the stream.
    let mut text = String::from("a\n");
    for n in 0..400_000_u64 {
        text += &format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let options = json!({ "pattern": "*", "unpacked_mib": 5 });
    for content in [gzip(text.as_bytes()), zip(&[("a.csv", text.as_bytes())])] {
        let error = Drops::with("a", content).read(options.clone()).await.err().unwrap();
        assert_eq!(error.code(), "E-FILE-LIMIT");
        assert!(error.message().contains("5 MiB"), "{error}");
    }
    let half = &text.as_bytes()[..3 << 20];
    let two = zip(&[("a.csv", half), ("b.csv", half)]);
    let error = Drops::with("a", two).read(options).await.err().unwrap();
    assert_eq!(error.code(), "E-FILE-LIMIT", "the limit is that of all members together");
}

#[tokio::test]
async fn archives_within_archives_and_names_that_lead_out_are_refused() {
    let inner = zip(&[("a.csv", b"a\n1\n")]);
    let gz = gzip(b"a\n1\n");
    let cases = [
        (zip(&[("a.zip", &inner)]), "archive within"),
        (zip(&[("a.csv", &gz)]), "archive within"),
        (gzip(&inner), "archive within"),
        (gzip(&gz), "archive within"),
        (zip(&[("../a.csv", b"a\n1\n")]), "leads out"),
        (zip(&[("/etc/a.csv", b"a\n1\n")]), "leads out"),
        (zip(&[("x\\..\\..\\a.csv", b"a\n1\n")]), "leads out"),
        (zip(&[]), "holds no file"),
    ];
    for (content, told) in cases {
        let error = Drops::with("a", content).read(all()).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "E-FILE-DAMAGED"), "{told}");
        assert!(error.message().contains(told), "{error}");
    }
    let many: Vec<String> = (0..1_001).map(|n| format!("{n}.csv")).collect();
    let many: Vec<(&str, &[u8])> =
        many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let error = Drops::with("a", zip(&many)).read(all()).await.err().unwrap();
    assert_eq!(error.code(), "E-FILE-LIMIT");
}

#[tokio::test]
async fn a_link_in_an_archive_is_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("a.csv", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let content = writer.finish().unwrap().into_inner();
    let error = Drops::with("a", content).read(all()).await.err().unwrap();
    assert_eq!(error.code(), "E-FILE-DAMAGED");
}

#[tokio::test]
async fn cut_and_damaged_archives_give_no_checkpoint() {
    let text: String = (0..2_000).map(|n| format!("{n}\n")).collect();
    let book = crate::sheets::titled();
    let xls = std::fs::read(Drops::fixture("book.xls").path("book.xls")).unwrap();
    for (format, content) in [
        ("csv", gzip(format!("a\n{text}").as_bytes())),
        ("csv", zip(&[("a.csv", format!("a\n{text}").as_bytes())])),
        ("xlsx", book),
        ("xls", xls),
    ] {
        let options = json!({ "pattern": "*", "format": format });
        for part in 1..16 {
            let cut = &content[..content.len() * part / 16];
            let read = Drops::with("a", cut).read(options.clone()).await;
            let error = read.err().unwrap_or_else(|| panic!("{format} cut at {part}/16"));
            assert!(
                ["E-FILE-DAMAGED", "E-HEADER", "E-ENCODING"].contains(&error.code()),
                "{error:?}"
            );
        }
    }
    // One flipped bit is found by the check sum.
    let mut flipped = zip(&[("a.csv", format!("a\n{text}").as_bytes())]);
    flipped[200] ^= 1;
    assert!(Drops::with("a", flipped).read(all()).await.is_err());
}
