//! Edits of the city's own platform.

use std::collections::BTreeMap;

use huiliu_city::change;
use huiliu_sdk::ErrorKind;
use sqlx::Row;

use crate::City;

async fn rows(city: &City) -> BTreeMap<String, [String; 3]> {
    let mut connection = city.open("operation.db").await;
    let sql = "select row_guid, coalesce(contact_mobile, ''), update_time, cd_time \
               from up_pro_accept";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (row.get(0), [row.get(1), row.get(2), row.get(3)])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_edits_exactly_the_rows_asked_for_and_the_next_one_others() {
    let city = City::new(1, 0.02).await;
    let mut before = rows(&city).await;
    let mut edited_before = Vec::new();
    for count in [100, 37, 1] {
        assert_eq!(change(&city.dir(), count).await.unwrap(), count);
        let after = rows(&city).await;
        let newest = before.values().map(|[_, updated, synced]| updated.max(synced)).max().unwrap();
        let edited: Vec<&String> =
            after.keys().filter(|guid| before[*guid] != after[*guid]).collect();
        assert_eq!(edited.len() as u64, count);
        for guid in &edited {
            let [mobile, updated, synced] = &after[*guid];
            assert!(*mobile != before[*guid][0] && mobile.len() == 11);
            assert!(updated > newest && synced > newest);
            assert!(!edited_before.contains(*guid));
        }
        edited_before.extend(edited.into_iter().cloned());
        before = after;
    }
    let error = change(&city.dir(), 1_000_000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(rows(&city).await, before);
}
