//! The items that the city's units offer, with the versions they went through.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::departments::Department;
use super::divisions::{Level, Unit};
use super::faults::{Fault, Force, Rule};
use super::online::{NO_APPLICATION, Online, Reach, example};
use super::words::{ACTIONS, OBJECTS, OCCASIONS, OFFICIAL_ACTIONS};
use crate::seed::{chance, generator};

/// The figures of the report.
const REPORT_ITEMS: f64 = 52_353.0;
const REPORT_ONLINE: f64 = 52_337.0;
const REPORT_FULL: f64 = 45_144.0;
/// Each department with a system of its own, in use or on trial, has at least this many items at
/// any scale.
const ITEMS_PER_OWN_SYSTEM: usize = 3;
/// Working days that the law grants beyond what most items promise; of every tenth item the promise
/// is all that the law grants.
const LEGAL_ROOM: u32 = 5;

/// How an item takes part in the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// In use at its latest version and of a type with applications.
    Counted,
    /// Suspended (2) or cancelled (3), in its only version.
    Withdrawn(u8),
    /// Its older version is in use, its latest one is cancelled.
    Superseded,
    /// Of a type without applications.
    Official,
}

/// One item at the level of 业务办理项.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) catalog_code: Arc<str>,
    pub(crate) task_code: Arc<str>,
    pub(crate) handle_code: Option<Arc<str>>,
    pub(crate) name: Arc<str>,
    pub(crate) task_type: &'static str,
    /// The number of its task code; items that share a code share the number.
    pub(crate) task: u32,
    /// Its department, by index.
    pub(crate) department: usize,
    pub(crate) role: Role,
    pub(crate) online: Online,
    /// The fields of its older version, if there is one.
    pub(crate) older: Option<Online>,
    pub(crate) version: u32,
    /// 1 at once, 2 promised.
    pub(crate) project_type: u8,
    pub(crate) promise_days: u32,
    /// Its name in the catalogue.
    pub(crate) catalog_name: Arc<str>,
    /// The day of its first case.
    pub(crate) first_case: Option<u32>,
    pub(crate) force: Force,
    /// What is wrong with it.
    pub(crate) fault: Option<Fault>,
}

impl Item {
    /// Whether its latest version is in use.
    pub(crate) fn is_in_use(&self) -> bool {
        matches!(self.role, Role::Counted | Role::Official)
    }

    /// Whether people pay for it.
    pub(crate) fn has_fee(&self) -> bool {
        self.role != Role::Official && self.task.is_multiple_of(23)
    }

    /// What people pay for it, in yuan.
    pub(crate) fn fee(&self) -> u32 {
        self.task % 9 * 5 + 5
    }

    /// The fee that its list of fees names; none where nobody pays or the list says nothing.
    pub(crate) fn fee_standard(&self) -> Option<u32> {
        let is_unnamed = self.breaks(Rule::Fee).is_some_and(|variant| variant % 3 == 1);
        (self.has_fee() && !is_unnamed).then(|| self.fee())
    }

    /// Working days that the law grants for it.
    pub(crate) fn legal_days(&self) -> u32 {
        match (self.project_type, self.task % 10) {
            (1, _) => 1,
            (_, 7) => self.promise_days,
            _ => self.promise_days + LEGAL_ROOM,
        }
    }

    /// What it ends with: the kind's code and the name, if there is one to hold.
    pub(crate) fn result(&self) -> Option<(&'static str, String)> {
        match self.task % 5 {
            0 => Some(("10", format!("{}证", self.name))),
            1 => Some(("20", format!("关于{}的批复", self.name))),
            2 => Some(("20", format!("{}准予文", self.name))),
            _ => None,
        }
    }

    /// The way in which it breaks `rule`, if it does.
    pub(crate) fn breaks(&self, rule: Rule) -> Option<usize> {
        self.fault.filter(|fault| fault.rule == rule).map(|fault| fault.variant)
    }
}

/// The figures that the items must give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemFigures {
    pub(crate) total: u64,
    pub(crate) online_able: u64,
    pub(crate) fully_online: u64,
}

/// The figures at `scale`.
pub(crate) fn figures(scale: f64) -> ItemFigures {
    let total = scaled(REPORT_ITEMS, scale);
    let of_total = |part: f64| scaled(part / REPORT_ITEMS, as_float(total));
    ItemFigures { total, online_able: of_total(REPORT_ONLINE), fully_online: of_total(REPORT_FULL) }
}

/// `number` times `scale`, rounded half up.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // non-negative and small
pub(crate) fn scaled(number: f64, scale: f64) -> u64 {
    (number * scale).round() as u64
}

#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
pub(crate) fn as_float(count: u64) -> f64 {
    count as f64
}

/// All items of the city.
pub(crate) fn items(
    seed: u64,
    scale: f64,
    units: &[Unit],
    departments: &[Department],
) -> Vec<Item> {
    let figures = figures(scale);
    let total = usize::try_from(figures.total).unwrap_or(usize::MAX);
    let mut rng = generator(seed, "items");
    let mut reaches = Vec::with_capacity(total);
    for number in 0..figures.total {
        reaches.push(if number < figures.fully_online {
            Reach::Full
        } else if number < figures.online_able {
            Reach::Part
        } else {
            Reach::None
        });
    }
    reaches.shuffle(&mut rng);
    let draw = |rng: &mut StdRng, share: f64| {
        let count = usize::try_from(scaled(as_float(figures.total), share)).unwrap_or(0);
        spread(rng, count, units, departments)
    };
    let mut plan = Plan { counted: guaranteed(departments), ..Plan::default() };
    let given: usize = plan.counted.iter().sum();
    add_all(&mut plan.counted, &spread(&mut rng, total - given, units, departments));
    plan.suspended = draw(&mut rng, 0.013);
    plan.cancelled = draw(&mut rng, 0.007);
    plan.superseded = draw(&mut rng, 0.005);
    plan.official = draw(&mut rng, 0.08);
    write_out(&mut rng, &plan, &reaches, units, departments)
}

/// How many items of each role each department has.
#[derive(Default)]
struct Plan {
    counted: Vec<usize>,
    suspended: Vec<usize>,
    cancelled: Vec<usize>,
    superseded: Vec<usize>,
    official: Vec<usize>,
}

fn guaranteed(departments: &[Department]) -> Vec<usize> {
    let mut counts = vec![0; departments.len()];
    let mut last_unit = usize::MAX;
    for (index, department) in departments.iter().enumerate() {
        if department.own_system.is_some() || department.is_on_trial() {
            counts[index] = ITEMS_PER_OWN_SYSTEM;
        } else if department.unit != last_unit {
            counts[index] = 1;
        }
        last_unit = department.unit;
    }
    counts
}

fn add_all(counts: &mut [usize], more: &[usize]) {
    for (count, extra) in counts.iter_mut().zip(more) {
        *count += extra;
    }
}

/// Gives `count` items to departments, more to the lower levels together.
fn spread(
    rng: &mut StdRng,
    count: usize,
    units: &[Unit],
    departments: &[Department],
) -> Vec<usize> {
    let of = |level: Level| -> Vec<usize> {
        (0..departments.len()).filter(|i| units[departments[*i].unit].level == level).collect()
    };
    let levels = [
        (0.08, of(Level::City)),
        (0.43, of(Level::County)),
        (0.46, of(Level::Park)),
        (0.76, of(Level::Township)),
        (1.0, of(Level::Village)),
    ];
    let mut counts = vec![0; departments.len()];
    for _ in 0..count {
        let at: f64 = rng.random();
        let owners =
            levels.iter().find(|(up_to, _)| at < *up_to).map_or(&levels[4].1, |(_, owners)| owners);
        counts[owners[rng.random_range(0..owners.len())]] += 1;
    }
    counts
}

fn write_out(
    rng: &mut StdRng,
    plan: &Plan,
    reaches: &[Reach],
    units: &[Unit],
    departments: &[Department],
) -> Vec<Item> {
    let mut items = Vec::with_capacity(reaches.len() * 11 / 10);
    let mut reaches = reaches.iter().enumerate();
    let mut task = 0;
    for (index, department) in departments.iter().enumerate() {
        let use_level = units[department.unit].level.use_level();
        let mut roles = Vec::new();
        for (counts, role) in [
            (&plan.counted, Role::Counted),
            (&plan.suspended, Role::Withdrawn(2)),
            (&plan.cancelled, Role::Withdrawn(3)),
            (&plan.superseded, Role::Superseded),
        ] {
            roles.extend(std::iter::repeat_n(role, counts[index]));
        }
        roles.shuffle(rng);
        let mut entries = entries(rng, roles.len());
        let mut left = roles.into_iter().peekable();
        while let (Some(entry), true) = (entries.pop(), left.peek().is_some()) {
            task += 1;
            let draft = entry.draft(department, use_level, task, index);
            let siblings = if chance(rng, 0.43) { 0 } else { rng.random_range(1..=3) };
            for serial in 1..=siblings.max(1) {
                let Some(role) = left.next() else { break };
                let handle = (siblings > 0).then_some(serial);
                items.push(draft.item(rng, handle, role, &mut reaches));
            }
        }
        for number in 0..plan.official[index] {
            task += 1;
            let entry = Entry {
                object: number / OFFICIAL_ACTIONS.len() % OBJECTS.len(),
                action: number % OFFICIAL_ACTIONS.len(),
                occasion: number / (OFFICIAL_ACTIONS.len() * OBJECTS.len()),
                official: true,
            };
            let draft = entry.draft(department, use_level, task, index);
            items.push(draft.item(rng, None, Role::Official, &mut reaches));
        }
    }
    items
}

/// An entry of the catalog within a department's line of work.
struct Entry {
    object: usize,
    action: usize,
    occasion: usize,
    official: bool,
}

/// At least `count` different entries, the ones without an occasion last so that they pop first.
fn entries(rng: &mut StdRng, count: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for occasion in 0..OCCASIONS.len() {
        if entries.len() > count * 2 {
            break;
        }
        for object in 0..OBJECTS.len() {
            for action in 0..ACTIONS.len() {
                entries.push(Entry { object, action, occasion, official: false });
            }
        }
    }
    entries.shuffle(rng);
    entries
}

/// What the items of one task code share.
struct Draft {
    catalog_code: Arc<str>,
    task_code: Arc<str>,
    name: Arc<str>,
    task_type: &'static str,
    task: u32,
    department: usize,
}

impl Entry {
    fn draft(&self, department: &Department, use_level: &str, task: u32, index: usize) -> Draft {
        let (task_type, word) =
            if self.official { OFFICIAL_ACTIONS[self.action] } else { ACTIONS[self.action] };
        let issuer = if self.object.is_multiple_of(3) { "00" } else { "34" };
        let main = self.object * ACTIONS.len() + self.action;
        let catalog_code =
            format!("{issuer}{task_type}{:02}{main:03}{:03}", department.sector, self.occasion);
        let mut name = format!("{}{}{word}", department.noun, OBJECTS[self.object]);
        let occasion = OCCASIONS[self.occasion % OCCASIONS.len()];
        if !occasion.is_empty() {
            name.push_str(&format!("（{occasion}）"));
        }
        Draft {
            task_code: format!("{}{use_level}{catalog_code}", department.code).into(),
            catalog_code: catalog_code.into(),
            name: name.into(),
            task_type,
            task,
            department: index,
        }
    }
}

impl Draft {
    fn item<'r>(
        &self,
        rng: &mut StdRng,
        handle: Option<u32>,
        role: Role,
        reaches: &mut impl Iterator<Item = (usize, &'r Reach)>,
    ) -> Item {
        const STEPS: [&str; 3] = ["（窗口申请）", "（个人）", "（单位）"];
        let full = example(rng, Reach::Full, 0);
        let (reach, online) = match role {
            Role::Counted => {
                let (serial, reach) = reaches.next().unwrap_or((0, &Reach::Full));
                (*reach, example(rng, *reach, serial))
            }
            Role::Withdrawn(_) | Role::Superseded => (Reach::Full, full),
            Role::Official => (Reach::None, NO_APPLICATION),
        };
        let older = match role {
            Role::Counted if chance(rng, 0.07) => Some(match reach {
                Reach::Full => example(rng, Reach::None, self.task as usize),
                Reach::Part | Reach::None => full,
            }),
            Role::Superseded => Some(full),
            _ => None,
        };
        let at_once = chance(rng, 0.5);
        let name = match handle {
            Some(serial) if serial > 1 => {
                format!("{}{}", self.name, STEPS[(serial as usize) % STEPS.len()]).into()
            }
            _ => Arc::clone(&self.name),
        };
        Item {
            catalog_code: Arc::clone(&self.catalog_code),
            task_code: Arc::clone(&self.task_code),
            handle_code: handle.map(|serial| format!("{}{serial:02}", self.task_code).into()),
            name,
            task_type: self.task_type,
            task: self.task,
            department: self.department,
            role,
            online,
            version: if older.is_some() { rng.random_range(2..=3) } else { 1 },
            older,
            project_type: if at_once { 1 } else { 2 },
            promise_days: if at_once { 0 } else { rng.random_range(1..=15) },
            catalog_name: Arc::clone(&self.name),
            first_case: None,
            force: Force::Always,
            fault: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_full_scale_the_figures_are_those_of_the_report() {
        let ItemFigures { total, online_able, fully_online } = figures(1.0);
        assert_eq!((total, online_able, fully_online), (52_353, 52_337, 45_144));
    }
}
