//! Jobs through the real program: next times, a job that kills its process, whom the service
//! tells, what it shows.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::hub::Hub;
use crate::office::{Office, SOON, execute};
use crate::stop::terminate;

const SYSTEM: &str = "path = \"office.db\"\n[[streams]]\nname = \"cases\"\ntable = \"cases\"\n\
                      key = [\"id\"]\nread = \"full\"\n";
const TABLE: &str = "create table cases (id integer primary key, name text);
                     insert into cases values (1, 'a'), (2, 'b')";
const EVERY_MINUTE: &str =
    "version = 1\n[[jobs]]\nname = \"often\"\ncron = \"* * * * *\"\nrun = \"*\"\n";

fn jobs(office: &Office, text: &str) {
    std::fs::write(office.hub.project().join("config/jobs.toml"), text).unwrap();
}

/// A running service with the figures' address.
pub(crate) struct Service {
    pub(crate) process: Child,
    pub(crate) metrics: String,
    said: mpsc::UnboundedReceiver<String>,
}

impl Service {
    pub(crate) async fn start(hub: &Hub, faults: Option<&str>) -> Self {
        let arguments = ["--log-format", "json", "-v", "serve"];
        let any = "127.0.0.1:0";
        let ports = ["--pgwire", any, "--metrics", any];
        let mut command = hub.command(&[arguments.as_slice(), &ports].concat());
        if let Some(faults) = faults {
            command.env("FAILPOINTS", faults);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Command::from(command).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (sender, mut said) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // The test may have heard enough.
                drop(sender.send(line));
            }
        });
        let metrics = loop {
            let line = said.recv().await.expect("serve ended before it was ready");
            let address = line.strip_prefix("http://").and_then(|l| l.strip_suffix("/metrics"));
            if let Some(address) = address {
                break address.to_owned();
            }
        };
        Self { process, metrics, said }
    }

    /// Waits until it says a line with `words`.
    async fn says(&mut self, words: &str) -> String {
        let found = async {
            loop {
                let line =
                    self.said.recv().await.unwrap_or_else(|| panic!("it never said {words}"));
                if line.contains(words) {
                    return line;
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("it never said {words}"))
    }

    /// What else it has said so far.
    fn log(&mut self) -> String {
        let mut lines = Vec::new();
        while let Ok(line) = self.said.try_recv() {
            lines.push(line);
        }
        lines.join("\n")
    }

    /// The page of figures.
    pub(crate) async fn figures(&self) -> String {
        let answer = get(&self.metrics, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("version=0.0.4"), "{answer}");
        answer
    }
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// One figure of the page.
pub(crate) fn figure(page: &str, name: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Lets `job` have been due an hour ago, so that a service runs it at once.
async fn missed(database: &Path, job: &str) {
    let sql = format!(
        "insert into huiliu_job (job, last_at) values \
         ('{job}', strftime('%Y-%m-%dT%H:%M:00Z', 'now', '-1 hour')) \
         on conflict (job) do update set last_at = excluded.last_at"
    );
    execute(database, &sql).await;
}

/// Asks for the job `often`, as the service's other doors do. What is older than a season would be
/// forgotten.
fn ask(minute: u32) -> String {
    format!(
        "insert into huiliu_occurrence (job, scheduled_at, state) values \
         ('often', strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 hour', '+{minute} minutes'), 'queued')"
    )
}

#[test]
fn next_times_are_shown_in_order_and_wrong_jobs_are_told_at_their_line() {
    let office = Office::new("sqlite", SYSTEM);
    jobs(
        &office,
        "version = 1\n[[jobs]]\nname = \"a\"\ncron = \"0 0 29 2 *\"\nrun = \"*\"\n\
         [[jobs]]\nname = \"b\"\ncron = \"30 6 * * *\"\nzone = \"Asia/Tokyo\"\nrun = \"*\"\n",
    );
    let next = office.hub.run_json(&["jobs", "next", "a", "--count", "2"]).expect(0).json();
    for run in next["next"].as_array().unwrap() {
        assert!(run["at"].as_str().unwrap().contains("-02-29T00:00:00"), "{next}");
    }
    let all = office.hub.run(&["jobs", "next", "--count", "3"]).expect(0).out;
    assert_eq!(all.matches("06:30 JST  b").count(), 3, "{all}");
    let unknown = office.hub.run(&["jobs", "next", "c"]).expect(2).err;
    assert!(unknown.contains("E-JOB-NAME"), "{unknown}");

    jobs(
        &office,
        "version = 1\n[[jobs]]\nname = \"a\"\ncron = \"0 0 30 2 *\"\nrun = \"*\"\n\
         catch_up = \"all\"\noverlap = \"skip\"\ntimeout = \"soon\"\n\
         [[jobs]]\nname = \"a\"\ncron = \"* * * * *\"\nrun = \"*\"\n",
    );
    let told = office.hub.run(&["check"]).expect(2).err;
    for fault in [
        "jobs.toml:4:1: job a: schedule `0 0 30 2 *`: it never fires",
        "jobs.toml:7:1: job a: `catch_up = \"all\"` runs every time",
        "jobs.toml:8:1: job a: `soon`",
        "jobs.toml:10:1: job a: two jobs have this name",
    ] {
        let fault = fault.split_once(": ").unwrap();
        assert!(told.contains(fault.0) && told.contains(fault.1), "{fault:?} is not in: {told}");
    }
}

#[test]
fn a_calendar_that_ends_is_said_before_it_has_ended() {
    let office = Office::new("sqlite", SYSTEM);
    let days = "date,name,is_off_day\n2018-01-01,元旦,true\n2018-10-01,国庆节,true\n";
    std::fs::write(office.hub.project().join("config/calendar/holidays.csv"), days).unwrap();
    jobs(
        &office,
        "version = 1\n[[jobs]]\nname = \"a\"\ncron = \"0 8 * * *\"\ncalendar = \"workdays\"\n\
         run = \"*\"\n[[jobs]]\nname = \"b\"\ncron = \"0 9 * * *\"\nrun = \"*\"\n",
    );
    let checked = office.hub.run(&["check"]).expect(0).err;
    assert!(checked.contains("job a will not run in"), "{checked}");
    // The year is not there any more: one job has no next time, the other has.
    let refused = office.hub.run(&["jobs", "next", "a"]).expect(2).err;
    assert!(
        refused.contains("E-CALENDAR-UNKNOWN") && refused.contains("holidays.csv"),
        "{refused}"
    );
    let next = office.hub.run_json(&["jobs", "next", "--count", "1"]).expect(0).json();
    assert_eq!(next["next"][0]["job"], "b", "{next}");
    assert!(next["warnings"][0].as_str().unwrap().contains("job a will not run in"), "{next}");
    let list = office.hub.run(&["jobs", "list"]).expect(0).out;
    assert!(list.contains("working days of"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_process_is_parked_after_three_and_runs_again_when_let() {
    let office = Office::new("sqlite", SYSTEM);
    office.edit(TABLE).await;
    jobs(&office, EVERY_MINUTE);
    office.hub.run(&["jobs", "list"]).expect(0);
    missed(&office.hub.database(), "often").await;
    for attempt in 1..=3 {
        let mut service = Service::start(&office.hub, Some("mover::begun=return(abort)")).await;
        let ended = tokio::time::timeout(SOON, service.process.wait()).await;
        let status = ended.expect("it lives").unwrap();
        assert_eq!(status.code(), None, "it was ended by a signal: {status}");
        let deaths = office.number("select deaths from huiliu_job").await;
        assert_eq!(deaths, attempt);
    }
    let mut service = Service::start(&office.hub, None).await;
    service.says("E-JOB-PARKED").await;
    assert_eq!(figure(&service.figures().await, "huiliu_job_parked{job=\"often\"}"), Some(1.0));
    assert_eq!(terminate(&mut service.process).await, Some(143));
    let list = office.hub.run_json(&["jobs", "list"]).expect(0).json();
    assert!(list["jobs"][0]["parked_at"].is_string(), "{list}");

    office.hub.run(&["jobs", "unpark", "often", "--reason", ""]).expect(2);
    office.hub.run(&["jobs", "unpark", "often", "--reason", "more memory"]).expect(0);
    office.hub.run(&["jobs", "unpark", "often", "--reason", "again"]).expect(2);
    let audit = office.hub.run(&["audit", "list"]).expect(0).out;
    assert!(audit.contains("jobs unpark") && audit.contains("more memory"), "{audit}");
    // The stream counts for itself, and three deaths park it as well. A run ends the lease that
    // the last dead process left on it.
    office.hub.run(&["run", "office.cases"]).expect(3);
    office.hub.run(&["state", "unpark", "office.cases", "--reason", "more memory"]).expect(0);
    execute(&office.hub.database(), &ask(1)).await;
    let mut service = Service::start(&office.hub, None).await;
    service.says("\"state\":\"done\"").await;
    assert_eq!(terminate(&mut service.process).await, Some(143));
    let last = office.hub.run_json(&["jobs", "list"]).expect(0).json();
    assert_eq!(last["jobs"][0]["last"]["state"], "done", "{last}");
    office.hub.run(&["jobs", "run", "often"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_has_one_service() {
    let office = Office::new("sqlite", SYSTEM);
    jobs(&office, "version = 1\n");
    let mut service = Service::start(&office.hub, None).await;
    let refused = office.hub.run(&["serve", "--pgwire", "127.0.0.1:0"]).expect(5).err;
    assert!(refused.contains("E-LEASE-BUSY") && refused.contains("is being served"), "{refused}");
    assert_eq!(terminate(&mut service.process).await, Some(143));
}

/// A server that takes what is posted to it.
async fn mailbox() -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let body = loop {
                assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "cut off");
                let text = String::from_utf8_lossy(&bytes);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() == length.unwrap().parse::<usize>().unwrap() {
                    break serde_json::from_str(body).unwrap();
                }
            };
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            // The test may have heard enough.
            drop(sender.send(body));
        }
    });
    (url, received)
}

async fn next(mailbox: &mut mpsc::UnboundedReceiver<Value>) -> Option<Value> {
    tokio::time::timeout(SOON, mailbox.recv()).await.ok()?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_is_told_once_and_so_is_that_it_is_well_again() {
    let office = Office::new("sqlite", SYSTEM);
    let (url, mut mails) = mailbox().await;
    let alerts = "version = 1\nlanguage = \"en\"\n\
        [[channels]]\nname = \"log\"\nkind = \"file\"\nfile = \"told/alerts.log\"\n\
        [[channels]]\nname = \"duty\"\nkind = \"webhook\"\nurl = \"${secret:duty_hook}\"\n";
    std::fs::write(office.hub.project().join("config/alerts.toml"), alerts).unwrap();
    // Never by itself in this test, which asks for it.
    jobs(&office, &EVERY_MINUTE.replace("* * * * *", "0 0 29 2 *"));
    std::fs::create_dir_all(office.hub.data()).unwrap();
    std::fs::write(office.hub.data().join("secrets"), format!("duty_hook={url}\n")).unwrap();
    office.hub.run(&["alerts", "test", "duty"]).expect(0);
    assert_eq!(next(&mut mails).await.unwrap()["kind"], "test");

    let mut service = Service::start(&office.hub, None).await;
    for minute in [1, 2] {
        // The system's database is not there yet.
        execute(&office.hub.database(), &ask(minute)).await;
        service.says("\"state\":\"failed\"").await;
    }
    let mail = next(&mut mails).await.unwrap_or_else(|| panic!("{}", service.log()));
    assert_eq!((&mail["state"], &mail["kind"]), (&"firing".into(), &"job_failed".into()), "{mail}");
    assert_eq!(mail["object"], "often");
    office.edit(TABLE).await;
    execute(&office.hub.database(), &ask(3)).await;
    service.says("\"state\":\"done\"").await;
    let mail = next(&mut mails).await.unwrap_or_else(|| panic!("{}", service.log()));
    assert_eq!(mail["state"], "recovered", "it failed twice and is told once: {mail}");
    let page = service.figures().await;
    assert_eq!(figure(&page, "huiliu_job_last_ok{job=\"often\"}"), Some(1.0), "{page}");
    assert_eq!(figure(&page, "huiliu_alerts"), Some(0.0));
    assert!(!page.contains(&url), "{page}");
    assert!(get(&service.metrics, "/other").await.starts_with("HTTP/1.1 404"));
    assert_eq!(terminate(&mut service.process).await, Some(143));
    let told = std::fs::read_to_string(office.hub.data().join("told/alerts.log")).unwrap();
    let states: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["firing", "recovered"]);
}

/// The slope of the straight line that fits points best, and its standard error.
fn slope(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    let off = |point: &(f64, f64)| (point.1 - y - slope * (point.0 - x)).powi(2);
    let off: f64 = points.iter().map(off).sum();
    (slope, (off / (count - 2.0) / spread).sqrt())
}

#[test]
fn the_slope_of_a_line_is_its_own_and_scatter_makes_it_doubtful() {
    let line: Vec<(f64, f64)> = (0..9).map(|x| (f64::from(x), 5.0 + 3.0 * f64::from(x))).collect();
    let (exact, error) = slope(&line);
    assert!((exact - 3.0).abs() < 1e-9 && error < 1e-9, "{exact} {error}");
    let scattered: Vec<(f64, f64)> =
        line.iter().enumerate().map(|(n, (x, y))| (*x, y + [6.0, -6.0][n % 2])).collect();
    let (about, error) = slope(&scattered);
    assert!((about - 3.0).abs() < 2.0 * error && error > 0.3, "{about} {error}");
}

/// Memory and open files stay as they are while at least sixty jobs a minute run: for two minutes
/// here, for half an hour in `benches/soak.py`.
///
/// Memory is looked at when all jobs have ended, so that each look sees the hub in the same state, and
/// a straight line is laid through what was seen after the first third, which makes tables and fills
/// caches. Two minutes are too short for the bench's 1 MiB a minute: what grows must grow by more than
/// its scatter explains.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_jobs_a_minute_leave_memory_and_open_files_as_they_are() {
    const TIME: Duration = Duration::from_secs(120);
    /// Jobs between two looks.
    const BATCH: usize = 20;
    const LOOKS: usize = 12;
    /// By what memory may surely grow with sixty jobs, and by what it may seem to grow.
    const GROWTH: (f64, f64) = (3.0 * 1024.0 * 1024.0, 8.0 * 1024.0 * 1024.0);
    let streams: String = (0..BATCH)
        .map(|n| {
            format!(
                "[[streams]]\nname = \"t{n}\"\ntable = \"cases\"\nkey = [\"id\"]\nread = \"full\"\n"
            )
        })
        .collect();
    let office = Office::new("sqlite", &format!("path = \"office.db\"\n{streams}"));
    office.edit(TABLE).await;
    let each: String = (0..BATCH)
        .map(|n| {
            format!("[[jobs]]\nname = \"j{n}\"\ncron = \"0 0 29 2 *\"\nrun = \"office.t{n}\"\n")
        })
        .collect();
    jobs(&office, &format!("version = 1\n{each}"));
    office.hub.run(&["jobs", "list"]).expect(0);
    let service = Service::start(&office.hub, None).await;
    let done = "select count(*) from huiliu_occurrence where state = 'done'";
    let begin = Instant::now();
    let mut seen = Vec::new();
    let mut looks = tokio::time::interval(Duration::from_millis(250));
    while begin.elapsed() < TIME || seen.len() < LOOKS {
        let batch = seen.len();
        let asked: Vec<String> = (0..BATCH)
            .map(|n| {
                format!(
                    "('j{n}', strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 day', '+{batch} minutes'), \
                     'queued')"
                )
            })
            .collect();
        let asked = asked.join(", ");
        let sql =
            format!("insert into huiliu_occurrence (job, scheduled_at, state) values {asked}");
        execute(&office.hub.database(), &sql).await;
        let wanted = i64::try_from((batch + 1) * BATCH).unwrap();
        while office.number(done).await < wanted {
            looks.tick().await;
            assert!(begin.elapsed() < TIME * 4, "only {} looks at {BATCH} jobs", seen.len());
        }
        let page = service.figures().await;
        let figure = |name| figure(&page, name).unwrap();
        seen.push((figure("process_resident_memory_bytes"), figure("process_open_fds")));
    }
    let jobs = (seen.len() * BATCH) as f64;
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    println!(
        "{:.0} jobs a minute; memory and open files after each {BATCH}: {seen:?}",
        jobs / minutes
    );
    let steady = &seen[seen.len() / 3..];
    let share = BATCH as f64 / 60.0;
    let points: Vec<(f64, f64)> =
        steady.iter().enumerate().map(|(look, at)| (look as f64 * share, at.0)).collect();
    let (growth, error) = slope(&points);
    let told = format!("{growth:.0} ± {error:.0} bytes with sixty jobs: {seen:?}");
    assert!(growth - 2.0 * error < GROWTH.0 && growth < GROWTH.1, "memory grows by {told}");
    let (first, last) = (steady[0], steady[steady.len() - 1]);
    assert!(last.1 <= first.1 + 4.0, "files stay open: {seen:?}");
    let other = "select count(*) from huiliu_occurrence where state <> 'done'";
    assert_eq!(office.number(other).await, 0);
}
