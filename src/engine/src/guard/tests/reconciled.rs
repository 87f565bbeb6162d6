//! What a reconciliation tells of the rows it compared.

use super::*;
use crate::reconcile::ReconcileRequest;

const FILES: [File; 2] = [
    (
        "standard/office.sql",
        "view",
        "select nullif(case_no, 'A2') as case_no, applicant_name, applicant_id, fee \
         from current.office_cases",
    ),
    ("standard/agreed.sql", "view", "select case_no, applicant_name, fee from reconciled.cases"),
];

const CITY: [Row; 2] = [
    ("A1", "340503001000", "张晓明", "340503198001010018", 11),
    ("A3", "340521001000", "王大海", "340521199012120035", 30),
];

/// `row` tells rows of the office apart.
fn reconciliation(row: &str) -> Reconciliation {
    let text = format!(
        "version = 1\nentity = \"case\"\ntitle = \"办件\"\nkey = [\"case_no\"]\n\
         [systems.office]\ntable = \"standard.office\"\n{row}\n\
         [systems.city]\ntable = \"current.city_cases\"\n\
         [fields.applicant_name]\n[fields.fee]\n"
    );
    Reconciliation::parse(Path::new("case.toml"), &text).unwrap()
}

async fn reconciled(rec: Reconciliation) -> World {
    let world = World::of(&FILES, vec![rec.clone()], &ROWS).await;
    world.put("current", "city_cases", &CITY).await;
    let request = ReconcileRequest {
        reconciliation: &rec,
        run: 1,
        received_at: 1,
        wall_time: 1,
        last: None,
        everything: true,
    };
    let done = world.engine.reconcile(request).await.unwrap().unwrap();
    noted(&world.engine, &rec.table(), done.commit, done.fingerprint).await;
    world
}

#[tokio::test]
async fn golden_tables_and_ledgers_tell_no_person() {
    let world = reconciled(reconciliation("row = \"applicant_id\"")).await;
    for table in ["cases", "case_differences", "case_events", "case_ledger", "case_repairs"] {
        let told = world.asked(&analyst(), &format!("select * from reconciled.{table}")).await;
        hides(&told);
        for word in ["晓明", "19850505"] {
            assert!(!told.contains(word), "{word} in\n{told}");
        }
    }
    let golden = "select case_no, fee, applicant_name, count(input_hash) as i, count(_row_hash) as r \
                  from reconciled.cases where case_no = 'A3' group by 1, 2, 3";
    let told = world.asked(&analyst(), golden).await;
    assert!(told.contains("| A3      | 30  | 王**") && told.contains("| 0 | 0 |"), "{told}");
    // The view was learned of before the reconciliation that it reads.
    let told = world.asked(&analyst(), "select * from standard.agreed where case_no = 'A3'").await;
    assert!(told.contains("| A3      | 王**") && told.contains("| 30  |"), "{told}");

    for table in ["case_differences", "case_events"] {
        let rows = |columns: &str, condition: &str| {
            format!("select distinct {columns} from reconciled.{table} where {condition}")
        };
        let sql = rows("entity_key, difference_id, reason", "rule = 'unkeyed'");
        let told = world.asked(&analyst(), &sql).await;
        assert!(told.contains("| ***        | ***           |        |"), "{told}");
        let told = world.asked(&analyst(), &rows("entity_key, found", "field = 'fee'")).await;
        assert!(told.contains("| A1         | 1"), "{told}");
        let told =
            world.asked(&analyst(), &rows("entity_key, found", "field = 'applicant_name'")).await;
        assert!(told.contains("| A1         | ***"), "{told}");
    }
    assert!(
        world
            .asked(&all(), "select entity_key from reconciled.case_ledger")
            .await
            .contains("19850505")
    );
}

#[tokio::test]
async fn a_row_without_a_name_is_called_by_a_hash_of_it() {
    let world = reconciled(reconciliation("")).await;
    let sql = "select distinct entity_key from reconciled.case_ledger where rule = 'unkeyed'";
    assert!(world.asked(&analyst(), sql).await.contains("| *** "), "the hash is of a person's row");
}

#[tokio::test]
async fn rows_that_another_file_reconciled_are_unknown() {
    let world = reconciled(reconciliation("row = \"applicant_id\"")).await;
    let lake = world.engine.lake().clone();
    let text = "version = 1\nentity = \"case\"\ntitle = \"办件\"\nkey = [\"case_no\"]\n\
                [systems.office]\ntable = \"standard.office\"\ncolumns = { applicant_name = \"fee\" }\n\
                [systems.city]\ntable = \"current.city_cases\"\n\
                columns = { applicant_name = \"fee\" }\n[fields.applicant_name]\n";
    let other = Reconciliation::parse(Path::new("case.toml"), text).unwrap();
    let edited = engine(lake, world.folder.path(), &FILES, vec![other]);
    for sql in [
        "select * from reconciled.cases",
        "select case_no, applicant_name from standard.agreed",
        "select * from reconciled.case_ledger",
    ] {
        let told = asked(&edited, &analyst(), sql).await;
        hides(&told);
        assert!(!told.contains("A3") && !told.contains('王'), "{told}");
    }
}
