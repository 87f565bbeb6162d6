//! What is listed of a database.

use huiliu_sdk::Cx;
use serde_json::json;

use crate::support::{Database, KINDS, Kind};

const TABLES: &str = "create table up_pro_accept (row_guid varchar(50) not null, \
    fee decimal(12,2), rate numeric(5,1), update_time timestamp, primary key (row_guid)); \
    create table upxproyaccept (other int); create view seen as select fee from up_pro_accept;";

#[tokio::test]
async fn tables_views_columns_and_keys_are_listed() {
    for kind in KINDS {
        let database = Database::with(kind, TABLES).await;
        let endpoint = database.endpoint(json!({ "key": [] }));
        let probe = endpoint.probe(&Cx::new()).await.unwrap();
        assert!(probe.summary.contains("3 tables"), "{kind:?}: {}", probe.summary);
        let streams = endpoint.discover(&Cx::new()).await.unwrap();
        let mut names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["seen", "up_pro_accept", "upxproyaccept"], "{kind:?}");
        let found = streams.iter().find(|stream| stream.name == "up_pro_accept").unwrap();
        let table = if kind == Kind::Postgres { "public.up_pro_accept" } else { "up_pro_accept" };
        assert_eq!(found.options["table"], table, "{kind:?}");
        // `_` in a name is no pattern: the other table's column is not here.
        let columns: Vec<&str> = found.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(columns, ["row_guid", "fee", "rate", "update_time"], "{kind:?}");
        assert_eq!(found.key, ["row_guid"], "{kind:?}");
        assert_eq!(found.changed.as_deref(), Some("update_time"), "{kind:?}");
        let kinds: Vec<_> = found.columns.iter().map(|(_, spec)| spec.data_type.clone()).collect();
        let kinds: Vec<&str> = kinds.iter().flatten().map(String::as_str).collect();
        assert_eq!(kinds, ["text", "decimal(12,2)", "decimal(5,1)", "timestamp"], "{kind:?}");
        database.drop().await;
    }
}
