//! In `province.db`: the items of the city as the province holds them.

use std::path::Path;

use huiliu_sdk::Result;
use sqlx::Row;

use super::database::{Table, close, create, create_received, failed};
use crate::truth::Witness;

/// Of every so many items, one is missing, one is of an older version.
const MISSING_EVERY: usize = 120;
const OLDER_EVERY: usize = 250;
/// Every so many items that were taken out are still there.
const LEFT_EVERY: usize = 40;

const ITEMS: Table = Table {
    name: "items",
    columns: &[
        "seq integer primary key",
        "item_id text not null",
        "task_code text not null",
        "catalog_code text not null",
        "task_name text not null",
        "task_version integer not null",
        "task_state text not null",
        "org_code text not null",
        "update_time text not null",
    ],
};
/// The newest version of each item of the city.
const NEWEST: &str = "select coalesce(task_handle_item, task_code) as id, task_code, catalog_code, \
    task_name, task_version, task_state, dept_code, cd_time, max(task_version) \
    from up_task_general_basic group by 1 order by cd_time, 1";

/// Adds the table to the province's file, which is complete otherwise, from that of the items.
pub(crate) async fn write(province: &Path, items: &Path) -> Result<Witness> {
    let mut city = create(items).await?;
    let newest =
        sqlx::query(NEWEST).fetch_all(&mut city).await.map_err(failed("read the items"))?;
    close(city).await?;
    let mut connection = create(province).await?;
    create_received(&mut connection).await?;
    let (mut missing, mut older, mut left) = (Vec::new(), Vec::new(), Vec::new());
    let (mut in_use, mut taken_out) = (0, 0);
    let mut seq = 0_i64;
    let mut loader = ITEMS.fill(&mut connection).await?;
    for row in &newest {
        let text = |column: usize| row.try_get::<String, _>(column).map_err(failed("read an item"));
        let id = text(0)?;
        let version: i64 = row.try_get(4).map_err(failed("read an item"))?;
        let mut known = version;
        if text(5)? == "1" {
            in_use += 1;
            if in_use % MISSING_EVERY == 7 {
                missing.push(id);
                continue;
            }
            if in_use % OLDER_EVERY == 9 {
                older.push(id.clone());
                known -= 1;
            }
        } else {
            taken_out += 1;
            if taken_out % LEFT_EVERY != 1 {
                continue;
            }
            left.push(id.clone());
            known -= 1;
        }
        seq += 1;
        loader.cell(seq);
        loader.cell(id);
        for column in 1..4 {
            loader.cell(text(column)?);
        }
        loader.cell(known);
        loader.cell("1");
        loader.cell(text(6)?);
        loader.cell(text(7)?);
        loader.end_row().await?;
    }
    let rows = vec![("province.items".to_owned(), loader.finish().await?)];
    close(connection).await?;
    let planted = vec![
        ("item_missing_at_province", missing),
        ("item_older_at_province", older),
        ("item_left_at_province", left),
    ];
    Ok(Witness { rows, planted, ..Witness::default() })
}
