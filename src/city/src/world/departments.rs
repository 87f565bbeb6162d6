//! Who owns items: 50 departments of the city, those of counties and parks, townships, villages.

use std::sync::Arc;

use super::divisions::{Level, Unit};
use super::identity::credit_code;

const DEPARTMENTS: &str = include_str!("../../facts/departments.csv");
/// A park has only the first departments of a county.
const DEPARTMENTS_PER_PARK: usize = 8;

/// A department with a case system of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnSystem {
    /// 市规划局
    Planning,
    /// 市国土资源局
    Land,
    /// 市质监局
    Quality,
    /// 市教育局
    Education,
}

impl OwnSystem {
    /// All four, in the order of the first departments.
    pub(crate) const ALL: [Self; 4] = [Self::Planning, Self::Land, Self::Quality, Self::Education];

    /// Its name among the files: of its folder of drops, or of its front database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Land => "land",
            Self::Quality => "quality",
            Self::Education => "education",
        }
    }
}

/// The departments of the city whose systems are being tried out (联调).
pub(crate) const ON_TRIAL: [&str; 3] = ["市人社局", "市公积金管理中心", "市住建委"];

/// An owner of items.
#[derive(Debug)]
pub(crate) struct Department {
    /// Its credit code.
    pub(crate) code: Arc<str>,
    /// Its full name.
    pub(crate) name: Arc<str>,
    /// Its unit, by index.
    pub(crate) unit: usize,
    /// Two digits of its line of work in catalog codes.
    pub(crate) sector: usize,
    /// What its work is called.
    pub(crate) noun: &'static str,
    /// Its own case system, if it has one.
    pub(crate) own_system: Option<OwnSystem>,
}

impl Department {
    /// Whether its own system is being tried out.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.unit == 0 && ON_TRIAL.iter().any(|name| self.name.ends_with(name))
    }
}

/// The departments of `units`; the first four have systems of their own.
pub(crate) fn departments(units: &[Unit]) -> Vec<Department> {
    let lines: Vec<(usize, &str, &str, &str)> = DEPARTMENTS
        .lines()
        .skip(1)
        .enumerate()
        .filter_map(|(sector, line)| {
            let mut fields = line.split(',');
            Some((sector + 1, fields.next()?, fields.next()?, fields.next()?))
        })
        .collect();
    let mut departments = Vec::new();
    for (unit_index, unit) in units.iter().enumerate() {
        let mut add = |name: String, sector: usize, noun: &'static str| {
            let number = departments.len() + 1;
            let own_system = if number <= 4 { Some(OwnSystem::ALL[number - 1]) } else { None };
            departments.push(Department {
                code: credit_code("11", unit.county(), &format!("003{number:05}")).into(),
                name: name.into(),
                unit: unit_index,
                sector,
                noun,
                own_system,
            });
        };
        let local = lines.iter().filter(|(_, _, local_name, _)| !local_name.is_empty());
        match unit.level {
            Level::City => {
                for (sector, name, _, noun) in &lines {
                    add(format!("马鞍山{name}"), *sector, noun);
                }
            }
            Level::County => {
                for (sector, _, name, noun) in local {
                    add(format!("{}{name}", unit.name), *sector, noun);
                }
            }
            Level::Park => {
                for (sector, _, name, noun) in local.take(DEPARTMENTS_PER_PARK) {
                    add(format!("{}{name}", unit.name), *sector, noun);
                }
            }
            Level::Township => {
                let office = if unit.name.ends_with("街道") {
                    "办事处"
                } else if unit.code[6..].starts_with('4') {
                    "管理委员会"
                } else {
                    "人民政府"
                };
                add(format!("{}{office}", unit.name), 61, "社会事务");
                add(format!("{}为民服务中心", unit.name), 62, "便民服务");
            }
            Level::Village => {
                let committee = if unit.name.ends_with("社区") {
                    "居民委员会"
                } else {
                    "村民委员会"
                };
                add(format!("{}{committee}", unit.name), 71, "村居服务");
            }
        }
    }
    departments
}
