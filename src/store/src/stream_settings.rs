//! With which settings each stream was last read, so that an edited system file can be compared.

use std::collections::BTreeMap;

use huiliu_sdk::Result;

use crate::args;
use crate::database::{Store, Tx};

const TABLE: &str = "create table if not exists huiliu_stream_settings (
   system text not null,
   stream text not null,
   settings text not null,
   run_id bigint not null,
   primary key (system, stream)
 )";

/// Makes the table when it is not there.
pub(crate) async fn prepare(tx: &mut Tx) -> Result<()> {
    tx.run("make its tables", TABLE, Vec::new()).await?;
    Ok(())
}

impl Store {
    /// The settings of all streams as `system.stream`, as they were noted.
    pub async fn stream_settings(&self) -> Result<BTreeMap<String, String>> {
        let rows = self
            .all(
                "read the settings of streams",
                "select system, stream, settings from huiliu_stream_settings",
                args![],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let (system, stream): (String, String) = (row.get(0)?, row.get(1)?);
                Ok((format!("{system}.{stream}"), row.get(2)?))
            })
            .collect()
    }

    /// Notes the settings with which a run read a stream, where they are others than noted.
    pub async fn note_stream_settings(
        &self,
        system: &str,
        stream: &str,
        settings: &str,
        run: i64,
    ) -> Result<()> {
        let noted = self
            .one(
                "read the settings of a stream",
                "select settings from huiliu_stream_settings where system = ? and stream = ?",
                args![system, stream],
            )
            .await?;
        let noted: Option<String> = noted.map(|row| row.get(0)).transpose()?;
        if noted.as_deref() == Some(settings) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        tx.run(
            "note the settings of a stream",
            "insert into huiliu_stream_settings (system, stream, settings, run_id)
             values (?, ?, ?, ?)
             on conflict (system, stream) do update
             set settings = excluded.settings, run_id = excluded.run_id",
            args![system, stream, settings, run],
        )
        .await?;
        tx.commit().await
    }
}
