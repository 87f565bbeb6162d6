//! Looking at a database without reading its data.

use huiliu_sdk::Cx;
use serde_json::json;

use crate::support::{Database, KINDS, Kind};

const TABLES: &str = "create table up_pro_accept (row_guid varchar(50) not null, \
    fee decimal(12,2), update_time timestamp, primary key (row_guid)); \
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
        assert_eq!(columns, ["row_guid", "fee", "update_time"], "{kind:?}");
        assert_eq!(found.key, ["row_guid"], "{kind:?}");
        assert_eq!(found.changed.as_deref(), Some("update_time"), "{kind:?}");
        let fee = &found.columns[1].1;
        assert_eq!(fee.data_type.as_deref(), Some("decimal(12,2)"), "{kind:?}");
        database.drop().await;
    }
}
