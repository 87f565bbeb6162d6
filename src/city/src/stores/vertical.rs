//! The five systems of the province's own departments into which the city's departments enter cases:
//! two answer requests, one in XML for a token and one by SOAP, and three drop files. Which departments these are is made up.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

use super::database::{Table, close, create};
use crate::folder::database_path;
use crate::seed::hex_of;
use crate::truth::Witness;
use crate::world::{Case, Moment, Status, World, date_text, day_of, now};

/// The city's departments that work in each of the systems.
const DEPARTMENTS: [&str; 5] = ["市公安局", "市民政局", "市财政局", "市水利局", "市卫计委"];
/// Cases that only the vertical system knows, of each system.
const OUTSIDE: usize = 2;
/// Of each system the cases that have another result there.
const OTHER_RESULT: usize = 1;

const TABLE: Table = Table {
    name: "spbanjie",
    columns: &[
        "seq integer primary key",
        "sblsh text not null",
        "ptbjbh text not null",
        "sxbm text not null",
        "sxmc text not null",
        "bjbmmc text not null",
        "bjjgdm text not null",
        "slsj text not null",
        "bjsj text not null",
    ],
};
const NAMES: [&str; 8] = [
    "申办流水号",
    "平台办件编号",
    "事项编码",
    "事项名称",
    "办结部门",
    "办结结果",
    "受理时间",
    "办结时间",
];
const ELEMENTS: [&str; 8] = ["SBLSH", "PTBJBH", "SXBM", "SXMC", "BJBMMC", "BJJGDM", "SLSJ", "BJSJ"];

/// A finished case of a system, in the order of its columns.
struct Line {
    accept: Moment,
    cells: [String; 8],
}

fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, "E-CITY-STORE", "could not write a vertical system's files")
        .cause(error)
}

/// Writes the databases of the first two systems and the folders of the three others into `dir`.
pub(crate) async fn write(dir: &Path, world: &Arc<World>) -> Result<Witness> {
    let mut witness = Witness::default();
    let (mut outside, mut other) = (Vec::new(), Vec::new());
    for (index, department) in DEPARTMENTS.iter().enumerate() {
        let lines = lines(world, index, department, &mut outside, &mut other);
        let number = index + 1;
        let name = format!("vertical_{number}.spbanjie");
        witness.rows.push((name, lines.len() as u64));
        if number <= 2 {
            database(&database_path(dir, &format!("vertical_{number}")), &lines).await?;
        } else {
            files(&dir.join(format!("vertical_{number}")), number, &lines)?;
        }
    }
    witness.planted = vec![("vertical_outside", outside), ("vertical_result", other)];
    Ok(witness)
}

fn lines(
    world: &World,
    index: usize,
    department: &str,
    outside: &mut Vec<String>,
    other: &mut Vec<String>,
) -> Vec<Line> {
    let is_theirs = |case: &&Case| {
        let department_of = world.department_of(world.item_of(case));
        department_of.unit == 0 && department_of.name.ends_with(department)
    };
    let mut lines: Vec<Line> = Vec::new();
    let number = |serial: usize| format!("CZ{}2018{serial:07}", index + 1);
    let theirs = world.cases.iter().filter(is_theirs);
    let mut wrong = 0;
    for case in theirs.filter(|case| case.is_readable_in_city()) {
        let (Some(code), Some(finish)) = (case.status.city_code(), case.finish) else { continue };
        if !case.counts() {
            continue;
        }
        let serial = number(lines.len() + 1);
        let is_wrong = wrong < OTHER_RESULT && case.status == Status::Granted && lines.len() > 2;
        if is_wrong {
            wrong += 1;
            other.push(serial.clone());
        }
        let item = world.item_of(case);
        let code = if is_wrong { "1" } else { code };
        lines.push(Line {
            accept: case.accept,
            cells: [
                serial,
                world.number_of(case),
                item.task_code.to_string(),
                item.name.to_string(),
                format!("马鞍山{department}"),
                code.to_owned(),
                case.accept.text(),
                finish.min(now()).text(),
            ],
        });
    }
    for extra in 0..OUTSIDE {
        let serial = number(lines.len() + 1);
        let accept =
            Moment::at(day_of("2018-10-16") + 7 * u32::try_from(extra).unwrap_or(0), 36_000);
        outside.push(serial.clone());
        lines.push(Line {
            accept,
            cells: [
                serial,
                // One was never numbered, of the other the number is nobody's.
                if extra == 0 {
                    String::new()
                } else {
                    format!("34050020181023{:06}", 900_001 + index)
                },
                format!("34{:010}", index + 1),
                "在垂建系统中直接受理的事项".to_owned(),
                format!("马鞍山{department}"),
                "0".to_owned(),
                accept.text(),
                accept.plus(7200).text(),
            ],
        });
    }
    lines
}

async fn database(path: &Path, lines: &[Line]) -> Result<()> {
    let mut connection = create(path).await?;
    let mut loader = TABLE.fill(&mut connection).await?;
    for (seq, line) in (1_i64..).zip(lines) {
        loader.cell(seq);
        for cell in &line.cells {
            loader.cell(cell.as_str());
        }
        loader.end_row().await?;
    }
    loader.finish().await?;
    close(connection).await
}

/// A file for each quarter: the third and the fifth system write CSV, the fourth XML.
fn files(folder: &Path, number: usize, lines: &[Line]) -> Result<()> {
    fs::create_dir_all(folder).map_err(failed)?;
    let mut quarters: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        let date = date_text(line.accept.day());
        let month: u32 = date[5..7].parse().unwrap_or(1);
        quarters.entry(format!("{}Q{}", &date[..4], month.div_ceil(3))).or_default().push(line);
    }
    for (quarter, lines) in quarters {
        let ending = if number == 4 { "xml" } else { "csv" };
        let text = if number == 4 { xml(&lines) } else { csv(&lines) };
        let bytes = encoding_rs::GBK.encode(&text).0.into_owned();
        let digest = hex_of(&Sha256::digest(&bytes));
        let name = format!("bj_{quarter}.{ending}");
        fs::write(folder.join(&name), &bytes).map_err(failed)?;
        let rows = lines.len();
        let control = match number {
            3 => format!("rows={rows}\nsha256={digest}\n"),
            4 => format!("{{\"count\": {rows}, \"sha256\": \"{digest}\"}}\n"),
            _ => format!("{name}|{rows}|{digest}\n"),
        };
        fs::write(folder.join(format!("bj_{quarter}.ctl")), control).map_err(failed)?;
    }
    Ok(())
}

/// No cell holds a comma, a quote or a sign of XML: all are composed of our own words.
fn csv(lines: &[&Line]) -> String {
    let mut text = format!("{}\r\n", NAMES.join(","));
    for line in lines {
        text.push_str(&line.cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn xml(lines: &[&Line]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"GBK\"?>\n<DATA>\n".to_owned();
    for line in lines {
        text.push_str("<SPBANJIE>");
        for (name, cell) in ELEMENTS.iter().zip(&line.cells) {
            text.push_str(&format!("<{name}>{cell}</{name}>"));
        }
        text.push_str("</SPBANJIE>\n");
    }
    text.push_str("</DATA>\n");
    text
}
