//! `investment.db`: projects of the investment platform, the approvals under them, results that
//! were pushed to it, and those of them that it refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;

use super::database::{Loader, close, create, create_received, execute, whole};
use crate::truth::Witness;
use crate::world::{Status, World, now, projects};

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
const REFUSED: &[&str] = &["seq", "approval_id", "seq_id", "code", "message", "refused_at"];
/// Results that the platform refused before the hub was there, because it had them already.
const TWICE: usize = 3;
const TABLES: [&str; 3] = [
    "create table projects (seq integer primary key, invest_id text not null, \
     project_name text not null, project_code text not null, apply_date text not null, \
     status text not null, division_code text not null, legal_person text not null, \
     invest_total text not null, update_time text not null)",
    "create table approvals (seq integer primary key, approval_id text not null, \
     invest_id text not null, project_code text not null, project_no text not null, \
     item_name text not null, state text not null, update_time text not null)",
    "create table refused (seq integer primary key, approval_id text not null, \
     seq_id text not null, code text not null, message text not null, refused_at text not null)",
];

/// What was written.
pub(crate) struct Written {
    /// Projects per state of their code.
    pub(crate) states: BTreeMap<String, u64>,
    pub(crate) witness: Witness,
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: Arc<World>) -> Result<Written> {
    let mut connection = create(path).await?;
    for table in TABLES {
        execute(&mut connection, table.to_owned()).await?;
    }
    create_received(&mut connection).await?;
    let (projects, approvals) = projects(&world);
    let mut states = BTreeMap::new();
    let mut loader = Loader::new(&mut connection, "projects", PROJECTS).await?;
    for (seq, project) in (1_i64..).zip(&projects) {
        *states.entry(project.status.to_owned()).or_insert(0) += 1;
        loader.cell(seq);
        loader.cell(project.id.as_str());
        loader.cell(project.name.as_str());
        loader.cell(project.code.as_str());
        loader.cell(project.apply.text());
        loader.cell(project.status);
        loader.cell(project.division.as_str());
        loader.cell(project.legal_person.as_str());
        loader.cell(project.total.as_str());
        loader.cell(project.updated.text());
        loader.end_row().await?;
    }
    let mut rows = vec![("investment.projects".to_owned(), loader.finish().await?)];

    let (mut behind, mut known_twice) = (Vec::new(), Vec::new());
    let mut loader = Loader::new(&mut connection, "approvals", APPROVALS).await?;
    for (index, approval) in approvals.iter().enumerate() {
        let (project, case) = (&projects[approval.project], &world.cases[approval.case]);
        let id = format!("AP2018{:07}", index + 1);
        let status = if approval.is_behind { Status::Accepted } else { case.status };
        let known = if approval.is_behind { None } else { case.finish };
        if known.is_some() && known_twice.len() < TWICE {
            known_twice.push(id.clone());
        }
        loader.cell(whole(index as u64 + 1));
        loader.cell(id.as_str());
        loader.cell(project.id.as_str());
        loader.cell(project.code.as_str());
        loader.cell(world.number_of(case));
        loader.cell(Arc::clone(&world.item_of(case).name));
        loader.cell(status.words());
        loader.cell(known.unwrap_or(case.accept).plus(900).min(now()).text());
        loader.end_row().await?;
        if approval.is_behind {
            behind.push(id);
        }
    }
    rows.push(("investment.approvals".to_owned(), loader.finish().await?));

    let mut loader = Loader::new(&mut connection, "refused", REFUSED).await?;
    for (index, id) in known_twice.iter().enumerate() {
        loader.cell(whole(index as u64 + 1));
        loader.cell(id.as_str());
        loader.cell(format!("2018120300{:04}", index + 1));
        loader.cell("5003");
        loader.cell("审批结果重复报送");
        loader.cell("2018-12-03 09:30:00");
        loader.end_row().await?;
    }
    rows.push(("investment.refused".to_owned(), loader.finish().await?));
    close(connection).await?;
    let planted = vec![("investment_behind", behind)];
    Ok(Written { states, witness: Witness { rows, planted, ..Witness::default() } })
}
