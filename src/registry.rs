//! The only list of connectors: adding a kind of system adds one line here.

use huiliu_connector_files::FilesConnector;
use huiliu_connector_http::HttpConnector;
use huiliu_connector_mysql::MySqlConnector;
#[cfg(feature = "odbc")]
use huiliu_connector_odbc::OdbcConnector;
use huiliu_connector_postgres::PostgresConnector;
use huiliu_connector_singer::SingerConnector;
use huiliu_connector_sqlite::SqliteConnector;
use huiliu_runner::Registry;

/// The connectors this program was built with.
pub(crate) fn registry() -> Registry {
    Registry(vec![
        Box::new(FilesConnector),
        Box::new(HttpConnector),
        Box::new(MySqlConnector),
        #[cfg(feature = "odbc")]
        Box::new(OdbcConnector),
        Box::new(PostgresConnector),
        Box::new(SingerConnector),
        Box::new(SqliteConnector),
    ])
}
