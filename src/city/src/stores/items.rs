//! `items.db`: the items' two tables as the city's platform exchanges them.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::Rng;
use rand::rngs::StdRng;

use super::database::{Loader, close, create, create_national, execute};
use crate::seed::{chance, generator, guid};
use crate::world::{Item, Level, Moment, Online, ROADS, Role, World, add_workdays, day_of, now};

const BASIC: &[&str] = &[
    "row_guid",
    "catalog_code",
    "task_code",
    "local_task_code",
    "task_handle_item",
    "task_name",
    "task_type",
    "task_state",
    "task_version",
    "use_level",
    "power_source",
    "dept_code",
    "dept_name",
    "dept_type='1'",
    "by_law",
    "accept_condition",
    "anticipate_day",
    "anticipate_type='1'",
    "promise_day",
    "promise_type=1",
    "project_type",
    "server_type",
    "handle_type",
    "handle_flow='申请^受理^审核^决定^送达'",
    "special_procedure='无'",
    "limit_scene_num",
    "is_fee='0'",
    "is_single_login='1'",
    "app_is_single_login='0'",
    "link_way",
    "supervise_way",
    "transact_addr",
    "transact_time='工作日 8:30-12:00 14:00-17:30'",
    "plan_effective_date",
    "cd_operation",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

const EXTEND: &[&str] = &[
    "row_guid",
    "task_guid",
    "task_code",
    "task_handle_item",
    "is_online",
    "online_handle_depth",
    "online_handle_url",
    "limit_scene_explain",
    "is_entry_center",
    "is_express",
    "is_pay_online='0'",
    "is_schedule='0'",
    "result_type",
    "result_name",
    "user_topic_type",
    "corp_topic_type",
    "town_code",
    "town_name",
    "village_code",
    "village_name",
    "cd_operation",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

/// One row of both tables.
struct Version<'w> {
    item: &'w Item,
    online: Online,
    number: u32,
    state: &'static str,
    operation: &'static str,
    time: Moment,
    guid: String,
}

/// Writes the file and says how many rows each table has.
pub(crate) async fn write(path: &Path, world: Arc<World>) -> Result<Vec<(String, u64)>> {
    let mut connection = create(path).await?;
    let versions = versions(&world);
    let mut rows = Vec::new();
    for table in ["up_task_general_basic", "up_task_general_extend"] {
        create_national(&mut connection, table).await?;
        let is_basic = table == "up_task_general_basic";
        let columns = if is_basic { BASIC } else { EXTEND };
        let mut rng = generator(world.seed, table);
        let mut loader = Loader::new(&mut connection, table, columns).await?;
        for version in &versions {
            if is_basic {
                basic(&mut loader, &world, version);
            } else {
                extend(&mut loader, &mut rng, &world, version);
            }
            loader.end_row().await?;
        }
        rows.push((format!("items.{table}"), loader.finish().await?));
        execute(&mut connection, format!("create index {table}_cd_time on {table} (cd_time)"))
            .await?;
    }
    close(connection).await?;
    Ok(rows)
}

fn versions(world: &World) -> Vec<Version<'_>> {
    let mut rng = generator(world.seed, "versions");
    let mut versions = Vec::with_capacity(world.items.len() * 11 / 10);
    for item in &world.items {
        let compiled = compiled_at(&mut rng);
        let serial = versions.len() as u64;
        let state = match item.role {
            Role::Counted | Role::Official => "1",
            Role::Withdrawn(2) => "2",
            Role::Withdrawn(_) | Role::Superseded => "3",
        };
        let latest = |rng: &mut StdRng, serial, time, operation| Version {
            item,
            online: item.online,
            number: item.version,
            state,
            operation,
            time,
            guid: guid(rng, serial),
        };
        let Some(older) = item.older else {
            let operation = if state == "1" { "I" } else { "U" };
            versions.push(latest(&mut rng, serial, compiled, operation));
            continue;
        };
        let changed = Moment(rng.random_range(compiled.0 + 1..=now().0 - 60));
        versions.push(Version {
            item,
            online: older,
            number: item.version - 1,
            state: "1",
            operation: "I",
            time: compiled,
            guid: guid(&mut rng, serial),
        });
        versions.push(latest(&mut rng, serial + 1, changed, "U"));
    }
    versions
}

/// When an item was first put on the platform: few before the four-level roll-out, many after.
fn compiled_at(rng: &mut StdRng) -> Moment {
    let (start, rollout, end) = (day_of("2017-12-20"), day_of("2018-06-28"), day_of("2018-12-12"));
    let day = if chance(rng, 0.13) {
        rng.random_range(start..rollout)
    } else {
        rng.random_range(rollout..=end).max(rng.random_range(rollout..=end))
    };
    Moment::at(add_workdays(day - 1, 1), rng.random_range(8 * 3600..18 * 3600))
}

fn batch(time: Moment) -> String {
    time.text()[..13].replace(['-', ' '], "")
}

fn basic(loader: &mut Loader<'_>, world: &World, version: &Version<'_>) {
    let item = version.item;
    let department = world.department_of(item);
    let unit = world.unit_of(item);
    let spread = item.task as usize;
    loader.cell(version.guid.as_str());
    loader.cells([&item.catalog_code, &item.task_code]);
    loader.cell(format!("MAS-{}-{:06}", unit.county(), item.task));
    loader.cell(item.handle_code.clone());
    loader.cell(Arc::clone(&item.name));
    loader.cell(item.task_type);
    loader.cell(version.state);
    loader.cell(version.number);
    loader.cell(unit.level.use_level());
    loader.cell(["1", "1", "1", "2", "5"][spread % 5]);
    loader.cells([&department.code, &department.name]);
    loader.cell(format!("《安徽省{}管理条例》第{}条", department.noun, spread % 40 + 1));
    loader.cell(format!("符合{}有关规定，材料齐全", department.noun));
    loader.cell(if item.project_type == 1 { 1 } else { item.promise_days + 5 });
    loader.cell(item.promise_days);
    loader.cell(if item.project_type == 1 { "1" } else { "2" });
    loader.cell(["1", "1^2", "2^3^4", "1^2^3^4^5"][spread % 4]);
    loader.cell(version.online.handle_type);
    loader.cell(u32::from(version.online.scenes));
    loader.cell(format!("0555-{}", 2_100_000 + spread % 80_000));
    loader.cell(format!("0555-{}", 8_300_000 + spread % 80_000));
    let place =
        if unit.level == Level::City { "马鞍山市政务服务中心" } else { &unit.name };
    loader.cell(format!("{place}{}{}号", ROADS[spread % ROADS.len()], spread % 300 + 1));
    loader.cell(version.time.text()[..10].to_owned() + " 00:00:00");
    loader.cell(version.operation);
    loader.cell(version.time.text());
    loader.cell(batch(version.time));
}

fn extend(loader: &mut Loader<'_>, rng: &mut StdRng, world: &World, version: &Version<'_>) {
    let item = version.item;
    let unit = world.unit_of(item);
    let online = version.online;
    // The serial part of the basic row's id keeps this index growing in order, too.
    let serial = u64::from_str_radix(&version.guid[..8], 16).unwrap_or(0);
    loader.cell(guid(rng, serial));
    loader.cell(version.guid.as_str());
    loader.cell(Arc::clone(&item.task_code));
    loader.cell(item.handle_code.clone());
    loader.cell(online.is_online);
    loader.cell(online.depth);
    let url = (online.is_online == "1")
        .then(|| format!("http://ms.ahzwfw.example/bsdt/{}", item.task_code));
    loader.cell(url);
    loader.cell(if online.scenes > 0 { "需核验原件" } else { "无" });
    loader.cell(if unit.level == Level::Village { "0" } else { "1" });
    loader.cell(if item.task.is_multiple_of(3) { "1" } else { "0" });
    loader.cell(["10", "20", "30", "99"][(item.task % 4) as usize]);
    let result = (item.task % 4 < 2).then(|| format!("{}凭证", item.name));
    loader.cell(result);
    loader.cell((item.task.is_multiple_of(2)).then_some("社会保障"));
    loader.cell((item.task % 2 == 1).then_some("准营准办"));
    let (town, village) = match unit.level {
        Level::Township => (Some(unit), None),
        Level::Village => (unit.township.map(|index| &world.units[index]), Some(unit)),
        _ => (None, None),
    };
    loader.cell(town.map(|unit| unit.code.as_str()));
    loader.cell(town.map(|unit| unit.name.as_str()));
    loader.cell(village.map(|unit| unit.code.as_str()));
    loader.cell(village.map(|unit| unit.name.as_str()));
    loader.cell(version.operation);
    loader.cell(version.time.text());
    loader.cell(batch(version.time));
}
