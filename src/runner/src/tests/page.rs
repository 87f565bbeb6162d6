//! The daily page of a small hub: scheduled, late, with records of unknown fate, without a past.

use std::sync::Arc;

use huiliu_sdk::Outcome;
use tokio_util::sync::CancellationToken;

use super::script::{Answer, checkpoint, end, items, read_of, rejected, rows_with, schema};
use super::world::World;
use crate::Silent;

fn set(world: &World, time: &str) {
    *world.stage.time.lock().unwrap() = Some(time.parse().unwrap());
}

/// What needs a person.
async fn matters(world: &World) -> Vec<String> {
    let hub = world.hub().await;
    let page = hub.daily_page(None).await.unwrap();
    hub.close().await;
    let said = |item: huiliu_page::Attention| {
        format!("{} {}", item.node.unwrap_or(item.subject), item.matter)
    };
    page.attention().into_iter().map(said).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_writes_the_page_and_a_stream_that_was_missed_is_late_by_working_days() {
    let world = World::new("key = [\"id\"]");
    let job = "version = 1\n\n[[jobs]]\nname = \"morning\"\ncron = \"30 7 * * *\"\n\
               run = \"s.t reports.daily\"\n";
    world.put("config/jobs.toml", job);
    // Thursday, 7:31 in the hub's zone.
    set(&world, "2018-12-13T07:31:00+08:00");
    world.stage.script("t", vec![read_of(items(1..4, "a"))]);
    let hub = world.hub().await;
    let run =
        hub.run("s.t reports.daily", Some("morning"), CancellationToken::new(), Arc::new(Silent));
    assert_eq!(run.await.unwrap().exit_code, 0);
    hub.close().await;
    let html = std::fs::read_to_string(world.path().join("data/reports/daily.html")).unwrap();
    assert!(html.contains("任务 morning") && html.contains("一切正常"), "{html}");
    assert!(html.contains("2018年12月13日"), "{html}");
    assert!(matters(&world).await.is_empty());
    // Monday, before the job's half hour is over, and after it.
    set(&world, "2018-12-17T07:45:00+08:00");
    let late = "s.t 没有按时读取：应在 12-16 07:30，最近一次成功在 12-13 07:31";
    assert_eq!(matters(&world).await, [late]);
    set(&world, "2018-12-17T09:00:00+08:00");
    let late = "s.t 没有按时读取：应在 07:30，最近一次成功在 12-13 07:31";
    assert_eq!(matters(&world).await, [late]);
    let hub = world.hub().await;
    let page = hub.daily_page(None).await.unwrap();
    hub.close().await;
    assert_eq!(page.streams[0].timing.late_workdays, Some(2), "Friday and Monday");
    assert_eq!(page.is_workday, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_unknown_fate_and_rows_set_aside_need_a_person() {
    let world = World::new("");
    let push = "key = [\"id\"]\n\n[[pushes]]\nname = \"p\"\nfrom = \"standard.p\"\nkey = [\"id\"]";
    world.configure_system("stage = \"live\"", push);
    let model = "/* +++\nkind = \"table\"\ndescription = \"待报\"\nkey = [\"id\"]\n+++ */\n\
                 select id, name from current.s_t\n";
    world.put("pipelines/models/standard/p.sql", model);
    let rows = items(1..4, "a");
    let aside = vec![
        schema(rows.schema()),
        rows_with(rows, vec![rejected(9, "x")]),
        checkpoint(1),
        end(true),
    ];
    world.stage.script("t", vec![aside]);
    let outcomes = vec![Outcome::Accepted, Outcome::Unknown, Outcome::Unknown];
    world.stage.answers.lock().unwrap().push_back(Answer::Outcomes(outcomes));
    world.run(&[]).await;
    let said = matters(&world).await;
    assert_eq!(said[0], "push.s.p 2 条已发出但不知是否送达，不会自动重发");
    assert_eq!(said[1], "s.t 1 行在隔离区");
    assert_eq!(said.len(), 2, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_never_ran_has_a_page() {
    let world = World::new("key = [\"id\"]");
    let hub = world.hub().await;
    let page = hub.daily_page(None).await.unwrap();
    hub.close().await;
    assert!(page.run.is_none() && page.streams[0].last.is_none());
    assert!(page.html().contains("还没有读取过"));
}
