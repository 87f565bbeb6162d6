//! Tables of which nothing is known, or of which the present SQL does not tell.

use super::*;

const OVER_STRAY: [File; 2] = [
    ("standard/over.sql", "view", "select case_no, applicant_name as who, fee from standard.stray"),
    ("standard/again.sql", "view", "select who, fee + 1 as fee from standard.over"),
];

#[tokio::test]
async fn nothing_known_is_not_nothing_personal() {
    let world = World::of(&OVER_STRAY, Vec::new(), &ROWS).await;
    for sql in [
        "select * from standard.stray",
        "select * from standard.over",
        "select * from standard.again",
    ] {
        hides(&world.asked(&analyst(), sql).await);
    }
    let told = world.asked(&analyst(), "select sum(fee) as n from standard.again").await;
    assert!(told.contains("|   |"), "a number is not shown either\n{told}");
    let engine = &world.engine;
    assert_eq!(engine.personal_columns("standard.stray").await.unwrap(), None);
    let known = engine.personal_columns("current.office_cases").await.unwrap().unwrap();
    assert_eq!(known.get("applicant_id").map(String::as_str), Some("id_number"));
    assert_eq!(known.get("case_no"), None);
    assert_eq!(engine.personal_columns("ops.streams").await.unwrap(), Some(Tags::new()));
}

const BEFORE: [File; 2] = [
    (
        "standard/contacts.sql",
        "table",
        "select case_no, applicant_name as contact, fee from current.office_cases",
    ),
    ("standard/listed.sql", "view", "select case_no, contact, fee from standard.contacts"),
];
const AFTER: [File; 2] = [
    (
        "standard/contacts.sql",
        "table",
        "select case_no, division_code as contact, fee from current.office_cases",
    ),
    BEFORE[1],
];

#[tokio::test]
async fn rows_are_as_personal_as_when_they_were_computed() {
    let world = World::of(&BEFORE, Vec::new(), &ROWS).await;
    build(&world.engine, "standard.contacts").await;
    let tables = ["standard.contacts", "standard.listed"];
    let everything = |table: &str| format!("select * from {table} order by case_no");
    for table in tables {
        let told = world.asked(&analyst(), &everything(table)).await;
        assert!(told.contains("| A1      | 张**") && told.contains("| 10"), "{told}");
    }
    let old = world.engine.lake().latest_snapshot().await.unwrap();

    let edited = world.edited(&AFTER);
    for table in tables {
        let told = asked(&edited, &analyst(), &everything(table)).await;
        hides(&told);
        assert!(!told.contains("A1") && !told.contains("张"), "{told}");
    }
    assert_eq!(edited.personal_columns(tables[0]).await.unwrap(), None);

    build(&edited, "standard.contacts").await;
    for table in tables {
        let told = asked(&edited, &analyst(), &everything(table)).await;
        assert!(told.contains("| A1      | 340503001000 | 10"), "{told}");
        let session = edited.session_for(Some(old), &analyst()).await.unwrap();
        let told = answer(&session, &everything(table)).await;
        hides(&told);
        assert!(!told.contains("A1") && !told.contains("张"), "{told}");
    }
}

#[tokio::test]
async fn a_table_whose_select_cannot_be_planned_is_hidden_from_views_over_it() {
    let world = World::of(&BEFORE, Vec::new(), &ROWS).await;
    build(&world.engine, "standard.contacts").await;
    let broken = world.edited(&[
        ("standard/contacts.sql", "table", "select gone from current.office_cases"),
        BEFORE[1],
    ]);
    let told = asked(&broken, &analyst(), "select contact from standard.listed").await;
    hides(&told);
    assert!(!told.contains("张"), "{told}");
}

async fn answer(session: &Session, sql: &str) -> String {
    told(session, sql).await
}
