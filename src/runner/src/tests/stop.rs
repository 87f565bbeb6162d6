//! A run that is told to stop leaves what it computes at once, and nothing half-written.

use std::sync::Arc;
use std::time::Duration;

use huiliu_store::StepRow;
use tokio_util::sync::CancellationToken;

use super::script::{items, read_of};
use super::world::World;
use crate::{Progress, RunOptions};

/// A model that is computed for hours.
const ENDLESS: &str = "/* +++\nkind = \"table\"\ndescription = \"很久\"\nkey = [\"id\"]\n+++ */\n\
    select a.value as id from generate_series(1, 1000000) a, generate_series(1, 1000000) b\n\
    where a.value * b.value = -1\n";

/// Stops the run as soon as a node begins.
struct Stopping {
    node: &'static str,
    cancel: CancellationToken,
}

impl Progress for Stopping {
    fn started(&self, node: &str) {
        if node == self.node {
            self.cancel.cancel();
        }
    }

    fn rows(&self, _node: &str, _rows: u64) {}

    fn finished(&self, _step: &StepRow) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_being_computed_stops_with_its_run() {
    let world = World::new("key = [\"id\"]");
    world.put("pipelines/models/standard/p.sql", ENDLESS);
    world.stage.script("t", vec![read_of(items(1..4, "a"))]);
    let hub = world.hub().await;
    let cancel = CancellationToken::new();
    let progress = Arc::new(Stopping { node: "standard.p", cancel: cancel.clone() });
    let options = RunOptions::default();
    let run = Box::pin(hub.run_with("*", None, options, cancel, progress));
    let report = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    let step = report.steps.iter().find(|step| step.node == "standard.p").unwrap();
    assert_eq!((step.state.as_str(), report.exit_code), ("cancelled", 130));
    // Nobody has to wait for its table.
    let lease = hub.lake().store().take_lease("standard.p", "somebody else", 1000).await;
    assert!(lease.is_ok(), "{lease:?}");
    hub.close().await;
}
