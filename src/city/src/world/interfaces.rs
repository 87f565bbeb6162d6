//! What the city offers through the province's app: interfaces with their versions.

use rand::Rng;
use rand::seq::SliceRandom;

use super::moment::{Moment, day_of};
use crate::seed::generator;

/// Interfaces in the report.
pub(crate) const PUBLISHED: usize = 39;
/// Those that are drafts yet; the rest was taken back.
const DRAFTS: usize = 3;
/// Every so many of the published ones are there in a second version.
const RENEWED_EVERY: usize = 9;
const SUBJECTS: [&str; 11] = [
    "社会保险",
    "住房公积金",
    "不动产登记",
    "出入境证件",
    "机动车",
    "医疗保险",
    "水费",
    "电费",
    "燃气费",
    "学籍",
    "婚姻登记",
];
const SERVICES: [&str; 4] = ["查询", "预约", "办理进度", "证明下载"];

/// What becomes of an interface.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Draft,
    Published,
    Withdrawn,
}

/// An interface with all its versions, the first one first.
pub(crate) struct Interface {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) versions: Vec<(State, Moment)>,
}

/// All interfaces of the city of `seed`.
pub(crate) fn interfaces(seed: u64) -> Vec<Interface> {
    let mut rng = generator(seed, "app interfaces");
    let mut names: Vec<String> = SUBJECTS
        .iter()
        .flat_map(|subject| SERVICES.iter().map(move |service| format!("{subject}{service}")))
        .collect();
    names.shuffle(&mut rng);
    let mut interfaces = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        // What was published once and is not any more keeps its older version.
        let states: &[State] = if index < PUBLISHED {
            let is_renewed = index % RENEWED_EVERY == 0;
            if is_renewed { &[State::Published, State::Published] } else { &[State::Published] }
        } else if index < PUBLISHED + DRAFTS {
            &[State::Draft]
        } else {
            &[State::Published, State::Withdrawn]
        };
        let first = rng.random_range(day_of("2018-03-01")..day_of("2018-09-01"));
        let days = [first, first + rng.random_range(20..90)];
        let moment = |day| Moment::at(day, 32_400);
        let versions = states.iter().zip(days).map(|(state, day)| (*state, moment(day))).collect();
        interfaces.push(Interface { id: format!("WST3405{:04}", index + 1), name, versions });
    }
    interfaces
}
