//! The catalogue of items (目录清单), which another office keeps.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::divisions::Level;
use super::faults::Rule;
use super::items::{as_float, scaled};

/// Entries without any item, as a share of all.
const UNUSED_SHARE: f64 = 0.002;
const LEAST_UNUSED: u64 = 2;
/// Every so many entries were renamed once.
const RENAMED_EVERY: usize = 31;

/// One entry of the catalogue.
#[derive(Debug)]
pub(crate) struct CatalogEntry {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) task_type: &'static str,
    /// The levels that exercise it, with `^`.
    pub(crate) levels: String,
    pub(crate) is_in_use: bool,
    /// Its name in an older version, if there is one.
    pub(crate) older_name: Option<String>,
    /// No item in use has it.
    pub(crate) is_unused: bool,
}

/// What the items say about one code.
struct Seen {
    name: String,
    task_type: &'static str,
    levels: BTreeSet<&'static str>,
    is_in_use: bool,
    fault: Option<(Rule, usize)>,
}

/// The whole catalogue in the order of its codes.
pub(crate) fn catalog(world: &World) -> Vec<CatalogEntry> {
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for item in &world.items {
        let entry = seen.entry(&item.catalog_code).or_insert_with(|| Seen {
            name: item.catalog_name.to_string(),
            task_type: item.task_type,
            levels: BTreeSet::new(),
            is_in_use: false,
            fault: None,
        });
        entry.levels.insert(world.unit_of(item).level.use_level());
        entry.is_in_use |= item.is_in_use();
        let of_catalog = item.fault.filter(|fault| {
            matches!(fault.rule, Rule::CatalogUnknown | Rule::CatalogType | Rule::CatalogName)
        });
        entry.fault = entry.fault.or(of_catalog.map(|fault| (fault.rule, fault.variant)));
    }
    let unused = scaled(as_float(seen.len() as u64), UNUSED_SHARE).max(LEAST_UNUSED);
    let mut entries = Vec::with_capacity(seen.len() + 8);
    for (number, (code, seen)) in seen.into_iter().enumerate() {
        let levels: Vec<&str> = seen.levels.into_iter().collect();
        let mut entry = CatalogEntry {
            code: code.to_owned(),
            older_name: (number % RENAMED_EVERY == 0).then(|| format!("{}（原）", seen.name)),
            name: seen.name,
            task_type: seen.task_type,
            levels: levels.join("^"),
            is_in_use: seen.is_in_use,
            is_unused: false,
        };
        match seen.fault {
            // Taken out of the catalogue, or never put in.
            Some((Rule::CatalogUnknown, variant)) if variant % 2 == 0 => entry.is_in_use = false,
            Some((Rule::CatalogUnknown, _)) => continue,
            Some((Rule::CatalogType, _)) => {
                entry.task_type = if entry.task_type == "07" { "10" } else { "07" };
            }
            Some((Rule::CatalogName, _)) => entry.name.push_str("事项"),
            _ => {}
        }
        entries.push(entry);
    }
    // No department has the line of work 99.
    entries.extend((1..=unused).map(|number| CatalogEntry {
        code: format!("340199{number:03}000"),
        name: format!("待承接事项第{number}项许可"),
        task_type: "01",
        levels: Level::City.use_level().to_owned(),
        is_in_use: true,
        older_name: None,
        is_unused: true,
    }));
    entries
}
