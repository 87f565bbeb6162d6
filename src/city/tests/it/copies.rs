//! Everyone's copy of the cases, read back from the files alone.

use std::collections::BTreeMap;
use std::fs;

use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::City;

/// A case in one copy.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) status: i64,
    pub(crate) accept: String,
    pub(crate) task_code: String,
    pub(crate) org_code: String,
    pub(crate) cert_no: String,
}

/// A copy: the case of each number, and how many equally new rows it has.
pub(crate) type Copy = BTreeMap<String, (Seen, usize)>;

/// The city's copy, without rows whose name is not text, and those rows' number.
pub(crate) async fn city(city: &City) -> (Copy, u64) {
    let mut connection = city.open("operation.db").await;
    let rows = sqlx::query(
        "select a.project_no, a.accept_date, a.task_code, a.org_code, a.applyer_page_code, \
         a.update_time, a.cd_operation, typeof(a.applyer_name), r.result_type \
         from up_pro_accept a left join up_pro_result r on r.project_no = a.project_no",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut copy = Copy::new();
    let mut newest: BTreeMap<String, String> = BTreeMap::new();
    let mut unreadable = 0;
    for row in rows {
        if row.get::<String, _>(7) != "text" {
            unreadable += 1;
            continue;
        }
        let result: Option<String> = row.get(8);
        let status = match (row.get::<&str, _>(6), result.as_deref()) {
            ("D", _) | (_, Some("3")) => 56,
            (_, None) => 30,
            (_, Some("0")) => 50,
            (_, Some("1")) => 52,
            (_, Some("2")) => 53,
            (_, Some("4")) => 55,
            (_, Some("6")) => 57,
            (_, Some(code)) => panic!("result {code} is not of the early list"),
        };
        let seen = Seen {
            status,
            accept: row.get(1),
            task_code: row.get(2),
            org_code: row.get(3),
            cert_no: row.get(4),
        };
        keep_newest(&mut copy, &mut newest, row.get(0), row.get(5), seen);
    }
    (copy, unreadable)
}

/// The province's copy.
pub(crate) async fn province(city: &City) -> Copy {
    let mut connection = city.open("province.db").await;
    let rows = sqlx::query(
        "select project_no, accept_date, task_code, org_code, cert_no, data_version, result_type \
         from cases",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut copy = Copy::new();
    let mut newest: BTreeMap<String, String> = BTreeMap::new();
    for row in rows {
        let result: Option<String> = row.get(6);
        let status = match result.as_deref() {
            None => 30,
            Some("0") => 50,
            Some("1") => 51,
            Some("2") => 53,
            Some("3") => 56,
            Some("4") => 55,
            Some("5") => 52,
            Some("6") => 31,
            Some(code) => panic!("result {code} is not of the later list"),
        };
        let seen = Seen {
            status,
            accept: row.get(1),
            task_code: row.get(2),
            org_code: row.get(3),
            cert_no: row.get(4),
        };
        let version = format!("{:09}", row.get::<i64, _>(5));
        keep_newest(&mut copy, &mut newest, row.get(0), version, seen);
    }
    copy
}

fn keep_newest(
    copy: &mut Copy,
    newest: &mut BTreeMap<String, String>,
    number: String,
    version: String,
    seen: Seen,
) {
    match newest.get(&number) {
        Some(before) if *before > version => {}
        Some(before) if *before == version => {
            copy.entry(number).and_modify(|(_, count)| *count += 1);
        }
        _ => {
            newest.insert(number.clone(), version);
            copy.insert(number, (seen, 1));
        }
    }
}

/// The departments' copies: lines with a number, lines without one by internal number, and
/// how many lines do not decode. Checks the control files on the way.
pub(crate) fn departments(city: &City) -> (Copy, BTreeMap<String, Seen>, u64) {
    let mut numbered = Copy::new();
    let mut unnumbered = BTreeMap::new();
    let mut broken = 0;
    for folder in ["planning", "land", "quality", "education"] {
        for entry in fs::read_dir(city.dir().join("drops").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().unwrap() != "csv" {
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = fs::read(&path).unwrap();
            let lines: Vec<&[u8]> =
                bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
            let control = fs::read_to_string(path.with_extension("ctl")).unwrap();
            let digest = format!("{:x}", Sha256::digest(&bytes));
            let rows = lines.len() - 1;
            assert_eq!(control, format!("file={name}\nrows={rows}\nsha256={digest}\n"));
            let in_truth = city.truth["rows"][format!("drops/{folder}/{name}")].as_u64();
            assert_eq!(in_truth, Some(rows as u64));
            for line in &lines[1..] {
                let (text, _, has_errors) = encoding_rs::GB18030.decode(line);
                if has_errors {
                    broken += 1;
                    continue;
                }
                let mut reader = csv::ReaderBuilder::new()
                    .has_headers(false)
                    .from_reader(text.trim_end().as_bytes());
                let record = reader.records().next().unwrap().unwrap();
                assert_eq!(record.len(), 12);
                assert!(record[7][..7].replace('-', "") == name[6..12], "{name}");
                let seen = Seen {
                    status: match &record[9] {
                        "受理" => 30,
                        "不予受理" => 31,
                        "出证办结" => 50,
                        "退回办结" => 52,
                        "作废办结" => 53,
                        "转报办结" => 55,
                        words => panic!("{words}"),
                    },
                    accept: record[7].to_owned(),
                    task_code: record[2].to_owned(),
                    org_code: record[10].to_owned(),
                    cert_no: record[5].to_owned(),
                };
                if record[1].is_empty() {
                    assert!(unnumbered.insert(record[0].to_owned(), seen).is_none());
                } else {
                    assert!(numbered.insert(record[1].to_owned(), (seen, 1)).is_none());
                }
            }
        }
    }
    (numbered, unnumbered, broken)
}
