//! The 616 units of the city: itself, 6 counties, 3 parks, 52 townships, 554 villages.

use super::words::{VILLAGE_FIRST, VILLAGE_SECOND};

const DIVISIONS: &str = include_str!("../../facts/divisions.csv");
/// How many villages the report counts.
const VILLAGES: usize = 554;
const VILLAGES_PER_TOWNSHIP: usize = 11;
const VILLAGES_PER_SMALL_PARK: usize = 3;

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The city.
    City,
    /// A county or district.
    County,
    /// A development park with a county's powers.
    Park,
    /// A street, town, township, or a park below a county.
    Township,
    /// A village or community.
    Village,
}

impl Level {
    /// The digit of the exercising level in task codes.
    pub(crate) fn use_level(self) -> &'static str {
        match self {
            Self::City => "3",
            Self::County | Self::Park => "4",
            Self::Township => "5",
            Self::Village => "6",
        }
    }
}

/// One unit that owns items.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// 12 digits.
    pub(crate) code: String,
    /// Full name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) level: Level,
    /// The township of a village, by index.
    pub(crate) township: Option<usize>,
}

impl Unit {
    /// The 6 digits of its county, or of the city.
    pub(crate) fn county(&self) -> &str {
        &self.code[..6]
    }
}

/// All units: counties before parks before townships before villages.
pub(crate) fn units() -> Vec<Unit> {
    let mut units: Vec<Unit> = DIVISIONS.lines().skip(1).filter_map(listed_unit).collect();
    let townships: Vec<usize> =
        (0..units.len()).filter(|index| units[*index].level == Level::Township).collect();
    let small_parks = townships.iter().filter(|index| is_small_park(&units[**index])).count();
    let mut spare = VILLAGES
        - small_parks * VILLAGES_PER_SMALL_PARK
        - (townships.len() - small_parks) * VILLAGES_PER_TOWNSHIP;
    let mut named = 0;
    for township in townships {
        let count = if is_small_park(&units[township]) {
            VILLAGES_PER_SMALL_PARK
        } else if spare > 0 {
            spare -= 1;
            VILLAGES_PER_TOWNSHIP + 1
        } else {
            VILLAGES_PER_TOWNSHIP
        };
        let is_street = units[township].name.ends_with("街道");
        for serial in 1..=count {
            // 7 has no divisor in common with the number of names, so each is used once.
            let slot = named * 7 % (VILLAGE_FIRST.len() * VILLAGE_SECOND.len());
            let first = VILLAGE_FIRST[slot / VILLAGE_SECOND.len()];
            let second = VILLAGE_SECOND[slot % VILLAGE_SECOND.len()];
            let kind = if is_street || serial == 1 { "社区" } else { "村" };
            units.push(Unit {
                code: format!("{}{serial:03}", &units[township].code[..9]),
                name: format!("{first}{second}{kind}"),
                level: Level::Village,
                township: Some(township),
            });
            named += 1;
        }
    }
    units
}

fn is_small_park(unit: &Unit) -> bool {
    unit.level == Level::Township && unit.code[6..].starts_with('4')
}

fn listed_unit(line: &str) -> Option<Unit> {
    let mut fields = line.split(',');
    let (code, name, level, kind) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let level = match (level, kind) {
        ("city", _) => Level::City,
        ("county", "development_park") => Level::Park,
        ("county", _) => Level::County,
        _ => Level::Township,
    };
    Some(Unit { code: code.to_owned(), name: name.to_owned(), level, township: None })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn units_are_those_of_the_report() {
        let units = units();
        let count = |level| units.iter().filter(|unit| unit.level == level).count();
        assert_eq!(
            [Level::City, Level::County, Level::Park, Level::Township, Level::Village].map(count),
            [1, 6, 3, 52, 554]
        );
        assert_eq!(units.iter().map(|unit| &unit.code).collect::<HashSet<_>>().len(), 616);
        assert_eq!(units.iter().map(|unit| &unit.name).collect::<HashSet<_>>().len(), 616);
        assert!(units.iter().all(|unit| unit.code.len() == 12));
    }
}
