//! The configuration: what an operator writes, checked without connecting.

mod address;
mod name;
mod stream;

use std::time::Duration;

use chrono_tz::Tz;
use huiliu_sdk::{ConfigErrors, RawConfig, RawPush, StreamId};
use huiliu_sqlkit::{check_name, optional, required, timeout};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

pub(crate) use name::TableName;
pub use stream::StreamOptions;
pub(crate) use stream::{Flag, Mode, Oddities, Stream};

/// Keys of a system file with `kind = "postgres"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SystemOptions {
    /// The database, as `postgresql://user:password@host:5432/database`. Keep the password out of
    /// the file with `${secret:name}`. A host that is not this machine is reached by TLS with its
    /// certificate verified, unless `sslmode` is `require` or `verify-ca`.
    #[schemars(example = &"postgresql://huiliu:${secret:city_password}@10.1.2.3:5432/city")]
    pub url: String,
    /// The schema of tables that are named without one. Default: `public`.
    #[serde(default)]
    #[schemars(example = &"exchange", extend("default" = "public"))]
    pub schema: Option<String>,
    /// `off` lets a host that is not this machine be reached without TLS.
    #[serde(default)]
    #[schemars(example = &"off")]
    pub tls: Option<String>,
    /// File of the certificates to trust (PEM), relative to the folder of the project's
    /// configuration.
    #[serde(default)]
    #[schemars(example = &"certificates/city.pem")]
    pub ca: Option<String>,
    /// How long one statement may take, such as `30m`. Default: `10m`.
    #[serde(default)]
    #[schemars(example = &"30m", extend("default" = "10m"))]
    pub statement_timeout: Option<String>,
    /// How long to wait for a connection, such as `5s`. Default: `10s`.
    #[serde(default)]
    #[schemars(example = &"5s", extend("default" = "10s"))]
    pub connect_timeout: Option<String>,
}

/// Keys of one push of a system with `kind = "postgres"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PushOptions {
    /// The table to write, as `table` or `schema.table`.
    #[schemars(example = &"exchange.up_pro_fix")]
    pub to: String,
}

/// A checked system file.
pub(crate) struct Settings {
    pub(crate) connect: PgConnectOptions,
    pub(crate) connect_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    /// Of tables that are named without one.
    pub(crate) schema: String,
    pub(crate) hub_zone: Tz,
    pub(crate) streams: Vec<Stream>,
    pub(crate) pushes: Vec<Push>,
}

/// A checked push.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: StreamId,
    pub(crate) table: TableName,
    pub(crate) key: Vec<String>,
}

const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(600);
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks a whole system file and names every fault.
pub(crate) fn settings(raw: &RawConfig) -> Result<Settings, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let options = &raw.options;
    let url: Option<String> = required(options, "", "url", &mut faults);
    let tls: Option<String> = optional(options, "", "tls", &mut faults);
    let ca: Option<String> = optional(options, "", "ca", &mut faults);
    let ca = ca.map(|file| raw.base_dir.join(file));
    let connect = address::read(url.as_deref(), tls.as_deref(), ca.as_deref(), &mut faults);
    let schema: Option<String> = optional(options, "", "schema", &mut faults);
    let schema = schema.unwrap_or_else(|| "public".to_owned());
    check_name("schema", &schema, &mut faults);
    let statement_timeout =
        timeout(options, "statement_timeout", DEFAULT_STATEMENT_TIMEOUT, &mut faults);
    let connect_timeout = timeout(options, "connect_timeout", DEFAULT_CONNECT_TIMEOUT, &mut faults);

    let mut streams = Vec::with_capacity(raw.streams.len());
    for (index, stream) in raw.streams.iter().enumerate() {
        let at = format!("streams[{index}]");
        streams.push(stream::read(stream, &at, &schema, raw.hub_zone, &mut faults));
    }
    let mut pushes = Vec::with_capacity(raw.pushes.len());
    for (index, push) in raw.pushes.iter().enumerate() {
        pushes.push(read_push(push, &format!("pushes[{index}]"), &schema, &mut faults));
    }
    faults.into_result(Settings {
        connect,
        connect_timeout,
        statement_timeout,
        schema,
        hub_zone: raw.hub_zone,
        streams: streams.into_iter().flatten().collect(),
        pushes: pushes.into_iter().flatten().collect(),
    })
}

fn read_push(raw: &RawPush, at: &str, schema: &str, faults: &mut ConfigErrors) -> Option<Push> {
    let to: Option<String> = required(&raw.options, at, "to", faults);
    let table = name::table(&format!("{at}.to"), to.as_deref()?, schema, faults)?;
    for (index, column) in raw.key.iter().enumerate() {
        check_name(&format!("{at}.key[{index}]"), column, faults);
    }
    Some(Push { id: StreamId::new(raw.name.as_str()), table, key: raw.key.clone() })
}
