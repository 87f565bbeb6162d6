//! The city's HTTP services on loopback, on ports that stay the same from start to start.

mod answer;
mod app;
mod enterprise;
mod hrss;
mod investment;
mod listing;
mod portal;
mod province;
mod push;
mod token;

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

use crate::credentials::credentials;
use crate::folder::{
    app_path, enterprise_path, hrss_path, investment_path, portal_path, province_path,
    write_atomically,
};
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
    /// Where the department of human resources answers.
    pub hrss_url: String,
    stop: watch::Sender<bool>,
    tasks: JoinSet<std::io::Result<()>>,
    pools: Vec<SqlitePool>,
}

/// Starts the services of the finished city in `dir`.
pub async fn start(dir: &Path) -> Result<RunningCity> {
    let keys = credentials(dir)?;
    let before: Ports = fs::read(dir.join(PORTS))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let province_pool = pool(&province_path(dir)).await?;
    let investment_pool = pool(&investment_path(dir)).await?;
    let portal_pool = pool(&portal_path(dir)).await?;
    let app_pool = pool(&app_path(dir)).await?;
    let enterprise_pool = pool(&enterprise_path(dir)).await?;
    let hrss_pool = pool(&hrss_path(dir)).await?;
    let province = province::Province {
        pool: province_pool.clone(),
        app_key: keys.province_app_key,
        app_secret: keys.province_app_secret,
        tokens: std::sync::Mutex::default(),
        requests: AtomicU64::new(0),
        started: Instant::now(),
    };
    let platform =
        investment::Platform { pool: investment_pool.clone(), api_key: keys.investment_api_key };
    let portal =
        portal::Portal::new(portal_pool.clone(), keys.portal_app_id, &keys.portal_app_secret)?;
    let app = app::App { pool: app_pool.clone(), token: keys.app_token };
    let enterprise = enterprise::Enterprise {
        pool: enterprise_pool.clone(),
        client: keys.enterprise_client,
        secret: keys.enterprise_secret,
        tokens: std::sync::Mutex::default(),
    };
    let hrss = hrss::Hrss {
        pool: hrss_pool.clone(),
        key: keys.hrss_key,
        secret: keys.hrss_secret,
        tokens: std::sync::Mutex::default(),
    };
    let services = [
        ("province", province::routes(Arc::new(province))),
        ("investment", investment::routes(Arc::new(platform))),
        ("portal", portal::routes(Arc::new(portal))),
        ("app", app::routes(Arc::new(app))),
        ("enterprise", enterprise::routes(Arc::new(enterprise))),
        ("hrss", hrss::routes(Arc::new(hrss))),
    ];

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut ports = Ports::default();
    for (name, routes) in services {
        let listener = listen(before.0.get(name).copied().unwrap_or_default()).await?;
        ports.0.insert(name.to_owned(), port(&listener)?);
        tasks.spawn(serve(listener, routes, stopped.clone()));
    }
    write_atomically(&dir.join(PORTS), &ports)?;
    let url = |name: &str| format!("http://127.0.0.1:{}", ports.0[name]);
    Ok(RunningCity {
        province_url: url("province"),
        investment_url: url("investment"),
        portal_url: url("portal"),
        app_url: url("app"),
        enterprise_url: url("enterprise"),
        hrss_url: url("hrss"),
        stop,
        tasks,
        pools: vec![
            province_pool,
            investment_pool,
            portal_pool,
            app_pool,
            enterprise_pool,
            hrss_pool,
        ],
    })
}

impl RunningCity {
    /// Where each service is, by its name.
    pub fn by_name(&self) -> [(&'static str, &str); 6] {
        [
            ("province", &self.province_url),
            ("investment", &self.investment_url),
            ("portal", &self.portal_url),
            ("app", &self.app_url),
            ("enterprise", &self.enterprise_url),
            ("hrss", &self.hrss_url),
        ]
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
    SqlitePoolOptions::new()
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
