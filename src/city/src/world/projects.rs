//! Investment projects and the approvals under them, as several platforms know them.

use rand::Rng;

use super::World;
use super::applicants::person_name;
use super::departments::OwnSystem;
use super::divisions::Level;
use super::items::scaled;
use super::moment::{Moment, day_of};
use super::rhythm::now;
use super::status::Status;
use crate::seed::generator;

const PROJECTS_AT_FULL_SCALE: f64 = 620.0;
const LEAST_PROJECTS: u64 = 30;
/// Every so many projects have a code of the grammar of 2020, as after a change of the platform.
const RECODED_EVERY: u64 = 10;
/// Of every so many finished approvals the platform does not know the result yet.
const BEHIND_EVERY: usize = 9;
const WORKS: [&str; 8] = [
    "年产5000吨精密铸件项目",
    "标准化厂房建设项目",
    "智能装备产业园项目",
    "棚户区改造项目",
    "污水处理厂提标改造项目",
    "农产品冷链物流项目",
    "电子元器件生产线项目",
    "道路改造工程",
];

/// A project.
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its code, or the word that stands in its place.
    pub(crate) code: String,
    pub(crate) apply: Moment,
    pub(crate) status: &'static str,
    pub(crate) division: String,
    /// Its applicant, by index.
    pub(crate) firm: usize,
    pub(crate) legal_person: String,
    pub(crate) total: String,
    pub(crate) updated: Moment,
}

/// A case of the city that is an approval of a project.
pub(crate) struct Approval {
    /// Its project, by index.
    pub(crate) project: usize,
    /// Its case, by index.
    pub(crate) case: usize,
    /// The investment platform does not know that it is finished.
    pub(crate) is_behind: bool,
}

/// All projects, and the approvals of those that have a code.
pub(crate) fn projects(world: &World) -> (Vec<Project>, Vec<Approval>) {
    let mut rng = generator(world.seed, "investment");
    let count = scaled(PROJECTS_AT_FULL_SCALE, world.scale).max(LEAST_PROJECTS);
    let is_ours = |level| matches!(level, Level::City | Level::County | Level::Park);
    let counties: Vec<_> = world.units.iter().filter(|unit| is_ours(unit.level)).collect();
    let firms: Vec<usize> =
        (0..world.applicants.len()).filter(|index| !world.applicants[*index].is_person).collect();
    let mut projects = Vec::new();
    for number in 1..=count {
        let unit = counties[rng.random_range(0..counties.len())];
        let firm = firms[rng.random_range(0..firms.len())];
        // The first three have the three odd states, so that each occurs at any scale.
        let (status, word) = match (number, rng.random_range(0..100)) {
            (1, _) | (4.., 0..7) => ("00", "审核中"),
            (2, _) | (4.., 7..12) => ("98", "驳回"),
            (3, _) | (4.., 12..15) => ("97", "作废"),
            _ => ("99", ""),
        };
        let apply = Moment::at(
            rng.random_range(day_of("2018-01-02")..day_of("2018-12-10")),
            rng.random_range(9 * 3600..17 * 3600),
        );
        let code = if !word.is_empty() {
            word.to_owned()
        } else if number % RECODED_EVERY == 7 {
            format!("2011-{}-04-{:02}-{number:06}", unit.county(), rng.random_range(1..=5))
        } else {
            let industry = [47, 48, 33, 35, 77, 13][rng.random_range(0..6)];
            let kind = rng.random_range(1..=3);
            format!("2018-{}-{industry}-{kind:02}-{number:06}", unit.county())
        };
        let works = WORKS[rng.random_range(0..WORKS.len())];
        projects.push(Project {
            id: format!("INV2018{number:06}"),
            name: format!("{}{works}", world.applicants[firm].name),
            code,
            apply,
            status,
            division: format!("{}000000", unit.county()),
            firm,
            legal_person: person_name(&mut rng),
            total: format!("{}.{:02}", rng.random_range(80..90_000), rng.random_range(0..100)),
            updated: apply.plus(rng.random_range(600..200_000)).min(now()),
        });
    }
    let approvals = approvals(world, &projects);
    (projects, approvals)
}

fn approvals(world: &World, projects: &[Project]) -> Vec<Approval> {
    let mut rng = generator(world.seed, "approvals");
    let issued: Vec<usize> =
        (0..projects.len()).filter(|index| projects[*index].status == "99").collect();
    let mut approvals = Vec::new();
    let mut finished = 0;
    for (index, case) in world.cases.iter().enumerate() {
        let is_theirs = matches!(case.own_system, Some(OwnSystem::Planning | OwnSystem::Land));
        let is_project = is_theirs && !world.applicant_of(case).is_person;
        if !is_project || !case.counts() || !case.is_in_city() || issued.is_empty() {
            continue;
        }
        let is_over = case.status != Status::Accepted && case.is_readable_in_city();
        finished += usize::from(is_over);
        approvals.push(Approval {
            project: issued[rng.random_range(0..issued.len())],
            case: index,
            is_behind: is_over && finished % BEHIND_EVERY == 1,
        });
    }
    approvals
}
