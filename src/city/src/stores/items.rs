//! `items.db`: the items' tables as the city's platform exchanges them, with what is wrong in them.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::Rng;
use rand::rngs::StdRng;

use super::database::{Loader, close, create, create_national, execute};
use crate::seed::{chance, generator, guid};
use crate::world::{
    Force, Item, Level, Moment, Online, ROADS, Role, Rule, World, add_workdays, date_text, day_of,
    now,
};

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
    "handle_flow",
    "special_procedure='无'",
    "limit_scene_num",
    "is_fee",
    "fee_basis",
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
    "is_pay_online",
    "is_schedule='0'",
    "result_type",
    "result_name",
    "result_guid",
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

const QUESTIONS: &[&str] = &[
    "row_guid",
    "task_guid",
    "task_code",
    "question",
    "answer",
    "order_num=1",
    "cd_operation",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

const FEES: &[&str] = &[
    "row_guid",
    "task_guid",
    "task_code",
    "fee_name",
    "fee_standard",
    "order_num=1",
    "cd_operation",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

/// One version of an item: a row of the basic table and those beside it.
struct Version<'w> {
    item: &'w Item,
    online: Online,
    number: u32,
    state: &'static str,
    operation: &'static str,
    time: Moment,
    /// The day it comes into force.
    effective: u32,
    guid: String,
}

impl Version<'_> {
    /// The code of the item, as the clerk typed it.
    fn task_code(&self) -> Arc<str> {
        let code = &self.item.task_code;
        let typed = match self.item.fault.map(|fault| fault.rule) {
            Some(Rule::CodeLength) => code[..30].to_owned(),
            // The check character is another one.
            Some(Rule::CodeCredit) => {
                let wrong = if &code[17..18] == "7" { "3" } else { "7" };
                format!("{}{wrong}{}", &code[..17], &code[18..])
            }
            Some(Rule::CodeLevel) => format!("{}2{}", &code[..18], &code[19..]),
            Some(Rule::CodeCatalog) => format!("{}999", &code[..28]),
            _ => return Arc::clone(code),
        };
        typed.into()
    }

    /// The serial number in the basic row's id, which keeps the other indexes growing in order.
    fn serial(&self) -> u64 {
        u64::from_str_radix(&self.guid[..8], 16).unwrap_or(0)
    }

    /// The last columns of every table.
    fn trace(&self, loader: &mut Loader<'_>) {
        loader.cell(self.operation);
        loader.cell(self.time.text());
        loader.cell(batch(self.time));
    }
}

/// Writes the row of a version, if it has one in that table.
type Write = fn(&mut Loader<'_>, &mut StdRng, &World, &Version<'_>) -> bool;

const TABLES: [(&str, &[&str], Write); 4] = [
    ("up_task_general_basic", BASIC, basic),
    ("up_task_general_extend", EXTEND, extend),
    ("up_task_general_questions", QUESTIONS, question),
    ("up_task_general_fee_project", FEES, fee),
];

/// Writes the file and says how many rows each table has.
pub(crate) async fn write(path: &Path, world: Arc<World>) -> Result<Vec<(String, u64)>> {
    let mut connection = create(path).await?;
    let versions = versions(&world);
    let mut rows = Vec::new();
    for (table, columns, write) in TABLES {
        create_national(&mut connection, table).await?;
        let mut rng = generator(world.seed, table);
        let mut loader = Loader::new(&mut connection, table, columns).await?;
        for version in &versions {
            if write(&mut loader, &mut rng, &world, version) {
                loader.end_row().await?;
            }
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
        // Twice, so that the numbers of its versions stay below those of the next item.
        let serial = versions.len() as u64 * 2;
        let state = match item.role {
            Role::Counted | Role::Official => "1",
            Role::Withdrawn(2) => "2",
            Role::Withdrawn(_) | Role::Superseded => "3",
        };
        let version =
            |rng: &mut StdRng, number: u32, state, time: Moment, effective: u32| Version {
                item,
                online: item.online,
                number,
                state,
                operation: if number == 1 && state == "1" { "I" } else { "U" },
                time,
                effective,
                guid: guid(rng, serial + u64::from(number)),
            };
        // What was done at the counters before it was put on the platform keeps its own date.
        let since = item.first_case.map_or(compiled.day(), |day| day.min(compiled.day()));
        match (item.older, item.force) {
            (Some(older), _) => {
                let changed = Moment(rng.random_range(compiled.0 + 1..=now().0 - 60));
                let number = item.version - 1;
                let before = version(&mut rng, number, "1", compiled, since);
                versions.push(Version { online: older, operation: "I", ..before });
                let after = version(&mut rng, item.version, state, changed, changed.day());
                versions.push(Version { operation: "U", ..after });
            }
            (None, Force::Interrupted(from, to)) => {
                for (number, state, day) in [(1, "1", since), (2, "3", from), (3, "1", to)] {
                    let time = Moment::at(day, 8 * 3600);
                    versions.push(version(&mut rng, number, state, time, day));
                }
            }
            (None, force) => {
                let since = if let Force::Since(day) = force { day } else { since };
                versions.push(version(&mut rng, item.version, state, compiled, since));
            }
        }
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

fn basic(loader: &mut Loader<'_>, _rng: &mut StdRng, world: &World, version: &Version<'_>) -> bool {
    let item = version.item;
    let department = world.department_of(item);
    let unit = world.unit_of(item);
    let spread = item.task as usize;
    loader.cell(version.guid.as_str());
    loader.cells([&item.catalog_code, &version.task_code()]);
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
    loader.cell(item.legal_days());
    loader.cell(match item.breaks(Rule::Promise) {
        None => item.promise_days,
        Some(_) if item.project_type == 1 => 5,
        Some(_) => 0,
    });
    loader.cell(if item.project_type == 1 { "1" } else { "2" });
    loader.cell(served(item));
    loader.cell(version.online.handle_type);
    let is_short = item.breaks(Rule::Guide).is_some_and(|variant| variant % 2 == 1);
    loader.cell(if is_short {
        "申请^受理^审核^办结"
    } else {
        "申请^受理^审核^决定^送达"
    });
    loader.cell(u32::from(version.online.scenes));
    loader.cell(if item.has_fee() { "1" } else { "0" });
    let has_basis = item.has_fee() && item.breaks(Rule::Fee).is_none_or(|variant| variant % 3 != 0);
    loader.cell(has_basis.then(|| format!("皖价费〔2017〕{}号", spread % 90 + 1)));
    let (asking, complaining) = phones(item);
    loader.cell(asking);
    loader.cell(complaining);
    let place =
        if unit.level == Level::City { "马鞍山市政务服务中心" } else { &unit.name };
    loader.cell(format!("{place}{}{}号", ROADS[spread % ROADS.len()], spread % 300 + 1));
    loader.cell(date_text(version.effective).to_owned() + " 00:00:00");
    version.trace(loader);
    true
}

/// Whom it serves, with `^`.
fn served(item: &Item) -> &'static str {
    match item.breaks(Rule::Topics) {
        Some(variant) if variant % 2 == 0 => "2^3^4",
        Some(_) => "1",
        None => ["1", "1^2", "2^3^4", "1^2^3^4^5"][(item.task % 4) as usize],
    }
}

/// The numbers for questions and for complaints.
fn phones(item: &Item) -> (String, String) {
    let spread = item.task % 80_000;
    let asking = format!("0555-{}", 2_100_000 + spread);
    let complaining = format!("0555-{}", 8_300_000 + spread);
    match item.breaks(Rule::Phones).map(|variant| variant % 3) {
        Some(0) => (asking.clone(), asking),
        Some(1) => (asking, String::new()),
        Some(_) => (asking[5..].to_owned(), complaining),
        None => (asking, complaining),
    }
}

/// The kind and the name of the result, and its sample.
fn result(item: &Item) -> (&'static str, Option<String>, Option<String>) {
    let Some((kind, name)) = item.result() else {
        return (["30", "99"][(item.task % 2) as usize], None, None);
    };
    let kind = match item.breaks(Rule::ResultKind) {
        None => kind,
        Some(_) if kind == "10" => "20",
        Some(_) => "10",
    };
    let sample = item.breaks(Rule::Sample).is_none().then(|| format!("sample-{:06}", item.task));
    (kind, Some(name), sample)
}

fn extend(loader: &mut Loader<'_>, rng: &mut StdRng, world: &World, version: &Version<'_>) -> bool {
    let item = version.item;
    let unit = world.unit_of(item);
    let online = version.online;
    loader.cell(guid(rng, version.serial()));
    loader.cell(version.guid.as_str());
    loader.cell(version.task_code());
    loader.cell(item.handle_code.clone());
    loader.cell(online.is_online);
    loader.cell(online.depth);
    let url = (online.is_online == "1")
        .then(|| format!("http://ms.ahzwfw.example/bsdt/{}", item.task_code));
    loader.cell(url);
    let has_reason = (online.scenes > 0) != item.breaks(Rule::Visits).is_some();
    loader.cell(if has_reason { "需核验原件" } else { "无" });
    loader.cell(if unit.level == Level::Village { "0" } else { "1" });
    loader.cell(if item.task.is_multiple_of(3) { "1" } else { "0" });
    let pays_online = match item.breaks(Rule::Fee) {
        Some(variant) if variant % 3 == 2 => true,
        _ => item.has_fee() && item.task.is_multiple_of(2),
    };
    loader.cell(if pays_online { "1" } else { "0" });
    let (kind, name, sample) = result(item);
    loader.cell(kind);
    loader.cell(name);
    loader.cell(sample);
    let of_persons = match item.breaks(Rule::Topics) {
        Some(variant) => variant % 2 == 0,
        None => served(item).contains('1') && item.task.is_multiple_of(2),
    };
    loader.cell(of_persons.then_some("社会保障"));
    let of_others = match item.breaks(Rule::Topics) {
        Some(variant) => variant % 2 == 1,
        None => served(item).contains('2'),
    };
    loader.cell(of_others.then_some("准营准办"));
    let (town, village) = match unit.level {
        Level::Township => (Some(unit), None),
        Level::Village => (unit.township.map(|index| &world.units[index]), Some(unit)),
        _ => (None, None),
    };
    loader.cell(town.map(|unit| unit.code.as_str()));
    loader.cell(town.map(|unit| unit.name.as_str()));
    loader.cell(village.map(|unit| unit.code.as_str()));
    loader.cell(village.map(|unit| unit.name.as_str()));
    version.trace(loader);
    true
}

/// A licence answers one question at least.
fn question(
    loader: &mut Loader<'_>,
    rng: &mut StdRng,
    _world: &World,
    version: &Version<'_>,
) -> bool {
    let item = version.item;
    let is_silent = item.breaks(Rule::Guide).is_some_and(|variant| variant % 2 == 0);
    if item.task_type != "01" || is_silent {
        return false;
    }
    loader.cell(guid(rng, version.serial()));
    loader.cell(version.guid.as_str());
    loader.cell(version.task_code());
    loader.cell(format!("办理{}需要多长时间？", item.name));
    loader.cell("自受理之日起计算，以承诺办结时限为准。");
    version.trace(loader);
    true
}

fn fee(loader: &mut Loader<'_>, rng: &mut StdRng, world: &World, version: &Version<'_>) -> bool {
    let item = version.item;
    let Some(standard) = item.fee_standard() else { return false };
    loader.cell(guid(rng, version.serial()));
    loader.cell(version.guid.as_str());
    loader.cell(version.task_code());
    loader.cell(format!("{}工本费", world.department_of(item).noun));
    loader.cell(format!("{standard}元/件"));
    version.trace(loader);
    true
}
