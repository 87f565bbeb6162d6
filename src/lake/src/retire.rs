//! Ending data files whose rows were written anew, if nobody changed them since they were read.

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Tx, args};

/// What the ended files held.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Retired {
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}

/// Ends `files` of a table, each given with the delete file it had when it was read.
pub(crate) async fn retire(
    tx: &mut Tx,
    table: i64,
    files: &[(i64, Option<i64>)],
    snapshot: i64,
) -> Result<Retired> {
    let mut retired = Retired::default();
    for (data_file, deletes) in files {
        let row = tx
            .one(
                "check a data file",
                "select f.record_count, f.file_size_bytes, d.delete_file_id
                 from ducklake_data_file f
                 left join ducklake_delete_file d
                   on d.data_file_id = f.data_file_id and d.end_snapshot is null
                 where f.data_file_id = ? and f.table_id = ? and f.end_snapshot is null",
                args![data_file, table],
            )
            .await?;
        let Some(row) = row else { return Err(overtaken()) };
        if row.get::<Option<i64>>(2)? != *deletes {
            return Err(overtaken());
        }
        retired.rows += row.get::<i64>(0)?;
        retired.bytes += row.get::<i64>(1)?;
        tx.run(
            "retire a data file",
            "update ducklake_data_file set end_snapshot = ? where data_file_id = ?",
            args![snapshot, data_file],
        )
        .await?;
        tx.run(
            "retire a delete file",
            "update ducklake_delete_file set end_snapshot = ?
             where data_file_id = ? and end_snapshot is null",
            args![snapshot, data_file],
        )
        .await?;
    }
    Ok(retired)
}

fn overtaken() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "E-LAKE-CONFLICT",
        "the table was changed by another writer since this one looked",
    )
    .hint("nothing was committed; run it again")
}
