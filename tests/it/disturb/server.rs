//! A schema of its own on the test's PostgreSQL, gone when the test ends.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::chance::mix;

/// The test's PostgreSQL.
pub(crate) fn url() -> String {
    let given = std::env::var_os("HUILIU_TEST_PG_URL").and_then(|url| url.into_string().ok());
    given.unwrap_or_else(|| "postgresql://postgres@127.0.0.1:5432/postgres".to_owned())
}

/// Where it listens, as in its address.
pub(crate) fn address() -> String {
    let options = PgConnectOptions::from_str(&url()).unwrap();
    format!("{}:{}", options.get_host(), options.get_port())
}

/// Its address through a line.
pub(crate) fn url_through(port: u16) -> String {
    let (url, address) = (url(), address());
    assert!(url.contains(&address), "HUILIU_TEST_PG_URL must name host and port");
    // What is said over the line has to be read to break it at a certain word.
    let sign = if url.contains('?') { '&' } else { '?' };
    url.replace(&address, &format!("127.0.0.1:{port}")) + &format!("{sign}sslmode=disable")
}

/// One schema.
pub(crate) struct Schema {
    pub(crate) name: String,
}

impl Schema {
    /// A schema whose name nobody else has; it is made by whoever uses it.
    pub(crate) fn named(purpose: &str) -> Self {
        let place = tempfile::TempDir::new().unwrap();
        let bytes = place.path().as_os_str().as_encoded_bytes().iter();
        let number = bytes.fold(0, |sum, byte| mix(sum ^ u64::from(*byte)));
        Self { name: format!("{purpose}_{}_{number:016x}", std::process::id()) }
    }

    /// A connection that finds its tables.
    pub(crate) async fn connect(&self) -> PgConnection {
        let options = PgConnectOptions::from_str(&url()).unwrap();
        options.options([("search_path", &self.name)]).connect().await.unwrap()
    }

    /// Executes statements in it.
    pub(crate) async fn execute(&self, sql: &str) {
        self.connect().await.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
    }

    /// One number.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let sql = format!("drop schema if exists {} cascade", self.name);
        // A runtime of its own, because the test's own one may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let options = PgConnectOptions::from_str(&url()).unwrap();
                let mut connection = options.connect().await?;
                connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await
            })
        })
        .join();
        if !std::thread::panicking() {
            dropped.unwrap().unwrap();
        }
    }
}
