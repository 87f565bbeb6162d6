//! `truth.json`: what is so in the city, for tests only; the hub never reads it.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::world::{Case, Flaw, Status, World, cases_out_of_force};

/// How the copies of a case stand to each other.
const CLASSES: [&str; 7] = [
    "matched",
    "mismatch",
    "missing_in_city",
    "missing_in_province",
    "missing_in_department",
    "duplicate_key",
    "pending",
];

/// Rules of electronic supervision whose cards count as yellow, and as red.
const YELLOW: [&str; 3] = ["overdue_promise", "refuse_no_reason", "not_online"];
const RED: [&str; 2] = ["overdue_serious", "illegal_fee"];

const NOTES: [&str; 13] = [
    "keys are project numbers; outside_platform has the departments' own numbers (内部编号)",
    "classes hold all cases, the ones that do not count among them; each case is in one class",
    "compared are the hub's state and the accept time; names, phones and the rest are not",
    "a case that was not accepted (31) is at the province (resultType 6) and with the department \
     (不予受理) and has no row in the city: class missing_in_city, listed again in sets.not_accepted",
    "a city row with cd_operation D means state 56 whatever its result row says; the province \
     then has resultType 3",
    "a case without a result row in the city, or with a null resultType, is accepted (30)",
    "a misencoded name in the city is quarantined by the hub, so the case is missing_in_city; a \
     broken line of a department makes missing_in_department",
    "a city case resent with a later update_time, and a province case resent with a higher \
     dataVersion, are matched by their latest row; equal update_time or dataVersion twice is \
     duplicate_key",
    "pending: accepted less than two hours before the newest accept time of the city and not yet \
     at the province",
    "a department's line without 办件编号 is the case with the same 部门编码, 实施编码, 证件号码 \
     and day of 受理时间; none such: outside_platform, which does not count as a case",
    "item_findings has items by 业务办理项编码 (by 实施编码 where they have none), cases by their \
     number and entries of the catalogue by their code, under the rule that they break; an item \
     breaks one rule at most",
    "conflicting states are both countable and conflicting accept times lie in the same period, \
     so no figure depends on whom one trusts",
    "cards has what electronic supervision must issue by rule: case numbers, departments' own \
     numbers (not_online), numbers of applications (accept_late), roots (suspend_too_long)",
];

/// The keys of a class.
#[derive(Serialize)]
struct Keys {
    count: usize,
    keys: Vec<String>,
}

impl Keys {
    fn new(mut keys: Vec<String>) -> Self {
        keys.sort_unstable();
        Self { count: keys.len(), keys }
    }
}

/// What a figure must be.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Expected {
    /// A number.
    Count(u64),
    /// What counts, and what it is counted against.
    Ratio { numerator: i64, denominator: i64 },
}

#[derive(Serialize)]
struct InvalidIds {
    resident_numbers: usize,
    credit_codes: usize,
}

/// The whole file.
#[derive(Serialize)]
pub(crate) struct Truth {
    seed: u64,
    scale: f64,
    notes: &'static [&'static str],
    figures: BTreeMap<&'static str, Expected>,
    classes: BTreeMap<&'static str, Keys>,
    /// Planted cases by what exactly is wrong with them.
    sets: BTreeMap<&'static str, Keys>,
    /// Planted faults of items by the rule that finds them.
    item_findings: BTreeMap<&'static str, Keys>,
    /// Planted faults of the other systems by what finds them.
    planted: BTreeMap<&'static str, Keys>,
    /// The cards of electronic supervision by the rule that issues them.
    cards: BTreeMap<&'static str, Keys>,
    quarantined: BTreeMap<String, u64>,
    rows: BTreeMap<String, u64>,
    invalid_ids: InvalidIds,
    investment: BTreeMap<String, u64>,
}

/// What the stores wrote.
pub(crate) struct Written {
    pub(crate) rows: Vec<(String, u64)>,
    pub(crate) broken: Vec<(String, u64)>,
    pub(crate) outside: Vec<String>,
    pub(crate) investment: BTreeMap<String, u64>,
    /// Codes of the catalogue that no item in use has.
    pub(crate) unused: Vec<String>,
    /// Systems beside those of items and cases.
    pub(crate) witnesses: Vec<Witness>,
}

/// What a system says of itself.
#[derive(Default)]
pub(crate) struct Witness {
    /// Rows per table.
    pub(crate) rows: Vec<(String, u64)>,
    pub(crate) figures: Vec<(&'static str, Expected)>,
    /// Planted faults by what finds them.
    pub(crate) planted: Vec<(&'static str, Vec<String>)>,
}

impl Truth {
    /// The truth about `world` and what was written of it.
    pub(crate) fn new(world: &World, written: Written) -> Self {
        let mut classes: BTreeMap<&str, Vec<String>> =
            CLASSES.iter().map(|name| (*name, Vec::new())).collect();
        let mut sets: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for case in &world.cases {
            let number = world.number_of(case);
            if let Some(set) = set_of(case) {
                sets.entry(set).or_default().push(number.clone());
            }
            if case.is_unnumbered {
                sets.entry("unnumbered_in_department").or_default().push(number.clone());
            }
            classes.entry(class_of(case)).or_default().push(number);
        }
        let item_findings = item_findings(world, &written);
        let cards = cards(world, &written);
        classes.insert("outside_platform", written.outside);
        let misencoded = world.cases.iter().filter(|case| case.flaw == Flaw::Misencoded).count();
        let mut quarantined: BTreeMap<String, u64> = written.broken.into_iter().collect();
        quarantined.insert("operation.up_pro_accept".to_owned(), misencoded as u64);
        let mut rows: BTreeMap<String, u64> = written.rows.into_iter().collect();
        let mut figures = figures(world);
        let issued = |rules: &[&str]| -> Expected {
            let counts = rules.iter().filter_map(|rule| cards.get(rule)).map(Vec::len);
            Expected::Count(counts.sum::<usize>() as u64)
        };
        figures.insert("yellow_cards", issued(&YELLOW));
        figures.insert("red_cards", issued(&RED));
        figures.insert("on_time_ratio", on_time(world));
        let mut planted = BTreeMap::new();
        for witness in written.witnesses {
            rows.extend(witness.rows);
            figures.extend(witness.figures);
            planted.extend(witness.planted.into_iter().map(|(name, keys)| (name, Keys::new(keys))));
        }
        Self {
            seed: world.seed,
            scale: world.scale,
            notes: &NOTES,
            figures,
            classes: classes.into_iter().map(|(name, keys)| (name, Keys::new(keys))).collect(),
            sets: sets.into_iter().map(|(name, keys)| (name, Keys::new(keys))).collect(),
            item_findings: item_findings
                .into_iter()
                .map(|(rule, keys)| (rule, Keys::new(keys)))
                .collect(),
            planted,
            cards: cards.into_iter().map(|(rule, keys)| (rule, Keys::new(keys))).collect(),
            quarantined,
            rows,
            invalid_ids: invalid_ids(world),
            investment: written.investment,
        }
    }
}

fn item_findings(world: &World, written: &Written) -> BTreeMap<&'static str, Vec<String>> {
    let mut findings: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for item in &world.items {
        if let Some(fault) = item.fault.filter(|fault| !fault.rule.is_of_cases()) {
            let id = item.handle_code.as_ref().unwrap_or(&item.task_code);
            findings.entry(fault.rule.name()).or_default().push(id.to_string());
        }
    }
    for (rule, number) in cases_out_of_force(world) {
        findings.entry(rule.name()).or_default().push(number);
    }
    findings.insert("catalog_unused", written.unused.clone());
    findings.insert("case_outside_platform", written.outside.clone());
    findings
}

fn cards(world: &World, written: &Written) -> BTreeMap<&'static str, Vec<String>> {
    let mut cards: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (index, case) in world.cases.iter().enumerate() {
        for rule in world.cards_of(index) {
            cards.entry(rule).or_default().push(world.number_of(case));
        }
    }
    cards.insert("not_online", written.outside.clone());
    // What other systems know: applications that nobody accepted, linked cases that wait.
    for (rule, name) in [("accept_late", "micro_lost"), ("suspend_too_long", "linked_endless_wait")]
    {
        let planted = written.witnesses.iter().flat_map(|witness| &witness.planted);
        let keys = planted.filter(|(planted, _)| *planted == name).flat_map(|(_, keys)| keys);
        cards.entry(rule).or_default().extend(keys.cloned());
    }
    cards
}

/// Cases that were finished in time, of all that have a result.
fn on_time(world: &World) -> Expected {
    let (mut numerator, mut denominator) = (0, 0);
    for (index, case) in world.cases.iter().enumerate() {
        if !case.is_readable_in_city() || case.status == Status::Deleted {
            continue;
        }
        let timing = world.timing_of(index);
        if timing.finish.is_some() {
            denominator += 1;
            numerator += i64::from(timing.late <= 0);
        }
    }
    Expected::Ratio { numerator, denominator }
}

fn figures(world: &World) -> BTreeMap<&'static str, Expected> {
    let items = world.item_figures;
    let cases = world.case_figures;
    let ratio = |numerator| Expected::Ratio {
        numerator: i64::try_from(numerator).unwrap_or(i64::MAX),
        denominator: i64::try_from(items.total).unwrap_or(i64::MAX),
    };
    BTreeMap::from([
        ("items_total", Expected::Count(items.total)),
        ("online_able_ratio", ratio(items.online_able)),
        ("full_online_ratio", ratio(items.fully_online)),
        ("cases_ytd", Expected::Count(cases.in_2018)),
        ("cases_to_2018_06", Expected::Count(cases.early)),
        ("counties", Expected::Count(6)),
        ("parks", Expected::Count(3)),
        ("townships", Expected::Count(52)),
        ("villages", Expected::Count(554)),
        // All of them but the city itself.
        ("units", Expected::Count(world.units.len() as u64 - 1)),
    ])
}

fn invalid_ids(world: &World) -> InvalidIds {
    let mut invalid = [HashSet::new(), HashSet::new()];
    for case in world.cases.iter().filter(|case| case.is_in_city()) {
        let applicant = world.applicant_of(case);
        if !applicant.is_valid {
            invalid[usize::from(!applicant.is_person)].insert(case.applicant);
        }
    }
    InvalidIds { resident_numbers: invalid[0].len(), credit_codes: invalid[1].len() }
}

fn class_of(case: &Case) -> &'static str {
    match case.flaw {
        Flaw::CityDuplicate | Flaw::ProvinceDuplicate => "duplicate_key",
        Flaw::Pending => "pending",
        Flaw::MissingInCity | Flaw::Misencoded => "missing_in_city",
        Flaw::MissingInProvince => "missing_in_province",
        Flaw::MissingInDepartment | Flaw::BrokenLine => "missing_in_department",
        Flaw::ProvinceStatus(_) | Flaw::ProvinceTime(_) | Flaw::DepartmentStatus(_) => "mismatch",
        Flaw::None | Flaw::CityResent | Flaw::ProvinceResent => {
            if case.status == Status::NotAccepted { "missing_in_city" } else { "matched" }
        }
    }
}

fn set_of(case: &Case) -> Option<&'static str> {
    Some(match case.flaw {
        Flaw::MissingInCity => "missing_in_city",
        Flaw::CityDuplicate => "duplicate_in_city",
        Flaw::CityResent => "resent_in_city",
        Flaw::Misencoded => "misencoded_in_city",
        Flaw::MissingInProvince => "missing_in_province",
        Flaw::ProvinceDuplicate => "duplicate_in_province",
        Flaw::ProvinceStatus(_) => "status_conflict_in_province",
        Flaw::ProvinceTime(_) => "accept_time_conflict_in_province",
        Flaw::ProvinceResent => "resent_in_province",
        Flaw::Pending => "pending",
        Flaw::MissingInDepartment => "missing_in_department",
        Flaw::DepartmentStatus(_) => "status_conflict_in_department",
        Flaw::BrokenLine => "broken_in_department",
        Flaw::None => match (case.status, case.is_marked_deleted) {
            (Status::NotAccepted, _) => "not_accepted",
            (Status::Voided, _) => "voided",
            (Status::Deleted, false) => "deleted",
            (Status::Deleted, true) => "marked_deleted_in_city",
            _ => return None,
        },
    })
}
