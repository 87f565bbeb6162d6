//! The power fails: a disk keeps what was synced, and of the rest what it likes.
//!
//! The program runs with `tests/fixtures/unsynced.c` preloaded, which writes down what it does to
//! its data folder. Afterwards the folder is made anew as a strict disk would have it: of a file
//! what was written before its last sync, of a folder the names it had at its own last sync, and
//! of everything since then nothing, or what chance decides. Then the hub goes on from there.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use super::chance::Chance;
use super::disk::Image;
use super::expected::SMALL_FILES;
use super::oracle::none;
use super::town::{EVERYTHING, Town};
use crate::hub::{Done, root};

/// What becomes of what was not synced.
pub(crate) enum Loss {
    /// All of it is gone.
    Everything,
    /// Chance keeps some of it, in no order.
    Some(Chance),
}

/// What happens at an operation on the disk, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    /// The program is killed.
    Dies(usize),
    /// There is no room, from then on.
    Full(usize),
}

/// The disk under the data folder of a town.
pub(crate) struct Disk {
    folder: TempDir,
}

impl Disk {
    /// A disk that has everything that is in the folder now.
    pub(crate) fn new() -> Self {
        let disk = Self { folder: TempDir::new().unwrap() };
        let made = std::process::Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(disk.library())
            .arg(root().join("tests/fixtures/unsynced.c"))
            .arg("-ldl")
            .output()
            .expect("cc is missing; ./test installs it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        disk
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("unsynced.so")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn before(&self) -> PathBuf {
        self.folder.path().join("before")
    }

    /// Runs a command on the disk until the disk's trouble, if there is any.
    pub(crate) async fn run(
        &self,
        town: &Town,
        arguments: &[&str],
        faults: Option<&str>,
        trouble: Option<Trouble>,
    ) -> Done {
        // The folder is there before, so its own name is not in question.
        std::fs::create_dir_all(town.hub.data()).unwrap();
        let data = town.hub.data().canonicalize().unwrap();
        remove(&self.before());
        crate::hub::copy(&data, &self.before());
        drop(std::fs::remove_file(self.log()));
        let mut command = town.hub.command(arguments);
        command.env("LD_PRELOAD", self.library());
        command.env("UNSYNCED_ROOT", data).env("UNSYNCED_LOG", self.log());
        match trouble {
            None => {}
            Some(Trouble::Dies(at)) => drop(command.env("UNSYNCED_DIE_AT", at.to_string())),
            Some(Trouble::Full(at)) => drop(command.env("UNSYNCED_FULL_AT", at.to_string())),
        }
        if let Some(faults) = faults {
            command.env("FAILPOINTS", faults);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = tokio::process::Command::from(command).kill_on_drop(true).output();
        Done::of(output.await.unwrap(), arguments)
    }

    /// How many operations the last command did on the disk.
    pub(crate) fn operations(&self) -> usize {
        Image::replay(&self.before(), &self.log()).operations
    }

    /// The power fails after the last command: the data folder has what is left.
    pub(crate) fn lose_power(&self, town: &Town, loss: Loss) {
        let image = Image::replay(&self.before(), &self.log());
        remove(&town.hub.data());
        image.write(
            &town.hub.data(),
            match loss {
                Loss::Everything => None,
                Loss::Some(chance) => Some(chance),
            },
        );
    }
}

fn remove(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

const ROWS: usize = 150;
/// Power losses in the middle of a run.
const LOSSES: usize = 24;

async fn town(seed: u64, what: &str) -> Town {
    let mut town = Town::new(ROWS, Chance::new(seed, what)).await;
    none(&town.recover(EVERYTHING).await, "before the power fails");
    town
}

#[tokio::test]
async fn what_a_run_acknowledged_survives_a_power_loss() {
    let mut town = town(401, "acknowledged").await;
    let disk = Disk::new();
    for step in 0..4 {
        town.change().await;
        disk.run(&town, EVERYTHING, None, None).await.expect(0);
        let loss = match step % 2 {
            0 => Loss::Everything,
            _ => Loss::Some(town.chance.part(step)),
        };
        disk.lose_power(&town, loss);
        none(&town.compare(EVERYTHING).await, "after the power loss");
        none(&town.recover(EVERYTHING).await, "after the power loss");
    }
    none(&town.doctor().await, "at the end");
}

#[tokio::test]
async fn the_first_commit_of_a_hub_survives_a_power_loss_right_after_it() {
    // Folders and database are as new as the data in them.
    let chance = Chance::new(402, "first commit");
    let disk = Disk::new();
    for step in 0..3 {
        let mut town = Town::new(ROWS, chance.part(step)).await;
        let faults = "mover::acknowledged=1*return(abort)";
        let done = disk.run(&town, &["run", "office.cases"], Some(faults), None).await;
        assert_eq!(done.code, None, "{}", done.said());
        let loss = match step {
            0 => Loss::Everything,
            _ => Loss::Some(chance.part(100 + step)),
        };
        disk.lose_power(&town, loss);
        let seen = town.seen().await.unwrap();
        assert_eq!(seen.cases, town.expected.with_cases(&town.sources).cases);
        none(&town.recover(EVERYTHING).await, "after the power loss");
    }
}

#[tokio::test]
async fn a_power_loss_in_the_middle_of_a_run_is_all_or_nothing() {
    let mut town = town(403, "in the middle").await;
    let disk = Disk::new();
    town.change().await;
    disk.run(&town, EVERYTHING, None, None).await.expect(0);
    none(&town.compare(EVERYTHING).await, "undisturbed");
    let operations = disk.operations();
    println!("a run does {operations} operations on the disk");
    let mut chance = town.chance.part(9);
    for step in 0..LOSSES {
        town.change().await;
        let dies_at = 1 + chance.below(operations);
        let done = disk.run(&town, EVERYTHING, None, Some(Trouble::Dies(dies_at))).await;
        assert!(matches!(done.code, None | Some(0)), "{}", done.said());
        let loss = if step % 3 == 0 {
            Loss::Everything
        } else {
            Loss::Some(chance.part(u64::try_from(step).unwrap()))
        };
        disk.lose_power(&town, loss);
        let when = format!("power lost before operation {dies_at}, step {step}");
        none(&town.all_or_nothing().await, &when);
        none(&town.recover(EVERYTHING).await, &when);
    }
    none(&town.doctor().await, "at the end");
}

#[tokio::test]
async fn a_power_loss_during_maintenance_changes_no_content() {
    let mut town = town(404, "maintenance").await;
    let disk = Disk::new();
    let mut chance = town.chance.part(9);
    let mut operations = 60;
    for step in 0..LOSSES / 2 {
        town.change_and_read(SMALL_FILES).await;
        let dies_at = (step > 0).then(|| 1 + chance.below(operations));
        let done = disk.run(&town, &["maintain"], None, dies_at.map(Trouble::Dies)).await;
        assert!(matches!(done.code, None | Some(0)), "{}", done.said());
        if step == 0 {
            operations = disk.operations();
            println!("maintenance does {operations} operations on the disk");
        }
        let loss = if step % 3 == 1 {
            Loss::Everything
        } else {
            Loss::Some(chance.part(u64::try_from(step).unwrap()))
        };
        disk.lose_power(&town, loss);
        let when = format!("power lost before operation {dies_at:?}, step {step}");
        none(&town.all_or_nothing().await, &when);
        none(&town.recover(&["maintain"]).await, &when);
    }
    none(&town.doctor().await, "at the end");
}

/// Runs into a full disk.
const FULL: usize = 12;

#[tokio::test]
async fn a_disk_that_is_full_costs_a_run_and_nothing_else() {
    let mut town = town(405, "full disk").await;
    // Once is enough: nobody makes room here while the run waits.
    town.hub.edit("config/hub.toml", "park_after = 0", "park_after = 0\nretries = 0");
    let disk = Disk::new();
    town.change().await;
    disk.run(&town, EVERYTHING, None, None).await.expect(0);
    none(&town.compare(EVERYTHING).await, "undisturbed");
    let operations = disk.operations();
    let mut chance = town.chance.part(9);
    for step in 0..FULL {
        town.change().await;
        // The first operations open the database, and the last close it.
        let at = 1 + (operations * 9 / 10 * step + chance.below(operations)) / FULL;
        let done = disk.run(&town, EVERYTHING, None, Some(Trouble::Full(at))).await;
        let when = format!("full from operation {at} of {operations}");
        if done.code != Some(0) {
            // SQLite says only that it could not open its files, or write where it shares memory.
            let told = ["E-DISK-FULL", "E-STORE-IO", "E-STORE-OPEN"]
                .iter()
                .any(|code| done.said().contains(code));
            assert!(told && !done.said().contains("E-STORE]"), "{when}: {}", done.said());
        }
        none(&town.all_or_nothing().await, &when);
        none(&town.recover(EVERYTHING).await, &when);
    }
    none(&town.doctor().await, "at the end");
}
