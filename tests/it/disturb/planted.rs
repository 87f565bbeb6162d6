//! Three defects, planted on purpose: the rule must notice each. If one of these tests fails, the
//! other tests of this folder prove nothing.

use super::chance::Chance;
use super::oracle::{Findings, none};
use super::power::{Disk, Loss};
use super::town::{EVERYTHING, Town};

/// Times the sources change while a defect is at work.
const CHANGES: usize = 6;

async fn town(seed: u64, what: &str) -> Town {
    let mut town = Town::new(150, Chance::new(seed, what)).await;
    none(&town.recover(EVERYTHING).await, "before the defect");
    town
}

/// Whether something was lost, in the words of the rule.
fn tell_of_loss(findings: &Findings) -> bool {
    println!("found: {}", findings.join("; "));
    findings.iter().any(|finding| finding.contains(": lost ") && !finding.contains("lost 0"))
}

#[tokio::test]
async fn state_that_is_stored_before_its_data_is_noticed() {
    let mut town = town(301, "state before data").await;
    town.change().await;
    let faults = "defect::state_first=return;lake::synced=1*return(abort)";
    let done = town.run(&["run", "office.cases"], Some(faults)).await;
    assert_eq!(done.code, None, "{}", done.said());
    assert!(tell_of_loss(&town.recover(EVERYTHING).await));
}

#[tokio::test]
async fn a_cursor_bound_that_excludes_its_own_value_is_noticed() {
    let mut town = town(302, "exclusive cursor bound").await;
    let faults = Some("defect::exclusive_cursor=return");
    let mut findings = Vec::new();
    for _ in 0..CHANGES {
        town.change().await;
        town.run(EVERYTHING, faults).await.expect(0);
        findings.extend(town.compare(EVERYTHING).await);
    }
    assert!(tell_of_loss(&findings));
}

#[tokio::test]
async fn files_that_are_not_synced_are_noticed() {
    let mut town = town(303, "no fsync").await;
    let disk = Disk::new();
    town.change().await;
    let faults = Some("defect::no_fsync=return");
    disk.run(&town, EVERYTHING, faults, None).await.expect(0);
    disk.lose_power(&town, Loss::Everything);
    // What the run acknowledged must be there, and is not.
    let findings = town.recover(EVERYTHING).await;
    println!("found: {}", findings.join("; "));
    assert!(!findings.is_empty());
}
