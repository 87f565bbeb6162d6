//! Edits in the city's own platform, as a clerk makes them.

use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::{ConnectOptions, Connection, Row};

use crate::folder::{finished, operation_path};
use crate::seed::generator;
use crate::stores::database::{existing, failed};
use crate::world::mobile;

/// Gives `rows` accepted cases another phone number and later times; repeated calls take others.
///
/// Only plain rows are taken: alone under their project number, readable and not deleted.
pub async fn change(dir: &Path, rows: u64) -> Result<u64> {
    let seed = finished(dir)?.seed;
    let mut connection =
        existing(&operation_path(dir))?.connect().await.map_err(failed("open operation.db"))?;
    let mut transaction =
        connection.begin_with("begin immediate").await.map_err(failed("begin a change"))?;
    let newest: String = sqlx::query_scalar(
        "select datetime(max(update_time, cd_time), '+1 minute') from \
         (select max(update_time) as update_time, max(cd_time) as cd_time from up_pro_accept)",
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(failed("read the newest change"))?;
    // Edited rows have the newest times, so the oldest ones were not edited before.
    let chosen = sqlx::query(
        "select row_guid, contact_mobile from up_pro_accept as a \
         where cd_operation <> 'D' and typeof(applyer_name) = 'text' \
         and (select count(*) from up_pro_accept as b where b.project_no = a.project_no) = 1 \
         order by update_time, row_guid limit $1",
    )
    .bind(i64::try_from(rows).unwrap_or(i64::MAX))
    .fetch_all(&mut *transaction)
    .await
    .map_err(failed("choose rows to change"))?;
    if (chosen.len() as u64) < rows {
        return Err(Error::new(
            ErrorKind::Config,
            "E-CITY-ROWS",
            format!("{rows} rows cannot be changed, the city has {}", chosen.len()),
        )
        .hint("ask for fewer rows"));
    }
    let mut rng = generator(seed, &format!("change at {newest}"));
    for row in &chosen {
        let guid: String = row.try_get(0).map_err(failed("read a row to change"))?;
        let before: Option<String> = row.try_get(1).map_err(failed("read a row to change"))?;
        let mut after = mobile(&mut rng);
        while before.as_deref() == Some(after.as_str()) {
            after = mobile(&mut rng);
        }
        sqlx::query(
            "update up_pro_accept set contact_mobile = $1, update_time = $2, cd_time = $2 \
             where row_guid = $3",
        )
        .bind(after)
        .bind(&newest)
        .bind(guid)
        .execute(&mut *transaction)
        .await
        .map_err(failed("change a row"))?;
    }
    transaction.commit().await.map_err(failed("commit a change"))?;
    connection.close().await.map_err(failed("close operation.db"))?;
    Ok(rows)
}
