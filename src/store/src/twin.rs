//! A second set of connections to the same database.

use huiliu_sdk::Result;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;

use crate::connect::sqlite_writer;
use crate::database::{Pools, Store, database_error};

impl Store {
    /// The same database through connections of its own, for a thread whose work must go on
    /// while everything else waits.
    pub async fn twin(&self) -> Result<Self> {
        let failed = |e| database_error("connect again", e);
        let pools = match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let options = writer.connect_options().as_ref().clone();
                let reader = SqlitePoolOptions::new()
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None);
                Pools::Sqlite {
                    writer: sqlite_writer(options.clone()).await.map_err(failed)?,
                    reader: reader.connect_with(options).await.map_err(failed)?,
                }
            }
            Pools::Postgres { writer, .. } => {
                let options = writer.connect_options().as_ref().clone();
                let pool =
                    PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
                Pools::Postgres {
                    writer: pool.clone().connect_with(options.clone()).await.map_err(failed)?,
                    reader: pool.connect_with(options).await.map_err(failed)?,
                }
            }
        };
        Ok(Self { pools })
    }
}
