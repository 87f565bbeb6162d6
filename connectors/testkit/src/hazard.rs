//! Rows that systems stumble over.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use chrono::{NaiveDate, NaiveDateTime};

use crate::Table;
use crate::table::BROKEN_TEXT;

/// Rows that have the same cursor.
const TIES: usize = 3;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, name != "id")),
    )
    .expect("columns of one length")
}

fn strings<T: AsRef<str>>(values: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    let mut array = arrow::array::StringBuilder::new();
    for value in values {
        array.append_option(value);
    }
    Arc::new(array.finish())
}

/// The moment of the row `index` of [`cases`].
pub fn moment(index: usize) -> NaiveDateTime {
    let start = NaiveDate::from_ymd_opt(2018, 6, 12).and_then(|day| day.and_hms_opt(9, 0, 0));
    let seconds = i64::try_from(index / TIES).expect("a small number");
    start.expect("a time that is one") + chrono::Duration::seconds(seconds)
}

/// Cases with the numbers `from` to `to`: `id`, `name`, `amount`, `changed` (the cursor, the same
/// for three of them), and the flag of front databases.
pub fn cases(from: usize, to: usize) -> Table {
    let numbers = || from..to;
    let moments: Vec<i64> = numbers().map(|i| moment(i).and_utc().timestamp_micros()).collect();
    let amounts = numbers().map(|index| i64::try_from(index).expect("a small number") * 7);
    let batch = batch(vec![
        ("id", strings(numbers().map(|index| Some(format!("c{index:06}"))))),
        ("name", strings(numbers().map(|index| Some(format!("办件 {index}"))))),
        ("amount", Arc::new(Int64Array::from_iter_values(amounts))),
        ("changed", Arc::new(TimestampMicrosecondArray::from(moments))),
        ("flag", strings(numbers().map(|_| Some("0")))),
    ]);
    Table { cursor: Some("changed".to_owned()), ..Table::new("cases", batch) }
}

/// No rows.
pub fn empty() -> Table {
    cases(0, 0)
}

/// Rows without a single value.
pub fn all_null() -> Table {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", strings([None::<&str>; 3])),
        ("n", Arc::new(Int64Array::from(vec![None; 3]))),
        ("w", Arc::new(TimestampMicrosecondArray::from(vec![None; 3]))),
    ];
    Table::new("nulls", batch(columns)).unkeyed()
}

/// Rows of which several have one key, and some no key at all.
pub fn duplicate_keys() -> Table {
    let ids = [Some("1"), Some("2"), Some("1"), Some("1"), None, None];
    let columns: Vec<(&str, ArrayRef)> =
        vec![("no", strings(ids)), ("name", strings(["a", "b", "c", "a", "e", "e"].map(Some)))];
    Table::new("doubles", batch(columns)).unkeyed()
}

/// One row of every extreme that the types have, and one without values.
pub fn every_type() -> Table {
    let long = "长文本 long text ".repeat(5_000);
    let day = |y, m, d| {
        let day = NaiveDate::from_ymd_opt(y, m, d).expect("a day");
        Some(arrow::datatypes::Date32Type::from_naive_date(day))
    };
    let time = |text: &str| {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").expect("a time");
        Some(time.and_utc().timestamp_micros())
    };
    let decimals = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        let array = Decimal128Array::from(values);
        Arc::new(array.with_precision_and_scale(precision, scale).expect("digits that fit"))
    };
    let wide = 10_i128.pow(38) - 1;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", strings(["greatest", "least", "nothing", "usual"].map(Some))),
        ("whole", Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(i64::MIN), None, Some(-1)]))),
        ("small", Arc::new(Int32Array::from(vec![Some(i32::MAX), Some(i32::MIN), None, Some(0)]))),
        (
            "fee",
            decimals(vec![Some(999_999_999_999), Some(-999_999_999_999), None, Some(1250)], 12, 2),
        ),
        ("wide", decimals(vec![Some(wide), Some(-wide), None, Some(1)], 38, 10)),
        (
            "rate",
            Arc::new(Float64Array::from(vec![
                Some(f64::MAX),
                Some(f64::MIN_POSITIVE),
                None,
                Some(0.1),
            ])),
        ),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]))),
        (
            "day",
            Arc::new(Date32Array::from(vec![
                day(9999, 12, 31),
                day(1000, 1, 1),
                None,
                day(2016, 2, 29),
            ])),
        ),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![
                time("9999-12-31 23:59:59.999999"),
                time("1000-01-01 00:00:00"),
                None,
                time("1969-12-31 23:59:59.000001"),
            ])),
        ),
        ("name", strings([Some(long.as_str()), Some(""), None, Some("王芳 🏛")])),
        (
            "photo",
            Arc::new(BinaryArray::from_opt_vec(vec![
                Some(&[0xff, 0x00, 0x27, 0x5c][..]),
                Some(&[][..]),
                None,
                Some(&b"text"[..]),
            ])),
        ),
    ];
    Table::new("types", batch(columns))
}

/// Columns whose names are more than letters.
pub fn odd_names() -> Table {
    let names = [
        "id",
        "two words",
        "quo\"te",
        "it's",
        "办件编号",
        "select",
        "UPPER",
        "semi;colon --",
        "back`tick",
        "per%cent",
        "dot.ted",
        "br[ack]et",
        "back\\slash",
        "★",
    ];
    let columns = names.iter().map(|name| (*name, strings([Some(format!("value of {name}"))])));
    Table::new("names", batch(columns.collect()))
}

/// Pieces of SQL, of shells and of formats, and what looks like nothing.
const PIECES: [&str; 40] = [
    "'",
    "\"",
    "`",
    "\\",
    ";",
    "--",
    "#",
    "*/",
    "a/*",
    "(",
    ")",
    "[",
    "]",
    "?",
    ":x",
    "$1",
    "@@version",
    "%s",
    "%",
    "_",
    "=",
    "<",
    ">",
    "&",
    "|",
    "||",
    "drop table keep",
    "or 1=1",
    "union all select",
    "null",
    "select",
    "x'27'",
    "\n",
    "\t",
    " ",
    "\u{202e}",
    "\u{feff}",
    "e\u{301}",
    "办件",
    "é",
];

/// Knuth's generator, always the same from one start; its upper bits are good enough to choose by.
struct Chance(u64);

impl Chance {
    /// The next 31 bits.
    fn bits(&mut self) -> u64 {
        let state = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = state.wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// So many texts that would be SQL if they stood in it as they are, always the same ones. Each can be
/// the name of a table or column everywhere: 60 bytes at most, no two alike in any case of letters,
/// no blank at an end, no dot, and no character that some system has not.
pub fn hostile(count: usize) -> Vec<String> {
    let mut chance = Chance(0x2018_1213);
    let mut below = |most: usize| usize::try_from(chance.bits()).expect("31 bits") % most;
    (0..count)
        .map(|index| {
            let mut text = PIECES[index % PIECES.len()].trim_start().to_owned();
            for _ in 0..=below(3) {
                text.push_str(PIECES[below(PIECES.len())]);
            }
            while text.len() > 56 {
                text.pop();
            }
            format!("{}{index}", text.trim_start())
        })
        .collect()
}

/// Tables of three hundred columns in all that are called like [`hostile`] texts.
pub fn hostile_names() -> Vec<Table> {
    // Some systems have no room for three hundred texts in one row.
    let names = hostile(300);
    let tables = names.chunks(100).zip(1..);
    tables
        .map(|(names, number)| {
            let mut columns = vec![("id", strings([Some("1")]))];
            let column = |name: &String| strings([Some(format!("value of {name}"))]);
            columns.extend(names.iter().map(|name| (name.as_str(), column(name))));
            Table::new(&format!("hostile_{number}"), batch(columns))
        })
        .collect()
}

/// Text that is all text, however it looks.
pub fn odd_text() -> Table {
    let texts = [
        "🏛️👩‍👩‍👧‍👦 𠮷野家",
        "e\u{301} \u{202e}right to left\u{202c} \u{feff}mark",
        "line\nend\r\nand\ttab",
        "'single' \"double\" `back` \\slash\\",
        "  blanks around  ",
        "=1+1",
        "NULL",
        "null",
        "\\N",
        "2018-06-12",
        "007",
        "{\"a\": [1]}",
        "<a>&amp;</a>",
        "%s {} $1 ?",
        "--; drop table keep",
    ];
    let ids = (0..texts.len()).map(|index| Some(format!("t{index:02}")));
    Table::new("oddities", batch(vec![("id", strings(ids)), ("body", strings(texts.map(Some)))]))
}

/// A row whose text holds a NUL character, between two that are in order.
pub fn nul_text() -> Table {
    let bodies = ["before", "nul\0inside", "after"].map(Some);
    let columns = vec![("id", strings(["1", "2", "3"].map(Some))), ("body", strings(bodies))];
    Table::new("nul", batch(columns))
}

/// A row whose text is no UTF-8, between two that are in order.
pub fn broken_text() -> Table {
    let marked = HashMap::from([(BROKEN_TEXT.to_owned(), String::new())]);
    let schema = Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("body", DataType::Binary, true).with_metadata(marked),
    ]);
    let bodies: Vec<&[u8]> = vec![b"before", b"\xd6\xd0\xb9\xfa \xff", b"after"];
    let columns: Vec<ArrayRef> =
        vec![strings(["1", "2", "3"].map(Some)), Arc::new(BinaryArray::from_vec(bodies))];
    Table::new("broken", RecordBatch::try_new(Arc::new(schema), columns).expect("two columns"))
}

/// A row whose text has so many bytes, between two that are small.
pub fn large_row(bytes: usize) -> Table {
    let large = "大.large.".repeat(bytes / 10 + 1);
    let mut end = bytes;
    while !large.is_char_boundary(end) {
        end -= 1;
    }
    let bodies = ["before", &large[..end], "after"];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", strings(["1", "2", "3"].map(Some))),
        ("body", Arc::new(StringArray::from(bodies.to_vec()))),
    ];
    Table::new("large", batch(columns))
}

/// Two rows of so many columns.
pub fn many_columns(count: usize) -> Table {
    let names: Vec<String> = (1..count).map(|index| format!("c{index:05}")).collect();
    let mut columns = vec![("id", strings(["1", "2"].map(Some)))];
    for (index, name) in (0_i32..).zip(&names) {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(index), None]));
        columns.push((name.as_str(), values));
    }
    Table::new("columns", batch(columns))
}

/// Rows of about so many bytes each, that no packing makes much smaller.
pub fn wide_rows(count: usize, bytes: usize) -> Table {
    let ids = (0..count).map(|index| Some(format!("w{index:06}")));
    let mut chance = Chance(1);
    let bodies = (0..count).map(|index| {
        let mut body = format!("{index} ");
        while body.len() < bytes {
            body.push_str(&format!("{:08x}", chance.bits()));
        }
        body.truncate(bytes);
        Some(body)
    });
    Table::new("wide", batch(vec![("id", strings(ids)), ("body", strings(bodies))]))
}
