//! What the hub tells of itself: errors, steps, audits, quarantine, sealed rows.

use huiliu_store::{Balance, QuarantinedRow, StepRow, VerdictRow};

use super::*;

const BROKEN: [File; 1] = [(
    "standard/broken.sql",
    "view",
    "select case_no, division_code from current.office_cases where cast(applicant_name as int) > 0",
)];

#[tokio::test]
async fn errors_below_the_guard_quote_nothing() {
    let world = World::of(&BROKEN, Vec::new(), &ROWS).await;
    let sql = "select case_no from standard.broken";
    for viewer in [analyst(), of_county(), Viewer { unmasked: true, ..of_county() }] {
        let told = world.asked(&viewer, sql).await;
        assert!(told.starts_with("E-QUERY") && told.contains("standard.broken"), "{told}");
        for (.., name, _, _) in ROWS {
            assert!(!told.contains(name), "{told}");
        }
    }
    let told = world.asked(&all(), sql).await;
    assert!(ROWS.iter().any(|(.., name, _, _)| told.contains(name)), "{told}");
}

#[tokio::test]
async fn texts_of_the_hub_may_quote_rows() {
    let world = World::new(&ROWS).await;
    let store = world.engine.lake().store();
    let now = "2018-12-13T00:00:00Z";
    let run_id = store.start_run(None, "+", "test", now).await.unwrap();
    let quoting = || "`张小明` is no number".to_owned();
    let mut tx = store.begin().await.unwrap();
    tx.put_step(&StepRow {
        run_id,
        node: "standard.people".into(),
        kind: "model".into(),
        state: "failed".into(),
        balance: Balance::default(),
        snapshot_id: None,
        code: Some("E-QUERY".into()),
        message: Some(quoting()),
        hint: None,
        started_at: now.into(),
        finished_at: None,
    })
    .await
    .unwrap();
    tx.put_verdict(&VerdictRow {
        audit: "audits.a".into(),
        run_id,
        severity: "warn".into(),
        fingerprint: String::new(),
        row_count: 1,
        examples: quoting(),
        found_at: now.into(),
    })
    .await
    .unwrap();
    let row = QuarantinedRow {
        origin: "cases.csv".into(),
        position: 1,
        code: "E-CELL".into(),
        reason: quoting(),
        sealed: Vec::new(),
    };
    tx.put_quarantine(run_id, "office", "cases", &[row], now).await.unwrap();
    tx.commit().await.unwrap();
    for (sql, shown) in [
        ("select code, message from ops.steps", "| E-QUERY | ***"),
        ("select audit, examples from ops.audits", "| audits.a | ***"),
        ("select code, reason from quarantine.rows", "| E-CELL | ***"),
    ] {
        let told = world.asked(&analyst(), sql).await;
        assert!(told.contains(shown), "{told}");
        assert!(world.asked(&all(), sql).await.contains("张小明"));
        // Nobody can say whose they are.
        let told = world.asked(&of_county(), sql).await;
        let is_counted = sql.ends_with("ops.steps");
        assert_eq!(told.starts_with("E-LIMITS"), !is_counted, "{told}");
        hides(told.strip_prefix("E-LIMITS").unwrap_or(&told));
    }
}

#[tokio::test]
async fn sealed_rows_are_no_published_figures() {
    let world = World::new(&ROWS).await;
    world.put("metrics", "figures", &ROWS).await;
    world.put("metrics", "sealed_online", &ROWS).await;
    let count = |table: &str| format!("select count(fee) as n from metrics.{table}");
    assert!(world.asked(&of_county(), &count("figures")).await.contains("| 5 "));
    let told = world.asked(&of_county(), &count("sealed_online")).await;
    assert!(told.starts_with("E-LIMITS") && told.contains("metrics.sealed_online"), "{told}");
    let told = world.asked(&analyst(), "select * from metrics.sealed_online").await;
    hides(&told);
    assert!(!told.contains("A1"), "{told}");
    assert!(world.asked(&all(), &count("sealed_online")).await.contains("| 5 "));
}

#[tokio::test]
async fn what_is_known_of_tables_is_names_and_types() {
    let world = World::new(&ROWS).await;
    let seen = "select table_schema, table_name from information_schema.tables";
    let told = world.asked(&of_county(), seen).await;
    assert!(told.contains("office_cases") && !told.contains("| stray"), "{told}");
    let told = world.asked(&of_county(), "select * from information_schema.views").await;
    assert!(!told.to_lowercase().contains("select"), "{told}");
    for sql in [
        "copy current.office_cases to 'x.csv'",
        "explain analyze insert into standard.stray select * from standard.stray",
        "set datafusion.explain.show_statistics = true",
        "create external table x stored as csv location 'x.csv'",
    ] {
        let told = world.asked(&of_county(), sql).await;
        assert!(told.starts_with("E-"), "{told}");
    }
}

#[tokio::test]
async fn a_recursive_query_reads_a_guarded_table_again_and_again() {
    let world = World::new(&ROWS).await;
    let sql = "with recursive r(no, n) as (select 'A1', 1 union all \
               select r.no, r.n + 1 from r join standard.loads as l \
               on l.division_code = '340503001000' where r.n < 4) select max(n) as n from r";
    let told = world.asked(&analyst(), sql).await;
    assert!(told.contains("| 4 "), "{told}");
}
