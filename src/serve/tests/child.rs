//! Statements run in processes of their own: what ends one ends nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use huiliu_core::access::Role;
use huiliu_serve::sql::{GateLimits, Program};
use tokio::process::Command;

use crate::ground::MEMORY;
use crate::world::{World, add_user, add_visits, token_of};

/// Rows enough for hours, and none before their end.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000) a, \
                       generate_series(1, 1000000) b where (a.value * b.value) % 7 = 3";

/// How the doors of a world start the program that runs statements, which is an example of this
/// crate and lies beside its tests.
pub(crate) fn program(data: &Path) -> Program {
    let tests = std::env::current_exe().unwrap();
    Program {
        path: tests.parent().unwrap().with_file_name("examples").join("statements"),
        arguments: Vec::new(),
        folder: data.to_owned(),
        spill: data.join("spill"),
    }
}

/// The processes of a world, which work in its folder.
fn processes(world: &World) -> BTreeSet<u32> {
    let data = world.data().canonicalize().unwrap();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let entry = entry.unwrap();
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if std::fs::read_link(entry.path().join("cwd")).is_ok_and(|folder| folder == data) {
            found.insert(pid);
        }
    }
    found
}

/// Waits until `is_so` of the processes of a world.
async fn wait_for(world: &World, is_so: impl Fn(&BTreeSet<u32>) -> bool) -> BTreeSet<u32> {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..200 {
        ticks.tick().await;
        let found = processes(world);
        if is_so(&found) {
            return found;
        }
    }
    panic!("after ten seconds there are {:?}", processes(world));
}

/// Hundredths of a second that a process has computed.
fn computed(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let words = stat.rsplit_once(") ").map_or("", |(_, words)| words);
    words.split(' ').nth(11).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

/// Whether one has computed for as long as only an endless statement does.
fn one_is_at_work(found: &BTreeSet<u32>) -> bool {
    found.iter().any(|pid| computed(*pid) > 200)
}

async fn kill(pid: u32) {
    let status = Command::new("kill").args(["-KILL", &pid.to_string()]).status().await;
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_eats_memory_ends_alone() {
    let world = World::open().await;
    add_user(&world.accounts, "other", Role::Analyst).await;
    let token = token_of(&world.accounts, "other").await;
    for sql in [
        "select length(repeat('x', 2000000000))",
        "select max(length(repeat('x', 1000000 + value))) from generate_series(1, 8000)",
        // What stands here is computed while the statement is planned.
        "select count(*) from generate_series(1, length(repeat('x', 2000000000)))",
    ] {
        let mut other = world.psql_command();
        other.env("PGUSER", "other").env("PGPASSWORD", &token);
        other.args(["-At", "-c", "select count(*) from current.cases"]);
        let (refused, other) = tokio::join!(world.refusal(sql), other.output());
        assert!(refused.contains("53200"), "{sql}: {refused}");
        assert!(refused.contains("the statement was ended"), "{sql}: {refused}");
        assert_eq!(String::from_utf8(other.unwrap().stdout).unwrap().trim(), "100", "{sql}");
        assert_eq!(world.rows("select count(*) from current.cases").await, "100", "{sql}");
    }
    wait_for(&world, |found| found.len() <= 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_the_process_of_its_statement() {
    let world = World::open().await;
    let mut psql = world.psql_command();
    psql.args(["-At", "-v", "VERBOSITY=verbose", "-c", ENDLESS, "-c", "select 42"]);
    let psql = psql.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for pid in wait_for(&world, one_is_at_work).await {
        kill(pid).await;
    }
    let output = psql.wait_with_output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("53200") && errors.contains("the statement was ended"), "{errors}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "42");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_is_killed_with_what_it_spilled() {
    let limits = GateLimits { time: Duration::from_secs(3), ..GateLimits::default() };
    let world = World::with(limits).await;
    let idle = wait_for(&world, |found| found.len() == 1).await;
    assert!(world.refusal(ENDLESS).await.contains("57014"));
    let after = wait_for(&world, |found| found.is_disjoint(&idle)).await;
    assert!(after.len() <= 2, "{after:?}");
    assert_eq!(world.rows("select 1").await, "1");
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..100 {
        ticks.tick().await;
        let spill = std::fs::read_dir(world.data().join("spill")).unwrap();
        let folders = spill.filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("statement-")
        });
        if folders.count() <= 2 {
            return;
        }
    }
    panic!("folders of processes that are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_few_and_used_again() {
    let world = World::open().await;
    let first = wait_for(&world, |found| found.len() == 1).await;
    for _ in 0..10 {
        assert_eq!(world.rows("select count(*) from current.cases").await, "100");
    }
    assert_eq!(processes(&world), first);
    let slow = "select count(*) from generate_series(1, 3000000) where value % 7 = 3";
    for _ in 0..3 {
        tokio::join!(world.rows(slow), world.rows(slow));
    }
    wait_for(&world, |found| found.len() <= 2 && found.is_superset(&first)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_same_number_in_all_processes() {
    let world = World::open().await;
    let number = |name: &str| {
        format!(
            "select c.oid, count(*) over () from pg_catalog.pg_class c \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = 'current' and c.relname = '{name}'"
        )
    };
    let before = world.rows(&number("people")).await;
    add_visits(&world.engine, &[("V1", "340503001000", 10)]).await;
    let (people, visits) = (number("people"), number("visits"));
    // The session that names tables is a second old at most.
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while world.rows(&visits).await.is_empty() {
        ticks.tick().await;
    }
    for _ in 0..3 {
        let (one, other) = tokio::join!(world.rows(&people), world.rows(&people));
        assert_eq!((&one, &other), (&before, &before));
        let (one, other) = tokio::join!(world.rows(&visits), world.rows(&visits));
        assert_eq!(one, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_limits_each_process_and_ends_it_first() {
    let world = World::open().await;
    assert_eq!(world.rows("select 1").await, "1");
    let running = processes(&world);
    assert!(!running.is_empty());
    for pid in running {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let data = limits.lines().find(|line| line.starts_with("Max data size")).unwrap();
        let most = (MEMORY as u64 + (1 << 30)).to_string();
        assert!(data.contains(&most), "{data}");
        let first = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(first.trim(), "1000");
    }
}
