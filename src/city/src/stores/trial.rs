//! Systems that are being tried out (联调): of three departments, their own copies of the cases that
//! the city's platform has of them, with what is still wrong in them.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;

use super::database::{Table, close, create, execute};
use crate::truth::Witness;
use crate::world::{
    Applicant, Case, Department, Moment, ON_TRIAL, Status, World, add_workdays, day_of, now,
};

/// The cases that were accepted between these days are tried out.
const FIRST_DAY: &str = "2018-10-08";
const LAST_DAY: &str = "2018-12-12";
/// Of so many cases of a department one of each kind is wrong, and at least one.
const PLANTED_EVERY: usize = 100;
/// Cases of each department that the platform does not have.
const OUTSIDE: usize = 2;
/// By how many seconds an accept time is wrong.
const OFF_BY: i64 = 420;
/// Every so many rows are sent a second time in a higher version.
const RESENT_EVERY: usize = 20;

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

/// What is wrong with a case of a department.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// Not in its system.
    Missing,
    /// In another state there.
    State,
    /// Accepted some minutes later there.
    Time,
    /// Only in its system.
    Outside,
}

/// The rule that finds a flaw.
const RULES: [(Flaw, &str); 4] = [
    (Flaw::Missing, "trial_not_in_department"),
    (Flaw::State, "trial_state"),
    (Flaw::Time, "trial_accept_time"),
    (Flaw::Outside, "trial_not_on_platform"),
];

/// A case of a department in its own system.
struct Line<'w> {
    /// The platform's number, or its own one.
    number: String,
    serial: usize,
    item: String,
    applicant: &'w Applicant,
    accept: Moment,
    finish: Option<Moment>,
    /// The code of the early result list, of those that are finished.
    result: Option<&'static str>,
    is_resent: bool,
}

/// A department on trial and the lines of its system.
struct Copied<'w> {
    department: &'w Department,
    lines: Vec<Line<'w>>,
}

/// Writes `hrss.db` to `hrss`, and the front databases of the two others into `folder`.
pub(crate) async fn write(hrss: &Path, folder: &Path, world: &World) -> Result<Witness> {
    let mut witness = Witness::default();
    let mut planted: Vec<(Flaw, String)> = Vec::new();

    // Of human resources only what is finished is sent.
    let copy = copy(world, "dept_hrss", ON_TRIAL[0], &mut planted);
    let mut connection = create(hrss).await?;
    let mut loader = HRSS.fill(&mut connection).await?;
    let finished = copy.lines.iter().filter_map(|line| Some((line, line.finish?)));
    for (seq, (line, finish)) in (1_i64..).zip(finished) {
        loader.cell(seq);
        loader.cell(line.number.as_str());
        loader.cell(line.item.as_str());
        loader.cell(Arc::clone(&line.applicant.name));
        loader.cell(Arc::clone(&copy.department.name));
        // As this family of interfaces writes divisions.
        loader.cell("340500000000");
        loader.cell(line.result.unwrap_or("0"));
        loader.cell(line.accept.text());
        loader.cell(finish.text());
        loader.end_row().await?;
    }
    witness.rows.push(("hrss.spbanjie".to_owned(), loader.finish().await?));
    close(connection).await?;

    let copy = self::copy(world, "dept_fund", ON_TRIAL[1], &mut planted);
    let mut connection = create(&folder.join("fund.db")).await?;
    let mut loader = FUND.fill(&mut connection).await?;
    for line in &copy.lines {
        for version in 1..=1 + u32::from(line.is_resent) {
            let changed = line.finish.unwrap_or(line.accept).plus(i64::from(version) * 600);
            loader.cell(line.number.as_str());
            loader.cell(line.item.as_str());
            loader.cell(format!("{}提取", copy.department.noun));
            loader.cell(if line.serial.is_multiple_of(3) { "即办件" } else { "承诺件" });
            loader.cells([&line.applicant.name, &line.applicant.number]);
            loader.cell(if line.applicant.is_person { "个人" } else { "法人" });
            loader.cells([&line.applicant.contact, &line.applicant.mobile]);
            loader.cells([&copy.department.code, &copy.department.name]);
            loader.cell(line.accept.plus(-900).text());
            loader.cell("1");
            loader.cell(if line.finish.is_some() { "办结" } else { "受理" });
            loader.cell(line.accept.text());
            loader.cell(line.finish.map(Moment::text));
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

    let copy = self::copy(world, "dept_housing", ON_TRIAL[2], &mut planted);
    let mut connection = create(&folder.join("housing.db")).await?;
    let mut loader = HOUSING.fill(&mut connection).await?;
    for line in &copy.lines {
        for version in 1..=1 + u32::from(line.is_resent) {
            let made = line.accept.plus(i64::from(version) * 1200).min(now());
            loader.cell(format!("ZJ{:09}", line.serial));
            loader.cell(line.number.as_str());
            loader.cell(version);
            loader.cell(1);
            loader.cell("340500");
            loader.cell(line.item.as_str());
            loader.cell(format!("{}许可", copy.department.noun));
            loader.cell(format!("关于{}许可的申请", copy.department.noun));
            loader.cells([&line.applicant.name, &line.applicant.mobile]);
            loader.cells([&copy.department.code, &copy.department.name]);
            loader.cell(line.accept.text());
            loader.cell(made.text());
            loader.cell("0");
            loader.end_row().await?;
        }
    }
    witness.rows.push(("housing.ea_jc_step_basicinfo".to_owned(), loader.finish().await?));
    let index = "create index ea_jc_step_basicinfo_maketime on ea_jc_step_basicinfo (maketime)";
    execute(&mut connection, index.to_owned()).await?;
    close(connection).await?;
    for (flaw, rule) in RULES {
        let keys = planted.iter().filter(|(other, _)| *other == flaw);
        witness.planted.push((rule, keys.map(|(_, key)| key.clone()).collect()));
    }
    Ok(witness)
}

/// What `system` of the department whose name ends with `name` holds. The flaws in it are added to
/// `planted`, under the name of the system and the number.
fn copy<'w>(
    world: &'w World,
    system: &str,
    name: &str,
    planted: &mut Vec<(Flaw, String)>,
) -> Copied<'w> {
    let is_it = |department: &Department| department.unit == 0 && department.name.ends_with(name);
    let place = world.departments.iter().position(is_it).unwrap_or_default();
    let span = day_of(FIRST_DAY)..=day_of(LAST_DAY);
    let is_sent = |case: &&Case| {
        let is_theirs = world.item_of(case).department == place && case.counts();
        is_theirs && case.is_readable_in_city() && span.contains(&case.accept.day())
    };
    // Of human resources nothing is known of the others, so nothing can be wrong with them.
    let sends_all = system != "dept_hrss";
    let cases: Vec<&Case> = world.cases.iter().filter(is_sent).collect();
    let cases: Vec<&Case> =
        cases.into_iter().filter(|case| sends_all || case.status != Status::Accepted).collect();
    let flaws = flaws(cases.len(), system);
    let mut lines = Vec::with_capacity(cases.len() + OUTSIDE);
    for (serial, case) in cases.iter().enumerate() {
        let number = world.number_of(case);
        let flaw = flaws.get(serial).copied().flatten();
        if let Some(flaw) = flaw {
            planted.push((flaw, format!("{system}|{number}")));
        }
        if flaw == Some(Flaw::Missing) {
            continue;
        }
        let (mut finish, mut result) = (case.finish, case.status.city_code());
        match (flaw, finish) {
            (Some(Flaw::State), Some(_)) if sends_all => finish = None,
            (Some(Flaw::State), None) => finish = Some(case.accept.plus(3600)),
            (Some(Flaw::State), Some(_)) => {
                result = Some(if result == Some("0") { "1" } else { "0" });
            }
            _ => {}
        }
        lines.push(Line {
            number,
            serial,
            item: world.item_of(case).task_code.to_string(),
            applicant: world.applicant_of(case),
            accept: case.accept.plus(if flaw == Some(Flaw::Time) { OFF_BY } else { 0 }),
            finish,
            result,
            is_resent: serial % RESENT_EVERY == 7,
        });
    }
    // Between the others, so that the span of the system's cases stays what it is.
    let middle = lines.get(lines.len() / 2).map(|line| line.accept);
    let middle = middle.unwrap_or(Moment::at(day_of("2018-11-07"), 10 * 3600));
    for number in 1..=OUTSIDE {
        let serial = cases.len() + number;
        let own = format!("{}2018{serial:07}", &system[5..].to_uppercase());
        planted.push((Flaw::Outside, format!("{system}|{own}")));
        lines.push(Line {
            number: own,
            serial,
            item: format!("{}-{number:03}", world.departments[place].code),
            applicant: &world.applicants[serial % world.applicants.len()],
            accept: middle,
            finish: Some(Moment::at(add_workdays(middle.day(), 1), 11 * 3600).min(now())),
            result: Some("0"),
            is_resent: false,
        });
    }
    Copied { department: &world.departments[place], lines }
}

/// The flaws of `count` cases by their places. The first and the last one have none, because they
/// tell which span of time the system covers. Of housing no states are known.
fn flaws(count: usize, system: &str) -> Vec<Option<Flaw>> {
    let kinds: &[Flaw] = match system {
        "dept_housing" => &[Flaw::Missing, Flaw::Time],
        _ => &[Flaw::Missing, Flaw::State, Flaw::Time],
    };
    let wanted = (count / PLANTED_EVERY).max(1) * kinds.len();
    let mut flaws = vec![None; count];
    let step = (count.saturating_sub(2) / wanted).max(1);
    for number in 0..wanted {
        let place = 1 + number * step;
        if place + 1 < count {
            flaws[place] = Some(kinds[number % kinds.len()]);
        }
    }
    flaws
}
