//! `huiliu serve`: keeps the schedule and opens the doors.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use huiliu_core::config::{ServeConfig, TlsConfig};
use huiliu_core::policy::exit;
use huiliu_runner::{Hub, JobEvent};
use huiliu_sdk::{Error, ErrorKind};
use tokio::sync::Notify;

use huiliu_serve::sql::{Gate, GateLimits};
use huiliu_serve::web::{App, WebOptions, WebSettings};
use huiliu_serve::{FlightOptions, PgOptions, PgServer, Tls, TlsFiles, start_flight, start_pg};

use crate::doors::Doors;
use crate::output::Printer;
use crate::setup::{Failure, Setup};
use crate::statement;
use crate::user::accounts;
use crate::watch;
use crate::work::print_report;

/// Where the service listens, in the place of what config/hub.toml says.
pub(crate) struct Addresses {
    /// The Postgres wire.
    pub(crate) pgwire: Option<String>,
    /// Arrow Flight SQL, or `off`.
    pub(crate) flight: Option<String>,
    /// The console and the API, or `off`.
    pub(crate) web: Option<String>,
    /// `/metrics`, or `off`.
    pub(crate) metrics: Option<String>,
}

/// Serves until a signal comes.
pub(crate) async fn serve(setup: &Setup, addresses: Addresses) -> Result<u8, Failure> {
    let Addresses { pgwire, flight, web, metrics } = addresses;
    let hub = setup.open().await?;
    let _one = hub.serve_alone()?;
    hub.lake().verify_sizes().await?.check()?;
    let printer = setup.printer;
    let accounts = accounts(&hub)?;
    let program = statement::program(setup);
    let gate = Gate::new(hub.engine.clone(), accounts.clone(), GateLimits::default(), program)?;
    let address = address(&pgwire.unwrap_or_else(|| hub.project.hub.serve.pgwire.clone()))?;
    let tls = tls(setup, &hub.project.hub.serve)?;
    let options = PgOptions { address, tls: tls.clone() };
    let (PgServer { address }, door) =
        start_pg(gate.clone(), options, setup.cancel.clone()).await?;
    let user = printer.pick("USER", "用户名");
    let mode = if tls.is_some() { " sslmode=verify-full" } else { "" };
    printer.note(&match mode {
        "" => format!("psql -h {} -p {} -U {user} huiliu", address.ip(), address.port()),
        mode => {
            let (host, port) = (address.ip(), address.port());
            format!("psql \"host={host} port={port} user={user} dbname=huiliu{mode}\"")
        }
    });
    let flights = open_flight(setup, &hub, (flight, tls.clone()), gate.clone()).await?;
    let doors =
        Arc::new(Doors::new(Arc::clone(&hub), gate.clone(), &setup.project, setup.cancel.clone()));
    let site = open_site(setup, &hub, (web, tls), Arc::clone(&doors), gate).await?;
    for job in &hub.project.jobs.jobs {
        match hub.next_runs(Some(&job.name), 1) {
            Ok(next) => {
                for next in next {
                    let at = next.at.format("%Y-%m-%d %H:%M %Z");
                    let label = printer.pick("next", "下次运行");
                    printer.note(&format!("{}: {label} {at}", job.name));
                }
            }
            // One whose calendar has ended leaves the others alone.
            Err(error) => printer.error(&error),
        }
    }
    let now = hub.clock().now();
    hub.project.calendar_warnings(now).iter().for_each(|warning| printer.error(warning));
    let address = metrics.as_ref().unwrap_or(&hub.project.hub.serve.metrics);
    let listener = match watch::metrics::open(address).await {
        Ok(listener) => listener,
        // A place that was asked for must be there; the work does not wait for the usual one.
        Err(error) if metrics.is_some() => return Err(error.into()),
        Err(error) => {
            printer.error(&error);
            None
        }
    };
    if let Some(listener) = &listener {
        printer.note(&format!("http://{}/metrics", listener.address));
    }
    let changed = Arc::new(Notify::new());
    let told = Arc::clone(&changed);
    let scheduler = hub.scheduler(move |event| {
        tell(printer, event);
        told.notify_one();
    })?;
    tokio::join!(
        door,
        flights,
        site,
        scheduler.serve(setup.cancel.clone()),
        watch::watch(&hub, &changed, setup.cancel.clone()),
        watch::metrics::show(listener, &hub, setup.cancel.clone()),
    );
    doors.finish().await;
    hub.close().await;
    Ok(exit::INTERRUPTED)
}

fn address(text: &str) -> Result<SocketAddr, Error> {
    text.parse().map_err(|_| {
        Error::new(ErrorKind::Config, "E-ADDRESS", format!("`{text}` is no address"))
            .hint("write it such as 127.0.0.1:15432")
    })
}

/// TLS of the doors, where the project has it.
fn tls(setup: &Setup, config: &ServeConfig) -> Result<Option<Tls>, Error> {
    let Some(TlsConfig { certificate, key, client_ca }) = &config.tls else { return Ok(None) };
    let folder = setup.project.join("config");
    let files = TlsFiles {
        certificate: folder.join(certificate),
        key: folder.join(key),
        client_ca: client_ca.as_ref().map(|path| folder.join(path)),
    };
    Tls::read(files).map(Some)
}

/// What serves a door until the end; nothing where it is off.
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Opens Arrow Flight SQL.
async fn open_flight(
    setup: &Setup,
    hub: &Arc<Hub>,
    (asked, tls): (Option<String>, Option<Tls>),
    gate: Gate,
) -> Result<Served, Failure> {
    let text = asked.as_ref().unwrap_or(&hub.project.hub.serve.flight);
    let nothing: Served = Box::pin(std::future::ready(()));
    if text == "off" {
        return Ok(nothing);
    }
    let scheme = if tls.is_some() { "grpc+tls" } else { "grpc" };
    let is_asked = asked.is_some() || tls.is_some();
    let options = FlightOptions { address: address(text)?, tls };
    match start_flight(gate, options, setup.cancel.clone()).await {
        Ok((server, served)) => {
            setup.printer.note(&format!("{scheme}://{}", server.address));
            Ok(Box::pin(served))
        }
        // A place that was asked for must be there; the work does not wait for the usual one.
        Err(error) if is_asked => Err(error.into()),
        Err(error) => {
            setup.printer.error(&error);
            Ok(nothing)
        }
    }
}

/// Opens the console and the API, and says how the first account is made.
async fn open_site(
    setup: &Setup,
    hub: &Arc<Hub>,
    (asked, tls): (Option<String>, Option<Tls>),
    doors: Arc<Doors>,
    gate: Gate,
) -> Result<Served, Failure> {
    let config = &hub.project.hub.serve;
    let text = asked.as_ref().unwrap_or(&config.web);
    let nothing: Served = Box::pin(std::future::ready(()));
    if text == "off" {
        return Ok(nothing);
    }
    let is_https = |url: &String| url.starts_with("https://");
    if config.behind_proxy && !config.public_url.as_ref().is_some_and(is_https) {
        let message = "`behind_proxy` needs the `https://` address of the gateway as `public_url`";
        return Err(Error::new(ErrorKind::Config, "E-WEB-ADDRESS", message)
            .hint("write both under [serve] in config/hub.toml")
            .into());
    }
    let printer = setup.printer;
    let accounts = gate.accounts().clone();
    let address = address(text)?;
    // Requests are answered by the name in them, so that no other name is made to point here.
    let is_known = address.ip().is_loopback() || config.public_url.as_ref().is_some_and(is_https);
    if tls.is_some() && !is_known {
        let message = format!("the web at {address} needs its `https://` address as `public_url`");
        return Err(Error::new(ErrorKind::Config, "E-WEB-ADDRESS", message)
            .hint(
                "write it under [serve] in config/hub.toml; the console answers to that name alone",
            )
            .into());
    }
    let settings = WebSettings { public_url: config.public_url.clone(), tls: tls.is_some() };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let is_asked = asked.is_some() || config.behind_proxy || tls.is_some();
    let options = WebOptions { address, behind_proxy: config.behind_proxy, tls };
    let app = Arc::new(App::new(doors, accounts.clone(), gate, settings));
    let router = huiliu_serve::web::router(&app);
    let opened = huiliu_serve::web::serve(router, options, setup.cancel.clone()).await;
    let (server, served) = match opened {
        Ok(opened) => opened,
        // A place that was asked for must be there; the work does not wait for the usual one.
        Err(error) if is_asked => return Err(error.into()),
        Err(error) => {
            printer.error(&error);
            return Ok(nothing);
        }
    };
    let url = config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", server.address));
    printer.note(&url);
    if let Some(token) = accounts.offer_first().await? {
        printer.note(&format!(
            "{url}/setup  {} {token}",
            printer.pick(
                "makes the first administrator; the one-time token is",
                "用于建立第一个管理员账号，一次性令牌为"
            ),
        ));
    }
    Ok(Box::pin(served))
}

/// Says what happened to a job.
fn tell(printer: Printer, event: JobEvent) {
    match event {
        JobEvent::Started { occurrence, attempt } => {
            let scheduled_at = occurrence.scheduled_at;
            tracing::info!(job = occurrence.job, scheduled_at, attempt, "job starts");
        }
        JobEvent::Ended { occurrence, state, report, error } => {
            let (job, at) = (&occurrence.job, &occurrence.scheduled_at);
            tracing::info!(job, scheduled_at = at, state = state.as_str(), "job ended");
            printer.line(&format!("{job} ({at}): {}", state.as_str()));
            if let Some(report) = report {
                print_report(printer, &report);
            }
            if let Some(error) = error {
                printer.error(&error);
            }
        }
        JobEvent::LeftOut { occurrence, state } => {
            let (job, at, state) = (occurrence.job, occurrence.scheduled_at, state.as_str());
            tracing::warn!(job, scheduled_at = at, state, "a time of a job is left out");
        }
        JobEvent::Missed { occurrence, count } => {
            let (job, at) = (occurrence.job, occurrence.scheduled_at);
            tracing::warn!(job, scheduled_at = at, count, "times passed that are not run");
        }
        JobEvent::Parked { job, deaths } => {
            let message = format!("the job {job} is parked: its process ended {deaths} times");
            printer.error(&Error::new(ErrorKind::Internal, "E-JOB-PARKED", message).hint(format!(
                "see the log and the memory of this machine, then `huiliu jobs unpark {job} \
                 --reason TEXT`"
            )));
        }
        JobEvent::Unknown { error, .. } => printer.error(&error),
    }
}
