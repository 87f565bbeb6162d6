//! `operation.db`: accepted and finished cases as the city's own platform exchanges them, and how
//! they were handled.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::rngs::StdRng;

use super::database::{Loader, close, create, create_national, execute};
use super::handling;
use crate::seed::{generator, guid};
use crate::world::{
    Case, Flaw, Moment, ROADS, Status, World, is_delivered, is_unexplained, mobile, now,
    person_name, satisfaction,
};

const ACCEPT: &[&str] = &[
    "row_guid",
    "project_no",
    "catalog_code",
    "task_code",
    "task_handle_item",
    "task_name",
    "task_version",
    "project_name",
    "project_type",
    "apply_date",
    "apply_type",
    "applyer_name",
    "applyer_type",
    "applyer_page_type",
    "applyer_page_code",
    "contact_name",
    "contact_type='111'",
    "contact_mobile",
    "legal",
    "address",
    "zip_code='243000'",
    "org_code",
    "org_name",
    "handle_user_name",
    "accept_date",
    "accept_doc_no",
    "promise_date",
    "cd_operation",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
    "is_sync",
    "update_time",
];

const RESULT: &[&str] = &[
    "row_guid",
    "project_no",
    "result_type",
    "result_date",
    "result_explain",
    "result_cetr_name",
    "result_cetr_no",
    "is_delivery_results",
    "satisfaction",
    "handle_user_name",
    "cd_operation='I'",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

/// Which row of a case this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Plain,
    Correction,
}

/// Writes the file and says how many rows each table has.
pub(crate) async fn write(path: &Path, world: Arc<World>) -> Result<Vec<(String, u64)>> {
    let mut connection = create(path).await?;
    let mut rng = generator(world.seed, "operation");
    let clerks: Vec<Arc<str>> = (0..200).map(|_| person_name(&mut rng).into()).collect();
    let mut rows = Vec::new();

    create_national(&mut connection, "up_pro_accept").await?;
    let mut loader = Loader::new(&mut connection, "up_pro_accept", ACCEPT).await?;
    let mut serial = 0;
    for (index, case) in world.cases.iter().enumerate().filter(|(_, case)| case.is_in_city()) {
        let entries: &[Entry] = match case.flaw {
            Flaw::CityDuplicate => &[Entry::Plain, Entry::Plain],
            Flaw::CityResent => &[Entry::Plain, Entry::Correction],
            _ => &[Entry::Plain],
        };
        for entry in entries {
            serial += 1;
            accept(&mut loader, &mut rng, serial, &world, &clerks, (index, case), *entry);
            loader.end_row().await?;
        }
    }
    rows.push(("operation.up_pro_accept".to_owned(), loader.finish().await?));

    create_national(&mut connection, "up_pro_result").await?;
    let mut loader = Loader::new(&mut connection, "up_pro_result", RESULT).await?;
    serial = 0;
    for (index, case) in world.cases.iter().enumerate().filter(|(_, case)| case.is_in_city()) {
        // A row that is marked as deleted keeps the result it had before.
        let status = if case.is_marked_deleted { Status::Granted } else { case.status };
        if let (Some(code), Some(finish)) = (status.city_code(), case.finish) {
            serial += 1;
            result(&mut loader, &mut rng, serial, &world, &clerks, (index, case), code, finish);
            loader.end_row().await?;
        }
    }
    rows.push(("operation.up_pro_result".to_owned(), loader.finish().await?));
    rows.extend(handling::write(&mut connection, &world).await?);

    for (table, column) in [
        ("up_pro_accept", "update_time"),
        ("up_pro_accept", "cd_time"),
        ("up_pro_accept", "project_no"),
        ("up_pro_result", "cd_time"),
        ("up_pro_result", "project_no"),
    ] {
        execute(&mut connection, format!("create index {table}_{column} on {table} ({column})"))
            .await?;
    }
    close(connection).await?;
    Ok(rows)
}

fn spread(index: usize, range: usize) -> i64 {
    i64::try_from(index.wrapping_mul(7919) % range).unwrap_or(0)
}

fn batch(time: &str) -> String {
    time[..13].replace(['-', ' '], "")
}

fn accept(
    loader: &mut Loader<'_>,
    rng: &mut StdRng,
    serial: u64,
    world: &World,
    clerks: &[Arc<str>],
    (index, case): (usize, &Case),
    entry: Entry,
) {
    let item = world.item_of(case);
    let department = world.department_of(item);
    let applicant = world.applicant_of(case);
    let number = world.number_of(case);
    let is_correction = entry == Entry::Correction;
    let first = case.accept.plus(60 + spread(index, 2340)).min(now().plus(-30));
    let updated = if is_correction {
        // A corrected case is at least two hours old, so this stays before the present.
        first.plus(3600 + spread(index, 160_000)).min(now().plus(-20))
    } else {
        first
    };
    let synced = updated.plus(5 + spread(index, 500)).min(now()).text();
    loader.cell(guid(rng, serial));
    loader.cell(number.as_str());
    loader.cells([&item.catalog_code, &item.task_code]);
    loader.cell(item.handle_code.clone());
    loader.cell(Arc::clone(&item.name));
    loader.cell(item.version);
    let suffix = if is_correction { "（更正）" } else { "" };
    loader.cell(format!("关于{}的申请{suffix}", item.name));
    loader.cell(if item.project_type == 1 { "1" } else { "2" });
    loader.cell(case.apply.text());
    loader.cell(if case.is_online { "1" } else { "0" });
    if case.flaw == Flaw::Misencoded {
        loader.cell(encoding_rs::GBK.encode(&applicant.name).0.into_owned());
    } else {
        loader.cell(Arc::clone(&applicant.name));
    }
    loader.cell(applicant.kind());
    loader.cell(applicant.number_kind());
    loader.cells([&applicant.number, &applicant.contact]);
    if is_correction {
        loader.cell(mobile(rng));
    } else {
        loader.cell(Arc::clone(&applicant.mobile));
    }
    loader.cell((!applicant.is_person).then(|| Arc::clone(&applicant.contact)));
    let home = case.applicant as usize;
    loader.cell(format!("安徽省马鞍山市{}{}号", ROADS[home % ROADS.len()], home % 389 + 1));
    loader.cells([&department.code, &department.name]);
    loader.cell(Arc::clone(&clerks[(case.item as usize + index) % clerks.len()]));
    loader.cell(case.accept.text());
    loader.cell(format!("马政受〔{}〕{}", &number[6..10], &number[10..]));
    loader.cell(case.promise.text());
    loader.cell(if case.is_marked_deleted {
        "D"
    } else if is_correction {
        "U"
    } else {
        "I"
    });
    loader.cell(synced.as_str());
    loader.cell(batch(&synced));
    loader.cell(if index % 50 == 0 { "0" } else { "1" });
    loader.cell(updated.text());
}

#[allow(clippy::too_many_arguments)] // one row's parts, used once
fn result(
    loader: &mut Loader<'_>,
    rng: &mut StdRng,
    serial: u64,
    world: &World,
    clerks: &[Arc<str>],
    (index, case): (usize, &Case),
    code: &str,
    finish: Moment,
) {
    let number = world.number_of(case);
    let item = world.item_of(case);
    let rating = satisfaction(index, case);
    let is_granted = code == "0";
    let synced = finish.plus(30 + spread(index, 500)).min(now()).text();
    loader.cell(guid(rng, serial));
    loader.cell(number.as_str());
    loader.cell(code);
    loader.cell(world.dated_finish(index).unwrap_or(finish).text());
    loader.cell(match (is_granted, is_unexplained(index, case)) {
        (true, _) => Some("准予办理"),
        (false, false) => Some("详见告知书"),
        (false, true) => None,
    });
    loader.cell(is_granted.then(|| Arc::clone(&item.name)));
    loader.cell(is_granted.then(|| format!("皖E{}", &number[4..])));
    loader.cell(if is_delivered(index) { "1" } else { "0" });
    loader.cell(rating);
    loader.cell(Arc::clone(&clerks[(case.item as usize + index + 1) % clerks.len()]));
    loader.cell(synced.as_str());
    loader.cell(batch(&synced));
}
