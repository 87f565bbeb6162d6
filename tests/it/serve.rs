//! `huiliu serve`: SQL over the Postgres wire, with a token, until a signal.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::hub::Hub;
use crate::office::{Office, Service as Source, execute};
use crate::stop::terminate;

/// The running service and how to get in.
pub(crate) struct Service {
    pub(crate) process: Child,
    port: String,
    /// Where Arrow Flight SQL is, such as `grpc://127.0.0.1:40123`.
    pub(crate) flight: String,
    /// Where the console and the API are, such as `127.0.0.1:40123`.
    pub(crate) web: String,
    /// The one-time token of the first account, where there was none.
    pub(crate) first: Option<String>,
    /// Where the figures for Prometheus are, such as `127.0.0.1:40123`.
    pub(crate) metrics: String,
    /// All that it said, its log among it, once it has ended.
    pub(crate) said: JoinHandle<String>,
}

/// The user whose token `with_analyst` makes.
pub(crate) const ANALYST: &str = "fenxi";

/// Makes an analyst with a token that may query, as the owner of the data folder does.
pub(crate) fn with_analyst(hub: &Hub) -> String {
    let title = ["--title", "分析员", "--role", "analyst"];
    hub.run(&[&["user", "add", ANALYST][..], &title].concat()).expect(0);
    let made = ["user", "token", "create", ANALYST, "--title", "test"];
    hub.run_json(&made).expect(0).json()["secret"].as_str().unwrap().to_owned()
}

impl Service {
    pub(crate) async fn start(hub: &Hub) -> Self {
        Self::start_with(hub, &[]).await
    }

    /// The service with options of the program, such as how much it logs.
    pub(crate) async fn start_with(hub: &Hub, options: &[&str]) -> Self {
        let any = "127.0.0.1:0";
        let doors = ["--pgwire", any, "--flight", any, "--web", any, "--metrics", any];
        let mut command = hub.command(&[options, &["serve"], &doors].concat());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Command::from(command).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut port, mut flight, mut web, mut first) = (None, None, None, None);
        let mut said = String::new();
        let metrics = loop {
            let line = lines.next_line().await.unwrap().expect("serve ended before it was ready");
            said.push_str(&line);
            said.push('\n');
            // The figures are the last that is said.
            if let Some(address) = line.strip_suffix("/metrics") {
                break address.trim_start_matches("http://").to_owned();
            }
            if line.starts_with("psql ") {
                let mut words = line.split(' ').skip_while(|word| *word != "-p");
                port = words.nth(1).map(str::to_owned);
            } else if line.starts_with("grpc://") {
                flight = Some(line);
            } else if let Some(address) = line.strip_prefix("http://") {
                let token = address.contains("/setup").then(|| address.rsplit(' ').next());
                first = token.flatten().map(str::to_owned);
                web = address.split('/').next().map(str::to_owned);
            }
        };
        // Nobody may block on a full pipe.
        let said = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.push_str(&line);
                said.push('\n');
            }
            said
        });
        let (flight, web) = (flight.unwrap(), web.unwrap());
        Self { process, port: port.unwrap(), flight, web, first, metrics, said }
    }

    /// What psql prints, or what it says when it fails.
    pub(crate) async fn psql(&self, password: &str, statement: &str) -> Result<String, String> {
        let mut command = self.psql_command(password);
        command.args(["-v", "ON_ERROR_STOP=1", "-c", statement, "huiliu"]);
        let output = command.output().await.expect("psql is missing; ./test installs it");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// What ADBC prints for a statement over Flight, or what it says when it fails.
    pub(crate) async fn flight(&self, token: &str, statement: &str) -> Result<String, String> {
        let python = std::env::var_os("HUILIU_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let program = "
import sys, adbc_driver_flightsql.dbapi as flight
uri, user, token, statement = sys.argv[1:]
with flight.connect(uri, db_kwargs={'username': user, 'password': token}, autocommit=True) as db:
    with db.cursor() as cursor:
        cursor.execute(statement)
        print(*cursor.fetchall(), sep='\\n')
";
        let mut command = Command::new(python);
        command.args(["-c", program, &self.flight, ANALYST, token, statement]).kill_on_drop(true);
        let output = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// psql as the analyst.
    pub(crate) fn psql_command(&self, password: &str) -> Command {
        let mut command = Command::new("psql");
        command.args(["-X", "-At", "-h", "127.0.0.1", "-p", &self.port, "-U", ANALYST]);
        command.env("PGPASSWORD", password).env("PGDATABASE", "huiliu");
        command.env("LC_ALL", "C.UTF-8").kill_on_drop(true);
        command
    }
}

#[tokio::test]
async fn sigterm_in_the_middle_of_a_job_ends_it_and_gives_everything_back() {
    let source = Source::start();
    let office = Office::new("http", &source.system("limits = { connections = 1 }"));
    let job = "version = 1\n[[jobs]]\nname = \"often\"\ncron = \"* * * * *\"\nrun = \"*\"\n";
    std::fs::write(office.hub.project().join("config/jobs.toml"), job).unwrap();
    // The hub ran an hour ago and was down since, so the job is due at once.
    office.hub.run(&["state", "list"]);
    let opened = office.hub.run(&["run", "office.nothing"]);
    assert!(opened.err.contains("office.nothing"), "{}", opened.err);
    let missed = "insert into huiliu_occurrence (job, scheduled_at) values \
                  ('often', strftime('%Y-%m-%dT%H:%M:00Z', 'now', '-1 hour'))";
    execute(&office.hub.database(), missed).await;
    with_analyst(&office.hub);
    let mut service = Service::start(&office.hub).await;
    let asked = source.next();
    let begin = std::time::Instant::now();
    assert_eq!(terminate(&mut service.process).await, Some(143));
    assert!(begin.elapsed().as_secs() < 30);
    drop(asked);
    let held = "select (select count(*) from huiliu_lease where holder is not null)
                     + (select count(*) from huiliu_slot) + (select count(*) from huiliu_attempt)";
    assert_eq!(office.number(held).await, 0);
    let shown = office.hub.run_json(&["runs", "show", "1"]).expect(0).json();
    assert_eq!(
        (&shown["run"]["job"], &shown["run"]["state"]),
        (&"often".into(), &"cancelled".into())
    );
    assert_eq!(shown["steps"][0]["state"], "cancelled", "{shown}");
    // All the minutes it was down for are one run, and that was this one.
    let claimed = "select count(*) from huiliu_occurrence";
    assert_eq!(office.number(claimed).await, 2);
}

#[tokio::test]
async fn psql_lists_the_tables_shows_a_figure_and_sigterm_ends_it() {
    let hub = Hub::edited();
    // Without jobs nothing runs beside the questions, whatever the time is.
    std::fs::remove_file(hub.project().join("config/jobs.toml")).unwrap();
    hub.prepared(61);
    let token = with_analyst(&hub);
    let mut service = Service::start(&hub).await;
    assert_eq!(service.first, None, "there is an account");

    let tables = service.psql(&token, "\\dt *.*").await.unwrap();
    for table in ["current|city_cases_accepted", "reconciled|cases", "metrics|figures"] {
        assert!(tables.contains(table), "{table} is not in: {tables}");
    }
    let sql = "select value from metrics.figures where key = 'items_total'";
    let figure = service.psql(&token, sql).await.unwrap();
    assert_eq!(figure.trim(), hub.truth()["figures"]["items_total"].to_string());
    let over_flight = service.flight(&token, sql).await.unwrap();
    assert!(over_flight.contains(figure.trim()), "{over_flight}");

    let refused = service.psql("not-the-token", "select 1").await.unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert!(!refused.contains(&token));
    let write = service.psql(&token, "delete from metrics.figures").await.unwrap_err();
    assert!(write.contains("ERROR"), "{write}");

    assert_eq!(terminate(&mut service.process).await, Some(143));
}
