//! `planning.db` and `land.db`: the cases of two departments in their front databases (前置库), each
//! row with the flag of who fetches it. Planning has tables of the national platform, land has
//! `INF_APPLY*`; both call them by their own suffixes and have columns of their own behind the usual
//! ones, for the number that the city's platform gave.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::rngs::StdRng;

use super::database::{Loader, close, create, create_own_national, execute};
use super::lines::{Line, Written, lines};
use crate::folder::database_path;
use crate::seed::{generator, guid};
use crate::world::{Moment, OwnSystem, Status, World, now};

/// One in so many cases was sent again.
const SENT_AGAIN: usize = 100;

/// Which row of a case this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Only,
    /// The first of two, which lacks the phone number.
    First,
    Again,
}

impl Entry {
    fn all(index: usize, line: &Line<'_>) -> &'static [Self] {
        // An hour later than the first time, and not after the present.
        let is_old = line.accept.plus(7200) < now();
        let is_sent_again = index % SENT_AGAIN == 1 && is_old && !line.is_broken;
        if is_sent_again { &[Self::First, Self::Again] } else { &[Self::Only] }
    }

    /// When it stood in the front database.
    fn reported(self, line: &Line<'_>) -> String {
        let hour = if self == Self::Again { 3600 } else { 0 };
        reported(line.accept.plus(hour)).text()
    }

    fn mobile(self, line: &Line<'_>) -> Option<Arc<str>> {
        (self != Self::First).then(|| Arc::clone(&line.applicant.mobile))
    }
}

const PLANNING_SUFFIX: &str = "_ghj";

const ACCEPT: &[&str] = &[
    "row_guid",
    "project_no",
    "catalog_code",
    "task_code",
    "task_name",
    "task_version",
    "project_name",
    "project_type",
    "apply_date",
    "apply_type='0'",
    "applyer_name",
    "applyer_type",
    "applyer_page_type",
    "applyer_page_code",
    "contact_mobile",
    "org_code",
    "org_name",
    "accept_date",
    "cd_operation",
    "cd_time",
    "cd_batch",
    "data_source='ghj'",
    "is_sync",
    "update_time",
    "local_project_no",
];

const RESULT: &[&str] = &[
    "row_guid",
    "project_no",
    "result_type",
    "result_date",
    "is_delivery_results='0'",
    "cd_operation='I'",
    "cd_time",
    "cd_batch",
    "data_source='ghj'",
];

const LAND_APPLY: &str = "no text not null primary key, org_id text not null, \
    internal_no text not null, item_id text not null, department text, \
    transact_affair_name text not null, content text, apply_way text, form text, stuff text, \
    applicant_code text, applicant_type text not null, applicant_name text not null, \
    applicant_paper_type text not null, applicant_paper_code text not null, \
    applicant_phone text, applicant_mobile text, applicant_address text, applicant_zipcode text, \
    applicant_email text, linkman text, linkmanzjhm text, linkmantel text, linkman_name text, \
    linkman_paper_type text, linkman_paper_code text, linkman_phone text, linkman_mobile text, \
    linkman_address text, linkman_zipcode text, linkman_email text, promise text, \
    promise_type text, anticipate text, anticipate_day_type text, isrisk text, risktype text, \
    riskdescription text, riskresult text, apply_date text not null, wapply_date text, \
    area_no text, area_name text, org_name text not null, dept_ql_reg_no text, \
    dept_ql_name text not null, dept_yw_reg_no text, dept_yw_name text, if_urgent text, \
    ye_ms text, sj_file_remark text, bj_statu text, create_date text not null, \
    update_date text not null, sync_date text, sync_sign text not null, sync_error_desc text, \
    data_sources text, project_no text";

const LAND_PROCESS: &str = "no text not null primary key, no_ord integer not null, \
    org_id text not null, internal_no text not null, item_id text not null, \
    tache_name text not null, department text, user_staff_code text, user_name text, \
    status text not null, promise text, promise_type text, promise_start_sign text, \
    event_code text, event_name text, start_time text, event_time text, event_time_type text, \
    end_time text, note text, process_date text not null, create_date text not null, \
    update_date text not null, sync_date text, sync_sign text not null, sync_error_desc text, \
    data_sources text";

const LAND_RESULT: &str = "no text not null primary key, org_id text not null, \
    internal_no text not null, item_id text not null, status text not null, note text, \
    attachment text, finish_date text not null, result_no text, result_file_name text, \
    result_date text, user_name text, create_date text not null, update_date text not null, \
    sync_date text, sync_sign text not null, sync_error_desc text, data_sources text";

/// Writes both files into `dir`.
pub(crate) async fn write(dir: &Path, world: &World) -> Result<Written> {
    let mut written = Written::default();
    let (planning, land) = (OwnSystem::Planning, OwnSystem::Land);
    let own = lines(world, planning);
    let path = database_path(dir, planning.name());
    written.rows.extend(write_planning(&path, world, &own).await?);
    written.note(planning, &own);
    let own = lines(world, land);
    let path = database_path(dir, land.name());
    written.rows.extend(write_land(&path, world, &own).await?);
    written.note(land, &own);
    Ok(written)
}

/// When something of this moment stood in the front database.
fn reported(moment: Moment) -> Moment {
    moment.plus(90).min(now())
}

/// Puts the item's name of a case where it stands, in no encoding if that is what is wrong.
fn item_name(loader: &mut Loader<'_>, line: &Line<'_>) {
    if line.is_broken {
        loader.cell(encoding_rs::GBK.encode(&line.item.name).0.into_owned());
    } else {
        loader.cell(Arc::clone(&line.item.name));
    }
}

async fn write_planning(
    path: &Path,
    world: &World,
    lines: &[Line<'_>],
) -> Result<Vec<(String, u64)>> {
    let mut connection = create(path).await?;
    let mut rng = generator(world.seed, "front database of planning");
    let (accept, result) = ("up_pro_accept", "up_pro_result");
    let further = &["local_project_no varchar(50)"];
    create_own_national(&mut connection, accept, PLANNING_SUFFIX, further).await?;
    create_own_national(&mut connection, result, PLANNING_SUFFIX, &[]).await?;
    let [accept, result] = [accept, result].map(|table| format!("{table}{PLANNING_SUFFIX}"));

    let mut serial = 0;
    let mut loader = Loader::new(&mut connection, &accept, ACCEPT).await?;
    for (index, line) in lines.iter().enumerate() {
        for entry in Entry::all(index, line) {
            serial += 1;
            // Their older program leaves the flag of new rows empty.
            let flag = (index % 3 > 0).then_some("0");
            planning_case(&mut loader, &mut rng, serial, world, line, *entry, flag);
            loader.end_row().await?;
        }
    }
    let mut rows = vec![(format!("planning.{accept}"), loader.finish().await?)];

    serial = 0;
    let mut loader = Loader::new(&mut connection, &result, RESULT).await?;
    for line in lines {
        let (Some(finish), Some(code)) = (line.finish, line.status.province_code()) else {
            continue;
        };
        serial += 1;
        let synced = reported(finish).text();
        loader.cell(guid(&mut rng, serial));
        loader.cell(line.internal.as_str());
        loader.cell(code);
        loader.cell(finish.text());
        loader.cell(synced.as_str());
        loader.cell(batch(&synced));
        loader.end_row().await?;
    }
    rows.push((format!("planning.{result}"), loader.finish().await?));
    for (table, column) in [(&accept, "project_no"), (&result, "project_no"), (&result, "cd_time")]
    {
        let sql = format!("create index {table}_{column} on {table} ({column})");
        execute(&mut connection, sql).await?;
    }
    close(connection).await?;
    Ok(rows)
}

/// The number of the hour in which something was sent.
fn batch(time: &str) -> String {
    time[..13].replace(['-', ' '], "")
}

/// One row of a case.
fn planning_case(
    loader: &mut Loader<'_>,
    rng: &mut StdRng,
    serial: u64,
    world: &World,
    line: &Line<'_>,
    entry: Entry,
    flag: Option<&str>,
) {
    let (item, applicant) = (line.item, line.applicant);
    let department = world.department_of(item);
    let updated = entry.reported(line);
    loader.cell(guid(rng, serial));
    loader.cell(line.internal.as_str());
    loader.cells([&item.catalog_code, &item.task_code]);
    item_name(loader, line);
    loader.cell(item.version);
    loader.cell(format!("关于{}的申请", item.name));
    loader.cell(if item.project_type == 1 { "1" } else { "2" });
    loader.cell(line.accept.text());
    loader.cell(Arc::clone(&applicant.name));
    loader.cell(applicant.kind());
    loader.cell(applicant.number_kind());
    loader.cell(Arc::clone(&applicant.number));
    loader.cell(entry.mobile(line));
    loader.cells([&department.code, &department.name]);
    loader.cell(line.accept.text());
    loader.cell(if entry == Entry::Again { "U" } else { "I" });
    loader.cell(updated.as_str());
    loader.cell(batch(&updated));
    loader.cell(flag);
    loader.cell(updated.as_str());
    loader.cell(line.number.as_deref());
}

async fn write_land(path: &Path, world: &World, lines: &[Line<'_>]) -> Result<Vec<(String, u64)>> {
    let mut connection = create(path).await?;
    let tables = [
        ("inf_apply_gtj", LAND_APPLY),
        ("inf_apply_process_gtj", LAND_PROCESS),
        ("inf_apply_result_gtj", LAND_RESULT),
    ];
    for (table, columns) in tables {
        execute(&mut connection, format!("create table {table} ({columns})")).await?;
    }
    let [(apply, _), (process, _), (result, _)] = tables;
    let mut rows = Vec::new();

    let columns = [
        "no",
        "org_id",
        "internal_no",
        "item_id",
        "transact_affair_name",
        "applicant_type",
        "applicant_name",
        "applicant_paper_type",
        "applicant_paper_code",
        "applicant_mobile",
        "apply_date",
        "area_no",
        "area_name",
        "org_name",
        "dept_ql_name",
        "create_date",
        "update_date",
        "sync_sign='0'",
        "project_no",
    ];
    let mut serial = 0_u64;
    let mut loader = Loader::new(&mut connection, apply, &columns).await?;
    for (index, line) in lines.iter().enumerate() {
        for entry in Entry::all(index, line) {
            serial += 1;
            let (item, applicant) = (line.item, line.applicant);
            let (department, unit) = (world.department_of(item), world.unit_of(item));
            loader.cell(format!("SQ{serial:08}"));
            loader.cell(Arc::clone(&department.code));
            loader.cell(line.internal.as_str());
            loader.cell(Arc::clone(&item.task_code));
            loader.cell(format!("关于{}的申请", item.name));
            loader.cell(applicant.kind());
            loader.cell(Arc::clone(&applicant.name));
            loader.cell(applicant.number_kind());
            loader.cell(Arc::clone(&applicant.number));
            loader.cell(entry.mobile(line));
            loader.cell(line.accept.text());
            loader.cell(unit.county());
            loader.cell(unit.name.as_str());
            loader.cell(Arc::clone(&department.name));
            item_name(&mut loader, line);
            loader.cell(line.accept.text());
            loader.cell(entry.reported(line));
            loader.cell(line.number.as_deref());
            loader.end_row().await?;
        }
    }
    rows.push((format!("land.{apply}"), loader.finish().await?));

    let columns = [
        "no",
        "no_ord",
        "org_id",
        "internal_no",
        "item_id",
        "tache_name",
        "status='2'",
        "process_date",
        "create_date",
        "update_date",
        "sync_sign='0'",
    ];
    serial = 0;
    let mut loader = Loader::new(&mut connection, process, &columns).await?;
    for line in lines {
        let first = if line.status == Status::NotAccepted { "收件" } else { "受理" };
        let last = line.finish.map(|finish| (2, "审批", finish));
        for (order, post, moment) in std::iter::once((1, first, line.accept)).chain(last) {
            serial += 1;
            loader.cell(format!("GC{serial:08}"));
            loader.cell(order);
            loader.cell(Arc::clone(&world.department_of(line.item).code));
            loader.cell(line.internal.as_str());
            loader.cell(Arc::clone(&line.item.task_code));
            loader.cell(post);
            loader.cell(moment.text());
            loader.cell(moment.text());
            loader.cell(reported(moment).text());
            loader.end_row().await?;
        }
    }
    rows.push((format!("land.{process}"), loader.finish().await?));

    let columns = [
        "no",
        "org_id",
        "internal_no",
        "item_id",
        "status",
        "finish_date",
        "result_date",
        "create_date",
        "update_date",
        "sync_sign='0'",
    ];
    serial = 0;
    let mut loader = Loader::new(&mut connection, result, &columns).await?;
    for line in lines {
        let Some(finish) = line.finish else { continue };
        serial += 1;
        loader.cell(format!("JG{serial:08}"));
        loader.cell(Arc::clone(&world.department_of(line.item).code));
        loader.cell(line.internal.as_str());
        loader.cell(Arc::clone(&line.item.task_code));
        loader.cell(line.status.words());
        for _ in 0..3 {
            loader.cell(finish.text());
        }
        loader.cell(reported(finish).text());
        loader.end_row().await?;
    }
    rows.push((format!("land.{result}"), loader.finish().await?));
    for (table, _) in tables {
        let sql = format!("create index {table}_internal_no on {table} (internal_no)");
        execute(&mut connection, sql).await?;
    }
    close(connection).await?;
    Ok(rows)
}
