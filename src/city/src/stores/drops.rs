//! `drops/`: the departments' monthly files in GB18030, each with a control file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

use crate::seed::hex_of;
use crate::world::{Applicant, Flaw, Item, Moment, OwnSystem, Status, World, date_text};

const HEADER: &str = "内部编号,办件编号,实施编码,事项名称,申请人,证件号码,联系电话,受理时间,\
                      办结时间,办理状态,部门编码,部门名称";
/// No character of GB18030 begins with this byte.
const BROKEN: u8 = 0xff;

/// What was written.
#[derive(Default)]
pub(crate) struct Written {
    /// Records of each file.
    pub(crate) rows: Vec<(String, u64)>,
    /// Per department, how many lines do not decode.
    pub(crate) broken: Vec<(String, u64)>,
    /// The department's own numbers of cases that nobody else knows.
    pub(crate) outside: Vec<String>,
}

struct Line<'w> {
    number: Option<String>,
    item: &'w Item,
    applicant: &'w Applicant,
    accept: Moment,
    finish: Option<Moment>,
    status: Status,
    is_broken: bool,
    is_outside: bool,
}

/// Writes the files of all departments into `folder`.
pub(crate) fn write(folder: &Path, world: &World) -> Result<Written> {
    let mut written = Written::default();
    for own in OwnSystem::ALL {
        let drop = folder.join(own.folder());
        fs::create_dir_all(&drop).map_err(|error| failed(&drop, error))?;
        let mut lines = lines(world, own);
        lines.sort_by_key(|line| line.accept);
        let mut months: BTreeMap<String, Vec<(usize, &Line<'_>)>> = BTreeMap::new();
        for (serial, line) in lines.iter().enumerate() {
            let month = date_text(line.accept.day())[..7].replace('-', "");
            months.entry(month).or_default().push((serial + 1, line));
        }
        for (month, lines) in months {
            let name = format!("cases_{month}.csv");
            let count = lines.len() as u64;
            write_file(&drop, &month, own, world, &lines, &mut written)?;
            written.rows.push((format!("drops/{}/{name}", own.folder()), count));
        }
        let broken = lines.iter().filter(|line| line.is_broken).count() as u64;
        written.broken.push((format!("department.{}", own.folder()), broken));
    }
    written.outside.sort();
    Ok(written)
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Error::new(ErrorKind::Internal, "E-CITY-STORE", format!("could not write {name}")).cause(error)
}

fn lines(world: &World, own: OwnSystem) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for case in world.cases.iter().filter(|case| case.own_system == Some(own)) {
        let status = match case.flaw {
            Flaw::MissingInDepartment => continue,
            Flaw::DepartmentStatus(other) => other,
            _ => case.status,
        };
        let finish = match status {
            Status::Accepted => None,
            _ => Some(case.finish.unwrap_or_else(|| case.accept.plus(3600))),
        };
        lines.push(Line {
            number: (!case.is_unnumbered).then(|| world.number_of(case)),
            item: world.item_of(case),
            applicant: world.applicant_of(case),
            accept: case.accept,
            finish,
            status,
            is_broken: case.flaw == Flaw::BrokenLine,
            is_outside: false,
        });
    }
    for outside in world.outside.iter().filter(|outside| outside.own_system == own) {
        lines.push(Line {
            number: None,
            item: &world.items[outside.item as usize],
            applicant: &world.applicants[outside.applicant as usize],
            accept: outside.accept,
            finish: (outside.status != Status::Accepted).then(|| outside.accept.plus(1800)),
            status: outside.status,
            is_broken: false,
            is_outside: true,
        });
    }
    lines
}

fn internal_number(own: OwnSystem, month: &str, serial: usize) -> String {
    let prefix = match own {
        OwnSystem::Planning => "GH",
        OwnSystem::Land => "GT",
        OwnSystem::Quality => "ZJ",
        OwnSystem::Education => "JY",
    };
    format!("{prefix}{month}{serial:06}")
}

fn write_file(
    drop: &Path,
    month: &str,
    own: OwnSystem,
    world: &World,
    lines: &[(usize, &Line<'_>)],
    written: &mut Written,
) -> Result<()> {
    let mut bytes = encoding_rs::GB18030.encode(HEADER).0.into_owned();
    bytes.extend_from_slice(b"\r\n");
    for (serial, line) in lines {
        let internal = internal_number(own, month, *serial);
        let department = world.department_of(line.item);
        let finish = line.finish.map(Moment::text).unwrap_or_default();
        // No field holds a comma, a quote or a line break: all are composed of our own words.
        let text = [
            internal.as_str(),
            line.number.as_deref().unwrap_or_default(),
            &line.item.task_code,
            &line.item.name,
            &line.applicant.name,
            &line.applicant.number,
            &line.applicant.mobile,
            &line.accept.text(),
            &finish,
            line.status.words(),
            &department.code,
            &department.name,
        ]
        .join(",");
        if line.is_broken {
            // Within the fourth field, before a comma, so that only the name is hurt.
            let (head, tail) = text.split_at(text.find(&*line.item.name).unwrap_or(0));
            bytes.extend_from_slice(&encoding_rs::GB18030.encode(head).0);
            bytes.push(BROKEN);
            bytes.extend_from_slice(&encoding_rs::GB18030.encode(tail).0);
        } else {
            bytes.extend_from_slice(&encoding_rs::GB18030.encode(&text).0);
        }
        bytes.extend_from_slice(b"\r\n");
        if line.is_outside {
            written.outside.push(internal);
        }
    }
    let name = format!("cases_{month}.csv");
    let path = drop.join(&name);
    fs::write(&path, &bytes).map_err(|error| failed(&path, error))?;
    let digest = hex_of(&Sha256::digest(&bytes));
    let control = format!("file={name}\nrows={}\nsha256={digest}\n", lines.len());
    let path = drop.join(format!("cases_{month}.ctl"));
    fs::write(&path, control).map_err(|error| failed(&path, error))
}
