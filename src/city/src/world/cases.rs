//! The cases of the city as they are in truth, before anyone's copy.

use std::collections::HashSet;

use rand::Rng;
use rand::rngs::StdRng;

use super::applicants::Applicant;
use super::departments::{Department, OwnSystem};
use super::divisions::{Level, Unit};
use super::flaws::Flaw;
use super::items::{Item, Role};
use super::moment::{Moment, add_workdays, date_text, day_of};
use super::rhythm::{CaseFigures, cases_per_day, now, time_of};
use super::status::Status;
use crate::seed::{chance, generator};

/// Cases that do not count, as a share of those that do.
const UNCOUNTED_SHARE: usize = 67;
/// Share of the cases that belong to the departments with own systems.
const OWN_SYSTEM_SHARE: f64 = 0.04;

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Number within its day.
    pub(crate) serial: u32,
    pub(crate) item: u32,
    pub(crate) applicant: u32,
    pub(crate) apply: Moment,
    pub(crate) accept: Moment,
    pub(crate) promise: Moment,
    /// When it was finished, if it is.
    pub(crate) finish: Option<Moment>,
    pub(crate) status: Status,
    /// Its row in the city is marked as deleted.
    pub(crate) is_marked_deleted: bool,
    pub(crate) is_online: bool,
    pub(crate) own_system: Option<OwnSystem>,
    pub(crate) flaw: Flaw,
    /// The department's line has no case number.
    pub(crate) is_unnumbered: bool,
}

impl Case {
    /// Whether it counts as a case.
    pub(crate) fn counts(&self) -> bool {
        self.status.counts()
    }

    /// Whether the city's tables hold a row of it.
    pub(crate) fn is_in_city(&self) -> bool {
        self.status != Status::NotAccepted && self.flaw != Flaw::MissingInCity
    }

    /// Whether the city's tables hold a row of it that can be read.
    pub(crate) fn is_readable_in_city(&self) -> bool {
        self.is_in_city() && self.flaw != Flaw::Misencoded
    }

    /// Whether the province holds a record of it.
    pub(crate) fn is_at_province(&self) -> bool {
        !matches!(self.flaw, Flaw::MissingInProvince | Flaw::Pending)
    }
}

/// A case that only a department knows.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) own_system: OwnSystem,
    pub(crate) item: u32,
    pub(crate) applicant: u32,
    pub(crate) accept: Moment,
    pub(crate) status: Status,
}

/// The items of which people have cases, by level and department.
pub(crate) struct Offer {
    levels: Vec<(f64, Vec<Vec<u32>>)>,
    own: [Vec<u32>; 4],
}

/// By task code, applicant and day a department's case can be told without its number.
pub(crate) type OwnKeys = HashSet<(u32, u32, u32)>;

impl Offer {
    /// What `items` offer.
    pub(crate) fn new(items: &[Item], units: &[Unit], departments: &[Department]) -> Self {
        let mut by_department = vec![Vec::new(); departments.len()];
        for (index, item) in (0_u32..).zip(items) {
            if item.role == Role::Counted {
                by_department[item.department].push(index);
            }
        }
        let mut own = <[Vec<u32>; 4]>::default();
        let mut levels: Vec<(f64, Vec<Vec<u32>>)> =
            [0.24, 0.66, 0.70, 0.90, 1.0].map(|up_to| (up_to, Vec::new())).into();
        for (department, items) in departments.iter().zip(by_department) {
            if let Some(system) = department.own_system {
                own[system as usize] = items;
            } else if !items.is_empty() {
                let level = match units[department.unit].level {
                    Level::City => 0,
                    Level::County => 1,
                    Level::Park => 2,
                    Level::Township => 3,
                    Level::Village => 4,
                };
                levels[level].1.push(items);
            }
        }
        // At the smallest scales the city's other departments may have nothing to offer.
        levels.retain(|(_, departments)| !departments.is_empty());
        Self { levels, own }
    }

    /// The items of the departments with own systems.
    pub(crate) fn into_own(self) -> [Vec<u32>; 4] {
        self.own
    }

    fn draw(&self, rng: &mut StdRng, may_be_own: bool) -> (u32, Option<OwnSystem>) {
        if may_be_own && chance(rng, OWN_SYSTEM_SHARE) {
            let at: f64 = rng.random();
            let system = match at {
                at if at < 0.2 => OwnSystem::Planning,
                at if at < 0.65 => OwnSystem::Land,
                at if at < 0.85 => OwnSystem::Quality,
                _ => OwnSystem::Education,
            };
            return (popular(rng, &self.own[system as usize]), Some(system));
        }
        let at: f64 = rng.random();
        let (_, departments) =
            self.levels.iter().find(|(up_to, _)| at < *up_to).unwrap_or(&self.levels[0]);
        let department = &departments[rng.random_range(0..departments.len())];
        (popular(rng, department), None)
    }
}

/// One of `items`; the first ones are asked for most.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn popular(rng: &mut StdRng, items: &[u32]) -> u32 {
    let at: f64 = rng.random();
    items[((at * at * items.len() as f64) as usize).min(items.len() - 1)]
}

/// What happens to a case, before its details are known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Countable,
    NotAccepted,
    Voided,
    Deleted,
    MarkedDeleted,
}

fn courses(rng: &mut StdRng, figures: CaseFigures) -> Vec<(Moment, Course)> {
    let mut drafts = Vec::new();
    for (day, count) in cases_per_day(rng, figures) {
        for _ in 0..count {
            drafts.push((time_of(rng, day), Course::Countable));
        }
    }
    let countable = drafts.len();
    let last_day = now().day();
    for number in 0..(countable / UNCOUNTED_SHARE).max(10) {
        let course = match number % 5 {
            0 => Course::NotAccepted,
            1 | 2 => Course::Voided,
            3 => Course::Deleted,
            _ => Course::MarkedDeleted,
        };
        let like = drafts[rng.random_range(0..countable)].0.day();
        let day = if like >= last_day { day_of("2018-11-20") } else { like };
        drafts.push((time_of(rng, day), course));
    }
    // The newest case is a plain one shortly before the city's present.
    if let Some(newest) = drafts[..countable].iter_mut().max_by_key(|(moment, _)| *moment) {
        newest.0 = now().plus(-90);
    }
    drafts.sort_by_key(|(moment, _)| *moment);
    drafts
}

/// All cases in the order in which they were accepted.
pub(crate) fn cases(
    seed: u64,
    figures: CaseFigures,
    items: &[Item],
    applicants: &[Applicant],
    offer: &Offer,
) -> (Vec<Case>, OwnKeys) {
    let mut rng = generator(seed, "cases");
    let mut own_keys = OwnKeys::new();
    let mut cases = Vec::new();
    let (mut day, mut serial) = (0, 0);
    for (accept, course) in courses(&mut rng, figures) {
        serial = if accept.day() == day { serial + 1 } else { 1 };
        day = accept.day();
        let is_deleted = matches!(course, Course::Deleted | Course::MarkedDeleted);
        let (item, own_system) = offer.draw(&mut rng, !is_deleted);
        let mut applicant = rng.random_range(0..applicants.len());
        let task = items[item as usize].task;
        let key = |applicant: usize| (task, u32::try_from(applicant).unwrap_or(0), day);
        while own_system.is_some() && !own_keys.insert(key(applicant)) {
            applicant = rng.random_range(0..applicants.len());
        }
        let (status, finish) = outcome(&mut rng, accept, course, &items[item as usize]);
        let is_online = chance(&mut rng, 0.4);
        let before = if is_online { 600..72_000 } else { 60..1500 };
        cases.push(Case {
            serial,
            item,
            applicant: key(applicant).1,
            apply: accept.plus(-rng.random_range(before)),
            accept,
            promise: promise(accept, &items[item as usize]),
            finish,
            status,
            is_marked_deleted: course == Course::MarkedDeleted,
            is_online,
            own_system,
            flaw: Flaw::None,
            is_unnumbered: false,
        });
    }
    (cases, own_keys)
}

fn promise(accept: Moment, item: &Item) -> Moment {
    let closing = 17 * 3600 + 1800;
    let due = Moment::at(add_workdays(accept.day(), item.promise_days), closing);
    // Online applications after closing time are due on the next working day.
    if due <= accept { Moment::at(add_workdays(accept.day(), 1), closing) } else { due }
}

fn outcome(
    rng: &mut StdRng,
    accept: Moment,
    course: Course,
    item: &Item,
) -> (Status, Option<Moment>) {
    let at_once = accept.plus(rng.random_range(300..9000));
    match course {
        Course::NotAccepted => return (Status::NotAccepted, Some(at_once)),
        Course::Voided => return (Status::Voided, Some(at_once)),
        Course::Deleted | Course::MarkedDeleted => return (Status::Deleted, Some(at_once)),
        Course::Countable => {}
    }
    let finish = if item.project_type == 1 {
        at_once
    } else {
        let days = rng.random_range(1..=item.promise_days.max(1));
        let days = days.min(rng.random_range(1..=item.promise_days.max(1)));
        let second = rng.random_range(9 * 3600..17 * 3600);
        Moment::at(add_workdays(accept.day(), days), second)
    };
    if chance(rng, 0.055) || finish >= now() {
        return (Status::Accepted, None);
    }
    let kind: f64 = rng.random();
    let status = match kind {
        kind if kind < 0.03 => Status::Forwarded,
        kind if kind < 0.07 => Status::Returned,
        _ => Status::Granted,
    };
    (status, Some(finish))
}

/// Whether the result of the case of this index goes by post.
pub(crate) fn is_delivered(index: usize) -> bool {
    index.is_multiple_of(6)
}

/// Whether the case of this index was given back without a word why.
pub(crate) fn is_unexplained(index: usize, case: &Case) -> bool {
    case.status == Status::Returned && index % 40 == 11
}

/// How people rated the case of this index: 5 is best.
pub(crate) fn satisfaction(index: usize, case: &Case) -> Option<&'static str> {
    let is_rated = index.is_multiple_of(9) && case.status.city_code().is_some();
    is_rated.then_some(match index / 9 % 40 {
        0 => "3",
        1..=5 => "4",
        _ => "5",
    })
}

/// A case's number: city, county, day, number within the day.
pub(crate) fn project_number(case: &Case, county: &str) -> String {
    let date = date_text(case.accept.day());
    format!("3405{}{}{}{}{:06}", &county[4..6], &date[..4], &date[5..7], &date[8..10], case.serial)
}
