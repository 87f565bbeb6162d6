//! `province.db`: what the province holds, and the cases that were pushed to it.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;

use super::database::{Loader, close, create, execute};
use crate::world::{Case, Flaw, Moment, Status, World, now};

const COLUMNS: &[&str] = &[
    "seq",
    "record_id",
    "project_no",
    "task_code",
    "task_name",
    "org_code",
    "org_name",
    "applicant_name",
    "applicant_type",
    "cert_type",
    "cert_no",
    "mobile",
    "accept_date",
    "promise_date",
    "result_type",
    "result_date",
    "data_version",
    "division_code",
    "update_time",
];

/// The tables; `seq` numbers the records by update time, then record id, without a gap, so that
/// a page is a range of it.
const TABLES: [&str; 2] = [
    "create table cases (seq integer primary key, record_id text not null, \
     project_no text not null, task_code text not null, task_name text not null, \
     org_code text not null, org_name text not null, applicant_name text not null, \
     applicant_type text not null, cert_type text not null, cert_no text not null, mobile text, \
     accept_date text not null, promise_date text, result_type text, result_date text, \
     data_version integer not null, division_code text not null, update_time text not null)",
    "create table received (request_id text primary key not null, project_no text not null, \
     body text not null, first_received_at text not null, times_sent integer not null, \
     result text not null, is_done integer not null default 0)",
];

struct Record<'w> {
    case: &'w Case,
    id: u32,
    status: Status,
    finish: Option<Moment>,
    version: u32,
    updated: Moment,
}

/// Writes the file and says how many records there are.
pub(crate) async fn write(path: &Path, world: Arc<World>) -> Result<Vec<(String, u64)>> {
    let mut connection = create(path).await?;
    for table in TABLES {
        execute(&mut connection, table.to_owned()).await?;
    }
    let mut loader = Loader::new(&mut connection, "cases", COLUMNS).await?;
    for (seq, record) in (1_i64..).zip(&records(&world)) {
        fill(&mut loader, &world, seq, record);
        loader.end_row().await?;
    }
    let rows = vec![("province.cases".to_owned(), loader.finish().await?)];
    for index in ["cases_update_time on cases (update_time)", "cases_number on cases (project_no)"]
    {
        execute(&mut connection, format!("create index {index}")).await?;
    }
    close(connection).await?;
    Ok(rows)
}

fn records(world: &World) -> Vec<Record<'_>> {
    let mut records = Vec::with_capacity(world.cases.len());
    let mut id = 0;
    for (index, case) in world.cases.iter().enumerate() {
        if !case.is_at_province() {
            continue;
        }
        let status = match case.flaw {
            Flaw::ProvinceStatus(other) => other,
            _ => case.status,
        };
        let finish = match status {
            Status::Accepted => None,
            _ => Some(case.finish.unwrap_or_else(|| case.accept.plus(3600)).min(now().plus(-2))),
        };
        let lag = 300 + i64::try_from(index * 7919 % 5000).unwrap_or(0);
        let reported = |moment: Moment| moment.plus(lag).min(now().plus(-1));
        let version = if index % 12 == 5 { 2 } else { 1 };
        let mut add = |status, finish, version, updated| {
            id += 1;
            records.push(Record { case, id, status, finish, version, updated });
        };
        let updated = reported(finish.unwrap_or(case.accept).max(case.accept));
        match case.flaw {
            Flaw::ProvinceDuplicate => {
                add(status, finish, version, updated);
                add(status, finish, version, updated);
            }
            Flaw::ProvinceResent => {
                add(Status::Accepted, None, version, reported(case.accept));
                add(status, finish, version + 1, updated.plus(600).min(now().plus(-1)));
            }
            _ => add(status, finish, version, updated),
        }
    }
    records.sort_by_key(|record| (record.updated, record.id));
    records
}

fn fill(loader: &mut Loader<'_>, world: &World, seq: i64, record: &Record<'_>) {
    let case = record.case;
    let item = world.item_of(case);
    let department = world.department_of(item);
    let applicant = world.applicant_of(case);
    let accept = match case.flaw {
        Flaw::ProvinceTime(days) => case.accept.plus(i64::from(days) * 86_400),
        _ => case.accept,
    };
    loader.cell(seq);
    loader.cell(format!("P34{:012}", record.id));
    loader.cell(world.number_of(case));
    loader.cells([&item.task_code, &item.name, &department.code, &department.name]);
    loader.cell(Arc::clone(&applicant.name));
    loader.cell(applicant.kind());
    loader.cell(applicant.number_kind());
    loader.cells([&applicant.number, &applicant.mobile]);
    loader.cell(accept.text());
    loader.cell(case.promise.text());
    loader.cell(record.status.province_code());
    loader.cell(record.finish.map(Moment::text));
    loader.cell(record.version);
    loader.cell(format!("{}000000", world.unit_of(item).county()));
    loader.cell(record.updated.text());
}
