//! The city's HTTP services on loopback, on ports that stay the same from start to start.

mod answer;
mod investment;
mod province;
mod push;
mod token;

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
use crate::folder::{investment_path, province_path, write_atomically};
use crate::stores::database::{existing, failed};

const PORTS: &str = "ports.json";
/// How long open requests may go on after a stop; what they stored is kept in any case.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Default, Serialize, Deserialize)]
struct Ports {
    #[serde(default)]
    province: u16,
    #[serde(default)]
    investment: u16,
}

/// The services of a city while they run; they end when this is dropped.
pub struct RunningCity {
    /// Where the provincial platform is, such as `http://127.0.0.1:40001`.
    pub province_url: String,
    /// Where the investment platform is.
    pub investment_url: String,
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
    let province_listener = listen(before.province).await?;
    let investment_listener = listen(before.investment).await?;
    let ports =
        Ports { province: port(&province_listener)?, investment: port(&investment_listener)? };
    write_atomically(&dir.join(PORTS), &ports)?;

    let province_pool = pool(&province_path(dir)).await?;
    let investment_pool = pool(&investment_path(dir)).await?;
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

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let province_routes = province::routes(Arc::new(province));
    tasks.spawn(serve(province_listener, province_routes, stopped.clone()));
    tasks.spawn(serve(investment_listener, investment::routes(Arc::new(platform)), stopped));
    Ok(RunningCity {
        province_url: format!("http://127.0.0.1:{}", ports.province),
        investment_url: format!("http://127.0.0.1:{}", ports.investment),
        stop,
        tasks,
        pools: vec![province_pool, investment_pool],
    })
}

impl RunningCity {
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
