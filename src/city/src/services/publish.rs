//! The system that publishes information: takes whole files out of a folder, says in a file beside
//! each whether it is as its control file says, and by night in another one what became of each
//! result.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::seed::{hash, hex_of};
use crate::stores::publish::{RECEIPTS, REFUSED, SHOWN};

/// How often the folder is looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// What of a thousand results is not shown, and why.
const NOT_SHOWN: (u64, &str) = (30, "涉及未成年人，不予公示");

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

/// By night each result of a whole file is looked at, and a file of receipts says what became of
/// it. Says of how many.
pub(super) fn by_night(folder: &Path) -> io::Result<u64> {
    let mut answered = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(stamp) = name.strip_prefix("results_").and_then(|n| n.strip_suffix(".ctl")) else {
            continue;
        };
        let receipts = folder.join(format!("receipts_{stamp}.csv"));
        let file = format!("results_{stamp}.csv");
        let (data, control) =
            (fs::read(folder.join(&file))?, fs::read_to_string(folder.join(&name))?);
        if receipts.exists() || !judged(&data, &control).starts_with("result=accepted\n") {
            continue;
        }
        let (text, count) = receipts_of(&file, &data)?;
        let beside = receipts.with_extension("part");
        fs::write(&beside, text)?;
        fs::rename(&beside, &receipts)?;
        answered += count;
    }
    Ok(answered)
}

/// The receipts for a file of results, and how many there are.
fn receipts_of(file: &str, data: &[u8]) -> io::Result<(String, u64)> {
    let mut reader = csv::Reader::from_reader(data);
    let column = reader.headers()?.iter().position(|name| name == "project_no").unwrap_or(0);
    let (mut text, mut count) = (format!("{RECEIPTS}\r\n"), 0);
    for record in reader.into_records() {
        let record = record?;
        let number = record.get(column).unwrap_or_default();
        let (share, reason) = NOT_SHOWN;
        let is_shown = hash(&format!("shown|{number}")) % 1000 >= share;
        let (result, reason) = if is_shown { (SHOWN, "") } else { (REFUSED, reason) };
        text.push_str(&format!("{number},{file},{result},{reason}\r\n"));
        count += 1;
    }
    Ok((text, count))
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

    #[test]
    fn every_result_has_a_receipt_that_names_its_file() {
        let numbers = (0..400).map(|n| format!("34050020181213{n:06},甲\r\n"));
        let data = format!("project_no,task_name\r\n{}", numbers.collect::<String>());
        let (text, count) = receipts_of("results_1.csv", data.as_bytes()).unwrap();
        assert_eq!((count, text.lines().count()), (400, 401));
        let refused = text.lines().filter(|line| line.contains(",results_1.csv,退回,涉及")).count();
        assert!((1..40).contains(&refused), "{refused} of 400");
    }
}
