//! What is wrong with some items: at most one thing each, so that every finding has one cause.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::World;
use super::flaws::Flaw;
use super::items::{Item, Role, as_float, scaled};
use super::online::{Online, online};
use crate::seed::generator;

/// A rule that some items break, by the name the findings give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// 1: at once and promised.
    Promise,
    /// 2: kind of result.
    ResultKind,
    /// 3: the reason for visits.
    Visits,
    /// 4: neither online nor by post.
    Postal,
    /// 5: fully online with visits.
    FullOnline,
    /// 6: fees.
    Fee,
    /// 7: phone numbers.
    Phones,
    /// 8: whom it serves.
    Topics,
    /// 9: questions and steps of a licence.
    Guide,
    /// 10: sample of the result.
    Sample,
    /// The length of the code.
    CodeLength,
    /// The credit code in the code.
    CodeCredit,
    /// The level in the code.
    CodeLevel,
    /// The catalogue's code in the code.
    CodeCatalog,
    /// Not in the catalogue.
    CatalogUnknown,
    /// Of another type in the catalogue.
    CatalogType,
    /// Of another name in the catalogue.
    CatalogName,
    /// Cases before it was in force.
    NotInForce,
    /// Cases while it was cancelled.
    Cancelled,
}

impl Rule {
    /// Its name in `truth.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Promise => "rule_01",
            Self::ResultKind => "rule_02",
            Self::Visits => "rule_03",
            Self::Postal => "rule_04",
            Self::FullOnline => "rule_05",
            Self::Fee => "rule_06",
            Self::Phones => "rule_07",
            Self::Topics => "rule_08",
            Self::Guide => "rule_09",
            Self::Sample => "rule_10",
            Self::CodeLength => "code_length",
            Self::CodeCredit => "code_credit",
            Self::CodeLevel => "code_level",
            Self::CodeCatalog => "code_catalog",
            Self::CatalogUnknown => "catalog_unknown",
            Self::CatalogType => "catalog_type",
            Self::CatalogName => "catalog_name",
            Self::NotInForce => "case_not_in_force",
            Self::Cancelled => "case_cancelled",
        }
    }

    /// Whether its findings are cases and not items.
    pub(crate) fn is_of_cases(self) -> bool {
        matches!(self, Self::NotInForce | Self::Cancelled)
    }
}

/// What is wrong with one item, and in which of several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) rule: Rule,
    pub(crate) variant: usize,
}

/// Since when an item is in force, by days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// Since its first case at the latest.
    Always,
    /// Since this day, which is after its first case.
    Since(u32),
    /// Always but from the first day up to before the second.
    Interrupted(u32, u32),
}

/// Items of each rule, as a share of those that count.
const SHARE: f64 = 0.0005;
const LEAST: u64 = 2;
/// How many items or cases one fault of a code or a time may concern.
const FEW: usize = 3;
/// Fully online by one column and with visits by another.
const DEEP_WITH_VISITS: [Online; 3] = [
    online("1", Some("5"), Some("1^2"), 1),
    online("1", Some("6"), Some("2^3"), 1),
    online("1", Some("7"), Some("1"), 1),
];
/// Online by its forms of handling, but not by the flag, and not by post.
const NOT_BY_POST: Online = online("0", Some("5"), Some("1^2"), 0);

/// The rules that are planted item by item.
const OF_ITEMS: [Rule; 14] = [
    Rule::Postal,
    Rule::FullOnline,
    Rule::Guide,
    Rule::Fee,
    Rule::ResultKind,
    Rule::Sample,
    Rule::CodeLength,
    Rule::CodeCredit,
    Rule::CodeLevel,
    Rule::CodeCatalog,
    Rule::Promise,
    Rule::Visits,
    Rule::Phones,
    Rule::Topics,
];

/// Plants the faults into the items of `world`, whose cases are known.
pub(crate) fn plant(seed: u64, world: &mut World) {
    let mut rng = generator(seed, "faults");
    let days = case_days(world);
    // Cases are in the order in which they were accepted.
    for case in &world.cases {
        world.items[case.item as usize].first_case.get_or_insert(case.accept.day());
    }
    let count = scaled(as_float(world.item_figures.total), SHARE).max(LEAST);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    plant_in_catalog(&mut rng, count, &mut world.items);
    let mut free: Vec<usize> = (0..world.items.len())
        .filter(|index| {
            let item = &world.items[*index];
            item.role == Role::Counted && item.fault.is_none()
        })
        .collect();
    free.shuffle(&mut rng);
    plant_in_time(count, &mut world.items, &days, &mut free);
    for rule in OF_ITEMS {
        let mut variant = 0;
        free.retain(|index| {
            let item = &mut world.items[*index];
            if variant == count || !can_break(item, rule, variant) {
                return true;
            }
            match rule {
                Rule::Postal => item.online = NOT_BY_POST,
                Rule::FullOnline => item.online = DEEP_WITH_VISITS[variant % 3],
                _ => {}
            }
            item.fault = Some(Fault { rule, variant });
            variant += 1;
            false
        });
    }
}

/// The days on which each item has cases that the city's tables show and that count.
fn case_days(world: &World) -> Vec<BTreeSet<u32>> {
    let mut days = vec![BTreeSet::new(); world.items.len()];
    for case in world.cases.iter().filter(|case| is_looked_at(case)) {
        days[case.item as usize].insert(case.accept.day());
    }
    days
}

/// Whether a case is one whose item is looked up: in the city's tables, readable, and it counts.
pub(crate) fn is_looked_at(case: &super::Case) -> bool {
    case.is_in_city() && case.counts() && case.flaw != Flaw::Misencoded
}

/// Whether an item can break `rule` in its way `variant` and no other.
fn can_break(item: &Item, rule: Rule, variant: usize) -> bool {
    let depth = item.online.depth.unwrap_or_default();
    match rule {
        Rule::Postal => {
            let is_full = item.online.scenes == 0 && depth.contains(['5', '6', '7']);
            is_full && item.online.is_online == "1"
        }
        Rule::FullOnline => item.online.is_online == "1" && matches!(depth, "2^3" | "3^4"),
        Rule::Guide => item.task_type == "01",
        Rule::Fee => item.has_fee() == (variant % 3 < 2),
        Rule::ResultKind | Rule::Sample => item.result().is_some(),
        Rule::CodeLength | Rule::CodeCredit | Rule::CodeLevel | Rule::CodeCatalog => {
            item.handle_code.is_some()
        }
        _ => true,
    }
}

/// Codes of the catalogue that few items use, of which the catalogue says something else.
fn plant_in_catalog(rng: &mut StdRng, count: usize, items: &mut [Item]) {
    let mut users: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_in_use()) {
        users.entry(&item.catalog_code).or_default().push(index);
    }
    let mut few: Vec<Vec<usize>> = users.into_values().filter(|users| users.len() <= FEW).collect();
    few.shuffle(rng);
    for rule in [Rule::CatalogUnknown, Rule::CatalogType, Rule::CatalogName] {
        for variant in 0..count {
            for index in few.pop().unwrap_or_default() {
                items[index].fault = Some(Fault { rule, variant });
            }
        }
    }
}

/// Items that came into force after their first case, or were cancelled between two of them.
fn plant_in_time(count: usize, items: &mut [Item], days: &[BTreeSet<u32>], free: &mut Vec<usize>) {
    for rule in [Rule::NotInForce, Rule::Cancelled] {
        let mut variant = 0;
        free.retain(|index| {
            let item = &mut items[*index];
            let mut days = days[*index].iter().copied();
            let (Some(first), Some(second)) = (days.next(), days.next()) else { return true };
            if variant == count || item.older.is_some() || first + 1 >= second {
                return true;
            }
            item.force = if rule == Rule::NotInForce {
                Force::Since(second)
            } else {
                let Some(third) = days.next() else { return true };
                item.version = 3;
                Force::Interrupted(second, third)
            };
            item.fault = Some(Fault { rule, variant });
            variant += 1;
            false
        });
    }
}

/// The cases whose item was not in force, by rule.
pub(crate) fn cases_out_of_force(world: &World) -> impl Iterator<Item = (Rule, String)> {
    world.cases.iter().filter(|case| is_looked_at(case)).filter_map(|case| {
        let day = case.accept.day();
        let rule = match world.item_of(case).force {
            Force::Since(first) if day < first => Rule::NotInForce,
            Force::Interrupted(from, to) if (from..to).contains(&day) => Rule::Cancelled,
            _ => return None,
        };
        Some((rule, world.number_of(case)))
    })
}
