//! `ems.db`: the traces of results that the postal express delivers, and the orders that were
//! pushed to it.

use std::path::Path;

use huiliu_sdk::Result;
use rand::Rng;

use super::database::{Table, close, create, create_received, whole};
use crate::seed::generator;
use crate::truth::{Expected, Witness};
use crate::world::{Moment, Status, World, add_workdays, day_of, is_delivered, now};

/// The contract began then.
const FIRST_DAY: &str = "2018-12-03";
/// Results that were finished up to then have been ordered by the system before us.
const ORDERED_UNTIL: &str = "2018-12-11";
/// Planted of each kind.
const UNORDERED: usize = 3;
const RETURNED: usize = 2;
const STUCK: usize = 2;

const TRACES: Table = Table {
    name: "traces",
    columns: &[
        "seq integer primary key",
        "waybill_no text not null",
        "project_no text not null",
        "trace_time text not null",
        "trace_code text not null",
        "place text not null",
        "update_time text not null",
    ],
};

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    create_received(&mut connection).await?;
    let mut rng = generator(world.seed, "ems");
    let span = day_of(FIRST_DAY)..=day_of(ORDERED_UNTIL);
    let (mut unordered, mut returned, mut stuck) = (Vec::new(), Vec::new(), Vec::new());
    let (mut waybills, mut delivered) = (0_i64, 0_i64);
    let mut traces: Vec<(Moment, String, String, &str, &str)> = Vec::new();
    for (index, case) in world.cases.iter().enumerate() {
        let Some(finish) = case.finish.filter(|finish| span.contains(&finish.day())) else {
            continue;
        };
        if !is_delivered(index) || case.status != Status::Granted || !case.is_readable_in_city() {
            continue;
        }
        let number = world.number_of(case);
        let serial = waybills + i64::try_from(unordered.len()).unwrap_or(0);
        if unordered.len() < UNORDERED && serial % 3 == 1 {
            unordered.push(number);
            continue;
        }
        waybills += 1;
        let waybill = format!("EA{waybills:09}CN");
        let picked = finish.plus(rng.random_range(3600..9000)).min(now());
        let mut add = |at: Moment, code, place| {
            traces.push((at, waybill.clone(), number.clone(), code, place));
        };
        add(picked, "10", "马鞍山市政务服务中心揽投站");
        // Picked up at the beginning of the contract, and nothing since.
        if stuck.len() < STUCK && finish.day() <= day_of("2018-12-05") && waybills % 2 == 0 {
            stuck.push(waybill.clone());
            continue;
        }
        let second = rng.random_range(9 * 3600..17 * 3600);
        let arrived = Moment::at(add_workdays(picked.day(), 1), 7 * 3600);
        let handed = Moment::at(add_workdays(picked.day(), 1), second);
        if handed > now() {
            continue;
        }
        add(arrived, "50", "马鞍山市投递部");
        if returned.len() < RETURNED && waybills % 5 == 2 {
            returned.push(waybill.clone());
            add(handed, "90", "马鞍山市投递部");
        } else {
            delivered += 1;
            add(handed, "80", "马鞍山市投递部");
        }
    }
    traces.sort();
    let mut loader = TRACES.fill(&mut connection).await?;
    for (index, (at, waybill, number, code, place)) in traces.iter().enumerate() {
        loader.cell(whole(index as u64 + 1));
        loader.cell(waybill.as_str());
        loader.cell(number.as_str());
        loader.cell(at.text());
        loader.cell(*code);
        loader.cell(*place);
        loader.cell(at.text());
        loader.end_row().await?;
    }
    let rows = vec![("ems.traces".to_owned(), loader.finish().await?)];
    close(connection).await?;
    let figures =
        vec![("delivered_ratio", Expected::Ratio { numerator: delivered, denominator: waybills })];
    let planted =
        vec![("ems_unordered", unordered), ("ems_returned", returned), ("ems_stuck", stuck)];
    Ok(Witness { rows, figures, planted })
}
