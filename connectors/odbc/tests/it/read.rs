//! Reading whole tables.

use serde_json::{Value, json};

use crate::support::{Database, KINDS, Kind, configured, limited, read, request};

const ROWS: &str = "create table t (id int primary key, v varchar(20), c timestamp); \
    insert into t values (1, 'a', '2018-06-12 09:00:00'), (2, 'b', '2018-06-12 09:05:00'), \
    (3, 'c', null)";

#[tokio::test]
async fn a_whole_table_is_read_and_a_preview_stops() {
    for kind in KINDS {
        let database = Database::with(kind, ROWS).await;
        let outcome = database.read(json!({ "key": ["id"] })).await;
        assert_eq!(outcome.sorted("id"), ["1", "2", "3"], "{kind:?}");
        assert_eq!((outcome.complete, outcome.checkpoints.len()), (Some(true), 1), "{kind:?}");
        for dialect in [json!({}), json!({ "limit": "limit {}" })] {
            let mut config = database.config(json!({ "table": "t" }), json!({ "key": ["id"] }));
            config.options["dialect"] = dialect;
            let few = read(&*configured(config), &limited(10), None, Some(2)).await.unwrap();
            assert_eq!((few.len(), few.complete), (2, Some(false)), "{kind:?}");
        }
        database.execute("delete from t").await;
        let empty = database.read(json!({ "key": ["id"] })).await;
        assert_eq!((empty.len(), empty.complete), (0, Some(true)), "{kind:?}");
        assert_eq!(empty.schema.unwrap().fields().len(), 3, "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn cursors_of_numbers_and_of_text_are_compared_by_the_source() {
    for kind in KINDS {
        let database = Database::with(
            kind,
            "create table t (id int primary key, n numeric(12,2), w varchar(30)); \
             insert into t values (1, 9, 'a''1'), (2, 10.5, 'b\\'), (3, 100, 'b\\2')",
        )
        .await;
        for (cursor, overlap) in [("n", json!("5")), ("w", Value::Null)] {
            let mut settings = json!({ "key": ["id"], "read": "incremental", "cursor": cursor });
            if !overlap.is_null() {
                settings["overlap"] = overlap.clone();
            }
            let first = database.read(settings.clone()).await;
            assert_eq!(first.column("id"), ["1", "2", "3"], "{kind:?} {cursor}");
            let endpoint = database.endpoint(settings);
            let next = read(&*endpoint, &limited(10), first.resume(), None).await.unwrap();
            assert_eq!(next.column("id"), ["3"], "{kind:?} {cursor}");
        }
        database.drop().await;
    }
}

#[tokio::test]
async fn a_caller_that_stops_is_not_kept_waiting() {
    let database =
        Database::with(Kind::Postgres, "create view t as select 1 as id, pg_sleep(30)::text as v")
            .await;
    let cx = limited(10);
    let endpoint = database.endpoint(json!({ "key": ["id"] }));
    let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
    let (stop, begun) = (cx.cancel.clone(), std::time::Instant::now());
    let stopping = tokio::spawn(async move { stop.cancel() });
    let error = source.next(&cx).await.err().unwrap();
    stopping.await.unwrap();
    assert_eq!(error.code(), "E-CANCELLED");
    assert!(begun.elapsed().as_secs() < 10);
    drop(source);
    // The driver's thread is let go by ending its statement, so that the runtime can end.
    database
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
    database.drop().await;
}
