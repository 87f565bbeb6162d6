//! Every numbered step of the commit path, of a push and of maintenance, broken off by an error, by
//! a panic, by the end of the process, and by an error that passes.

use super::chance::Chance;
use super::expected::SMALL_FILES;
use super::oracle::none;
use super::town::{EVERYTHING, Town};

const ROWS: usize = 150;

/// The steps of a stream's commit in their order. Each of the three streams comes by.
const COMMIT: [&str; 14] = [
    "lake::staged",
    "mover::finished",
    "mover::begun",
    "lake::synced",
    "lake::files",
    "lake::table",
    "lake::snapshot",
    "mover::state",
    "mover::logged",
    "mover::quarantined",
    "mover::balanced",
    "mover::durable",
    "mover::committed",
    "mover::acknowledged",
];

/// The steps from the model to the settled record.
const PUSH: [&str; 6] = [
    "model::queued",
    "model::durable",
    "push::counted",
    "push::sent",
    "push::settled",
    "push::durable",
];

/// The steps of a compaction, of its commit, and of an expiry.
const MAINTENANCE: [&str; 11] = [
    "maintain::rewritten",
    "lake::synced",
    "lake::files",
    "lake::table",
    "lake::snapshot",
    "maintain::balanced",
    "maintain::durable",
    "maintain::forgotten",
    "maintain::scheduled",
    "maintain::expired",
    "maintain::removed",
];

/// Those of them that belong to an expiry.
const EXPIRY: [&str; 4] =
    ["maintain::forgotten", "maintain::scheduled", "maintain::expired", "maintain::removed"];

/// How a step breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Error,
    Panic,
    Abort,
    /// An error that is tried again in the same run.
    Passing,
}

impl How {
    fn action(self) -> &'static str {
        match self {
            Self::Error => "return(error)",
            Self::Panic => "panic",
            Self::Abort => "return(abort)",
            Self::Passing => "return(passing)",
        }
    }
}

/// Breaks `work` off at `point`, after it passed there `skipped` times, and sees how it ends.
async fn break_off(town: &Town, work: &[&str], point: &str, how: How, skipped: usize) {
    let faults = format!("{point}={skipped}*off->1*{}", how.action());
    let arguments = [&["--output", "json"], work].concat();
    let done = town.run(&arguments, Some(&faults)).await;
    let said = done.said();
    match how {
        How::Error => assert!(
            matches!(done.code, Some(3 | 4)) && done.out.contains("E-INTERNAL"),
            "{faults}: {:?}: {said}",
            done.code
        ),
        // A panic is an error of its step alone, and ends neither the process nor the run.
        How::Panic => assert!(
            matches!(done.code, Some(3 | 4)) && done.out.contains("E-PANIC"),
            "{faults}: {:?}: {said}",
            done.code
        ),
        How::Abort => assert_eq!(done.code, None, "{faults}: {said}"),
        How::Passing => assert_eq!(done.code, Some(0), "{faults}: {said}"),
    }
}

/// Streams that pass by a step, any of which may be broken off.
const STREAMS: usize = 3;

async fn every_step_of_a_commit(how: How, seed: u64) {
    let chance = Chance::new(seed, &format!("commit, {how:?}"));
    let mut skips = chance.part(1);
    let mut town = Town::new(ROWS, chance.part(2)).await;
    none(&town.recover(EVERYTHING).await, "before the first fault");
    for point in COMMIT {
        town.change().await;
        // `ledger` has no keys, so it is not staged.
        let streams = if point == "lake::staged" { STREAMS - 1 } else { STREAMS };
        let skipped = skips.below(streams);
        let when = format!("{how:?} at {point}, passed {skipped} times");
        break_off(&town, EVERYTHING, point, how, skipped).await;
        if how == How::Passing {
            none(&town.compare(EVERYTHING).await, &when);
        } else {
            none(&town.all_or_nothing().await, &when);
            none(&town.recover(EVERYTHING).await, &when);
        }
    }
    none(&town.doctor().await, "at the end");
}

#[tokio::test]
async fn an_error_at_any_step_of_a_commit_is_all_or_nothing() {
    every_step_of_a_commit(How::Error, 201).await;
}

#[tokio::test]
async fn a_panic_at_any_step_of_a_commit_is_all_or_nothing() {
    every_step_of_a_commit(How::Panic, 202).await;
}

#[tokio::test]
async fn the_end_of_the_process_at_any_step_of_a_commit_is_all_or_nothing() {
    every_step_of_a_commit(How::Abort, 203).await;
}

#[tokio::test]
async fn an_error_that_passes_at_any_step_of_a_commit_is_followed_by_a_good_end() {
    every_step_of_a_commit(How::Passing, 204).await;
}

#[tokio::test]
async fn a_push_broken_off_at_any_step_reaches_its_target_once() {
    let chance = Chance::new(205, "push");
    let mut town = Town::new(ROWS, chance).await;
    none(&town.recover(EVERYTHING).await, "before the first fault");
    for point in PUSH {
        for how in [How::Error, How::Panic, How::Abort] {
            town.change().await;
            break_off(&town, EVERYTHING, point, how, 0).await;
            none(&town.recover(EVERYTHING).await, &format!("{how:?} at {point}"));
        }
    }
}

#[tokio::test]
async fn maintenance_broken_off_at_any_step_changes_no_content() {
    let chance = Chance::new(206, "maintenance");
    let mut town = Town::new(ROWS, chance).await;
    none(&town.recover(EVERYTHING).await, "before the first fault");
    for point in MAINTENANCE {
        for how in [How::Error, How::Panic, How::Abort] {
            let is_expiry = EXPIRY.contains(&point);
            town.change_and_read(if is_expiry { 1 } else { SMALL_FILES }).await;
            let when = format!("{how:?} at {point}");
            break_off(&town, &["maintain"], point, how, 0).await;
            none(&town.all_or_nothing().await, &when);
            none(&town.recover(&["maintain"]).await, &when);
        }
    }
    none(&town.doctor().await, "at the end");
}
