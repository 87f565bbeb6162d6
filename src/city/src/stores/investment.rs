//! `investment.db`: projects of the investment platform and the approvals under them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::Rng;

use super::database::{Loader, close, create, execute};
use crate::seed::generator;
use crate::world::{Level, Moment, OwnSystem, World, day_of, now, person_name, scaled};

const PROJECTS_AT_FULL_SCALE: f64 = 620.0;
const LEAST_PROJECTS: u64 = 30;

const PROJECTS: &[&str] = &[
    "seq",
    "invest_id",
    "project_name",
    "project_code",
    "apply_date",
    "status",
    "division_code",
    "legal_person",
    "invest_total",
    "update_time",
];
const APPROVALS: &[&str] = &[
    "seq",
    "approval_id",
    "invest_id",
    "project_code",
    "project_no",
    "item_name",
    "state",
    "update_time",
];
const TABLES: [&str; 2] = [
    "create table projects (seq integer primary key, invest_id text not null, \
     project_name text not null, project_code text not null, apply_date text not null, \
     status text not null, division_code text not null, legal_person text not null, \
     invest_total text not null, update_time text not null)",
    "create table approvals (seq integer primary key, approval_id text not null, \
     invest_id text not null, project_code text not null, project_no text not null, \
     item_name text not null, state text not null, update_time text not null)",
];

/// What was written.
pub(crate) struct Written {
    /// Rows per table.
    pub(crate) rows: Vec<(String, u64)>,
    /// Projects per state of their code.
    pub(crate) states: BTreeMap<String, u64>,
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: Arc<World>) -> Result<Written> {
    let mut connection = create(path).await?;
    for table in TABLES {
        execute(&mut connection, table.to_owned()).await?;
    }
    let mut rng = generator(world.seed, "investment");
    let count = scaled(PROJECTS_AT_FULL_SCALE, world.scale).max(LEAST_PROJECTS);
    let counties: Vec<_> = world
        .units
        .iter()
        .filter(|unit| matches!(unit.level, Level::City | Level::County | Level::Park))
        .collect();
    let firms: Vec<_> = world.applicants.iter().filter(|one| !one.is_person).collect();
    let mut states = BTreeMap::new();
    let mut issued = Vec::new();
    let mut loader = Loader::new(&mut connection, "projects", PROJECTS).await?;
    for number in 1..=count {
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
        let unit = counties[rng.random_range(0..counties.len())];
        let firm = firms[rng.random_range(0..firms.len())];
        // The first three have the three odd states, so that each occurs at any scale.
        let (status, word) = match (number, rng.random_range(0..100)) {
            (1, _) | (4.., 0..7) => ("00", "审核中"),
            (2, _) | (4.., 7..12) => ("98", "驳回"),
            (3, _) | (4.., 12..15) => ("97", "作废"),
            _ => ("99", ""),
        };
        *states.entry(status.to_owned()).or_insert(0) += 1;
        let apply = Moment::at(
            rng.random_range(day_of("2018-01-02")..day_of("2018-12-10")),
            rng.random_range(9 * 3600..17 * 3600),
        );
        let code = if word.is_empty() {
            let industry = [47, 48, 33, 35, 77, 13][rng.random_range(0..6)];
            let kind = rng.random_range(1..=3);
            format!("2018-{}-{industry}-{kind:02}-{number:06}", unit.county())
        } else {
            word.to_owned()
        };
        let id = format!("INV2018{number:06}");
        if status == "99" {
            issued.push((id.clone(), code.clone()));
        }
        loader.cell(i64::try_from(number).unwrap_or(i64::MAX));
        loader.cell(id);
        loader.cell(format!("{}{}", firm.name, WORKS[rng.random_range(0..WORKS.len())]));
        loader.cell(code);
        loader.cell(apply.text());
        loader.cell(status);
        loader.cell(format!("{}000000", unit.county()));
        loader.cell(person_name(&mut rng));
        loader.cell(format!("{}.{:02}", rng.random_range(80..90_000), rng.random_range(0..100)));
        loader.cell(apply.plus(rng.random_range(600..200_000)).min(now()).text());
        loader.end_row().await?;
    }
    let mut rows = vec![("investment.projects".to_owned(), loader.finish().await?)];

    let mut loader = Loader::new(&mut connection, "approvals", APPROVALS).await?;
    let mut number = 0_i64;
    for case in &world.cases {
        let is_theirs = matches!(case.own_system, Some(OwnSystem::Planning | OwnSystem::Land));
        let is_project = is_theirs && !world.applicant_of(case).is_person;
        if !is_project || !case.counts() || !case.is_in_city() || issued.is_empty() {
            continue;
        }
        number += 1;
        let (id, code) = &issued[rng.random_range(0..issued.len())];
        loader.cell(number);
        loader.cell(format!("AP2018{number:07}"));
        loader.cell(id.as_str());
        loader.cell(code.as_str());
        loader.cell(world.number_of(case));
        loader.cell(Arc::clone(&world.item_of(case).name));
        loader.cell(case.status.words());
        loader.cell(case.finish.unwrap_or(case.accept).plus(900).min(now()).text());
        loader.end_row().await?;
    }
    rows.push(("investment.approvals".to_owned(), loader.finish().await?));
    close(connection).await?;
    Ok(Written { rows, states })
}
