//! The system that publishes information: takes whole files out of a folder, and says in a file
//! beside each whether it is as its control file says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::seed::hex_of;

/// How often the folder is looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// Acknowledges files until the city stops, and then those that came last.
pub(super) async fn acknowledge(
    folder: PathBuf,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    loop {
        let ended =
            tokio::time::timeout(INTERVAL, stopped.wait_for(|stopped| *stopped)).await.is_ok();
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || sweep(&folder)).await??;
        if ended {
            return Ok(());
        }
    }
}

/// Writes an acknowledgement for each file that has a control file and no acknowledgement.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let control = entry?.path();
        if control.extension().is_none_or(|ending| ending != "ctl") {
            continue;
        }
        let data = control.with_extension("csv");
        let ack = control.with_extension("csv.ack");
        // A file that came a second time is acknowledged a second time.
        let is_newer = |path: &Path| fs::metadata(path).ok()?.modified().ok();
        if !data.exists() || is_newer(&ack) >= is_newer(&control) {
            continue;
        }
        let beside = control.with_extension("ack.part");
        fs::write(&beside, judged(&fs::read(&data)?, &fs::read_to_string(&control)?))?;
        fs::rename(&beside, &ack)?;
    }
    Ok(())
}

/// What is said of a file: how many records, and whether it is whole.
fn judged(data: &[u8], control: &str) -> String {
    let stated = |key: &str| {
        control.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or("")
    };
    let digest = hex_of(&Sha256::digest(data));
    let rows = csv::Reader::from_reader(data).into_records().filter(Result::is_ok).count();
    let is_whole = stated("sha256") == digest && stated("rows") == rows.to_string();
    let result = if is_whole { "accepted" } else { "rejected" };
    format!("result={result}\nrows={rows}\nsha256={digest}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_accepted_when_it_is_as_its_control_file_says() {
        let data = b"key,value\nitems_total,1\n";
        let digest = hex_of(&Sha256::digest(data));
        let ack = judged(data, &format!("rows=1\nsha256={digest}\n"));
        assert!(ack.starts_with("result=accepted\nrows=1\n"), "{ack}");
        let short = judged(&data[..12], &format!("rows=1\nsha256={digest}\n"));
        assert!(short.starts_with("result=rejected\n"), "{short}");
    }
}
