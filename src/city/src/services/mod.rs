//! The city's HTTP services on loopback, on ports that stay the same from start to start.

mod answer;
mod app;
mod ems;
mod enterprise;
mod form;
mod investment;
mod listing;
mod micro;
mod night;
mod portal;
mod province;
mod publish;
mod push;
mod receive;
mod soap;
mod supervision;
mod token;
mod xml;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use huiliu_sdk::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use night::{Night, night, night_on_servers};

use crate::credentials::credentials;
use crate::folder::{database_path, publish_path, write_atomically};
use crate::stores::database::{existing, failed};

const PORTS: &str = "ports.json";
/// How long open requests may go on after a stop; what they stored is kept in any case.
const GRACE: Duration = Duration::from_secs(2);

/// The port of each service by its name.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Ports(BTreeMap<String, u16>);

/// The services of a city while they run; they end when this is dropped.
pub struct RunningCity {
    /// Where the provincial platform is, such as `http://127.0.0.1:40001`.
    pub province_url: String,
    /// Where the investment platform is.
    pub investment_url: String,
    /// Where the city's portal is.
    pub portal_url: String,
    /// Where the province's app is.
    pub app_url: String,
    /// Where enterprises are started.
    pub enterprise_url: String,
    urls: Vec<(&'static str, String)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<std::io::Result<()>>,
    pools: Vec<SqlitePool>,
}

/// Each service that has a database of the same name, and its addresses.
async fn services(dir: &Path) -> Result<(Vec<(&'static str, Router)>, Vec<SqlitePool>)> {
    let keys = credentials(dir)?;
    let mut pools = Vec::new();
    let mut open = async |name: &str| -> Result<SqlitePool> {
        let pool = pool(&database_path(dir, name)).await?;
        pools.push(pool.clone());
        Ok(pool)
    };
    let province = province::Province {
        pool: open("province").await?,
        app_key: keys.province_app_key,
        app_secret: keys.province_app_secret,
        tokens: std::sync::Mutex::default(),
        requests: AtomicU64::new(0),
        started: Instant::now(),
    };
    let platform =
        investment::Platform { pool: open("investment").await?, api_key: keys.investment_api_key };
    let portal = open("portal").await?;
    let portal = portal::Portal::new(portal, keys.portal_app_id, &keys.portal_app_secret)?;
    let app = app::App { pool: open("app").await?, token: keys.app_token };
    let enterprise = enterprise::Enterprise {
        pool: open("enterprise").await?,
        client: keys.enterprise_client,
        secret: keys.enterprise_secret,
        tokens: std::sync::Mutex::default(),
    };
    let micro = micro::Micro {
        pool: open("micro").await?,
        client: keys.micro_client,
        secret: keys.micro_secret,
        tokens: std::sync::Mutex::default(),
    };
    let supervision = supervision::Supervision {
        pool: open("supervision").await?,
        user: keys.supervision_user,
        password: keys.supervision_password,
    };
    let ems = ems::Ems { pool: open("ems").await?, key: keys.ems_key, secret: keys.ems_secret };
    let xml = |pool, key, secret, listing| {
        let tokens = std::sync::Mutex::default();
        xml::routes(Arc::new(xml::XmlService { pool, key, secret, tokens, listing }))
    };
    let (hrss, first) = (open("hrss").await?, open("vertical_1").await?);
    let second = soap::SoapService {
        pool: open("vertical_2").await?,
        user: keys.vertical_2_user,
        password: keys.vertical_2_password,
    };
    let services = vec![
        ("province", province::routes(Arc::new(province))),
        ("investment", investment::routes(Arc::new(platform))),
        ("portal", portal::routes(Arc::new(portal))),
        ("app", app::routes(Arc::new(app))),
        ("enterprise", enterprise::routes(Arc::new(enterprise))),
        ("micro", micro::routes(Arc::new(micro))),
        ("supervision", supervision::routes(Arc::new(supervision))),
        ("ems", ems::routes(Arc::new(ems))),
        ("hrss", xml(hrss, keys.hrss_key, keys.hrss_secret, &xml::HRSS)),
        ("vertical_1", xml(first, keys.vertical_1_key, keys.vertical_1_secret, &xml::VERTICAL)),
        ("vertical_2", soap::routes(Arc::new(second))),
    ];
    Ok((services, pools))
}

/// Starts the services of the finished city in `dir`.
pub async fn start(dir: &Path) -> Result<RunningCity> {
    let (services, pools) = services(dir).await?;
    let before: Ports = fs::read(dir.join(PORTS))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut ports = Ports::default();
    let mut urls = Vec::new();
    for (name, routes) in services {
        let listener = listen(before.0.get(name).copied().unwrap_or_default()).await?;
        let port = port(&listener)?;
        ports.0.insert(name.to_owned(), port);
        urls.push((name, format!("http://127.0.0.1:{port}")));
        tasks.spawn(serve(listener, routes, stopped.clone()));
    }
    write_atomically(&dir.join(PORTS), &ports)?;
    tasks.spawn(publish::acknowledge(publish_path(dir), stopped));
    let url = |name: &str| format!("http://127.0.0.1:{}", ports.0[name]);
    Ok(RunningCity {
        province_url: url("province"),
        investment_url: url("investment"),
        portal_url: url("portal"),
        app_url: url("app"),
        enterprise_url: url("enterprise"),
        urls,
        stop,
        tasks,
        pools,
    })
}

impl RunningCity {
    /// Where each service is, by its name.
    pub fn by_name(&self) -> Vec<(&'static str, &str)> {
        self.urls.iter().map(|(name, url)| (*name, url.as_str())).collect()
    }

    /// Ends the services; open requests get a moment to finish.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let all_ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        for pool in &self.pools {
            pool.close().await;
        }
    }
}

async fn listen(port: u16) -> Result<TcpListener> {
    let preferred = TcpListener::bind(("127.0.0.1", port)).await;
    match preferred {
        Ok(listener) => Ok(listener),
        // Somebody else has the port by now, so any free one must do.
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port),
    }
}

fn port(listener: &TcpListener) -> Result<u16> {
    Ok(listener.local_addr().map_err(no_port)?.port())
}

fn no_port(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unreachable, "E-CITY-PORT", "no port of 127.0.0.1 could be opened")
        .cause(error)
}

async fn pool(path: &Path) -> Result<SqlitePool> {
    // Looking for connections that rest too long may never end in this version of the driver.
    SqlitePoolOptions::new()
        .idle_timeout(None)
        .max_lifetime(None)
        .max_connections(4)
        .connect_with(existing(path)?)
        .await
        .map_err(failed("open a database of the city"))
}

fn serve(
    listener: TcpListener,
    routes: Router,
    mut stopped: watch::Receiver<bool>,
) -> impl Future<Output = std::io::Result<()>> + Send {
    let ended = async move {
        // An error means that the city was dropped, which is an end as well.
        drop(stopped.wait_for(|is_stopped| *is_stopped).await);
    };
    async move { axum::serve(listener, routes).with_graceful_shutdown(ended).await }
}
