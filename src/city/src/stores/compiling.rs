//! In `items.db`: the log of how the items were compiled, changed, merged and taken out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::database::{Table, close, create, execute, failed, whole};
use crate::seed::{chance, generator};
use crate::truth::{Expected, Witness};
use crate::world::{Department, Item, Moment, Online, Role, World, day_of, person_name, scaled};

/// The report's numbers: items compiled in 2018, items on 2018-06-27 and those of them that were
/// online-able.
const NEW: f64 = 49_134.0;
const EARLY: f64 = 6_805.0;
const EARLY_ONLINE: f64 = 6_747.0;
/// How many of the new ones we place before that day, and how many items had gone by then.
const NEW_BY_THEN: f64 = 200.0;
const GONE_BY_THEN: f64 = 514.0;

const LOG: Table = Table {
    name: "item_compile_log",
    columns: &[
        "log_id text not null primary key",
        "item_id text not null",
        "task_name text not null",
        "task_type text not null",
        "dept_code text not null",
        "dept_name text not null",
        "action text not null",
        "action_date text not null",
        "is_online text",
        "online_handle_depth text",
        "handle_type text",
        "operator_name text not null",
        "logged_at text not null",
    ],
};

/// One line of the log.
struct Entry<'w> {
    item: Arc<str>,
    name: Arc<str>,
    task_type: &'static str,
    department: &'w Department,
    action: &'static str,
    online: Online,
    time: Moment,
}

/// How many items come and go.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    new: usize,
    early: usize,
    early_online: usize,
    new_by_then: usize,
    gone_by_then: usize,
    gone_later: usize,
}

impl Plan {
    /// For a city that has `today` items in the end.
    #[allow(clippy::cast_precision_loss)] // counts are far below 2^53
    fn new(scale: f64, today: u64) -> Self {
        let count = |number: f64| usize::try_from(scaled(number, scale)).unwrap_or(0);
        let (new, early, new_by_then) = (count(NEW), count(EARLY), count(NEW_BY_THEN));
        let today = usize::try_from(today).unwrap_or(0);
        let online = scaled(EARLY_ONLINE / EARLY, early as f64);
        Self {
            new,
            early,
            early_online: usize::try_from(online).unwrap_or(0),
            new_by_then,
            gone_by_then: count(GONE_BY_THEN),
            gone_later: (early + new - new_by_then).saturating_sub(today),
        }
    }
}

/// Adds the table to the file of items, which is complete otherwise.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let plan = Plan::new(world.scale, world.item_figures.total);
    let synced = first_synced(&mut connection).await?;
    let mut rng = generator(world.seed, "compiling");
    let operators: Vec<Arc<str>> = (0..40).map(|_| person_name(&mut rng).into()).collect();
    let entries = entries(&mut rng, world, &plan, &synced);
    let mut loader = LOG.fill(&mut connection).await?;
    for (serial, entry) in (1_u32..).zip(&entries) {
        loader.cell(format!("BZ{serial:08}"));
        loader.cells([&entry.item, &entry.name]);
        loader.cell(entry.task_type);
        loader.cells([&entry.department.code, &entry.department.name]);
        loader.cell(entry.action);
        let time = entry.time.text();
        loader.cell(time[..10].to_owned());
        loader.cell(entry.online.is_online);
        loader.cell(entry.online.depth);
        loader.cell(entry.online.handle_type);
        loader.cell(Arc::clone(&operators[serial as usize % operators.len()]));
        loader.cell(time);
        loader.end_row().await?;
    }
    let rows = vec![("items.item_compile_log".to_owned(), loader.finish().await?)];
    let index = format!("create index {0}_logged_at on {0} (logged_at)", LOG.name);
    execute(&mut connection, index).await?;
    close(connection).await?;
    let figures = vec![
        ("new_items_compiled", Expected::Count(plan.new as u64)),
        ("items_2018_06", Expected::Count(plan.early as u64)),
        (
            "online_2018_06",
            Expected::Ratio {
                numerator: whole(plan.early_online as u64),
                denominator: whole(plan.early as u64),
            },
        ),
    ];
    Ok(Witness { rows, figures, ..Witness::default() })
}

/// The day on which the first version of each item was handed on, by the item's code.
async fn first_synced(connection: &mut SqliteConnection) -> Result<HashMap<String, u32>> {
    let sql = "select coalesce(task_handle_item, task_code), min(substr(cd_time, 1, 10)) \
               from up_task_general_basic group by 1";
    let rows = sqlx::query(sql).fetch_all(connection).await.map_err(failed("read the items"))?;
    let mut days = HashMap::with_capacity(rows.len());
    for row in rows {
        let id: String = row.try_get(0).map_err(failed("read an item"))?;
        let day: String = row.try_get(1).map_err(failed("read an item"))?;
        days.insert(id, day_of(&day));
    }
    Ok(days)
}

fn code(item: &Item) -> &Arc<str> {
    item.handle_code.as_ref().unwrap_or(&item.task_code)
}

fn entries<'w>(
    rng: &mut StdRng,
    world: &'w World,
    plan: &Plan,
    synced: &HashMap<String, u32>,
) -> Vec<Entry<'w>> {
    let day = |item: &Item| synced.get(&**code(item)).copied().unwrap_or_default();
    let mut today: Vec<&Item> =
        world.items.iter().filter(|item| item.role == Role::Counted).collect();
    today.sort_by_key(|item| (day(item), Arc::clone(code(item))));
    let early = plan.early.min(today.len());
    let online_then = online_then(rng, &today[..early], plan.early_online);
    let mut log = Log { rng, world, entries: Vec::new() };
    for (index, item) in today.iter().enumerate() {
        if index >= early {
            let compiled = log.after_roll_out(day(item));
            log.add(item, "新增", item.online, compiled);
            continue;
        }
        let is_new = index >= early - plan.new_by_then.min(early);
        let compiled = if is_new { log.before_roll_out(day(item)) } else { log.in_2017() };
        let then = then(item.online, online_then[index]);
        log.add(item, "新增", then, compiled);
        if is_able(then) != is_able(item.online) {
            let changed = log.later_than(day_of("2018-06-28"));
            log.add(item, "变更", item.online, changed);
        }
    }
    let mut gone = plan.gone_later;
    for item in &world.items {
        let compiled = log.after_roll_out(day(item).min(day_of("2018-11-30")));
        match item.role {
            Role::Counted => {}
            Role::Official => log.add(item, "新增", item.online, compiled),
            Role::Withdrawn(_) | Role::Superseded => {
                if gone == 0 {
                    continue;
                }
                gone -= 1;
                let action = if item.role == Role::Withdrawn(2) { "暂停" } else { "取消" };
                log.add(item, "新增", item.online, compiled);
                let left = log.later_than(compiled);
                log.add(item, action, item.online, left);
            }
        }
    }
    // The others that went are in no other table any more.
    for serial in 0..plan.gone_by_then {
        let compiled = log.in_2017();
        let left = log.rng.random_range(day_of("2018-01-05")..day_of("2018-06-27"));
        log.add_gone(serial, compiled, left);
    }
    for serial in plan.gone_by_then..plan.gone_by_then + gone {
        let compiled = log.after_roll_out(day_of("2018-11-15"));
        let left = log.later_than(compiled);
        log.add_gone(serial, compiled, left);
    }
    let mut entries = log.entries;
    entries.sort_by(|a, b| (a.time, &a.item).cmp(&(b.time, &b.item)));
    entries
}

/// Collects lines of the log.
struct Log<'r, 'w> {
    rng: &'r mut StdRng,
    world: &'w World,
    entries: Vec<Entry<'w>>,
}

impl<'w> Log<'_, 'w> {
    fn add(&mut self, item: &'w Item, action: &'static str, online: Online, day: u32) {
        let department = self.world.department_of(item);
        let entry = (Arc::clone(code(item)), Arc::clone(&item.name), item.task_type);
        self.push(entry, department, action, online, day);
    }

    /// An item that came and went again.
    fn add_gone(&mut self, serial: usize, compiled: u32, left: u32) {
        let world = self.world;
        let department = &world.departments[serial * 7 % world.departments.len()];
        let level = world.units[department.unit].level.use_level();
        // No item in use has a main number from 900 on.
        let (main, sub) = (900 + serial / 1000 % 100, serial % 1000);
        let code = format!("{}{level}3410{:02}{main}{sub:03}", department.code, department.sector);
        let item: Arc<str> = code.into();
        let name: Arc<str> = format!("{}事项（已归并）", department.noun).into();
        let online = then(crate::world::NO_APPLICATION, true);
        let action = if chance(self.rng, 0.8) { "合并" } else { "取消" };
        for (action, day) in [("新增", compiled), (action, left)] {
            let entry = (Arc::clone(&item), Arc::clone(&name), "10");
            self.push(entry, department, action, online, day);
        }
    }

    fn push(
        &mut self,
        (item, name, task_type): (Arc<str>, Arc<str>, &'static str),
        department: &'w Department,
        action: &'static str,
        online: Online,
        day: u32,
    ) {
        let time = Moment::at(day, self.rng.random_range(8 * 3600..18 * 3600));
        self.entries.push(Entry { item, name, task_type, department, action, online, time });
    }

    fn in_2017(&mut self) -> u32 {
        self.rng.random_range(day_of("2017-09-01")..=day_of("2017-12-19"))
    }

    /// In 2018 before the roll-out to four levels, not after `synced` if that can be.
    fn before_roll_out(&mut self, synced: u32) -> u32 {
        let (first, last) = (day_of("2018-01-02"), day_of("2018-06-27"));
        self.rng.random_range(first..=synced.clamp(first, last))
    }

    /// From the roll-out on, shortly before `synced` if that can be.
    fn after_roll_out(&mut self, synced: u32) -> u32 {
        let first = day_of("2018-06-28");
        let last = synced.max(first);
        self.rng.random_range(last.saturating_sub(20).max(first)..=last)
    }

    /// A day after `day`, before the report.
    fn later_than(&mut self, day: u32) -> u32 {
        self.rng.random_range(day + 1..=day_of("2018-12-12").max(day + 1))
    }
}

/// Which of the early items were online-able then: as many as told, but none that is not yet today
/// unless it has to be.
fn online_then(rng: &mut StdRng, items: &[&Item], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.shuffle(rng);
    order.sort_by_key(|index| !is_able(items[*index].online));
    let mut online = vec![false; items.len()];
    for index in order.into_iter().take(count) {
        online[index] = true;
    }
    online
}

/// How an item stood that was online-able or not, and is as `now` today.
fn then(now: Online, was_able: bool) -> Online {
    if is_able(now) == was_able {
        return now;
    }
    if was_able {
        Online { is_online: "1", depth: Some("2^3"), handle_type: Some("1^2"), scenes: 1 }
    } else {
        Online { is_online: "0", depth: None, handle_type: Some("1"), scenes: 1 }
    }
}

fn is_able(online: Online) -> bool {
    let has = |list: Option<&str>, values: &[&str]| {
        list.is_some_and(|list| list.split('^').any(|value| values.contains(&value)))
    };
    has(online.handle_type, &["2"])
        || online.is_online == "1" && has(online.depth, &["2", "3", "4", "5", "6", "7"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_full_scale_items_come_and_go_so_that_the_report_is_right() {
        let plan = Plan::new(1.0, 52_353);
        let expected = Plan {
            new: 49_134,
            early: 6_805,
            early_online: 6_747,
            new_by_then: 200,
            gone_by_then: 514,
            gone_later: 3_386,
        };
        assert_eq!(plan, expected);
    }
}
