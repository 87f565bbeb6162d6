//! A database of either kind for one test, gone when the test ends.

use std::path::Path;

use huiliu_store::{PostgresAddress, StoreAddress};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

/// Defines for each function that takes a [`Backend`] a test over SQLite and one over Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                super::$name($crate::backend::Backend::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                super::$name($crate::backend::Backend::postgres()).await;
            }
        }
    )+};
}
pub(crate) use on_both;

/// A data folder, and a schema on the test server when the store is Postgres.
pub(crate) struct Backend {
    folder: TempDir,
    schema: Option<String>,
}

/// The test server.
pub(crate) fn server() -> String {
    std::env::var("HUILIU_TEST_PG_URL")
        .unwrap_or_else(|_| "postgresql://postgres@127.0.0.1:5432/postgres".into())
}

impl Backend {
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), schema: None }
    }

    pub(crate) fn postgres() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name: String = folder
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { folder, schema: Some(format!("test_{}_{name}", std::process::id())) }
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    pub(crate) fn address(&self) -> StoreAddress {
        address(self.schema())
    }
}

pub(crate) fn address(schema: Option<&str>) -> StoreAddress {
    match schema {
        None => StoreAddress::Sqlite,
        Some(schema) => StoreAddress::Postgres(PostgresAddress::new(&server(), schema).unwrap()),
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let Some(schema) = self.schema.take() else { return };
        // A runtime of its own, because the test's own one may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = sqlx::PgConnection::connect(&server()).await?;
                sqlx::query(AssertSqlSafe(format!("drop schema if exists {schema} cascade")))
                    .execute(&mut connection)
                    .await
            })
        })
        .join();
        if !std::thread::panicking() {
            dropped.unwrap().unwrap();
        }
    }
}
