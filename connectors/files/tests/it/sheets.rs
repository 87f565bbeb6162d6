//! Workbooks: what Excel and its kind write.

use huiliu_sdk::ErrorKind;
use rust_xlsxwriter::{Format, Workbook};
use serde_json::{Value, json};

use crate::support::{Drops, codes, limited, read};

/// A sheet with a title over its header.
pub(crate) fn titled() -> Vec<u8> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.merge_range(0, 0, 0, 1, "马鞍山市台账", &Format::new()).unwrap();
    for (row, values) in [["编号", "姓名"], ["1", "张三"], ["2", "李四"]].iter().enumerate()
    {
        for (column, value) in values.iter().enumerate() {
            let (row, column) = (row as u32 + 1, column as u16);
            sheet.write_string(row, column, *value).unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

fn book(fill: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
    let mut book = Workbook::new();
    fill(book.add_worksheet());
    book.save_to_buffer().unwrap()
}

fn options(format: &str) -> Value {
    json!({
        "pattern": "*", "format": format, "header_row": 2, "header_rows": 2, "sheet": "办件2018",
        "skip": ["合计*"],
    })
}

#[tokio::test]
async fn a_workbook_of_each_kind_gives_the_same_rows() {
    for name in ["book.xlsx", "book1904.xlsx", "book.xls", "book1904.xls"] {
        let drops = Drops::fixture(name);
        let format = name.rsplit('.').next().unwrap();
        let settings = json!({ "columns": {
            "时间/受理": { "type": "date" }, "时间/办结": { "type": "timestamp" },
            "金额": { "type": "decimal(12,2)" }, "有效": { "type": "bool" },
        } });
        let endpoint = drops.endpoint(options(format), settings);
        let outcome = read(&*endpoint, &limited(100), None, None).await.unwrap();
        let schema = &outcome.schemas[0];
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let expected = ["编号", "时间/受理", "时间/办结", "部门", "金额", "证件号码", "有效"];
        assert_eq!(names, expected, "{name}");
        // Text keeps its zeros; the number that Excel has rounded is set aside, as is an error.
        assert_eq!(outcome.column("编号")[0], "0001", "{name}");
        assert_eq!(outcome.column("时间/受理")[0], "2018-06-01", "{name}");
        assert_eq!(outcome.column("时间/办结")[0], "2018-06-02T09:30:00", "{name}");
        assert_eq!(outcome.column("部门")[0], "市规划局", "{name}");
        assert_eq!(outcome.column("金额")[0], "12.50", "{name}");
        assert_eq!(outcome.column("证件号码")[0], "340501199001011234", "{name}");
        assert_eq!(outcome.column("有效")[0], "true", "{name}");
        assert_eq!(codes(&outcome)[0], (5, "E-EXCEL-ROUNDED"), "{name}");
        let raw = String::from_utf8_lossy(&outcome.rejected[0].raw).into_owned();
        // The department spans both rows.
        assert!(raw.contains("市规划局") && raw.contains("2018-06-03"), "{raw}");
        assert!(outcome.notes.iter().any(|note| note.starts_with("1 row of file")), "{name}");
        if format == "xls" {
            // The program that wrote it stored an empty text as the result of the formula in row 6.
            assert_eq!(outcome.positions, [4, 6, 7]);
            assert_eq!(outcome.column("编号")[1..], ["3", "4"]);
            // Longer than a record, of two bytes a character and of one until the last.
            assert_eq!(outcome.column("部门")[1], "镇".repeat(9000));
            assert_eq!(outcome.column("部门")[2], format!("{}中", "y".repeat(9000)));
            assert_eq!(outcome.column("金额")[1..], ["NULL", "-0.07"]);
        } else {
            assert_eq!(outcome.positions, [4]);
            assert_eq!(codes(&outcome)[1..], [(6, "E-EXCEL-ERROR"), (7, "E-EXCEL-ERROR")]);
        }
    }
}

#[tokio::test]
async fn sheets_are_chosen_by_name_pattern_place_or_as_the_first_that_shows() {
    for name in ["book.xlsx", "book.xls"] {
        let drops = Drops::fixture(name);
        let format = name.rsplit('.').next().unwrap();
        for (sheet, rows) in [("办件2017", 1), ("*2017", 1), ("#3", 1), ("#1", 0)] {
            let options = json!({ "pattern": "*", "format": format, "sheet": sheet });
            assert_eq!(drops.read(options).await.unwrap().len(), rows, "{name} {sheet}");
        }
        for sheet in ["办件*", "没有", "#4"] {
            let options = json!({ "pattern": "*", "format": format, "sheet": sheet });
            let error = drops.read(options).await.err().unwrap();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-SHEET"), "{sheet}");
        }
    }
}

#[tokio::test]
async fn numbers_are_shown_as_they_were_typed() {
    let content = book(|sheet| {
        sheet.write_string(0, 0, "n").unwrap();
        for (row, number) in
            [0.1, 100.0, 1e14, -0.0, 123_456_789_012_345.0, 1e15].iter().enumerate()
        {
            sheet.write_number(row as u32 + 1, 0, *number).unwrap();
        }
    });
    let drops = Drops::with("a.xlsx", content);
    let options = json!({ "pattern": "*", "format": "xlsx" });
    let outcome = drops.read(options.clone()).await.unwrap();
    assert_eq!(outcome.column("n"), ["0.1", "100", "100000000000000", "0", "123456789012345"]);
    assert_eq!(codes(&outcome), [(7, "E-EXCEL-ROUNDED")]);
    // Of a measure nothing is lost that was there.
    let endpoint = drops.endpoint(options, json!({ "columns": { "n": { "type": "float" } } }));
    assert_eq!(read(&*endpoint, &limited(9), None, None).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_value_beside_the_header_is_set_aside_and_spaces_are_no_rows() {
    let content = book(|sheet| {
        sheet.write_string(0, 0, "a").unwrap();
        sheet.write_string(0, 2, "c").unwrap();
        sheet.write_string(1, 0, "1").unwrap();
        sheet.write_string(2, 1, "stray").unwrap();
        sheet.write_string(3, 3, "stray").unwrap();
        sheet.write_string(4, 0, " ").unwrap();
        sheet.write_string(5, 2, "3").unwrap();
    });
    let outcome =
        Drops::with("a.xlsx", content).read(json!({ "pattern": "*", "format": "xlsx" })).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.column("a"), ["1", "NULL"]);
    assert_eq!(outcome.positions, [2, 6]);
    assert_eq!(codes(&outcome), [(3, "E-RAGGED"), (4, "E-RAGGED")]);
    assert!(outcome.rejected[0].reason.contains("column B"), "{:?}", outcome.rejected);
}

#[tokio::test]
async fn headers_of_sheets_have_to_be_there_once() {
    for names in [["a", "a"], ["", ""]] {
        let content = book(|sheet| {
            for (column, name) in names.iter().enumerate() {
                sheet.write_string(0, column as u16, *name).unwrap();
            }
        });
        let drops = Drops::with("a.xlsx", content);
        let error = drops.read(json!({ "pattern": "*", "format": "xlsx" })).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "E-HEADER"));
    }
}

#[tokio::test]
async fn a_workbook_of_sixty_thousand_rows_comes_in_bounded_batches() {
    let content = book(|sheet| {
        sheet.write_string(0, 0, "编号").unwrap();
        for row in 1..=60_000 {
            sheet.write_string(row, 0, format!("办件{row}")).unwrap();
        }
    });
    let drops = Drops::with("a.xlsx", content);
    let endpoint = drops.endpoint(json!({ "pattern": "*", "format": "xlsx" }), json!({}));
    let mut cx = limited(4096);
    cx.limits.bytes = 32 << 10;
    let outcome = read(&*endpoint, &cx, None, None).await.unwrap();
    assert_eq!(outcome.len(), 60_000);
    assert_eq!(outcome.column("编号")[59_999], "办件60000");
    assert!(outcome.batches.iter().all(|batch| batch.num_rows() <= 4096));
}
