//! `drops/`: the monthly files of two departments in GB18030, each with a control file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

use super::lines::{Line, Written, lines};
use crate::seed::hex_of;
use crate::world::{Moment, OwnSystem, World};

/// Departments that deliver files; the others have front databases.
const DELIVERING: [OwnSystem; 2] = [OwnSystem::Quality, OwnSystem::Education];
const HEADER: &str = "内部编号,办件编号,实施编码,事项名称,申请人,证件号码,联系电话,受理时间,\
                      办结时间,办理状态,部门编码,部门名称";
/// No character of GB18030 begins with this byte.
const BROKEN: u8 = 0xff;

/// Writes the files of all departments that deliver some into `folder`.
pub(crate) fn write(folder: &Path, world: &World) -> Result<Written> {
    let mut written = Written::default();
    for own in DELIVERING {
        let drop = folder.join(own.name());
        fs::create_dir_all(&drop).map_err(|error| failed(&drop, error))?;
        let lines = lines(world, own);
        let mut months: BTreeMap<String, Vec<&Line<'_>>> = BTreeMap::new();
        for line in &lines {
            months.entry(line.month()).or_default().push(line);
        }
        for (month, lines) in months {
            let name = format!("cases_{month}.csv");
            write_file(&drop, &month, world, &lines)?;
            written.rows.push((format!("drops/{}/{name}", own.name()), lines.len() as u64));
        }
        written.note(own, &lines);
    }
    Ok(written)
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Error::new(ErrorKind::Internal, "E-CITY-STORE", format!("could not write {name}")).cause(error)
}

fn write_file(drop: &Path, month: &str, world: &World, lines: &[&Line<'_>]) -> Result<()> {
    let mut bytes = encoding_rs::GB18030.encode(HEADER).0.into_owned();
    bytes.extend_from_slice(b"\r\n");
    for line in lines {
        let department = world.department_of(line.item);
        let finish = line.finish.map(Moment::text).unwrap_or_default();
        // No field holds a comma, a quote or a line break: all are composed of our own words.
        let text = [
            line.internal.as_str(),
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
    }
    let name = format!("cases_{month}.csv");
    let path = drop.join(&name);
    fs::write(&path, &bytes).map_err(|error| failed(&path, error))?;
    let digest = hex_of(&Sha256::digest(&bytes));
    let control = format!("file={name}\nrows={}\nsha256={digest}\n", lines.len());
    let path = drop.join(format!("cases_{month}.ctl"));
    fs::write(&path, control).map_err(|error| failed(&path, error))
}
