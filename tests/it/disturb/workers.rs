//! Two hubs on one database and one lake, of which one is stopped for longer than its lease holds:
//! the other takes its stream over, and what the first had in hand is refused.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::server::{self, Schema};
use crate::hub::Done;
use crate::office::{Asked, Office, SOON, Service};

/// What the first worker was about to store.
const OLD: &str = r#"{"list":[{"id":"1"},{"id":"2"},{"id":"3"}]}"#;
/// What is stored.
const NEW: &str = r#"{"list":[{"id":"1"},{"id":"2"}]}"#;

/// Two hubs that share everything but their data folders.
struct Workers {
    office: Office,
    service: Service,
    schema: Schema,
}

impl Workers {
    fn new() -> Self {
        let (service, schema) = (Service::start(), Schema::named("workers"));
        let office = Office::new("http", &service.system(""));
        let settings = format!(
            "lease = \"2s\"\n\n[store]\nurl = \"{}\"\nschema = \"{}\"\n\n[serve]",
            server::url(),
            schema.name
        );
        office.hub.edit("config/hub.toml", "[serve]", &settings);
        // The first makes the store, and the lake and the key that the second uses as well.
        let mut run = office.hub.command(&["run"]).stdout(Stdio::null()).spawn().unwrap();
        service.next().answer("401 No", "");
        assert_eq!(run.wait().unwrap().code(), Some(6));
        let workers = Self { office, service, schema };
        let (first, second) = (workers.office.hub.data(), workers.second_folder());
        std::fs::create_dir(&second).unwrap();
        std::os::unix::fs::symlink(first.join("lake"), second.join("lake")).unwrap();
        std::fs::copy(first.join("key"), second.join("key")).unwrap();
        workers
    }

    fn second_folder(&self) -> std::path::PathBuf {
        self.office.hub.data().with_file_name("second")
    }

    fn first(&self, faults: &str) -> Child {
        let mut command = self.office.hub.command(&["--output", "json", "run"]);
        command.env("FAILPOINTS", faults).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn second(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_huiliu"));
        command.env_clear().env("LC_ALL", "C.UTF-8").arg("--project");
        command.arg(self.office.hub.project()).arg("--data").arg(self.second_folder());
        command.arg("run").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// The second worker runs until it gets the stream, and stores what is new.
    fn take_over(&self) {
        let begin = Instant::now();
        let mut refused = 0;
        loop {
            assert!(begin.elapsed() < SOON, "it never got the stream");
            let mut second = self.second();
            let Some(asked) = next(&self.service, &mut second) else {
                let done = ended(second, "run of the second");
                assert!(done.said().contains("E-LEASE-BUSY"), "{}", done.said());
                refused += 1;
                continue;
            };
            println!("taken over after {:?}, {refused} times refused", begin.elapsed());
            asked.answer("200 OK", NEW);
            ended(second, "run of the second").expect(0);
            return;
        }
    }

    /// One copy of each row that the second stored, and nothing of the first.
    async fn check(&self) {
        let rows = self.office.hub.query("select id from current.office_cases order by id");
        let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["1", "2"]);
        assert!(self.office.hub.query("select id from history.office_cases").is_empty());
        assert_eq!(self.schema.number("select seq from huiliu_state").await, 1);
        assert_eq!(self.schema.number("select count(*) from huiliu_commit").await, 1);
        let held = "select count(*) from huiliu_lease where holder is not null";
        assert_eq!(self.schema.number(held).await, 0);
    }
}

/// The next request, unless the process ends before it asks.
fn next(service: &Service, process: &mut Child) -> Option<Asked> {
    loop {
        if let Some(asked) = service.next_within(Duration::from_millis(50)) {
            return Some(asked);
        }
        if process.try_wait().unwrap().is_some() {
            return None;
        }
    }
}

fn ended(child: Child, what: &'static str) -> Done {
    Done::of(child.wait_with_output().unwrap(), &[what])
}

fn signal(process: &Child, name: &str) {
    let kill = format!("kill -{name} {}", process.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_past_its_lease_commits_nothing() {
    let workers = Workers::new();
    let first = workers.first("");
    let asked = workers.service.next();
    signal(&first, "STOP");
    workers.take_over();
    signal(&first, "CONT");
    asked.answer("200 OK", OLD);
    let done = ended(first, "run of the first");
    assert_ne!(done.code, Some(0), "{}", done.said());
    assert!(done.out.contains("E-LEASE-LOST"), "{}", done.said());
    workers.check().await;
    // It works again as soon as it starts anew.
    let again = workers.first("");
    workers.service.next().answer("200 OK", NEW);
    ended(again, "run of the first").expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_sleeps_in_its_commit_does_not_stop_the_others() {
    let workers = Workers::new();
    // Everything is written, and the transaction is open.
    let first = workers.first("mover::balanced=1*sleep(5000)");
    workers.service.next().answer("200 OK", OLD);
    let in_commit = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
                     where l.relation = 'huiliu_step'::regclass and l.mode = 'RowExclusiveLock'
                       and a.state = 'idle in transaction'";
    let begin = Instant::now();
    while workers.schema.number(in_commit).await == 0 {
        assert!(begin.elapsed() < SOON, "it never came to its commit");
    }
    signal(&first, "STOP");
    workers.take_over();
    signal(&first, "CONT");
    // Its connection is gone; it begins anew and finds what the other stored.
    workers.service.next().answer("200 OK", NEW);
    ended(first, "run of the first").expect(0);
    workers.check().await;
}
