//! One hub: downtimes, steps of the clock, overlaps, retries, what must not run side by side.

use super::*;

fn job(name: &str, keys: &str) -> String {
    format!("[[jobs]]\nname = \"{name}\"\nrun = \"{name}\"\n{keys}\n")
}

fn file(jobs: &[String]) -> String {
    format!("version = 1\n{}", jobs.concat())
}

fn often(keys: &str) -> Vec<Planned> {
    jobs(&file(&[job("often", &format!("cron = \"*/10 * * * *\"\n{keys}"))]))
}

async fn hub(folder: &tempfile::TempDir, now: &str, jobs: Vec<Planned>) -> Hub {
    Hub::start(sqlite(folder).await, utc(now), jobs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_down_runs_what_it_missed_as_the_job_says_and_notes_the_rest() {
    for (policy, missed, noted) in [
        ("latest", vec!["often 12:00"], "often 12:00 done 1 2"),
        ("none", vec![], "often 12:10 done 1 3"),
        ("all", vec!["often 11:40", "often 11:50", "often 12:00"], "often 11:50 done 1 0"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let jobs = often(&format!("catch_up = \"{policy}\""));
        let mut hub = hub(&folder, "2018-12-13T11:29:50Z", jobs.clone()).await;
        assert_eq!(hub.ran("2018-12-13T11:30:05Z").await, ["often 11:30"]);
        assert!(hub.ran("2018-12-13T11:30:20Z").await.is_empty());
        hub.kill().await;
        let mut hub = self::hub(&folder, "2018-12-13T12:04:00Z", jobs).await;
        assert_eq!(hub.ran("2018-12-13T12:04:00Z").await, missed, "{policy}");
        assert_eq!(hub.ran("2018-12-13T12:10:05Z").await, ["often 12:10"]);
        let stored = stored(&hub.store).await;
        assert!(stored.contains(&noted.to_owned()), "{policy}: {stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_an_hour_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = hub(&folder, "2018-12-13T10:00:05Z", often("")).await;
    assert_eq!(hub.ran("2018-12-13T10:10:05Z").await, ["often 10:10"]);
    // Forward: the latest of what the step jumped over runs once.
    assert_eq!(hub.ran("2018-12-13T11:11:00Z").await, ["often 11:10"]);
    // Back: the hour that comes again has run already.
    for time in ["2018-12-13T10:12:00Z", "2018-12-13T10:20:05Z", "2018-12-13T11:10:30Z"] {
        assert!(hub.ran(time).await.is_empty(), "{time}");
    }
    assert_eq!(hub.ran("2018-12-13T11:20:05Z").await, ["often 11:20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_still_runs_at_its_next_time_is_left_alone_queued_or_stopped() {
    for (policy, expected) in [
        (
            "skip",
            ["often 10:10 cancelled 1 0", "often 10:20 skipped 0 0", "often 10:30 skipped 0 0"],
        ),
        ("queue", ["often 10:10 cancelled 1 0", "often 10:20 done 1 0", "often 10:30 skipped 0 0"]),
        ("kill", ["often 10:10 killed 1 0", "often 10:20 killed 1 0", "often 10:30 done 1 0"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let jobs = often(&format!("catch_up = \"none\"\noverlap = \"{policy}\""));
        let mut hub = hub(&folder, "2018-12-13T10:00:05Z", jobs).await;
        hub.work.waits.store(true, Ordering::Relaxed);
        hub.set(utc("2018-12-13T10:10:05Z"));
        hub.look_at_work().await;
        hub.set(utc("2018-12-13T10:20:05Z"));
        hub.look().await;
        if policy == "kill" {
            // The one that was stopped makes room.
            hub.tasks.join_next().await.unwrap().unwrap();
            hub.look_at_work().await;
        }
        hub.set(utc("2018-12-13T10:30:05Z"));
        hub.work.waits.store(false, Ordering::Relaxed);
        hub.look().await;
        if policy != "kill" {
            hub.scheduler.halt_all();
        }
        while hub.tasks.join_next().await.is_some() {}
        hub.settle().await;
        assert_eq!(stored(&hub.store).await, expected, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_is_run_again_as_often_as_it_says_and_no_sooner() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub =
        hub(&folder, "2018-12-13T10:00:05Z", often("retries = 2\nretry_after = \"2m\"")).await;
    hub.work.codes.lock().unwrap().insert("often".into(), vec![3, 6, 4]);
    assert_eq!(hub.ran("2018-12-13T10:10:05Z").await, ["often 10:10 queued"]);
    assert!(hub.ran("2018-12-13T10:12:00Z").await.is_empty());
    assert_eq!(hub.ran("2018-12-13T10:12:06Z").await, ["often 10:10 queued"]);
    assert_eq!(hub.ran("2018-12-13T10:14:10Z").await, ["often 10:10 failed"]);
    assert_eq!(hub.ran("2018-12-13T10:20:05Z").await, ["often 10:20"]);
    // What a guard stopped waits for a person.
    hub.work.codes.lock().unwrap().insert("often".into(), vec![5]);
    assert_eq!(hub.ran("2018-12-13T10:30:05Z").await, ["often 10:30 failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_too_long_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = hub(&folder, "2018-12-13T10:00:05Z", often("timeout = \"20ms\"")).await;
    hub.work.waits.store(true, Ordering::Relaxed);
    assert_eq!(hub.ran("2018-12-13T10:10:05Z").await, ["often 10:10 failed"]);
    let last = hub.store.last_result("often").await.unwrap().unwrap();
    assert_eq!(last.code.as_deref(), Some("E-JOB-OVERDUE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_holds_up_only_what_would_meet_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version = 1\n\
        [[jobs]]\nname = \"long\"\ncron = \"0 10 * * *\"\nrun = \"a b\"\n\
        [[jobs]]\nname = \"meets\"\ncron = \"1 10 * * *\"\nrun = \"b c\"\n\
        [[jobs]]\nname = \"behind\"\ncron = \"2 10 * * *\"\nrun = \"c\"\n\
        [[jobs]]\nname = \"free\"\ncron = \"3 10 * * *\"\nrun = \"d\"\n";
    let mut hub = hub(&folder, "2018-12-13T01:59:00Z", jobs(text)).await;
    hub.work.waits.store(true, Ordering::Relaxed);
    hub.set(utc("2018-12-13T02:00:05Z"));
    hub.look_at_work().await;
    hub.work.waits.store(false, Ordering::Relaxed);
    for minute in 1..=3 {
        hub.set(utc("2018-12-13T02:00:05Z") + TimeDelta::minutes(minute));
        hub.look().await;
    }
    // The job that is free has ended, the others wait in their order.
    hub.tasks.join_next().await.unwrap().unwrap();
    let names = |hub: &Hub| hub.ended().into_iter().map(|(job, ..)| job).collect::<Vec<_>>();
    assert_eq!(names(&hub), ["free"]);
    hub.scheduler.halt_all();
    while hub.tasks.join_next().await.is_some() {}
    hub.settle().await;
    // What was stopped with the hub runs again, because it would be caught up with as well.
    assert_eq!(names(&hub), ["free", "long", "long", "meets", "behind"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_need_goes_first() {
    let text = "version = 1\n\
        [[jobs]]\nname = \"figures\"\ncron = \"0 10 * * *\"\nrun = \"figures\"\n\
        [[jobs]]\nname = \"models\"\ncron = \"0 10 * * *\"\nrun = \"models\"\n\
        [[jobs]]\nname = \"streams\"\ncron = \"0 10 * * *\"\nrun = \"streams\"\n";
    let mut planned = jobs(text);
    planned[0].footprint = Footprint::of_names(&["figures"]).reading(&["models", "streams"]);
    planned[1].footprint = Footprint::of_names(&["models"]).reading(&["streams"]);
    let ordered = super::super::ordered(planned);
    let names: Vec<&str> = ordered.iter().map(|job| job.config.name.as_str()).collect();
    assert_eq!(names, ["streams", "models", "figures"]);
    let folder = tempfile::tempdir().unwrap();
    let mut hub = hub(&folder, "2018-12-13T01:59:00Z", ordered).await;
    let ran = hub.ran("2018-12-13T02:00:05Z").await;
    assert_eq!(ran, ["streams 02:00", "models 02:00", "figures 02:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_a_year_without_a_calendar_says_so_once_and_leaves_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let daily = |name: &str, keys: &str| job(name, &format!("cron = \"0 10 * * *\"\n{keys}"));
    let text = file(&[daily("every_day", ""), daily("workdays", "calendar = \"workdays\"")]);
    let mut hub = hub(&folder, "2018-12-28T01:00:00Z", jobs(&text)).await;
    // A Friday, and the Saturday after it.
    assert_eq!(hub.ran("2018-12-28T02:00:05Z").await, ["every_day 02:00", "workdays 02:00"]);
    assert_eq!(hub.ran("2018-12-29T02:00:05Z").await, ["every_day 02:00"]);
    hub.ran("2018-12-31T02:00:05Z").await;
    hub.set(utc("2019-01-02T02:00:05Z"));
    hub.settle().await;
    hub.settle().await;
    let events = hub.events.lock().unwrap();
    let unknown: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            JobEvent::Unknown { job, error } => {
                assert_eq!(error.code(), "E-CALENDAR-UNKNOWN");
                Some(job.as_str())
            }
            _ => None,
        })
        .collect();
    assert_eq!(unknown, ["workdays"]);
    drop(events);
    assert_eq!(hub.ended().len(), 1, "the other one runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_asked_for_and_runs_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = hub(&folder, "2018-12-13T10:00:05Z", often("")).await;
    let now = second(hub.now());
    assert!(hub.store.ask_for_job("often", &now).await.unwrap());
    assert!(!hub.store.ask_for_job("often", &now).await.unwrap());
    assert_eq!(hub.ran("2018-12-13T10:00:10Z").await, ["often 10:00"]);
    // Its schedule goes on as before.
    assert_eq!(hub.ran("2018-12-13T10:10:05Z").await, ["often 10:10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_left_is_not_begun_anew_by_a_job_that_catches_up_nothing() {
    for (policy, left, expected) in [
        ("catch_up = \"none\"", "2018-12-13T10:10:00Z", "often 10:10 cancelled 1 0"),
        ("catch_up = \"latest\"", "2018-12-13T10:10:00Z", "often 10:10 done 2 0"),
        ("overlap = \"kill\"", "2018-12-13T10:10:00Z", "often 10:10 killed 1 0"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = hub(&folder, "2018-12-13T10:00:05Z", often(policy)).await;
        hub.work.waits.store(true, Ordering::Relaxed);
        hub.set(utc("2018-12-13T10:10:05Z"));
        hub.look().await;
        if policy.contains("kill") {
            // Its next time had come when the process died.
            let sql = "update huiliu_occurrence set stop = true where scheduled_at = ?";
            let left = huiliu_store::args![left];
            assert_eq!(hub.store.run("stop it", sql, left).await.unwrap(), 1);
        }
        hub.kill().await;
        let mut hub = self::hub(&folder, "2018-12-13T10:11:30Z", often(policy)).await;
        hub.ran("2018-12-13T10:11:30Z").await;
        assert_eq!(stored(&hub.store).await, [expected], "{policy}");
        assert_eq!(hub.ran("2018-12-13T10:20:05Z").await, ["often 10:20"], "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_once_far_ahead_stops_no_job() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = hub(&folder, "2018-12-13T10:00:05Z", often("")).await;
    assert_eq!(hub.ran("2018-12-13T10:10:05Z").await, ["often 10:10"]);
    assert_eq!(hub.ran("2028-01-01T00:00:05Z").await, ["often 00:00"]);
    assert_eq!(hub.ran("2018-12-13T10:20:05Z").await, ["often 10:20"]);
    assert!(hub.ran("2018-12-13T10:20:30Z").await.is_empty());
    assert_eq!(hub.ran("2018-12-13T10:30:05Z").await, ["often 10:30"]);
}
