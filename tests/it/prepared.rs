//! Demos that many tests begin with: the first test of a run that needs one makes it, the others copy
//! it, which takes a second.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::hub::Hub;

/// Demos of another run are kept for so long, for it may still be on.
const KEPT: Duration = Duration::from_secs(3 * 60 * 60);

/// A port at which nobody listens.
const NOBODY: u16 = 9;

/// The folder of this process, where no runner of tests says which run it is of.
static OWN: LazyLock<PathBuf> = LazyLock::new(|| TempDir::new_in(demos()).unwrap().keep());

impl Hub {
    /// What `demo` gives a hub that has no data yet, copied from the one demo of this seed that a run
    /// of the tests makes.
    pub(crate) fn prepared(&self, seed: u64) -> Value {
        assert!(!self.data().exists(), "it has data already");
        let demo = demo(seed);
        copy(&demo.join("data"), &self.data());
        self.move_city();
        // Each command notes where the lake's files are, for whoever reads them without the hub.
        self.run(&["runs"]).expect(0);
        serde_json::from_slice(&std::fs::read(demo.join("report.json")).unwrap()).unwrap()
    }

    /// Reads the systems' files in the copy. Its services are down until a demo of its own brings them
    /// up, at ports of their own: another copy's might answer at the old ones.
    fn move_city(&self) {
        let file = self.data().join("env");
        let text = std::fs::read_to_string(&file).unwrap();
        let moved = text.lines().map(|line| match line.split_once('=') {
            Some(("CITY_FOLDER", _)) => format!("CITY_FOLDER={}\n", self.city().display()),
            Some((name, url)) if url.starts_with("http://127.0.0.1:") => {
                format!("{name}=http://127.0.0.1:{NOBODY}\n")
            }
            _ => format!("{line}\n"),
        });
        std::fs::write(&file, moved.collect::<String>()).unwrap();
        std::fs::remove_file(self.city().join("ports.json")).unwrap();
    }
}

/// Data and report of the demo of this seed, which is made unless it is there.
fn demo(seed: u64) -> PathBuf {
    let run = std::env::var_os("NEXTEST_RUN_ID").map_or_else(|| OWN.clone(), |id| demos().join(id));
    std::fs::create_dir_all(&run).unwrap();
    // Each test has a process or a thread of its own; all but the first wait here.
    let lock = File::create(run.join(format!("{seed}.lock"))).unwrap();
    lock.lock().unwrap();
    let demo = run.join(seed.to_string());
    if !demo.exists() {
        remove_old();
        make(seed, &demo);
    }
    demo
}

fn make(seed: u64, demo: &Path) {
    let half = demo.with_extension("half");
    if half.exists() {
        std::fs::remove_dir_all(&half).unwrap();
    }
    std::fs::create_dir(&half).unwrap();
    let hub = Hub::shipped();
    let report = hub.demo(seed);
    copy(&hub.data(), &half.join("data"));
    std::fs::write(half.join("report.json"), report.to_string()).unwrap();
    // What has its name is whole.
    std::fs::rename(half, demo).unwrap();
}

/// The demos of all runs.
fn demos() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demos");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn remove_old() {
    for run in std::fs::read_dir(demos()).unwrap() {
        let run = run.unwrap().path();
        let made = run.metadata().and_then(|known| known.modified());
        if made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > KEPT)) {
            // Another test may be doing the same.
            std::fs::remove_dir_all(run).ok();
        }
    }
}

/// Copies a folder as it is: a source knows by the times of files which ones it has read.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).args([from, to]).status();
    assert!(copied.unwrap().success(), "{} cannot be copied", from.display());
}
