//! Full reads by ranges of the key.

use serde_json::json;

use crate::support::{Database, limited, read, texts};

const ROWS: &str = "create table t (k text collate \"C\", v int); \
    insert into t select case when g % 500 = 0 then null else md5(g::text) end, g \
      from generate_series(1, 5000) g;";

#[tokio::test]
async fn a_read_resumes_behind_any_range_and_loses_and_repeats_nothing() {
    for analyze in ["analyze t", "select 1"] {
        let mut database = Database::with(ROWS).await;
        database.execute(analyze).await;
        let options = json!({ "table": "t", "chunk_rows": 600 });
        let endpoint = database.endpoint(options, json!({ "key": ["k"] }));
        let whole = read(&*endpoint, &limited(100), None, None).await.unwrap();
        assert_eq!((whole.len(), whole.complete), (5000, Some(true)));
        assert!(whole.checkpoints.len() > 5, "{}", whole.checkpoints.len());
        assert!(whole.state()["after"].is_null());
        let all = whole.sorted("v");
        for (batches, checkpoint) in &whole.checkpoints[..whole.checkpoints.len() - 1] {
            let resume = Some(checkpoint.clone());
            let rest = read(&*endpoint, &limited(100), resume, None).await.unwrap();
            assert_eq!(rest.complete, Some(false));
            let mut values = texts(&whole.batches[..*batches], "v");
            values.extend(rest.column("v"));
            values.sort();
            assert_eq!(values, all);
        }
        let again = read(&*endpoint, &limited(100), whole.resume(), None).await.unwrap();
        assert_eq!((again.len(), again.complete), (5000, Some(true)));
        database.drop().await;
    }
}

#[tokio::test]
async fn connections_side_by_side_read_what_one_reads() {
    let mut database = Database::with(ROWS).await;
    database.execute("analyze t").await;
    let options = json!({ "table": "t", "chunk_rows": 2000, "parallel": 4 });
    let endpoint = database.endpoint(options, json!({ "key": ["k"] }));
    let whole = read(&*endpoint, &limited(100), None, None).await.unwrap();
    assert_eq!((whole.len(), whole.complete), (5000, Some(true)));
    let serial = database.read(json!({ "table": "t" }), json!({ "key": ["k"] })).await;
    assert_eq!(serial.checkpoints.len(), 1);
    assert_eq!(whole.sorted("v"), serial.sorted("v"));
    assert_eq!(whole.sorted("k"), serial.sorted("k"));
    for (batches, checkpoint) in &whole.checkpoints[..whole.checkpoints.len() - 1] {
        let rest = read(&*endpoint, &limited(100), Some(checkpoint.clone()), None).await.unwrap();
        let mut values = texts(&whole.batches[..*batches], "v");
        values.extend(rest.column("v"));
        values.sort();
        assert_eq!(values, whole.sorted("v"));
    }
    database.drop().await;
}
