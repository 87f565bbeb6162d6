//! What is handled over several levels under one number (一事一码): the register of its items and
//! its root cases. Names and categories are made up, the report only says how many there are.

use rand::Rng;
use rand::rngs::StdRng;

use super::World;
use super::divisions::Level;
use super::items::scaled;
use super::moment::{Moment, add_workdays, date_text, day_of, is_workday};
use super::rhythm::{now, time_of};
use super::words::OBJECTS;
use crate::seed::{chance, generator};

/// The numbers of the report.
const REPORT_ITEMS: usize = 92;
const REPORT_CASES: f64 = 7_766.0;
const CATEGORIES: [&str; 7] =
    ["社会救助", "社会保障", "医疗卫生", "农业农村", "住房保障", "优待抚恤", "市场准入"];
/// Items that were taken out of the register again, and their own category.
const WITHDRAWN_ITEMS: usize = 3;
const WITHDRAWN_CATEGORY: &str = "综合";
/// Items of which nobody knows how long they took before.
const WITHOUT_BASELINE: usize = 2;
/// The levels that an item goes through, from below.
const PATHS: [&[Level]; 5] = [
    &[Level::Village, Level::Township, Level::County],
    &[Level::Township, Level::County],
    &[Level::Township, Level::County, Level::City],
    &[Level::Village, Level::Township, Level::County, Level::City],
    &[Level::Village, Level::Township],
];
/// What the days that a case takes are of those it took before; the report says 80 % less.
const TAKES: f64 = 0.2;

/// An item of the register.
#[derive(Debug)]
pub(crate) struct LinkedItem {
    pub(crate) number: String,
    pub(crate) category: &'static str,
    pub(crate) name: String,
    pub(crate) catalog_code: String,
    pub(crate) path: &'static [Level],
    /// Working days it took before.
    pub(crate) baseline: Option<u32>,
    pub(crate) is_in_use: bool,
}

/// What is particular about a root case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    None,
    /// All its steps are at one level.
    SameLevel,
    /// One of its sub-cases is not there.
    MissingSub,
    /// Of an item that is not in the register.
    UnknownItem,
    /// Accepted before it began.
    Early,
    Voided,
    /// It waited, and nobody wrote down until when.
    EndlessWait,
}

impl Oddity {
    /// Whether such a case counts.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::None | Self::MissingSub | Self::EndlessWait)
    }
}

/// A root case.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) number: String,
    /// Its item, by index; none if nobody knows it.
    pub(crate) item: Option<usize>,
    pub(crate) applicant: usize,
    /// The township in which it began, by index.
    pub(crate) township: usize,
    pub(crate) accept: Moment,
    pub(crate) finish: Option<Moment>,
    /// The span for which it waited.
    pub(crate) wait: Option<(Moment, Option<Moment>)>,
    /// The levels of its sub-cases, in their order.
    pub(crate) levels: Vec<Level>,
    /// The working days it took, without those it waited.
    pub(crate) took: u32,
    pub(crate) oddity: Oddity,
}

/// Items and root cases.
pub(crate) struct Linked {
    pub(crate) items: Vec<LinkedItem>,
    pub(crate) roots: Vec<Root>,
}

/// The register and its cases in the city of `world`.
pub(crate) fn linked(world: &World) -> Linked {
    let mut rng = generator(world.seed, "linked");
    let items = items(&mut rng);
    let roots = roots(&mut rng, world, &items);
    Linked { items, roots }
}

fn items(rng: &mut StdRng) -> Vec<LinkedItem> {
    let item = |index: usize| {
        let is_in_use = index < REPORT_ITEMS;
        let category =
            if is_in_use { CATEGORIES[index % CATEGORIES.len()] } else { WITHDRAWN_CATEGORY };
        let subject = OBJECTS[index / CATEGORIES.len() % OBJECTS.len()];
        LinkedItem {
            number: format!("LD{:03}", index + 1),
            category,
            name: format!("{category}{subject}联动办理"),
            catalog_code: format!("342098{:03}000", index + 1),
            path: PATHS[rng.random_range(0..PATHS.len())],
            baseline: (index >= WITHOUT_BASELINE).then(|| rng.random_range(6..=30)),
            is_in_use,
        }
    };
    (0..REPORT_ITEMS + WITHDRAWN_ITEMS).map(item).collect()
}

/// The oddity of each case, those that count first.
fn oddities(scale: f64) -> Vec<Oddity> {
    let counted = scaled(REPORT_CASES, scale);
    let mut oddities = vec![Oddity::None; usize::try_from(counted).unwrap_or(0)];
    let few = scaled(REPORT_CASES * 0.005, scale).max(2);
    for (oddity, count) in [(Oddity::MissingSub, few), (Oddity::EndlessWait, 2)] {
        let free = oddities.iter_mut().filter(|other| **other == Oddity::None);
        for other in free.take(usize::try_from(count).unwrap_or(0)) {
            *other = oddity;
        }
    }
    for (oddity, count) in [
        (Oddity::SameLevel, few * 2),
        (Oddity::Voided, few),
        (Oddity::UnknownItem, 2),
        (Oddity::Early, 5),
    ] {
        oddities.extend((0..count).map(|_| oddity));
    }
    oddities
}

fn roots(rng: &mut StdRng, world: &World, items: &[LinkedItem]) -> Vec<Root> {
    let townships: Vec<usize> = (0..world.units.len())
        .filter(|index| world.units[*index].level == Level::Township)
        .collect();
    let long: Vec<usize> = (0..REPORT_ITEMS).filter(|index| items[*index].path.len() > 2).collect();
    let mut roots = Vec::new();
    // How far the cases so far are from taking a fifth: the next ones make up for it.
    let mut behind = 0.0;
    let longest = usize::try_from(scaled(REPORT_CASES, world.scale / 2.0)).unwrap_or(0);
    for (index, oddity) in oddities(world.scale).into_iter().enumerate() {
        let item = match oddity {
            Oddity::MissingSub => long[rng.random_range(0..long.len())],
            _ => rng.random_range(0..REPORT_ITEMS),
        };
        let accept = accepted(rng, oddity);
        let baseline = items[item].baseline;
        // A few take longer than before; none of the last ones, which nothing could make up for.
        let took = match baseline {
            Some(baseline) if index % 300 == 150 && index < longest => baseline + 2,
            _ => took(rng, baseline.unwrap_or(12), behind),
        };
        let waits =
            if oddity == Oddity::None && chance(rng, 0.05) { rng.random_range(2..=10) } else { 0 };
        let second = rng.random_range(9 * 3600..17 * 3600);
        let finish = Moment::at(add_workdays(accept.day(), took + waits), second);
        // What was finished on the day itself was so after it was accepted.
        let finish = finish.max(accept.plus(600));
        let is_over = finish.day() < now().day();
        if let (true, true, Some(baseline)) = (is_over, oddity.counts(), baseline) {
            behind += TAKES - f64::from(took) / f64::from(baseline);
        }
        let from = accept.plus(120);
        let resumed = Moment::at(add_workdays(accept.day(), waits), 8 * 3600);
        let wait = match oddity {
            Oddity::EndlessWait => Some((from, None)),
            _ if waits > 0 && is_over => Some((from, Some(resumed))),
            _ => None,
        };
        roots.push(Root {
            number: String::new(),
            item: (oddity != Oddity::UnknownItem).then_some(item),
            applicant: rng.random_range(0..world.applicants.len()),
            township: townships[rng.random_range(0..townships.len())],
            accept,
            finish: is_over.then_some(finish),
            wait,
            levels: levels(items[item].path, oddity),
            took,
            oddity,
        });
    }
    number(&mut roots);
    roots
}

fn accepted(rng: &mut StdRng, oddity: Oddity) -> Moment {
    let span = match oddity {
        Oddity::Early => day_of("2018-09-10")..=day_of("2018-09-14"),
        // These are over for certain.
        Oddity::EndlessWait => day_of("2018-09-18")..=day_of("2018-09-28"),
        _ => day_of("2018-09-17")..=day_of("2018-12-13"),
    };
    let day = rng.random_range(span.clone());
    // Few cases begin on a day off.
    let day = if is_workday(day) || chance(rng, 0.1) { day } else { add_workdays(day, 1) };
    time_of(rng, day.min(*span.end()))
}

/// Working days around a fifth of `baseline`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and not negative
fn took(rng: &mut StdRng, baseline: u32, behind: f64) -> u32 {
    let share: f64 = rng.random_range(0.05..0.35);
    let share = (share + behind / 2.0).clamp(0.0, 0.6);
    (share * f64::from(baseline)).round() as u32
}

fn levels(path: &[Level], oddity: Oddity) -> Vec<Level> {
    match oddity {
        Oddity::SameLevel => vec![path[0]; path.len()],
        // The last step but one, which is at a level of its own.
        Oddity::MissingSub => {
            let missing = path.len() - 2;
            path.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, l)| *l).collect()
        }
        _ => path.to_vec(),
    }
}

/// Gives each case its number: the day, and a serial number within it.
fn number(roots: &mut [Root]) {
    roots.sort_by_key(|root| (root.accept, root.applicant));
    let (mut day, mut serial) = (0, 0);
    for root in roots {
        serial = if root.accept.day() == day { serial + 1 } else { 1 };
        day = root.accept.day();
        root.number = format!("MAS{}{serial:06}", date_text(day).replace('-', ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_make_up_for_each_other_so_that_they_take_a_fifth() {
        let mut rng = generator(11, "test");
        let (mut behind, mut sum) = (0.0, 0.0);
        let baselines: Vec<u32> = (0..155).map(|_| rng.random_range(6..=30)).collect();
        for baseline in &baselines {
            let share = f64::from(took(&mut rng, *baseline, behind)) / f64::from(*baseline);
            behind += TAKES - share;
            sum += share;
        }
        assert!((sum / 155.0 - TAKES).abs() < 0.004, "{sum}");
    }

    #[test]
    fn as_many_cases_count_as_the_report_says() {
        let count = |scale| oddities(scale).into_iter().filter(|oddity| oddity.counts()).count();
        assert_eq!((count(1.0), count(0.05)), (7_766, 388));
    }
}
