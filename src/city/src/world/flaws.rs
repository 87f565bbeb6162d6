//! What is wrong with some cases: at most one thing each.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::World;
use super::cases::{Case, Outside};
use super::departments::OwnSystem;
use super::rhythm::spans;
use super::status::Status;
use crate::seed::{chance, generator};

/// A difference between the copies of one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The copies agree.
    None,
    /// Not in the city's tables.
    MissingInCity,
    /// Twice in the city's tables, nothing tells which row is newer.
    CityDuplicate,
    /// Twice in the city's tables, the second one later and corrected.
    CityResent,
    /// In the city's tables with a name that is not UTF-8.
    Misencoded,
    /// Not at the province.
    MissingInProvince,
    /// Twice at the province with one data version.
    ProvinceDuplicate,
    /// Another state at the province.
    ProvinceStatus(Status),
    /// Accepted this many days later at the province.
    ProvinceTime(i8),
    /// Twice at the province, the higher data version agrees.
    ProvinceResent,
    /// Too young to be at the province.
    Pending,
    /// Not in the department's own system.
    MissingInDepartment,
    /// Another state in the department's own system.
    DepartmentStatus(Status),
    /// In the department's file or table in a line that does not decode.
    BrokenLine,
}

/// Cases younger than this against the newest one may not have reached the province.
pub(crate) const PROVINCE_LAG_SECONDS: i64 = 7200;

/// Shares of the countable cases, in the order in which they are planted.
const SHARES: [(f64, usize, Flaw); 9] = [
    (0.003, 1, Flaw::MissingInCity),
    (0.0025, 1, Flaw::CityDuplicate),
    (0.004, 1, Flaw::CityResent),
    (0.0002, 2, Flaw::Misencoded),
    (0.005, 1, Flaw::MissingInProvince),
    (0.0015, 1, Flaw::ProvinceDuplicate),
    (0.003, 1, Flaw::ProvinceStatus(Status::Denied)),
    (0.0015, 1, Flaw::ProvinceTime(1)),
    (0.002, 1, Flaw::ProvinceResent),
];

/// Plants the flaws into the cases of `world`.
pub(crate) fn plant(seed: u64, scale: f64, world: &mut World) {
    let mut rng = generator(seed, "flaws");
    let Some(newest) = world.cases.last().map(|case| case.accept) else { return };
    let young = newest.plus(-PROVINCE_LAG_SECONDS);
    let last = world.cases.len() - 1;
    for (index, case) in world.cases.iter_mut().enumerate() {
        let is_young = case.accept > young.plus(1);
        if is_young && (chance(&mut rng, 0.6) || index == last) {
            case.flaw = Flaw::Pending;
        }
    }
    let mut eligible: Vec<usize> = (0..world.cases.len())
        .filter(|index| world.cases[*index].counts() && world.cases[*index].accept < young)
        .collect();
    let countable = world.cases.iter().filter(|case| case.counts()).count();
    eligible.shuffle(&mut rng);
    for (share, least, flaw) in SHARES {
        let mut left = share_of(countable, share).max(least);
        while left > 0 {
            let Some(index) = eligible.pop() else { return };
            if plant_one(&mut rng, world, index, flaw) {
                left -= 1;
            }
        }
    }
    plant_in_departments(&mut rng, scale, world, eligible);
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn share_of(count: usize, share: f64) -> usize {
    (count as f64 * share).round() as usize
}

/// Plants `flaw` if the case can have it.
fn plant_one(rng: &mut StdRng, world: &mut World, index: usize, flaw: Flaw) -> bool {
    let applicant = &world.applicants[world.cases[index].applicant as usize];
    let bytes = encoding_rs::GBK.encode(&applicant.name).0;
    let is_readable = std::str::from_utf8(&bytes).is_ok();
    let is_valid = applicant.is_valid;
    let case = &mut world.cases[index];
    let planted = match flaw {
        // A number that only a quarantined row holds would make their count ambiguous.
        Flaw::Misencoded if is_readable || !is_valid => return false,
        Flaw::MissingInCity => {
            if case.own_system.is_none() && case.status == Status::Returned && chance(rng, 0.5) {
                case.status = Status::Denied;
            }
            flaw
        }
        Flaw::MissingInProvince => {
            if case.own_system.is_none() && case.status == Status::Granted && chance(rng, 0.1) {
                case.status = Status::FinishedOther;
            }
            flaw
        }
        Flaw::ProvinceStatus(_) => Flaw::ProvinceStatus(other_status(rng, case.status)),
        Flaw::ProvinceTime(_) => match other_day(rng, case) {
            Some(days) => Flaw::ProvinceTime(days),
            None => return false,
        },
        flaw => flaw,
    };
    case.flaw = planted;
    true
}

fn other_status(rng: &mut StdRng, status: Status) -> Status {
    let others: &[Status] = match status {
        Status::Granted => &[Status::Denied, Status::Returned, Status::Accepted],
        Status::Returned => &[Status::Denied],
        Status::Forwarded => &[Status::Granted, Status::Accepted],
        _ => &[Status::Granted, Status::Returned],
    };
    others[rng.random_range(0..others.len())]
}

/// Some days by which the accept date can move within its span.
fn other_day(rng: &mut StdRng, case: &Case) -> Option<i8> {
    let day = i64::from(case.accept.day());
    let (first, last) =
        spans().into_iter().find(|(first, last)| (*first..=*last).contains(&case.accept.day()))?;
    let mut shifts = [-3_i8, -2, -1, 1, 2, 3];
    shifts.shuffle(rng);
    shifts
        .into_iter()
        .find(|shift| (i64::from(first)..i64::from(last)).contains(&(day + i64::from(*shift))))
}

fn plant_in_departments(rng: &mut StdRng, scale: f64, world: &mut World, eligible: Vec<usize>) {
    let theirs = world.cases.iter().filter(|case| case.own_system.is_some()).count();
    let mut free: Vec<usize> =
        eligible.into_iter().filter(|index| world.cases[*index].own_system.is_some()).collect();
    for _ in 0..share_of(theirs, 0.01).max(1) {
        if let Some(index) = free.pop() {
            world.cases[index].flaw = Flaw::MissingInDepartment;
        }
        if let Some(index) = free.pop() {
            let other = match world.cases[index].status {
                Status::Granted => Status::Returned,
                _ => Status::Granted,
            };
            world.cases[index].flaw = Flaw::DepartmentStatus(other);
        }
    }
    let per_department = share_of(2, scale);
    for own in OwnSystem::ALL {
        // In a small city one of a front database, and one of a file in GB18030.
        let is_least = matches!(own, OwnSystem::Land | OwnSystem::Quality);
        let mut left = per_department.max(usize::from(is_least));
        while let (true, Some(position)) =
            (left > 0, free.iter().position(|index| world.cases[*index].own_system == Some(own)))
        {
            world.cases[free.swap_remove(position)].flaw = Flaw::BrokenLine;
            left -= 1;
        }
    }
    for case in &mut world.cases {
        let is_clean = case.flaw == Flaw::None && case.status != Status::NotAccepted;
        case.is_unnumbered = case.own_system.is_some() && is_clean && chance(rng, 0.05);
    }
    let outside = share_of(theirs, 0.005).max(1);
    world.outside = (0..outside).filter_map(|_| invent_outside(rng, world)).collect();
}

/// A case that only a department knows, alike to no case of the city.
fn invent_outside(rng: &mut StdRng, world: &mut World) -> Option<Outside> {
    for _ in 0..100 {
        let like = &world.cases[rng.random_range(0..world.cases.len())];
        let (accept, status) = (like.accept, like.status);
        let own_system = OwnSystem::ALL[rng.random_range(0..OwnSystem::ALL.len())];
        let items = &world.own_items[own_system as usize];
        let item = items[rng.random_range(0..items.len())];
        let applicant = u32::try_from(rng.random_range(0..world.applicants.len())).ok()?;
        let key = (world.items[item as usize].task, applicant, accept.day());
        if matches!(status, Status::Granted | Status::Accepted) && world.own_keys.insert(key) {
            return Some(Outside { own_system, item, applicant, accept, status });
        }
    }
    None
}
