//! `config/hub.toml`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::password::PasswordProfile;

/// The hub itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Version of this file's layout; 1.
    #[schemars(example = 1)]
    pub version: u32,
    /// Name of the city or office, for people.
    #[schemars(example = &"江城市数据资源管理局")]
    pub name: String,
    /// Zone in which the lake keeps wall times, such as `Asia/Shanghai`.
    #[schemars(example = &"Asia/Shanghai")]
    pub zone: String,
    /// The calendar file under `config/`, such as `calendar/holidays.csv`.
    #[schemars(example = &"calendar/holidays.csv")]
    pub calendar: String,
    /// How many streams are read at the same time. Default: 4.
    #[serde(default = "default_parallel")]
    #[schemars(range(min = 1), example = 8)]
    pub parallel: u32,
    /// How often a stream whose read broke off is tried again in the same run: the system was not
    /// reached, asked us to slow down or did not answer in time, somebody else was in the way, or
    /// our own disk was full. Default: 3.
    #[serde(default = "default_retries")]
    #[schemars(example = 5)]
    pub retries: u32,
    /// How often in a row a process may end in the middle of a stream before the stream is parked
    /// until `huiliu state unpark`; 0 for never. Default: 3.
    #[serde(default = "default_park_after")]
    #[schemars(example = 5)]
    pub park_after: u32,
    /// How long a stream stays with a hub that gives no sign of life, such as `60s`; then another
    /// hub on the same database may take it over, and the first one commits nothing more of it.
    /// Default: `60s`.
    #[serde(default = "default_lease")]
    #[schemars(example = &"2m")]
    pub lease: String,
    /// Memory for queries and models, such as `1GiB`. Beyond it they spill to disk.
    #[serde(default = "default_memory")]
    #[schemars(example = &"4GiB")]
    pub memory: String,
    /// What `huiliu serve` offers.
    #[serde(default)]
    pub serve: ServeConfig,
    /// A Postgres database for the hub's tables and the lake's catalog. Without it they are in
    /// `huiliu.db` in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = serde_json::Value::Null))]
    pub store: Option<StoreConfig>,
    /// To which addresses the hub connects when it reads from systems, pushes to them and tells of
    /// alerts. Without it to all, but those at which no system can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = serde_json::Value::Null))]
    pub network: Option<NetworkConfig>,
    /// How the lake is kept in order.
    #[serde(default)]
    pub maintenance: MaintenanceConfig,
    /// The page that the node `reports.daily` writes. Without it there is no such node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = serde_json::Value::Null))]
    pub daily_page: Option<DailyPageConfig>,
    /// The register of the systems of all departments, which `huiliu systems` shows beside those
    /// that are connected. Without it only these are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = serde_json::Value::Null))]
    pub register: Option<RegisterConfig>,
}

/// Where the register of systems is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterConfig {
    /// A model with one row per department: `department`, `title` of its system, `stage` (`live`,
    /// `trial` or `survey`), `deadline`, `items` that are integrated, and `system`, the name of
    /// the file under `systems/` if there is one.
    #[schemars(example = &"standard.system_register")]
    pub from: String,
}

/// The page that the node `reports.daily` writes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DailyPageConfig {
    /// The file, from the data folder; `{date}` stands for the day, such as 2018-12-13. Default:
    /// `reports/daily.html`.
    #[serde(default = "default_daily_page")]
    #[schemars(example = &"reports/{date}.html")]
    pub file: String,
}

fn default_daily_page() -> String {
    "reports/daily.html".into()
}

/// A Postgres database for the hub's tables and the lake's catalog.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Its address, such as `${secret:hub_database}`, which stands for
    /// `postgresql://user:password@host:5432/database`.
    #[schemars(example = &"${secret:hub_database}")]
    pub url: String,
    /// The schema of the tables, made when it is not there. Default: `huiliu`.
    #[serde(default = "default_schema")]
    #[schemars(example = &"hub")]
    pub schema: String,
}

/// To which addresses the hub connects.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Ranges such as `10.0.0.0/8`, single addresses, and names of hosts as the systems' files have
    /// them; whatever is none of these is refused, addresses of this machine too.
    #[schemars(example = ["10.0.0.0/8", "db.city.gov"])]
    pub allow: Vec<String>,
}

fn default_schema() -> String {
    "huiliu".into()
}

/// How the lake is kept in order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceConfig {
    /// Whether runs end with the maintenance that is due. Default: true.
    #[serde(default = "default_auto")]
    #[schemars(example = false)]
    pub auto: bool,
    /// For how many days a snapshot can be read. Default: 30.
    #[serde(default = "default_keep_days")]
    #[schemars(example = 90)]
    pub keep_days: u32,
    /// How many of the newest snapshots are kept, whatever their age. Default: 100.
    #[serde(default = "default_keep_snapshots")]
    #[schemars(range(min = 1), example = 1000)]
    pub keep_snapshots: u32,
    /// How long files that nobody needs stay on the disk for readers that have begun, such as
    /// `1h`. Default: `1h`.
    #[serde(default = "default_grace")]
    #[schemars(example = &"6h")]
    pub grace: String,
}

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self {
            auto: default_auto(),
            keep_days: default_keep_days(),
            keep_snapshots: default_keep_snapshots(),
            grace: default_grace(),
        }
    }
}

fn default_auto() -> bool {
    true
}

fn default_keep_days() -> u32 {
    30
}

fn default_keep_snapshots() -> u32 {
    100
}

fn default_grace() -> String {
    "1h".into()
}

/// What `huiliu serve` offers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// Address of the Postgres wire. Without `tls` only loopback addresses are accepted. Default:
    /// `127.0.0.1:15432`.
    #[serde(default = "default_pgwire")]
    #[schemars(example = &"0.0.0.0:15432")]
    pub pgwire: String,
    /// Address of Arrow Flight SQL, or `off`. Only loopback addresses are accepted without `tls`.
    /// Default: `127.0.0.1:18081`.
    #[serde(default = "default_flight")]
    #[schemars(example = &"off")]
    pub flight: String,
    /// Address of the console and the API, or `off`. Only loopback addresses are accepted without
    /// `tls` and without `behind_proxy`. Default: `127.0.0.1:18080`.
    #[serde(default = "default_web")]
    #[schemars(example = &"0.0.0.0:443")]
    pub web: String,
    /// The address under which browsers reach the console, over `tls` or a gateway with TLS before
    /// it, such as `https://hub.example.gov.cn`; then the console answers to that name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://hub.example.gov.cn", extend("default" = serde_json::Value::Null))]
    pub public_url: Option<String>,
    /// Whether that gateway alone can reach `web`: then `web` may be any address, and the gateway's
    /// word about where a request came from (`X-Forwarded-For`) counts. Needs `public_url`.
    /// Default: false.
    #[serde(default)]
    #[schemars(example = true)]
    pub behind_proxy: bool,
    /// TLS of the console, the API and the Postgres wire. With it they may listen on any address;
    /// the console then needs `public_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = serde_json::Value::Null))]
    pub tls: Option<TlsConfig>,
    /// Which rules passwords follow: `djbh-l3` (three kinds of characters, changed every 90 days)
    /// or `asvs` (length, no known words, no forced change). Default: `djbh-l3`.
    #[serde(default)]
    pub passwords: PasswordProfile,
    /// Address at which `/metrics` shows figures for Prometheus, or `off`. It speaks without TLS and
    /// asks for no password; its labels name jobs and streams, never a person. Default:
    /// `127.0.0.1:9464`.
    #[serde(default = "default_metrics")]
    #[schemars(example = &"off")]
    pub metrics: String,
}

/// TLS of the doors. The files are read again when they change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The file under `config/` with the certificate and those that lead from it to one that clients
    /// trust, in this order; PEM.
    #[schemars(example = &"certificates/hub.pem")]
    pub certificate: String,
    /// The file under `config/` with its private key, not encrypted; PEM.
    #[schemars(example = &"certificates/hub.key")]
    pub key: String,
    /// A file under `config/` with the certificates whose holders may issue those of clients; PEM. With
    /// it each client must show a certificate, before it is asked who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"certificates/clients.pem", extend("default" = serde_json::Value::Null))]
    pub client_ca: Option<String>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            pgwire: default_pgwire(),
            flight: default_flight(),
            web: default_web(),
            public_url: None,
            behind_proxy: false,
            tls: None,
            passwords: PasswordProfile::default(),
            metrics: default_metrics(),
        }
    }
}

fn default_metrics() -> String {
    "127.0.0.1:9464".into()
}

fn default_web() -> String {
    "127.0.0.1:18080".into()
}

fn default_flight() -> String {
    "127.0.0.1:18081".into()
}

fn default_pgwire() -> String {
    "127.0.0.1:15432".into()
}

fn default_parallel() -> u32 {
    4
}

fn default_retries() -> u32 {
    3
}

fn default_park_after() -> u32 {
    3
}

fn default_lease() -> String {
    "60s".into()
}

fn default_memory() -> String {
    "1GiB".into()
}
