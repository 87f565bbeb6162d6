//! Where personal columns come out of a view.

use super::*;

const VIEWS: [File; 12] = [
    (
        "standard/unnested.sql",
        "view",
        "select case_no, unnest(make_array(applicant_name, applicant_id)) as v from current.office_cases",
    ),
    (
        "standard/parts.sql",
        "view",
        "select unnest(named_struct('no', case_no, 'who', applicant_name)) from current.office_cases",
    ),
    (
        "standard/rolled.sql",
        "view",
        "select applicant_name, division_code, count(*) as n from current.office_cases \
         group by rollup(applicant_name, division_code)",
    ),
    (
        "standard/cubed.sql",
        "view",
        "select substr(applicant_id, 7, 8) as v, division_code, count(*) as n \
         from current.office_cases group by cube(substr(applicant_id, 7, 8), division_code)",
    ),
    (
        "standard/chained.sql",
        "view",
        "with recursive r(no, v, n) as (select case_no, division_code, 1 from current.office_cases \
         union all select r.no, c.applicant_name, r.n + 1 from r \
         join current.office_cases as c on c.case_no = r.no where r.n < 2) select * from r",
    ),
    (
        "standard/passed.sql",
        "view",
        "with recursive r(no, v, w, n) as (\
         select case_no, division_code, applicant_name, 1 from current.office_cases \
         union all select no, w, v, n + 1 from r where n < 3) select no, v, n from r",
    ),
    (
        "standard/stacked.sql",
        "view",
        "select case_no, division_code as v from current.office_cases \
         union all select case_no, applicant_name from current.office_cases",
    ),
    (
        "standard/firsts.sql",
        "view",
        "select distinct on (division_code) case_no, applicant_name as v \
         from current.office_cases order by division_code, case_no",
    ),
    (
        "standard/lagging.sql",
        "view",
        "select case_no, lag(applicant_name) over (order by case_no) as v from current.office_cases",
    ),
    (
        "standard/around.sql",
        "view",
        "select case_no, (select max(b.applicant_name) from current.office_cases as b \
         where b.case_no = a.case_no) as v from current.office_cases as a",
    ),
    (
        "standard/aliased.sql",
        "view",
        "select t.a as case_no, t.b as v \
         from (select case_no, applicant_name from current.office_cases) as t(a, b)",
    ),
    (
        "standard/known.sql",
        "view",
        "select a.case_no, a.applicant_name is not null as v from current.office_cases as a \
         left join current.office_cases as b on a.case_no = b.case_no \
         where exists (select 1 from current.office_cases as c where c.applicant_id = a.applicant_id)",
    ),
];

/// How long a small table may take.
const SOON: std::time::Duration = std::time::Duration::from_secs(60);

// The catalog's reader waits for its connections on the thread it is asked on, so with many
// sessions there must be another to give them back.
#[tokio::test(flavor = "multi_thread")]
async fn personal_columns_are_followed_through_every_node() {
    let world = World::of(&VIEWS, Vec::new(), &ROWS).await;
    for (file, ..) in VIEWS {
        let name = file.replace('/', ".").replace(".sql", "");
        let sql = format!("select * from {name}");
        let told = tokio::time::timeout(SOON, world.asked(&analyst(), &sql)).await;
        hides(&told.unwrap_or_else(|_| panic!("{name} is never read")));
    }
    // What is not personal is still shown beside it.
    for (sql, shown) in [
        ("select case_no from standard.unnested", "A1"),
        ("select division_code from standard.rolled", "340503001000"),
        ("select n from standard.cubed", "2"),
        ("select no, n from standard.chained where n = 2", "| A1 | 2"),
        ("select no from standard.passed", "A1"),
        ("select case_no from standard.stacked", "A1"),
        ("select case_no from standard.firsts", "A1"),
        ("select case_no from standard.around", "A1"),
        ("select case_no from standard.aliased", "A1"),
        ("select case_no, v from standard.known", "| A1      | true"),
    ] {
        let told = world.asked(&analyst(), sql).await;
        assert!(told.contains(shown), "{sql}\n{told}");
    }
}

#[tokio::test]
async fn a_column_of_two_kinds_has_the_mask_of_neither() {
    let sql = "select applicant_name as v from current.office_cases \
               union all select applicant_id from current.office_cases";
    let world = World::of(&[("standard/both.sql", "view", sql)], Vec::new(), &ROWS).await;
    let told = world.asked(&analyst(), "select distinct v from standard.both").await;
    assert!(told.contains("***") && !told.contains('张') && !told.contains("0018"), "{told}");
}

#[tokio::test]
async fn hashes_of_rows_are_as_hidden_as_the_rows() {
    let sql = "select case_no, cast(_row_hash as varchar) as v from current.office_cases";
    let world = World::of(&[("standard/hashed.sql", "view", sql)], Vec::new(), &ROWS).await;
    for table in ["current.office_cases", "history.office_cases", "raw.office_cases"] {
        let told = world.asked(&analyst(), &format!("select count(_row_hash) from {table}")).await;
        assert!(told.contains("| 0 "), "{table}\n{told}");
    }
    let told = world.asked(&analyst(), "select distinct v from standard.hashed").await;
    assert!(told.contains("***") && told.lines().count() == 5, "{told}");
}
