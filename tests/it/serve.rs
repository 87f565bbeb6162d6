//! `huiliu serve`: SQL over the Postgres wire, with a token, until a signal.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::hub::Hub;
use crate::office::{Office, Service as Source, execute};
use crate::stop::terminate;

/// The running service and how to get in.
struct Service {
    process: Child,
    port: String,
    token: String,
}

impl Service {
    async fn start(hub: &Hub) -> Self {
        let mut command = hub.command(&["serve", "--pgwire", "127.0.0.1:0"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Command::from(command).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("serve ended before it was ready");
            if line.starts_with("psql ") {
                let mut words = line.split(' ').skip_while(|word| *word != "-p");
                break words.nth(1).unwrap().to_owned();
            }
        };
        // Nobody may block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let token = std::fs::read_to_string(hub.data().join("token")).unwrap().trim().to_owned();
        Self { process, port, token }
    }

    /// What psql prints, or what it says when it fails.
    async fn psql(&self, password: &str, statement: &str) -> Result<String, String> {
        let mut command = Command::new("psql");
        command.args(["-X", "-At", "-h", "127.0.0.1", "-p", &self.port, "-U", "huiliu"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-c", statement, "huiliu"]);
        command.env("PGPASSWORD", password).env("LC_ALL", "C.UTF-8").kill_on_drop(true);
        let output = command.output().await.expect("psql is missing; ./test installs it");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
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
    hub.demo(61);
    let mut service = Service::start(&hub).await;

    let tables = service.psql(&service.token, "\\dt *.*").await.unwrap();
    for table in ["current|city_cases_accepted", "reconciled|cases", "metrics|figures"] {
        assert!(tables.contains(table), "{table} is not in: {tables}");
    }
    let sql = "select value from metrics.figures where key = 'items_total'";
    let figure = service.psql(&service.token, sql).await.unwrap();
    assert_eq!(figure.trim(), hub.truth()["figures"]["items_total"].to_string());

    let refused = service.psql("not-the-token", "select 1").await.unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert!(!refused.contains(&service.token));
    let write = service.psql(&service.token, "delete from metrics.figures").await.unwrap_err();
    assert!(write.contains("ERROR"), "{write}");

    assert_eq!(terminate(&mut service.process).await, Some(143));
}
