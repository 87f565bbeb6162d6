//! Whole tables on their way to a target.

use super::script::{Finish, items, read_of};
use super::world::World;
use crate::RunReport;

fn world(mode: &str) -> World {
    World::new(&format!(
        "key = [\"id\"]\n\n[[pushes]]\nname = \"p\"\nfrom = \"current.s_t\"\nload = \"{mode}\"\n\
         key = [\"id\"]"
    ))
}

fn push(report: &RunReport) -> (&str, Option<&str>) {
    let step = report.steps.iter().find(|step| step.node == "push.s.p").unwrap();
    (step.state.as_str(), step.code.as_deref())
}

const DAYS: &str = "select sent, accepted, rejected, waiting, unknown, missing from ops.push_days";

fn loaded(world: &World) -> usize {
    world.stage.loaded.lock().unwrap().iter().map(|batch| batch.num_rows()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_sent_whole_and_only_when_it_has_changed() {
    let world = world("replace");
    world.stage.script("t", vec![read_of(items(0..20_000, "a"))]);
    let report = world.run(&[]).await;
    assert_eq!(push(&report), ("succeeded", None));
    let step = report.steps.iter().find(|step| step.node == "push.s.p").unwrap();
    assert_eq!((step.balance.read, step.balance.written), (20_000, 20_000));
    {
        let batches = world.stage.loaded.lock().unwrap();
        assert!(batches.len() > 1, "the table came in one piece");
        let names: Vec<String> =
            batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["id", "name"]);
    }
    assert_eq!(push(&world.run(&[]).await), ("unchanged", None));
    assert_eq!(loaded(&world), 20_000);
    world.stage.script("t", vec![read_of(items(0..20_001, "a"))]);
    assert_eq!(push(&world.run(&[]).await), ("succeeded", None));
    assert_eq!(loaded(&world), 40_001);
    assert_eq!(world.query(DAYS).await, ["40001|40001|0|0|0|0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_was_lost_is_not_sent_again_blindly() {
    let world = world("append");
    world.stage.script("t", vec![read_of(items(0..20, "a"))]);
    world.stage.finishes.lock().unwrap().push_back(Finish::Lost);
    let report = world.run(&[]).await;
    assert_eq!((push(&report), report.exit_code), (("failed", Some("E-LOAD-UNKNOWN")), 5));
    let report = world.run(&[]).await;
    assert_eq!((push(&report), report.exit_code), (("failed", Some("E-LOAD-UNKNOWN")), 5));
    assert_eq!(loaded(&world), 20);
    assert_eq!(world.query(DAYS).await, ["20|0|0|0|20|0"]);
    let hash =
        |kind: &str| report.plans.iter().find(|plan| plan.kind == kind).unwrap().hash.clone();
    assert_eq!(push(&world.run(&[&hash("load_done")]).await), ("unchanged", None));
    assert_eq!(push(&world.run(&[]).await), ("unchanged", None));
    assert_eq!(loaded(&world), 20);
    assert_eq!(world.query(DAYS).await, ["20|20|0|0|0|0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_goes_again_when_somebody_has_looked() {
    let world = world("append");
    world.stage.script("t", vec![read_of(items(0..20, "a"))]);
    world.stage.finishes.lock().unwrap().push_back(Finish::Lost);
    world.run(&[]).await;
    let report = world.run(&[]).await;
    let again = report.plans.iter().find(|plan| plan.kind == "load_again").unwrap();
    assert_eq!(push(&world.run(&[&again.hash]).await), ("succeeded", None));
    assert_eq!(push(&world.run(&[]).await), ("unchanged", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_repeated_is_simply_sent_again() {
    for (mode, finish) in
        [("upsert", Finish::Lost), ("replace", Finish::Lost), ("append", Finish::Refused)]
    {
        let world = world(mode);
        world.stage.script("t", vec![read_of(items(0..20, "a"))]);
        world.stage.finishes.lock().unwrap().push_back(finish);
        assert_eq!(push(&world.run(&[]).await).0, "failed", "{mode}");
        assert_eq!(push(&world.run(&[]).await), ("succeeded", None), "{mode}");
        assert_eq!(push(&world.run(&[]).await), ("unchanged", None), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_takes_fewer_rows_has_not_taken_the_table() {
    let world = world("upsert");
    world.stage.script("t", vec![read_of(items(0..20, "a"))]);
    world.stage.finishes.lock().unwrap().push_back(Finish::Short);
    assert_eq!(push(&world.run(&[]).await), ("failed", Some("E-LOAD-COUNT")));
    assert_eq!(world.query(DAYS).await, Vec::<String>::new(), "nothing of it is sure");
    assert_eq!(push(&world.run(&[]).await), ("succeeded", None));
    assert_eq!(world.query(DAYS).await, ["20|20|0|0|0|0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_on_trial_gets_nothing() {
    let world = world("replace");
    let file = world.path().join("config/systems/s.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\n\n", "\nstage = \"trial\"\n\n", 1)).unwrap();
    world.stage.script("t", vec![read_of(items(0..20, "a"))]);
    assert_eq!(push(&world.run(&[]).await), ("unchanged", None));
    assert_eq!(loaded(&world), 0);
}
