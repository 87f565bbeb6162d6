//! Reading what changed, by a cursor.

use std::sync::Arc;

use chrono::{TimeZone, Utc};
use huiliu_sdk::{Cx, Event, ManualClock};
use serde_json::{Value, json};

use crate::support::{Database, KINDS, limited, read, request};

const ROWS: &str = "create table t (id int primary key, v varchar(20), c timestamp); \
    insert into t values (1, 'a', '2018-06-12 09:00:00'), (2, 'b', '2018-06-12 09:05:00'), \
    (3, 'c', null)";

fn incremental(more: &Value) -> Value {
    let mut settings = json!({ "key": ["id"], "read": "incremental", "cursor": "c" });
    if let (Some(settings), Some(more)) = (settings.as_object_mut(), more.as_object()) {
        settings.extend(more.clone());
    }
    settings
}

#[tokio::test]
async fn an_incremental_read_goes_on_from_its_mark_and_reads_it_again() {
    for kind in KINDS {
        let database = Database::with(kind, ROWS).await;
        let settings = incremental(&json!({}));
        let first = database.read(settings.clone()).await;
        assert_eq!(first.sorted("id"), ["1", "2", "3"], "{kind:?}");
        assert!(first.notes[0].contains("1 row has no `c`"), "{kind:?}: {:?}", first.notes);
        database
            .execute(
                "insert into t values (4, 'same', '2018-06-12 09:05:00'), \
                 (5, 'later', '2018-06-12 09:06:00'), (6, 'earlier', '2018-06-12 08:59:00')",
            )
            .await;
        let endpoint = database.endpoint(settings);
        let cx = limited(1000);
        let next = read(&*endpoint, &cx, first.resume(), None).await.unwrap();
        assert_eq!(next.sorted("id"), ["2", "3", "4", "5"], "{kind:?}");
        let back = database.endpoint(incremental(&json!({ "overlap": "10m" })));
        let more = read(&*back, &cx, next.resume(), None).await.unwrap();
        assert_eq!(more.sorted("id"), ["1", "2", "3", "4", "5", "6"], "{kind:?}");
        // The source is put back to before the mark.
        database.execute("delete from t where id in (2, 4, 5)").await;
        let rewound = read(&*endpoint, &cx, next.resume(), None).await.err().unwrap();
        assert_eq!(rewound.code(), "E-SOURCE-REWOUND", "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn ties_over_many_batches_are_all_read_and_a_read_that_broke_off_goes_on() {
    for kind in KINDS {
        let rows: Vec<String> = (0..500)
            .map(|id| format!("({id}, 'v', '2018-06-12 09:0{}:00')", if id < 400 { 0 } else { 1 }))
            .collect();
        let sql = format!(
            "create table t (id int primary key, v varchar(20), c timestamp); \
             insert into t values {}",
            rows.join(", ")
        );
        let database = Database::with(kind, &sql).await;
        let endpoint = database.endpoint(incremental(&json!({})));
        let cx = limited(10);
        let mut source = endpoint.source(&cx, request(None, None)).await.unwrap();
        let mut before = 0;
        let at = loop {
            match source.next(&cx).await.unwrap().unwrap() {
                Event::Checkpoint(checkpoint) => break checkpoint,
                Event::Rows(rows) => before += rows.batch.num_rows(),
                _ => {}
            }
        };
        drop(source);
        assert!(before < 400, "{kind:?}");
        let rest = read(&*endpoint, &cx, Some(at), None).await.unwrap();
        assert_eq!(rest.len(), 500, "the whole tie is read again: {kind:?}");
        assert!(rest.checkpoints.len() > 1, "{kind:?}");
        database.drop().await;
    }
}

#[tokio::test]
async fn a_cursor_of_the_future_moves_no_mark() {
    for kind in KINDS {
        let database = Database::with(kind, ROWS).await;
        database.execute("insert into t values (9, 'x', '2035-01-01 00:00:00')").await;
        let now = Utc.with_ymd_and_hms(2018, 6, 12, 1, 6, 0).unwrap();
        let cx = Cx { clock: Arc::new(ManualClock::new(now)), ..limited(10) };
        let endpoint = database.endpoint(incremental(&json!({})));
        let first = read(&*endpoint, &cx, None, None).await.unwrap();
        assert_eq!(first.len(), 4, "{kind:?}");
        assert!(first.notes[0].contains("in the future"), "{kind:?}: {:?}", first.notes);
        database.execute("insert into t values (10, 'y', '2018-06-12 09:05:30')").await;
        let next = read(&*endpoint, &cx, first.resume(), None).await.unwrap();
        assert!(next.sorted("id").contains(&"10".to_owned()), "{kind:?}");
        database.drop().await;
    }
}
