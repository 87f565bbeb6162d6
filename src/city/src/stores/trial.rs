//! Systems that are being tried out: of three departments, their own cases under their own numbers.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::Rng;
use rand::rngs::StdRng;

use super::database::{Table, close, create, execute};
use crate::seed::{chance, generator};
use crate::truth::Witness;
use crate::world::{
    Applicant, Department, Moment, World, add_workdays, day_of, now, scaled, time_of,
};

/// Cases of each department at full scale; nobody counts them yet.
const CASES_AT_FULL_SCALE: f64 = 420.0;
const LEAST_CASES: u64 = 12;

/// What the department of human resources answers with.
const HRSS: Table = Table {
    name: "spbanjie",
    columns: &[
        "seq integer primary key",
        "sblsh_short text not null",
        "sxbm text not null",
        "sqrxm text not null",
        "bjbmmc text not null",
        "xzqhdm text not null",
        "bjjgdm text not null",
        "slsj text not null",
        "bjsj text not null",
    ],
};

/// The front database of the housing fund.
const FUND: Table = Table {
    name: "pre_apasinfo",
    columns: &[
        "projid text not null",
        "servicecode text not null",
        "servicename text not null",
        "infotype text not null",
        "applyname text not null",
        "apply_cardnumber text",
        "apply_type text not null",
        "contactman text not null",
        "telphone text",
        "deptid text not null",
        "deptname text not null",
        "receivetime text not null",
        "datastate text not null",
        "handlestate text not null",
        "accept_time text",
        "transact_time text",
        "sync_status text not null",
        "dataversion integer not null",
        "ctrtime text not null",
    ],
};

/// The front database of the department of housing.
const HOUSING: Table = Table {
    name: "ea_jc_step_basicinfo",
    columns: &[
        "orgbusno text not null",
        "projid text not null",
        "dataver integer not null",
        "stdver integer not null",
        "region_id text not null",
        "itemno text not null",
        "itemname text not null",
        "projectname text not null",
        "applicant text not null",
        "applicantmobile text",
        "acceptdeptid text not null",
        "acceptdeptname text not null",
        "occurtime text not null",
        "maketime text not null",
        "signstate text not null",
    ],
};

/// A case of one of the departments.
struct Case<'w> {
    number: u64,
    applicant: &'w Applicant,
    accept: Moment,
    finish: Option<Moment>,
    /// Sent a second time in a higher version.
    is_resent: bool,
}

/// Writes `hrss.db` to `hrss`, and the front databases of the two others into `folder`.
pub(crate) async fn write(hrss: &Path, folder: &Path, world: &World) -> Result<Witness> {
    let mut witness = Witness::default();
    let mut rng = generator(world.seed, "trial");

    let department = department(world, "市人社局");
    let mut connection = create(hrss).await?;
    let mut loader = HRSS.fill(&mut connection).await?;
    let cases = cases(&mut rng, world);
    let finished = cases.iter().filter_map(|case| Some((case, case.finish?)));
    for (seq, (case, finish)) in (1_i64..).zip(finished) {
        loader.cell(seq);
        loader.cell(format!("RS2018{:07}", case.number));
        loader.cell(format!("{}-{:03}", department.code, case.number % 37));
        loader.cell(Arc::clone(&case.applicant.name));
        loader.cell(Arc::clone(&department.name));
        // As this family of interfaces writes divisions.
        loader.cell("340500000000");
        loader.cell(if case.number % 19 == 0 { "1" } else { "0" });
        loader.cell(case.accept.text());
        loader.cell(finish.text());
        loader.end_row().await?;
    }
    witness.rows.push(("hrss.spbanjie".to_owned(), loader.finish().await?));
    close(connection).await?;

    let department = self::department(world, "市公积金管理中心");
    let mut connection = create(&folder.join("fund.db")).await?;
    let mut loader = FUND.fill(&mut connection).await?;
    for case in self::cases(&mut rng, world) {
        for version in 1..=1 + u32::from(case.is_resent) {
            let changed = case.finish.unwrap_or(case.accept).plus(i64::from(version) * 600);
            loader.cell(format!("GJJ2018{:07}", case.number));
            loader.cell(format!("{}-{:03}", department.code, case.number % 11));
            loader.cell(format!("{}提取", department.noun));
            loader.cell(if case.number % 3 == 0 { "即办件" } else { "承诺件" });
            loader.cells([&case.applicant.name, &case.applicant.number]);
            loader.cell(if case.applicant.is_person { "个人" } else { "法人" });
            loader.cells([&case.applicant.contact, &case.applicant.mobile]);
            loader.cells([&department.code, &department.name]);
            loader.cell(case.accept.plus(-900).text());
            loader.cell("1");
            loader.cell(if case.finish.is_some() { "办结" } else { "受理" });
            loader.cell(case.accept.text());
            loader.cell(case.finish.map(Moment::text));
            loader.cell("0");
            loader.cell(version);
            loader.cell(changed.min(now()).text());
            loader.end_row().await?;
        }
    }
    witness.rows.push(("fund.pre_apasinfo".to_owned(), loader.finish().await?));
    let index = "create index pre_apasinfo_ctrtime on pre_apasinfo (ctrtime)";
    execute(&mut connection, index.to_owned()).await?;
    close(connection).await?;

    let department = self::department(world, "市住建委");
    let mut connection = create(&folder.join("housing.db")).await?;
    let mut loader = HOUSING.fill(&mut connection).await?;
    for case in self::cases(&mut rng, world) {
        for version in 1..=1 + u32::from(case.is_resent) {
            let made = case.accept.plus(i64::from(version) * 1200).min(now());
            loader.cell(format!("ZJ{:09}", case.number));
            loader.cell(format!("3405002018{:07}", case.number));
            loader.cell(version);
            loader.cell(1);
            loader.cell("340500");
            loader.cell(format!("{}-{:03}", department.code, case.number % 23));
            loader.cell(format!("{}许可", department.noun));
            loader.cell(format!("关于{}许可的申请", department.noun));
            loader.cells([&case.applicant.name, &case.applicant.mobile]);
            loader.cells([&department.code, &department.name]);
            loader.cell(case.accept.text());
            loader.cell(made.text());
            loader.cell("0");
            loader.end_row().await?;
        }
    }
    witness.rows.push(("housing.ea_jc_step_basicinfo".to_owned(), loader.finish().await?));
    let index = "create index ea_jc_step_basicinfo_maketime on ea_jc_step_basicinfo (maketime)";
    execute(&mut connection, index.to_owned()).await?;
    close(connection).await?;
    Ok(witness)
}

/// The department of the city whose name ends with `name`.
fn department<'w>(world: &'w World, name: &str) -> &'w Department {
    let is_it = |department: &&Department| department.unit == 0 && department.name.ends_with(name);
    world.departments.iter().find(is_it).unwrap_or(&world.departments[0])
}

fn cases<'w>(rng: &mut StdRng, world: &'w World) -> Vec<Case<'w>> {
    let count = scaled(CASES_AT_FULL_SCALE, world.scale).max(LEAST_CASES);
    let days = day_of("2018-10-08")..=day_of("2018-12-12");
    let case = |number: u64| {
        // The first one is over for certain.
        let day = if number == 1 { *days.start() } else { rng.random_range(days.clone()) };
        let accept = time_of(rng, day);
        let days = rng.random_range(1..=8);
        let second = rng.random_range(9 * 3600..17 * 3600);
        let finish = Moment::at(add_workdays(accept.day(), days), second);
        Case {
            number,
            applicant: &world.applicants[rng.random_range(0..world.applicants.len())],
            accept,
            finish: (finish < now()).then_some(finish),
            is_resent: chance(rng, 0.05),
        }
    };
    (1..=count).map(case).collect()
}
