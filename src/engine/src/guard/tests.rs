//! What a viewer is told, and that hidden data changes nothing of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use huiliu_core::calendar::Calendar;
use huiliu_core::code_table::CodeTables;
use huiliu_core::model::Model;
use huiliu_lake::{Commit, FileWriter, Lake, TableChange};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::*;
use crate::function::DomainFunctions;
use crate::{EngineOptions, FileHashes, Pipelines, Tags};

const HOLIDAYS: &str = include_str!("../../../../config/calendar/holidays.csv");

/// One row: case, division, name, identity number, fee.
type Row = (&'static str, &'static str, &'static str, &'static str, i64);

const ROWS: [Row; 5] = [
    ("A1", "340503001000", "张小明", "340503198001010018", 10),
    ("A2", "340503002000", "李明", "340503198505050025", 20),
    ("A3", "340521001000", "王大海", "340521199012120035", 30),
    ("A4", "340521001000", "张小明", "340503198001010018", 0),
    ("A5", "340503001000", "欧阳一", "340503197707070047", 50),
];

const MODELS: [(&str, &str); 3] = [
    (
        "standard/people.sql",
        "/* +++\nkind = \"view\"\ndescription = \"x\"\n+++ */\n\
         select case_no, division_code, applicant_name as who, trim(applicant_id) as number, \
         substr(applicant_id, 7, 8) as born, id_card_valid(applicant_id) as is_valid, \
         mask_name(applicant_name) as short, fee from current.office_cases",
    ),
    (
        "standard/loads.sql",
        "/* +++\nkind = \"view\"\ndescription = \"x\"\n+++ */\n\
         select division_code, count(distinct applicant_id) as people, max(applicant_name) as last, \
         sum(length(applicant_name)) as letters, sum(fee) as fees \
         from current.office_cases group by division_code",
    ),
    (
        "standard/busy.sql",
        "/* +++\nkind = \"view\"\ndescription = \"x\"\n+++ */\n\
         select who, case when number like '3405%' then 'here' else who end as place, \
         case when number like '3405%' then 'here' else 'away' end as side from standard.people",
    ),
];

struct World {
    engine: Engine,
    _folder: TempDir,
}

impl World {
    async fn new(rows: &[Row]) -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(&folder.path().join("data")).await.unwrap();
        let functions = DomainFunctions {
            calendar: Arc::new(Calendar::parse(HOLIDAYS, "holidays").unwrap()),
            codes: Arc::new(CodeTables::from_files(Vec::new()).unwrap()),
        };
        let spill = folder.path().join("spill");
        std::fs::create_dir_all(&spill).unwrap();
        let options = EngineOptions {
            memory_bytes: 256 << 20,
            spill,
            partitions: 2,
            zone: chrono_tz::Asia::Shanghai,
        };
        let models = MODELS.iter().map(|(file, text)| Model::parse(Path::new(file), text).unwrap());
        let pipelines = Pipelines::new(models.collect(), Vec::new()).unwrap();
        let tag = |column: &str, tag: &str| (column.to_owned(), tag.to_owned());
        let tags: Tags = [tag("applicant_name", "name"), tag("applicant_id", "id_number")].into();
        let engine = Engine::new(lake, pipelines, functions, options, FileHashes::new())
            .with_personal(BTreeMap::from([("office_cases".to_owned(), tags)]));
        let world = Self { engine, _folder: folder };
        world.put("current", "office_cases", rows).await;
        world.put("standard", "stray", rows).await;
        world
    }

    async fn put(&self, schema: &str, name: &str, rows: &[Row]) {
        let texts = |value: fn(&Row) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
        };
        let fees: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.4)));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("case_no", texts(|r| r.0), true),
            ("division_code", texts(|r| r.1), true),
            ("applicant_name", texts(|r| r.2), true),
            ("applicant_id", texts(|r| r.3), true),
            ("fee", fees, true),
        ])
        .unwrap();
        let lake = self.engine.lake();
        let mut tx = lake.store().begin().await.unwrap();
        let table = lake.ensure_table(&mut tx, schema, name, &batch.schema()).await.unwrap();
        let mut change = TableChange::new(table.clone());
        let mut writer = FileWriter::create(&table).unwrap();
        writer.write(&batch).unwrap();
        change.added.push((writer.finish().unwrap(), None));
        let commit =
            Commit { changes: vec![change], author: "test".into(), message: String::new() };
        commit.write(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What `viewer` is told.
    async fn asked(&self, viewer: &Viewer, sql: &str) -> String {
        let session = self.engine.session_for(None, viewer).await.unwrap();
        told(&session, sql).await
    }
}

async fn told(session: &Session, sql: &str) -> String {
    match session.collect(sql, None).await {
        Ok(batches) => pretty_format_batches(&batches).unwrap().to_string(),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

fn analyst() -> Viewer {
    Viewer { pseudonym: Some(Arc::new(|text| format!("p{}", text.len()))), ..Viewer::default() }
}

fn of_county() -> Viewer {
    let rows = RowFilter { column: "division_code".into(), prefixes: vec!["340503".into()] };
    Viewer { rows: vec![rows], ..Viewer::default() }
}

#[tokio::test]
async fn personal_columns_are_masked_wherever_they_go() {
    let world = World::new(&ROWS).await;
    let cells = |told: &str, hidden: &[&str]| {
        for word in hidden {
            assert!(!told.contains(word), "{word} in\n{told}");
        }
    };
    let hidden = ["小明", "大海", "198001010018", "0101001", "19800101"];
    for sql in [
        "select * from current.office_cases",
        "select * from standard.people",
        "select * from standard.loads",
        "select * from standard.busy",
        "select max(applicant_name), min(applicant_id) from current.office_cases",
        "select substr(applicant_id, 7, 8) from current.office_cases",
        "select p.who, c.applicant_name from standard.people p join current.office_cases c using (case_no)",
        "select string_agg(who, ',') from standard.people",
        "select * from standard.stray",
    ] {
        let told = world.asked(&analyst(), sql).await;
        cells(&told, &hidden);
        assert!(!told.starts_with("E-"), "{sql}: {told}");
    }
    let told = world.asked(&analyst(), "select * from standard.people order by case_no").await;
    for word in ["张**", "340503********0018", "***", "true", "A1"] {
        assert!(told.contains(word), "{word} in\n{told}");
    }
    let told =
        world.asked(&analyst(), "select people, letters from standard.loads order by 1").await;
    assert!(
        told.contains("| 2      |         |"),
        "a count is no personal data, a sum of lengths may be\n{told}"
    );
    let told = world.asked(&analyst(), "select distinct side, place from standard.busy").await;
    assert!(told.contains("| here | h***  |"), "{told}");
    let all = Viewer { unmasked: true, ..Viewer::default() };
    assert!(world.asked(&all, "select * from standard.people").await.contains("张小明"));
}

#[tokio::test]
async fn predicates_see_masks_and_pseudonyms_join() {
    let world = World::new(&ROWS).await;
    let count = "select count(*) as n from current.office_cases where ";
    for (predicate, found) in [
        ("applicant_name = '张小明'", 0),
        ("applicant_name = '张**'", 2),
        ("applicant_id like '%19800101%'", 0),
        ("case_no in ('A1', 'A2')", 2),
        ("fee > 15", 3),
    ] {
        let told = world.asked(&analyst(), &format!("{count}{predicate}")).await;
        assert!(told.contains(&format!("| {found} ")), "{predicate}\n{told}");
    }
    let joined = "select count(*) as n from current.office_cases a join current.office_cases b \
                  on a.applicant_id_pseudonym = b.applicant_id_pseudonym";
    assert!(world.asked(&analyst(), joined).await.contains("| 25 "));
    let told = world
        .asked(&Viewer::default(), "select applicant_id_pseudonym from current.office_cases")
        .await;
    assert!(told.starts_with("E-SQL"), "{told}");
}

#[tokio::test]
async fn rows_of_others_are_not_there() {
    let world = World::new(&ROWS).await;
    for (sql, expected) in [
        ("select count(*) as n from current.office_cases", "| 3 "),
        ("select count(*) as n from standard.people where case_no = 'A3'", "| 0 "),
        ("select min(fee) as n from current.office_cases", "| 10 "),
        ("select sum(1 / fee) as n from current.office_cases", "| 0 "),
    ] {
        let told = world.asked(&of_county(), sql).await;
        assert!(told.contains(expected), "{sql}\n{told}");
    }
    // It has no division, so nobody can say whose its rows are.
    let told = world.asked(&of_county(), "select * from standard.busy").await;
    assert!(told.starts_with("E-SQL"), "{told}");
    let all = world.asked(&analyst(), "select sum(1 / fee) as n from current.office_cases").await;
    assert!(all.starts_with("E-QUERY"), "a fee of zero is seen by who may see its row: {all}");
}

#[tokio::test]
async fn explain_ends_at_the_guard() {
    let world = World::new(&ROWS).await;
    for sql in [
        "explain select * from standard.people where fee = 10",
        "explain verbose select count(*) from current.office_cases",
        "explain analyze select who from standard.people",
    ] {
        let told = world.asked(&of_county(), sql).await;
        for word in [".parquet", "masked_", "starts_with", "DataSource", "340503"] {
            assert!(!told.contains(word), "{word} in\n{told}");
        }
    }
}

/// Hidden parts of the same rows are others, and other rows of another county are there.
const OTHER: [Row; 6] = [
    ("A1", "340503001000", "张建国", "340503196512310018", 10),
    ("A2", "340503002000", "李红", "340503200011110025", 20),
    ("B3", "340521001000", "赵四", "340521199912120035", 0),
    ("B4", "340521002000", "钱五六", "340521198001010018", 77),
    ("B6", "340501002000", "孙七", "340501198001010018", -4),
    ("A5", "340503001000", "欧阳二", "340503196607070047", 50),
];

/// A random statement over what a viewer of one county can name.
fn statement(random: &mut StdRng) -> String {
    let mut pick = |choices: &[&str]| choices[random.random_range(0..choices.len())].to_owned();
    let (table, name, number) = match pick(&["c", "p"]).as_str() {
        "c" => ("current.office_cases", "applicant_name", "applicant_id"),
        _ => ("standard.people", "who", "number"),
    };
    let value = pick(&[
        name,
        number,
        "case_no",
        "fee",
        "1 / (fee - 10)",
        "1 / fee",
        "cast(right(case_no, 1) as int)",
        "division_code",
    ]);
    let shown = match pick(&["plain", "aggregate", "group", "window"]).as_str() {
        "plain" => format!("select {value} as v from {table}"),
        "aggregate" => format!(
            "select {}({value}) as v, count(*) as n from {table}",
            pick(&["min", "max", "count", "count(distinct", "array_agg"])
                .replace("count(distinct", "count")
        ),
        "group" => format!("select {value} as v, count(*) as n from {table}"),
        _ => format!(
            "select {value} as v, row_number() over (order by {value}, case_no) as n from {table}"
        ),
    };
    let filter = pick(&[
        "",
        "where fee > 5",
        "where fee between 0 and 30",
        "where 10 / fee > 0",
        "where {n} like '张%'",
        "where {n} < '李'",
        "where {i} in (select {i} from {t} where fee = 0)",
        "where exists (select 1 from standard.people as q where q.number = {i} and q.fee <> fee)",
        "where case_no not in (select case_no from standard.people)",
        "where length({i}) = 18 and substr({i}, 7, 8) > '19700101'",
    ]);
    let filter = filter.replace("{n}", name).replace("{i}", number).replace("{t}", table);
    let tail = if shown.contains("count(*) as n from")
        && shown.starts_with(&format!("select {value} as v, count"))
    {
        format!("group by {value} order by 1, 2")
    } else if shown.contains("count(*)") {
        String::new()
    } else {
        format!("order by 1 {}", pick(&["", "limit 2"]))
    };
    let explain = pick(&["", "", "", "explain "]);
    format!("{explain}{shown} {filter} {tail}")
}

#[tokio::test]
async fn two_lakes_that_differ_in_hidden_data_answer_alike() {
    let (statements, seed) = (200, 20_181_213);
    println!("seed {seed}");
    let (one, other) = (World::new(&ROWS).await, World::new(&OTHER).await);
    let viewer = of_county();
    let (one, other) = (
        one.engine.session_for(None, &viewer).await.unwrap(),
        other.engine.session_for(None, &viewer).await.unwrap(),
    );
    let mut random = StdRng::seed_from_u64(seed);
    let mut answered = 0;
    for _ in 0..statements {
        let sql = statement(&mut random);
        let (left, right) = (told(&one, &sql).await, told(&other, &sql).await);
        answered += usize::from(!left.starts_with("E-"));
        assert_eq!(left, right, "{sql}");
    }
    assert!(answered * 2 > statements, "only {answered} of {statements} statements were answered");
}
