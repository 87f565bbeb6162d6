//! The processes in which the service runs statements, of the real program.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::serve::{Service, with_analyst};
use crate::service::city;

/// Rows enough for hours, and none before their end.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000) a, \
                       generate_series(1, 1000000) b where (a.value * b.value) % 7 = 3";

/// What a process is now and whose child; none when it is gone or only waits to be taken away.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    let state = words.next()?;
    words.next()?.parse().ok().filter(|_| state != "Z")
}

/// The processes that a service runs statements in.
fn children_of(service: &Service) -> Vec<u32> {
    let parent = service.process.id();
    let all = std::fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent.is_some() && parent_of(*pid) == parent).collect()
}

/// The processes that a service runs statements in, once one has computed for as long as only an
/// endless statement does.
async fn at_work(service: &Service) -> Vec<u32> {
    let computed = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let words = stat.rsplit_once(") ").map_or("", |(_, words)| words);
        words.split(' ').nth(11).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..400 {
        ticks.tick().await;
        let running = children_of(service);
        if running.iter().any(|pid| computed(pid) > 200) {
            return running;
        }
    }
    panic!("no statement is at work after twenty seconds");
}

async fn kill(pid: u32) {
    let status = Command::new("kill").args(["-KILL", &pid.to_string()]).status().await;
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_killed_statement_is_told_and_a_killed_hub_leaves_none() {
    let hub = city(64);
    let token = with_analyst(&hub);
    let mut service = Service::start(&hub).await;
    let count = "select count(*) from current.city_cases_accepted";
    let rows = service.psql(&token, count).await.unwrap();

    let eats = service.psql(&token, "select length(repeat('x', 2100000000))").await.unwrap_err();
    assert!(eats.contains("the statement was ended"), "{eats}");
    assert_eq!(service.psql(&token, count).await.unwrap(), rows);

    let mut psql = service.psql_command(&token);
    psql.args(["-c", ENDLESS, "-c", count]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let psql = psql.spawn().unwrap();
    let running = at_work(&service).await;
    assert!((1..=3).contains(&running.len()), "{running:?}");
    for pid in running {
        kill(pid).await;
    }
    let output = psql.wait_with_output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("the statement was ended"), "{errors}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), rows, "the same connection goes on");

    let mut psql = service.psql_command(&token);
    psql.args(["-c", ENDLESS]).stdout(Stdio::null()).stderr(Stdio::null());
    let _psql = psql.spawn().unwrap();
    let running = at_work(&service).await;
    service.process.kill().await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..100 {
        ticks.tick().await;
        if running.iter().all(|pid| parent_of(*pid).is_none()) {
            return;
        }
    }
    panic!("five seconds after the hub was killed, some of {running:?} are there");
}
