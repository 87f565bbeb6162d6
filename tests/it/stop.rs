//! Who else is at work, and how work is stopped.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::hub::Hub;

/// Sends SIGTERM and says the exit code, which must come soon.
pub(crate) async fn terminate(process: &mut Child) -> Option<i32> {
    let pid = process.id().unwrap().to_string();
    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
    assert!(kill.unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(5), process.wait()).await;
    ended.expect("still there five seconds after SIGTERM").unwrap().code()
}

/// Starts the program and waits until it says `line` on stderr.
async fn started(hub: &Hub, arguments: &[&str], line: &str) -> Child {
    let mut command = hub.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    loop {
        let said = lines.next_line().await.unwrap();
        if said.unwrap_or_else(|| panic!("it ended without `{line}`")).contains(line) {
            break;
        }
    }
    // Nobody may block on a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    process
}

#[test]
fn a_second_writer_is_told_who_holds_the_folder() {
    let hub = Hub::shipped();
    hub.prepared(7);
    let mut lock = File::create(hub.data().join("huiliu.lock")).unwrap();
    lock.try_lock().unwrap();
    write!(lock, "process 4711").unwrap();
    let done = hub.run(&["run"]).expect(5);
    for word in ["E-LEASE-BUSY", "process 4711", "hint:"] {
        assert!(done.err.contains(word), "{word}: {}", done.err);
    }
    assert!(!hub.query("select * from metrics.figures").is_empty(), "readers need no lock");
}

#[tokio::test]
async fn demo_keep_leaves_the_endpoints_up_for_other_commands() {
    let hub = Hub::shipped();
    let arguments = ["demo", "--keep", "--scale", "0.02", "--seed", "72"];
    let mut kept = started(&hub, &arguments, "stay up").await;
    let report = hub.run_json(&["run"]).expect(0).json();
    for stream in report["streams"].as_array().unwrap() {
        assert_eq!(stream["state"], "unchanged", "{stream}");
    }
    hub.run(&["discover", "province"]).expect(0);
    hub.run(&["preview", "investment.projects"]).expect(0);
    terminate(&mut kept).await;
    let without = hub.run(&["run", "investment.*"]).expect(6);
    assert!(without.out.contains("E-CONNECT"), "{}", without.out);
}

#[tokio::test]
async fn a_demo_that_was_asked_to_stop_stops_soon_and_goes_on_later() {
    let hub = Hub::shipped();
    let arguments = ["demo", "--scale", "0.05", "--seed", "73"];
    let mut process = started(&hub, &arguments, "building the simulated city").await;
    let code = terminate(&mut process).await;
    assert_eq!(code, Some(143));
    hub.demo(73);
}
