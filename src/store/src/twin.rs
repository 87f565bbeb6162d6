//! A second set of connections to the same database.

use huiliu_sdk::Result;
use sqlx::sqlite::SqlitePoolOptions;

use crate::database::{Store, database_error};

impl Store {
    /// The same database through connections of its own, for a thread whose work must go on
    /// while everything else waits.
    pub async fn twin(&self) -> Result<Self> {
        let options = self.writer.connect_options().as_ref().clone();
        let connect = |options| SqlitePoolOptions::new().max_connections(1).connect_with(options);
        let writer =
            connect(options.clone()).await.map_err(|e| database_error("connect again", e))?;
        let reader = connect(options).await.map_err(|e| database_error("connect again", e))?;
        Ok(Self { writer, reader })
    }
}
