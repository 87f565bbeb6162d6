//! `realestate.db`: registrations of real estate as their department's front database has them.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::Rng;

use super::database::{Table, close, create, execute};
use crate::seed::{chance, generator};
use crate::truth::{Expected, Witness};
use crate::world::{Applicant, Item, Moment, World, add_workdays, day_of, now, scaled, time_of};

/// Registrations at full scale, of which the report does not tell.
const CASES_AT_FULL_SCALE: f64 = 6_120.0;
const LEAST_CASES: u64 = 40;
/// Working days that the slowest one takes, without what it waited for.
const LONGEST: u32 = 5;
/// The department of land, which is the second one.
const DEPARTMENT: usize = 1;
/// What is done in each case, in this order.
const POSTS: [&str; 4] = ["受理", "审核", "登簿", "缮证"];

const APPLY: Table = Table {
    name: "inf_apply",
    columns: &[
        "no text not null primary key",
        "internal_no text not null",
        "org_id text not null",
        "org_name text not null",
        "item_id text not null",
        "item_name text not null",
        "apply_name text not null",
        "id_number text not null",
        "phone text",
        "accept_date text not null",
        "promise integer not null",
        "promise_type text not null",
        "update_date text not null",
        "sync_date text",
        "sync_sign text not null",
        "sync_error_desc text",
    ],
};

const PROCESS: Table = Table {
    name: "inf_apply_process",
    columns: &[
        "no text not null primary key",
        "no_ord integer not null",
        "org_id text not null",
        "internal_no text not null",
        "item_id text not null",
        "tache_name text not null",
        "user_name text not null",
        "status text not null",
        "event_code text",
        "event_name text",
        "start_time text",
        "end_time text",
        "process_date text not null",
        "update_date text not null",
        "sync_sign text not null",
    ],
};

const RESULT: Table = Table {
    name: "inf_apply_result",
    columns: &[
        "no text not null primary key",
        "internal_no text not null",
        "org_id text not null",
        "result_code text not null",
        "result_date text not null",
        "update_date text not null",
        "sync_sign text not null",
    ],
};

/// One registration.
struct Registration<'w> {
    number: String,
    item: &'w Item,
    applicant: &'w Applicant,
    accept: Moment,
    /// The code of its result, and when.
    result: Option<(&'static str, Moment)>,
    /// From when it waited, and until when if that is known.
    wait: Option<(Moment, Option<Moment>)>,
    /// Sent a second time with another phone number.
    is_resent: bool,
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let department = &world.departments[DEPARTMENT];
    let registrations = registrations(world);
    let reported = |moment: Moment| moment.plus(90).min(now());
    let mut serial = 0;
    let mut loader = APPLY.fill(&mut connection).await?;
    for (index, one) in registrations.iter().enumerate() {
        for is_second in [false, true] {
            if is_second && !one.is_resent {
                continue;
            }
            serial += 1;
            let phone = if is_second { None } else { Some(Arc::clone(&one.applicant.mobile)) };
            let updated = if is_second { one.accept.plus(7200) } else { one.accept };
            loader.cell(format!("SQ{serial:08}"));
            loader.cell(one.number.as_str());
            loader.cells([&department.code, &department.name]);
            loader.cells([&one.item.task_code, &one.item.name]);
            loader.cells([&one.applicant.name, &one.applicant.number]);
            loader.cell(phone);
            loader.cell(one.accept.text());
            loader.cell(LONGEST);
            loader.cell("1");
            loader.cell(reported(updated).text());
            // Some were never fetched by the older exchange, which leaves their mark at 0.
            let is_fetched = index % 40 != 0;
            loader.cell(is_fetched.then(|| reported(updated).plus(300).text()));
            loader.cell(if is_fetched { "1" } else { "0" });
            loader.cell(None::<&str>);
            loader.end_row().await?;
        }
    }
    let mut rows = vec![("realestate.inf_apply".to_owned(), loader.finish().await?)];

    serial = 0;
    let mut loader = PROCESS.fill(&mut connection).await?;
    for one in &registrations {
        let done = one.result.map_or(1, |_| POSTS.len());
        let at_posts = (1..).zip(&POSTS[..done]).map(|(order, post)| {
            let last = one.result.map_or(one.accept, |(_, result)| result);
            let moment = if order == 1 { one.accept } else { last };
            // Their program has no end of a step and writes its start there.
            (order, *post, None, moment, Some(moment))
        });
        let waiting = one.wait.map(|(from, to)| (9, "公告", Some("S"), from, to));
        for (order, post, event, start, end) in at_posts.chain(waiting) {
            serial += 1;
            loader.cell(format!("GC{serial:08}"));
            loader.cell(order);
            loader.cell(Arc::clone(&department.code));
            loader.cell(one.number.as_str());
            loader.cell(Arc::clone(&one.item.task_code));
            loader.cell(post);
            loader.cell("不动产登记中心");
            loader.cell("2");
            loader.cell(event);
            loader.cell(event.map(|_| "特别程序开始"));
            loader.cell(start.text());
            loader.cell(end.map(Moment::text));
            loader.cell(start.text());
            loader.cell(reported(end.unwrap_or(start)).text());
            loader.cell("1");
            loader.end_row().await?;
        }
    }
    rows.push(("realestate.inf_apply_process".to_owned(), loader.finish().await?));

    serial = 0;
    let mut loader = RESULT.fill(&mut connection).await?;
    for one in &registrations {
        let Some((code, moment)) = one.result else { continue };
        serial += 1;
        loader.cell(format!("JG{serial:08}"));
        loader.cell(one.number.as_str());
        loader.cell(Arc::clone(&department.code));
        loader.cell(code);
        loader.cell(moment.text());
        loader.cell(reported(moment).text());
        loader.cell("1");
        loader.end_row().await?;
    }
    rows.push(("realestate.inf_apply_result".to_owned(), loader.finish().await?));
    for table in [APPLY.name, PROCESS.name, RESULT.name] {
        let index = format!("create index {table}_update_date on {table} (update_date)");
        execute(&mut connection, index).await?;
    }
    close(connection).await?;
    let endless = registrations.iter().filter(|one| matches!(one.wait, Some((_, None))));
    Ok(Witness {
        rows,
        figures: vec![("real_estate_days", Expected::Count(u64::from(LONGEST)))],
        planted: vec![("endless_waits", endless.map(|one| one.number.clone()).collect())],
    })
}

fn registrations(world: &World) -> Vec<Registration<'_>> {
    let mut rng = generator(world.seed, "real estate");
    let items: Vec<&Item> =
        world.items.iter().filter(|item| item.department == DEPARTMENT).collect();
    let count = scaled(CASES_AT_FULL_SCALE, world.scale).max(LEAST_CASES);
    let days = day_of("2018-03-01")..=day_of("2018-12-13");
    let registration = |number: u64| {
        // The first ones are of an early day and have what must occur at any scale.
        let is_first = number <= 8;
        let day = if is_first { day_of("2018-03-06") } else { rng.random_range(days.clone()) };
        let accept = time_of(&mut rng, day);
        let needed = match number {
            1 => LONGEST,
            _ => rng.random_range(1..=LONGEST).min(rng.random_range(1..=LONGEST)),
        };
        // Waits begin on the day of acceptance and last whole working days.
        let waits = match number {
            2 | 3 => 8,
            _ if !is_first && chance(&mut rng, 0.04) => rng.random_range(3..=15),
            _ => 0,
        };
        let is_void = matches!(number, 4 | 5) || (!is_first && chance(&mut rng, 0.005));
        let total = if is_void { needed + 9 } else { needed + waits };
        let second = rng.random_range(9 * 3600..17 * 3600);
        let finish = Moment::at(add_workdays(accept.day(), total), second);
        let result = (finish < now()).then_some((if is_void { "2" } else { "0" }, finish));
        let from = accept.plus(60);
        let wait = match number {
            // Nobody wrote down when it ended.
            6 | 7 => Some((from, None)),
            _ if waits > 0 && !is_void => {
                let to = Moment::at(add_workdays(accept.day(), waits), 8 * 3600);
                (to < now()).then_some((from, Some(to)))
            }
            _ => None,
        };
        Registration {
            number: format!("BDC2018{number:06}"),
            item: items[rng.random_range(0..items.len())],
            applicant: &world.applicants[rng.random_range(0..world.applicants.len())],
            accept,
            result,
            wait,
            is_resent: number == 8 || (!is_first && chance(&mut rng, 0.01)),
        }
    };
    (1..=count).map(registration).collect()
}
