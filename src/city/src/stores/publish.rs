//! `publish/`: the folder in which files arrive that are to be published, and in which receipts say
//! what became of each record.

use std::fs;
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};

use crate::truth::Witness;
use crate::world::{Status, World, day_of};

/// The columns of a file of receipts.
pub(crate) const RECEIPTS: &str = "办件编号,结果文件,处理结果,退回原因";
/// What became of a record that is shown to the public.
pub(crate) const SHOWN: &str = "已公示";
/// What became of one that is not.
pub(crate) const REFUSED: &str = "退回";
/// Results of these days were carried over by hand.
const BY_HAND: [&str; 2] = ["2018-12-08", "2018-12-11"];
/// So many of them.
const RECORDS: usize = 20;

/// Makes the folder, with the receipts of a file that was there before the hub.
pub(crate) fn write(folder: &Path, world: &World) -> Result<Witness> {
    fs::create_dir_all(folder).map_err(failed)?;
    let [first, last] = BY_HAND.map(day_of);
    let shown = world.cases.iter().filter(|case| {
        case.status == Status::Granted
            && case.is_readable_in_city()
            && case.finish.is_some_and(|finish| (first..=last).contains(&finish.day()))
    });
    let lines: Vec<String> = shown
        .take(RECORDS)
        .map(|case| format!("{},results_20181212.csv,{SHOWN},\r\n", world.number_of(case)))
        .collect();
    let text = format!("{RECEIPTS}\r\n{}", lines.concat());
    fs::write(folder.join("receipts_20181212.csv"), text).map_err(failed)?;
    let rows = vec![("publish.receipts".to_owned(), lines.len() as u64)];
    Ok(Witness { rows, ..Witness::default() })
}

fn failed(error: std::io::Error) -> Error {
    let message = "could not write the files of what is published";
    Error::new(ErrorKind::Internal, "E-CITY-STORE", message).cause(error)
}
