//! `huiliu serve` in the middle of a job.

use std::process::Stdio;

use crate::lake;
use crate::office::{Office, Service, execute};
use crate::stop::terminate;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_of_a_job_ends_the_service_and_gives_everything_back() {
    let service = Service::start();
    let office = Office::new("http", &service.system("limits = { connections = 1 }"));
    let jobs = "version = 1\n[[jobs]]\nname = \"often\"\ncron = \"* * * * *\"\n\
                catch_up = \"latest\"\nrun = \"office.cases\"\n";
    std::fs::write(office.hub.project().join("config/jobs.toml"), jobs).unwrap();
    // A run that is not let in makes the database.
    let mut run = office.hub.command(&["run"]).stdout(Stdio::null()).spawn().unwrap();
    service.next().answer("401 No", "");
    assert_eq!(run.wait().unwrap().code(), Some(6));
    // It last ran long ago, so it is due at once.
    let long_ago = "insert into huiliu_occurrence (job, scheduled_at) \
                    values ('often', '2018-12-13T00:00:00Z')";
    execute(&office.hub.database(), long_ago).await;

    let mut command = office.hub.command(&["serve", "--pgwire", "127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut serving = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let asked = tokio::task::block_in_place(|| service.next());
    assert_eq!(terminate(&mut serving).await, Some(143));
    drop(asked);
    let mut database = lake::sqlite(&office.hub.database()).await;
    for held in [
        "select count(*) from huiliu_lease where holder is not null",
        "select count(*) from huiliu_slot",
        "select count(*) from huiliu_attempt",
        "select count(*) from huiliu_run where state = 'running'",
    ] {
        assert_eq!(lake::number(&mut database, held).await, 0, "{held}");
    }

    let mut command = office.hub.command(&["run"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    let asked = tokio::task::block_in_place(|| service.next());
    asked.answer("200 OK", r#"{"list":[{"id":"1"},{"id":"2"}]}"#);
    assert!(run.wait().await.unwrap().success());
    assert_eq!(office.number("select sum(record_count) from ducklake_data_file").await, 2);
}
