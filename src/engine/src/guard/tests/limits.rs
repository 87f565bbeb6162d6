//! Which tables somebody with limits may ask, and which rows of them.

use super::*;

const FILES: [File; 7] = [
    (
        "standard/kept.sql",
        "table",
        "select case_no, nullif(trim(division_code), '') as place, fee from current.office_cases",
    ),
    (
        "standard/counted.sql",
        "table",
        "select division_code, count(*) as n from current.office_cases group by division_code",
    ),
    ("standard/bare.sql", "table", "select case_no, fee from current.office_cases"),
    (
        "standard/made.sql",
        "table",
        "select case_no, concat('340503', '000000') as division_code from current.office_cases",
    ),
    (
        "standard/either.sql",
        "table",
        "select case_no, division_code from current.office_cases union all \
         select case_no, case_no as division_code from current.office_cases",
    ),
    ("standard/over_bare.sql", "view", "select * from standard.bare"),
    ("standard/over_that.sql", "view", "select count(*) as n from standard.over_bare"),
];

/// A window of a department, whose credit code names the county.
const WINDOW: [Row; 4] = [
    ("W1", "11340503000000001A", "甲", "340503198001010018", 1),
    ("W2", "11340521000000002B", "乙", "340503198001010018", 2),
    ("W3", "市政务服务中心", "丙", "340503198001010018", 3),
    ("W4", "11340503000000003", "丁", "340503198001010018", 4),
];

async fn world() -> World {
    let world = World::of(&FILES, Vec::new(), &ROWS).await;
    for name in ["kept", "counted", "bare", "made", "either"] {
        build(&world.engine, &format!("standard.{name}")).await;
    }
    world.put("current", "window_cases", &WINDOW).await;
    world
}

#[tokio::test]
async fn a_stored_table_is_of_those_whom_a_copied_column_names() {
    let world = world().await;
    for (sql, expected) in [
        ("select count(*) as n from standard.kept", "| 3 "),
        ("select count(*) as n from standard.counted", "| 2 "),
        ("select sum(n) as n from standard.counted", "| 3 "),
    ] {
        let told = world.asked(&of_county(), sql).await;
        assert!(told.contains(expected), "{sql}\n{told}");
    }
    // What was computed, or comes from somewhere else in some rows, names nobody.
    for table in ["bare", "made", "either", "over_bare", "over_that", "stray"] {
        for sql in [
            format!("select count(*) from standard.{table}"),
            format!("explain select * from {table}"),
            format!("select 1 from current.office_cases where exists (select 1 from {table})"),
            format!("select * from standard.kept join standard.{table} on true"),
        ] {
            let told = world.asked(&of_county(), &sql).await;
            assert!(told.starts_with("E-LIMITS") && told.contains(table), "{sql}\n{told}");
        }
        assert!(
            !world.asked(&analyst(), &format!("select * from {table}")).await.starts_with("E-")
        );
    }
}

#[tokio::test]
async fn a_division_covers_those_below_it_and_no_others() {
    let world = world().await;
    let count = "select count(*) as n from current.office_cases";
    for (divisions, expected) in [
        (vec!["340503"], 3),
        (vec!["340503000000"], 3),
        (vec!["340503001"], 2),
        (vec!["340503001000"], 2),
        (vec!["340521", "340503002000"], 3),
        (vec!["340500"], 5),
        (vec!["340000"], 5),
        (vec!["340522"], 0),
        (vec!["330000"], 0),
    ] {
        let told = world.asked(&within(&divisions, &[]), count).await;
        assert!(told.contains(&format!("| {expected} ")), "{divisions:?}\n{told}");
    }
    // Something that is no code covers nothing.
    assert!(world.asked(&within(&["34"], &[]), count).await.contains("| 0 "));
}

#[tokio::test]
async fn a_department_is_its_code_or_name_and_its_code_tells_the_division() {
    let world = world().await;
    let list = "select string_agg(case_no, ',' order by case_no) as n from current.window_cases";
    for (divisions, departments, expected) in [
        (vec![], vec!["11340521000000002B"], "| W2 "),
        (vec![], vec!["市政务服务中心", "11340503000000001A"], "| W1,W3 "),
        (vec!["340503"], vec![], "| W1 "),
        (vec!["340500"], vec![], "| W1,W2 "),
        (vec!["340503"], vec!["11340521000000002B"], "|   "),
        (vec!["340521"], vec!["11340521000000002B"], "| W2 "),
        // The code of a department tells no street.
        (vec!["340503001"], vec![], "|   "),
    ] {
        let told = world.asked(&within(&divisions, &departments), list).await;
        assert!(told.contains(expected), "{divisions:?} {departments:?}\n{told}");
    }
    // Its rows are of divisions, and of no department.
    for table in ["current.office_cases", "standard.counted", "standard.kept"] {
        let told =
            world.asked(&within(&["340503"], &["x"]), &format!("select * from {table}")).await;
        assert!(told.starts_with("E-LIMITS"), "{told}");
    }
}

#[tokio::test]
async fn what_was_built_by_another_select_is_closed() {
    let world = world().await;
    let edited = world.edited(&[(
        "standard/kept.sql",
        "table",
        "select case_no, division_code as place, fee from current.office_cases",
    )]);
    let sql = "select * from standard.kept";
    assert!(asked(&edited, &of_county(), sql).await.starts_with("E-LIMITS"));
    // What one viewer may not see is not taken for unknown by others.
    assert!(world.asked(&of_county(), sql).await.contains("A1"));
    assert!(world.asked(&analyst(), sql).await.contains("A3"));
}

#[tokio::test]
async fn rows_of_a_figure_are_those_that_are_seen() {
    let world = world().await;
    let viewer = of_county();
    let session = world.engine.session_within(None, &viewer.limits).await.unwrap();
    let found = session.collect("select * from current.office_cases", None).await.unwrap();
    let shown = world.engine.shown(&session, "current.office_cases", found, &viewer).await.unwrap();
    let told = pretty_format_batches(&shown).unwrap().to_string();
    hides(&told);
    assert!(told.contains("A1") && told.contains("张**") && !told.contains("A3"), "{told}");
}
