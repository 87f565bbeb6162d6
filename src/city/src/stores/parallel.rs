//! `parallel.db`: approval in parallel (并联审批) in tables of the SPGL family: projects, who builds them,
//! their cases by stage, and what departments think of them.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;

use super::database::{Table, close, create, execute, whole};
use crate::truth::Witness;
use crate::world::{Moment, OwnSystem, Status, World, now, projects};

/// Planted of each kind.
const PLANTED: usize = 2;

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
        if is_other {
            other_state.push(number.clone());
        }
        let finish = case.finish.filter(|_| is_over && !is_other);
        let item = world.item_of(case);
        loader.cell(whole(index as u64 + 1));
        loader.cell(code);
        loader.cell(number.as_str());
        // Land is for the first stage, planning permits are of the second.
        loader.cell(if case.own_system == Some(OwnSystem::Land) { "1" } else { "2" });
        loader.cell(Arc::clone(&item.name));
        loader.cell(Arc::clone(&world.department_of(item).name));
        loader.cell(case.accept.text());
        loader.cell(finish.map(Moment::text));
        loader.cell(if finish.is_some() { "办结" } else { "受理" });
        loader.cell("1");
        loader.cell("0");
        loader.cell(None::<&str>);
        loader.cell(finish.unwrap_or(case.accept).plus(300).min(now()).text());
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
