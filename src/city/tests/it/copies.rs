//! Everyone's copy of the cases, read back from the files alone.

use std::collections::BTreeMap;
use std::fs;

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Row};

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

/// The departments' copies: cases with a number, cases without one by internal number, and how
/// many do not decode.
#[derive(Default)]
pub(crate) struct Departments {
    pub(crate) numbered: Copy,
    pub(crate) unnumbered: BTreeMap<String, Seen>,
    pub(crate) broken: u64,
}

impl Departments {
    fn add(&mut self, internal: String, number: Option<String>, seen: Seen) {
        match number.filter(|number| !number.is_empty()) {
            None => assert!(self.unnumbered.insert(internal, seen).is_none()),
            Some(number) => assert!(self.numbered.insert(number, (seen, 1)).is_none()),
        }
    }
}

/// What the departments know, from two front databases and two folders of files.
pub(crate) async fn departments(city: &City) -> Departments {
    let mut found = Departments::default();
    fronts(city, &mut found).await;
    drops(city, &mut found);
    found
}

/// What each department's tables say of its cases, by plain SQL: the newest row of a case counts,
/// and what is fetched by a flag is not fetched yet.
async fn fronts(city: &City, found: &mut Departments) {
    let planning = "select a.project_no, a.local_project_no, r.result_type, a.accept_date, \
         a.task_code, a.org_code, a.applyer_page_code, typeof(a.task_name), \
         a.is_sync is null or a.is_sync = '0' \
         from up_pro_accept_ghj a left join up_pro_result_ghj r on r.project_no = a.project_no \
         where not exists (select 1 from up_pro_accept_ghj b \
           where b.project_no = a.project_no and b.update_time > a.update_time)";
    let land = "select a.internal_no, a.project_no, r.status, \
         (select min(process_date) from inf_apply_process_gtj p \
           where p.internal_no = a.internal_no), \
         a.item_id, a.org_id, a.applicant_paper_code, typeof(a.dept_ql_name), \
         a.sync_sign = '0' \
         from inf_apply_gtj a left join inf_apply_result_gtj r on r.internal_no = a.internal_no \
         where not exists (select 1 from inf_apply_gtj b \
           where b.internal_no = a.internal_no and b.update_date > a.update_date)";
    for (file, table, sql) in
        [("planning.db", "up_pro_accept_ghj", planning), ("land.db", "inf_apply_gtj", land)]
    {
        let mut connection = city.open(file).await;
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        for row in &rows {
            assert!(row.get::<bool, _>(8), "{table} has a row that was fetched");
            if row.get::<&str, _>(7) != "text" {
                found.broken += 1;
                continue;
            }
            let status = match row.get::<Option<&str>, _>(2) {
                None => 30,
                Some("0" | "出证办结") => 50,
                Some("2" | "作废办结") => 53,
                Some("4" | "转报办结") => 55,
                Some("5" | "退回办结") => 52,
                Some("6" | "不予受理") => 31,
                Some(words) => panic!("{words}"),
            };
            let seen = Seen {
                status,
                accept: row.get(3),
                task_code: row.get(4),
                org_code: row.get(5),
                cert_no: row.get(6),
            };
            found.add(row.get(0), row.get(1), seen);
        }
        let all = format!("select count(*) from {table}");
        let all: i64 =
            sqlx::query(AssertSqlSafe(all)).fetch_one(&mut connection).await.unwrap().get(0);
        let name = file.replace("db", table);
        assert_eq!(city.truth["rows"][&name].as_i64(), Some(all), "{name}");
        assert!(all > rows.len() as i64, "nothing in {table} was sent again");
    }
}

/// What the files say. Checks the control files on the way.
fn drops(city: &City, found: &mut Departments) {
    for folder in ["quality", "education"] {
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
                    found.broken += 1;
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
                found.add(record[0].to_owned(), Some(record[1].to_owned()), seen);
            }
        }
    }
}
