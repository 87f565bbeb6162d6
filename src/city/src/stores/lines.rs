//! What the departments' own systems know of their cases, before it is put into files or tables.

use crate::world::{Applicant, Flaw, Item, Moment, OwnSystem, Status, World, date_text};

/// What was written of it.
#[derive(Default)]
pub(crate) struct Written {
    /// Records of each file or table.
    pub(crate) rows: Vec<(String, u64)>,
    /// Per department, how many cases do not decode.
    pub(crate) broken: Vec<(String, u64)>,
    /// The departments' own numbers of cases that nobody else knows.
    pub(crate) outside: Vec<String>,
}

impl Written {
    /// Notes what is wrong with the cases of a department.
    pub(super) fn note(&mut self, own: OwnSystem, lines: &[Line<'_>]) {
        let broken = lines.iter().filter(|line| line.is_broken).count() as u64;
        self.broken.push((format!("department.{}", own.name()), broken));
        let outside = lines.iter().filter(|line| line.is_outside);
        self.outside.extend(outside.map(|line| line.internal.clone()));
    }

    /// Adds what was written elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.broken.extend(other.broken);
        self.outside.extend(other.outside);
    }
}

/// A case as its department has it.
pub(super) struct Line<'w> {
    /// The department's own number.
    pub(super) internal: String,
    /// The platform's number, where somebody has typed it in.
    pub(super) number: Option<String>,
    pub(super) item: &'w Item,
    pub(super) applicant: &'w Applicant,
    pub(super) accept: Moment,
    pub(super) finish: Option<Moment>,
    pub(super) status: Status,
    /// Whether its item's name is in no encoding.
    pub(super) is_broken: bool,
    is_outside: bool,
}

impl Line<'_> {
    /// The month in which it was accepted, such as `201812`.
    pub(super) fn month(&self) -> String {
        date_text(self.accept.day())[..7].replace('-', "")
    }
}

/// The cases of a department in the order of their acceptance.
pub(super) fn lines(world: &World, own: OwnSystem) -> Vec<Line<'_>> {
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
            internal: String::new(),
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
            internal: String::new(),
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
    lines.sort_by_key(|line| line.accept);
    let prefix = match own {
        OwnSystem::Planning => "GH",
        OwnSystem::Land => "GT",
        OwnSystem::Quality => "ZJ",
        OwnSystem::Education => "JY",
    };
    for (serial, line) in (1_usize..).zip(&mut lines) {
        line.internal = format!("{prefix}{}{serial:06}", line.month());
    }
    lines
}
