//! DuckDB, which shares no code with the hub, reads the same lake.

use std::collections::BTreeSet;

use crate::hub::Hub;
use crate::lake;

#[test]
fn duckdb_counts_every_table_like_the_hub() {
    let hub = Hub::shipped();
    hub.prepared(7);
    let counts = lake::counts(&hub.database());
    let schemas: BTreeSet<&str> =
        counts.keys().map(|table| table.split_once('.').unwrap().0).collect();
    let expected = ["current", "history", "metrics", "reconciled", "standard"];
    assert_eq!(schemas, BTreeSet::from(expected));
    let parts: Vec<String> = counts
        .keys()
        .map(|table| format!("select '{table}' as name, count(*) as n from {table}"))
        .collect();
    let rows = hub.query(&parts.join(" union all "));
    assert_eq!(rows.len(), counts.len());
    for row in rows {
        let table = row["name"].as_str().unwrap();
        assert_eq!(row["n"].as_i64(), Some(counts[table]), "{table}");
    }
    assert!(counts["current.city_cases_accepted"] > 10_000);
    assert!(counts["metrics.figures"] > 8);
}
