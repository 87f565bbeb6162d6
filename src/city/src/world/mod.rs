//! The city in truth: units, departments, items, applicants and cases, before anyone's copy.

mod applicants;
mod cards;
mod cases;
mod catalog;
mod cities;
mod departments;
mod divisions;
mod faults;
mod flaws;
mod handling;
mod identity;
mod interfaces;
mod items;
mod linked;
mod moment;
mod online;
mod portal;
mod projects;
mod rhythm;
mod status;
mod words;

pub(crate) use applicants::{Applicant, person_name};
pub(crate) use cases::{Case, Outside, is_delivered, is_unexplained, satisfaction};
pub(crate) use catalog::{CatalogEntry, catalog};
pub(crate) use cities::{MONTHS, app_users, cities, standings};
pub(crate) use departments::{Department, ON_TRIAL, OwnSystem};
pub(crate) use divisions::{Level, Unit};
pub(crate) use faults::{Force, Rule, cases_out_of_force};
pub(crate) use flaws::Flaw;
pub(crate) use identity::mobile;
pub(crate) use interfaces::{PUBLISHED, State, interfaces};
pub(crate) use items::{Item, ItemFigures, Role, scaled};
pub(crate) use linked::{Linked, LinkedItem, Oddity, Root, linked};
pub(crate) use moment::{Moment, add_workdays, date_text, day_of, is_workday};
pub(crate) use online::{NO_APPLICATION, Online};
pub(crate) use portal::Portal;
pub(crate) use projects::projects;
pub(crate) use rhythm::{CaseFigures, now, time_of};
pub(crate) use status::Status;
pub(crate) use words::ROADS;

use std::collections::BTreeMap;

use crate::CityOptions;

/// The city of one seed and scale.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) scale: f64,
    pub(crate) units: Vec<Unit>,
    pub(crate) departments: Vec<Department>,
    pub(crate) items: Vec<Item>,
    pub(crate) applicants: Vec<Applicant>,
    pub(crate) cases: Vec<Case>,
    pub(crate) outside: Vec<Outside>,
    /// What is out of order with the handling of cases, by their index.
    lapses: BTreeMap<usize, handling::Lapse>,
    pub(crate) portal: Portal,
    pub(crate) item_figures: ItemFigures,
    pub(crate) case_figures: CaseFigures,
    own_items: [Vec<u32>; 4],
    own_keys: cases::OwnKeys,
}

impl World {
    /// Makes the city up.
    pub(crate) fn new(options: &CityOptions) -> Self {
        let CityOptions { seed, scale } = *options;
        let units = divisions::units();
        let departments = departments::departments(&units);
        let items = items::items(seed, scale, &units, &departments);
        let case_figures = rhythm::figures(scale);
        let countable = case_figures.in_2017 + case_figures.in_2018;
        let people = usize::try_from(countable).unwrap_or(0) * 3 / 5;
        let applicants = applicants::applicants(seed, people);
        let offer = cases::Offer::new(&items, &units, &departments);
        let (cases, own_keys) = cases::cases(seed, case_figures, &items, &applicants, &offer);
        let portal = portal::portal(seed, scale, &applicants);
        let mut world = Self {
            seed,
            scale,
            units,
            departments,
            items,
            applicants,
            cases,
            outside: Vec::new(),
            lapses: BTreeMap::new(),
            portal,
            item_figures: items::figures(scale),
            case_figures,
            own_items: offer.into_own(),
            own_keys,
        };
        flaws::plant(seed, scale, &mut world);
        faults::plant(seed, &mut world);
        handling::plant(seed, &mut world);
        world
    }

    /// A case's item.
    pub(crate) fn item_of(&self, case: &Case) -> &Item {
        &self.items[case.item as usize]
    }

    /// A case's applicant.
    pub(crate) fn applicant_of(&self, case: &Case) -> &Applicant {
        &self.applicants[case.applicant as usize]
    }

    /// An item's department.
    pub(crate) fn department_of(&self, item: &Item) -> &Department {
        &self.departments[item.department]
    }

    /// An item's unit.
    pub(crate) fn unit_of(&self, item: &Item) -> &Unit {
        &self.units[self.department_of(item).unit]
    }

    /// A case's number.
    pub(crate) fn number_of(&self, case: &Case) -> String {
        cases::project_number(case, self.unit_of(self.item_of(case)).county())
    }
}
