//! `parallel.db`: approval in parallel (并联审批) in tables of the SPGL family: projects, who builds them,
//! their cases by stage, what departments think of them, and a table into which states are pushed.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;

use super::database::{Loader, Table, close, create, execute, whole};
use crate::truth::Witness;
use crate::world::{Moment, OwnSystem, Status, World, now, projects};

/// Planted of each kind.
const PLANTED: usize = 2;
/// States that were pushed and taken in before.
const TAKEN_IN: usize = 5;

const PROJECTS: Table = Table {
    name: "spgl_xmjbxxb",
    columns: &[
        "lsh integer primary key",
        "xmdm text not null",
        "xmmc text not null",
        "xzqhdm text not null",
        "lxrq text not null",
        "sjyxbs text not null",
        "sjsczt text not null",
        "sbyy text",
        "gxsj text not null",
    ],
};
const UNITS: Table = Table {
    name: "spgl_xmdwxxb",
    columns: &[
        "lsh integer primary key",
        "xmdm text not null",
        "dwmc text not null",
        "dwtyshxydm text not null",
        "dwlx text not null",
        "gxsj text not null",
    ],
};
const CASES: Table = Table {
    name: "spgl_xmspsxblxxb",
    columns: &[
        "lsh integer primary key",
        "xmdm text not null",
        "spsxslbm text not null",
        "spjdxh text not null",
        "spsxmc text not null",
        "spbmmc text not null",
        "slsj text not null",
        "bjsj text",
        "blzt text not null",
        "sjyxbs text not null",
        "sjsczt text not null",
        "sbyy text",
        "gxsj text not null",
    ],
};
const OPINIONS: Table = Table {
    name: "spgl_xmspsxblxxxxb",
    columns: &[
        "lsh integer primary key",
        "spsxslbm text not null",
        "blrxm text not null",
        "blyj text not null",
        "blsj text not null",
        "gxsj text not null",
    ],
};

/// States of cases that others push: each under its project, stage and case number, with the flag
/// of its upload (`0` new, `1` taken in, `-1` refused) and the reason.
const STATES: &str = "create table spgl_xmspsxblxxb_sb (xmdm text not null, spjdxh text not null, \
    spsxslbm text not null, blzt text not null, bjsj text, blyj text, \
    sjsczt text not null default '0', sbyy text, primary key (xmdm, spjdxh, spsxslbm))";
const STATE_COLUMNS: &[&str] =
    &["xmdm", "spjdxh", "spsxslbm", "blzt='办结'", "bjsj", "blyj", "sjsczt='1'", "sbyy=''"];

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let (projects, approvals) = projects(world);
    let coded: Vec<_> = projects.iter().filter(|project| project.status == "99").collect();
    let mut rows = Vec::new();

    let mut loader = PROJECTS.fill(&mut connection).await?;
    let mut not_sent = Vec::new();
    for (index, project) in coded.iter().enumerate() {
        let is_bad = index % 5 == 4 && not_sent.len() < PLANTED;
        if is_bad {
            not_sent.push(project.code.clone());
        }
        loader.cell(whole(index as u64 + 1));
        loader.cell(project.code.as_str());
        loader.cell(project.name.as_str());
        loader.cell(project.division.as_str());
        loader.cell(project.apply.text());
        loader.cell("1");
        loader.cell(if is_bad { "-1" } else { "0" });
        loader.cell(is_bad.then_some("建设单位统一社会信用代码校验不通过"));
        loader.cell(project.updated.text());
        loader.end_row().await?;
    }
    rows.push(("parallel.spgl_xmjbxxb".to_owned(), loader.finish().await?));

    let mut loader = UNITS.fill(&mut connection).await?;
    for (index, project) in coded.iter().enumerate() {
        let firm = &world.applicants[project.firm];
        loader.cell(whole(index as u64 + 1));
        loader.cell(project.code.as_str());
        loader.cells([&firm.name, &firm.number]);
        loader.cell("1");
        loader.cell(project.updated.text());
        loader.end_row().await?;
    }
    rows.push(("parallel.spgl_xmdwxxb".to_owned(), loader.finish().await?));

    let mut loader = CASES.fill(&mut connection).await?;
    let (mut unknown, mut other_state) = (Vec::new(), Vec::new());
    let mut opinions = Vec::new();
    let mut taken_in = Vec::new();
    let mut silent = Vec::new();
    for (index, approval) in approvals.iter().enumerate() {
        let (project, case) = (&projects[approval.project], &world.cases[approval.case]);
        let number = world.number_of(case);
        let is_readable = case.is_readable_in_city();
        // Nobody is wrong in two ways.
        let is_unknown = is_readable && index % 4 == 1 && unknown.len() < PLANTED;
        let is_over = case.status != Status::Accepted;
        let is_other = is_readable && is_over && index % 4 == 2 && other_state.len() < PLANTED;
        let is_silent = is_readable && is_over && index % 4 == 3 && silent.len() < PLANTED;
        let code = if is_unknown {
            unknown.push(number.clone());
            // A code that the investment platform never gave.
            format!("2018-340500-47-01-{:06}", 900_000 + index)
        } else {
            project.code.clone()
        };
        let finish = case.finish.filter(|_| is_over && !is_other);
        let mut accept = case.accept;
        if is_other {
            // One was accepted there only after the city had finished it, so its state is refused.
            if !other_state.is_empty() {
                accept = case.finish.unwrap_or(accept).plus(86_400).min(now());
            }
            other_state.push(number.clone());
        }
        let item = world.item_of(case);
        // Land is for the first stage, planning permits are of the second.
        let stage = if case.own_system == Some(OwnSystem::Land) { "1" } else { "2" };
        if let Some(finish) = finish.filter(|_| taken_in.len() < TAKEN_IN) {
            taken_in.push((code.clone(), stage, number.clone(), finish));
        }
        loader.cell(whole(index as u64 + 1));
        loader.cell(code);
        loader.cell(number.as_str());
        loader.cell(stage);
        loader.cell(Arc::clone(&item.name));
        loader.cell(Arc::clone(&world.department_of(item).name));
        loader.cell(accept.text());
        loader.cell(finish.map(Moment::text));
        loader.cell(if finish.is_some() { "办结" } else { "受理" });
        loader.cell("1");
        loader.cell("0");
        loader.cell(None::<&str>);
        loader.cell(finish.unwrap_or(accept).plus(300).min(now()).text());
        loader.end_row().await?;
        match finish {
            Some(_) if is_silent => silent.push(number),
            Some(finish) => {
                opinions.push((number, finish, Arc::clone(&world.applicant_of(case).contact)))
            }
            None => {}
        }
    }
    rows.push(("parallel.spgl_xmspsxblxxb".to_owned(), loader.finish().await?));

    let mut loader = OPINIONS.fill(&mut connection).await?;
    for (index, (number, finish, person)) in opinions.iter().enumerate() {
        loader.cell(whole(index as u64 + 1));
        loader.cell(number.as_str());
        loader.cell(Arc::clone(person));
        loader.cell("同意，材料齐全，符合规定");
        loader.cell(finish.plus(-300).text());
        loader.cell(finish.text());
        loader.end_row().await?;
    }
    rows.push(("parallel.spgl_xmspsxblxxxxb".to_owned(), loader.finish().await?));

    execute(&mut connection, STATES.to_owned()).await?;
    let mut loader = Loader::new(&mut connection, "spgl_xmspsxblxxb_sb", STATE_COLUMNS).await?;
    for (code, stage, number, finish) in taken_in {
        loader.cell(code);
        loader.cell(stage);
        loader.cell(number);
        loader.cell(finish.text());
        loader.cell("市平台办结");
        loader.end_row().await?;
    }
    rows.push(("parallel.spgl_xmspsxblxxb_sb".to_owned(), loader.finish().await?));
    for table in [PROJECTS.name, UNITS.name, CASES.name, OPINIONS.name] {
        let index = format!("create index {table}_gxsj on {table} (gxsj)");
        execute(&mut connection, index).await?;
    }
    close(connection).await?;
    let planted = vec![
        ("parallel_not_sent", not_sent),
        ("parallel_unknown_project", unknown),
        ("parallel_state", other_state),
        ("parallel_without_opinion", silent),
    ];
    Ok(Witness { rows, planted, ..Witness::default() })
}

/// What the system does at night, at `at`, with states that were pushed since: it refuses those of
/// cases that it does not know or that would have ended before they began, takes in the others, and
/// marks all of them. The numbers of rows of the first two statements are those of refused states,
/// that of the last one is the number of those taken in. `place` stands before names of tables.
pub(crate) fn by_night(place: &str, at: &str) -> [String; 5] {
    let states = format!("{place}spgl_xmspsxblxxb_sb");
    let (cases, opinions) = (format!("{place}{}", CASES.name), format!("{place}{}", OPINIONS.name));
    let same = "c.xmdm = n.xmdm and c.spjdxh = n.spjdxh and c.spsxslbm = n.spsxslbm";
    let refuse = |reason: &str, when: &str| {
        format!(
            "update {states} as n set sjsczt = '-1', sbyy = '{reason}' \
             where n.sjsczt = '0' and {when}"
        )
    };
    [
        refuse(
            "没有这个审批事项办件",
            &format!("not exists (select 1 from {cases} as c where {same})"),
        ),
        refuse(
            "办结时间早于受理时间",
            &format!("exists (select 1 from {cases} as c where {same} and n.bjsj < c.slsj)"),
        ),
        format!(
            "update {cases} as c set blzt = n.blzt, bjsj = n.bjsj, gxsj = '{at}' \
             from {states} as n where {same} and n.sjsczt = '0'"
        ),
        format!(
            "insert into {opinions} (lsh, spsxslbm, blrxm, blyj, blsj, gxsj) \
             select (select coalesce(max(lsh), 0) from {opinions}) \
               + row_number() over (order by n.spsxslbm), \
               n.spsxslbm, '综合窗口', coalesce(n.blyj, ''), coalesce(n.bjsj, '{at}'), '{at}' \
             from {states} as n where n.sjsczt = '0' \
               and not exists (select 1 from {opinions} as o where o.spsxslbm = n.spsxslbm)"
        ),
        format!("update {states} as n set sjsczt = '1', sbyy = '' where n.sjsczt = '0'"),
    ]
}
