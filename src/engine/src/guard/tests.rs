//! What a viewer is told, and that hidden data changes nothing of it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use huiliu_core::calendar::Calendar;
use huiliu_core::code_table::CodeTables;
use huiliu_core::model::Model;
use huiliu_core::reconcile::Reconciliation;
use huiliu_lake::{Commit, FileWriter, Lake, TableChange};
use huiliu_store::ModelRow;
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

/// A model's file: where it is, whether it is a view or a table, its SELECT.
type File = (&'static str, &'static str, &'static str);

const MODELS: [File; 3] = [
    (
        "standard/people.sql",
        "view",
        "select case_no, division_code, applicant_name as who, trim(applicant_id) as number, \
         substr(applicant_id, 7, 8) as born, id_card_valid(applicant_id) as is_valid, \
         mask_name(applicant_name) as short, fee from current.office_cases",
    ),
    (
        "standard/loads.sql",
        "view",
        "select division_code, count(distinct applicant_id) as people, max(applicant_name) as last, \
         sum(length(applicant_name)) as letters, sum(fee) as fees \
         from current.office_cases group by division_code",
    ),
    (
        "standard/busy.sql",
        "view",
        "select who, case when number like '3405%' then 'here' else who end as place, \
         case when number like '3405%' then 'here' else 'away' end as side from standard.people",
    ),
];

/// Words that a masked viewer must not be told.
const HIDDEN: [&str; 5] = ["小明", "大海", "198001010018", "0101001", "19800101"];

struct World {
    engine: Engine,
    folder: TempDir,
}

impl World {
    async fn new(rows: &[Row]) -> Self {
        Self::of(&MODELS, Vec::new(), rows).await
    }

    async fn of(models: &[File], recs: Vec<Reconciliation>, rows: &[Row]) -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(&folder.path().join("data")).await.unwrap();
        std::fs::create_dir_all(folder.path().join("spill")).unwrap();
        let engine = engine(lake, folder.path(), models, recs);
        let world = Self { engine, folder };
        world.put("current", "office_cases", rows).await;
        world.put("history", "office_cases", rows).await;
        world.put("standard", "stray", rows).await;
        world
    }

    /// The same lake under other models.
    fn edited(&self, models: &[File]) -> Engine {
        engine(self.engine.lake().clone(), self.folder.path(), models, Vec::new())
    }

    async fn put(&self, schema: &str, name: &str, rows: &[Row]) {
        let texts = |value: fn(&Row) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
        };
        let fees: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.4)));
        let hashes = BinaryArray::from_iter_values(rows.iter().map(|r| format!("{r:?}")));
        let mut columns = vec![
            ("case_no", texts(|r| r.0), true),
            ("division_code", texts(|r| r.1), true),
            ("applicant_name", texts(|r| r.2), true),
            ("applicant_id", texts(|r| r.3), true),
            ("fee", fees, true),
            ("_row_hash", Arc::new(hashes), true),
        ];
        if schema == "history" {
            let runs = Int64Array::from_iter_values(rows.iter().map(|_| 1));
            columns.push(("_superseded_run", Arc::new(runs), true));
        }
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
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
        asked(&self.engine, viewer, sql).await
    }
}

fn engine(lake: Lake, folder: &Path, models: &[File], recs: Vec<Reconciliation>) -> Engine {
    let functions = DomainFunctions {
        calendar: Arc::new(Calendar::parse(HOLIDAYS, "holidays").unwrap()),
        codes: Arc::new(CodeTables::from_files(Vec::new()).unwrap()),
    };
    let options = EngineOptions {
        memory_bytes: 256 << 20,
        spill: folder.join("spill"),
        partitions: 2,
        zone: chrono_tz::Asia::Shanghai,
    };
    let models = models.iter().map(|(file, kind, sql)| {
        let text = format!("/* +++\nkind = \"{kind}\"\ndescription = \"x\"\n+++ */\n{sql}");
        Model::parse(Path::new(file), &text).unwrap()
    });
    let pipelines = Pipelines::new(models.collect(), Vec::new()).unwrap();
    let pipelines = pipelines.with_reconciliations(recs).unwrap();
    let tag = |column: &str, tag: &str| (column.to_owned(), tag.to_owned());
    let tags: Tags = [
        tag("applicant_name", "name"),
        tag("applicant_id", "id_number"),
        tag("division_code", "division"),
    ]
    .into();
    let departments: Tags = [tag("division_code", "department")].into();
    Engine::new(lake, pipelines, functions, options, FileHashes::new()).with_personal(
        [
            ("office_cases".to_owned(), tags),
            ("city_cases".to_owned(), Tags::new()),
            ("window_cases".to_owned(), departments),
        ]
        .into(),
    )
}

/// Builds the table of a model and notes that.
async fn build(engine: &Engine, name: &str) {
    let model = engine.pipelines().model(name).unwrap();
    let built = engine.build(model, None, false).await.unwrap().unwrap();
    noted(engine, name, built.commit, built.fingerprint).await;
}

/// Commits what was computed, with where it came from.
async fn noted(engine: &Engine, name: &str, commit: Commit, fingerprint: String) {
    let mut tx = engine.lake().store().begin().await.unwrap();
    let snapshot_id = commit.write(&mut tx).await.unwrap();
    tx.put_model(&ModelRow {
        name: name.to_owned(),
        fingerprint,
        snapshot_id,
        row_count: 0,
        run_id: 1,
        built_at: String::new(),
    })
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

async fn asked(engine: &Engine, viewer: &Viewer, sql: &str) -> String {
    let session = engine.session_for(None, viewer).await.unwrap();
    told(&session, sql).await
}

/// An answer in which nothing is that is hidden.
fn hides(told: &str) {
    assert!(!told.starts_with("E-"), "{told}");
    for word in HIDDEN {
        assert!(!told.contains(word), "{word} in\n{told}");
    }
}

fn all() -> Viewer {
    Viewer { unmasked: true, ..Viewer::default() }
}

/// What a session answers, or how it refuses.
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
    within(&["340503"], &[])
}

fn within(divisions: &[&str], departments: &[&str]) -> Viewer {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let limits = Limits { divisions: owned(divisions), departments: owned(departments) };
    Viewer { limits, ..Viewer::default() }
}

#[tokio::test]
async fn personal_columns_are_masked_wherever_they_go() {
    let world = World::new(&ROWS).await;
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
        hides(&world.asked(&analyst(), sql).await);
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
    assert!(world.asked(&all(), "select * from standard.people").await.contains("张小明"));
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
        // A view is computed from what is seen, whatever columns it has.
        ("select count(*) as n from standard.busy", "| 3 "),
        ("select count(*) as n from standard.loads", "| 2 "),
        ("select count(*) as n from raw.office_cases where _superseded", "| 3 "),
    ] {
        let told = world.asked(&of_county(), sql).await;
        assert!(told.contains(expected), "{sql}\n{told}");
    }
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
        assert!(told.contains("GuardedTable: "), "{told}");
        for word in [".parquet", "masked_", "starts_with", "DataSource", "340503"] {
            assert!(!told.contains(word), "{word} in\n{told}");
        }
    }
}

mod alike;
mod columns;
mod hub;
mod limits;
mod reconciled;
mod stored;
