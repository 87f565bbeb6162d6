//! `linked.db`: the register of linked items, their implementation at each level, their cases.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;
use rand::rngs::StdRng;

use super::database::{Table, close, create, execute, whole};
use crate::seed::generator;
use crate::truth::{Expected, Witness};
use crate::world::{
    Level, Linked, LinkedItem, Moment, Oddity, Root, World, linked, now, person_name,
};

/// Each ratio is cut to eight decimals.
const EXACT: i64 = 100_000_000;
/// Items of which one level has other conditions, fewer materials or another code.
const OTHER_CONDITION: [usize; 2] = [10, 41];
const FEWER_MATERIALS: [usize; 2] = [23, 67];
const OTHER_CODE: [usize; 1] = [55];
const MATERIALS: [&str; 5] = ["申请表", "身份证明", "户口簿", "收入证明", "村（社区）意见"];

const ITEMS: Table = Table {
    name: "linked_item",
    columns: &[
        "item_no text not null primary key",
        "category text not null",
        "item_name text not null",
        "catalog_code text not null",
        "levels text not null",
        "baseline_days integer",
        "state text not null",
        "update_time text not null",
    ],
};
const IMPLEMENTATIONS: Table = Table {
    name: "linked_implementation",
    columns: &[
        "row_guid text not null primary key",
        "item_no text not null",
        "use_level text not null",
        "catalog_code text not null",
        "accept_condition text not null",
        "update_time text not null",
    ],
};
const ITEM_MATERIALS: Table = Table {
    name: "linked_material",
    columns: &[
        "row_guid text not null primary key",
        "item_no text not null",
        "use_level text not null",
        "material_name text not null",
        "order_num integer not null",
        "update_time text not null",
    ],
};
const ROOTS: Table = Table {
    name: "linked_root",
    columns: &[
        "root_no text not null primary key",
        "item_no text not null",
        "applicant_name text not null",
        "applicant_id text not null",
        "mobile text",
        "accept_time text not null",
        "finish_time text",
        "state text not null",
        "sub_count integer not null",
        "update_time text not null",
    ],
};
const STEPS: Table = Table {
    name: "linked_step",
    columns: &[
        "sub_no text not null primary key",
        "root_no text not null",
        "use_level text not null",
        "division_code text not null",
        "org_name text not null",
        "handler_name text not null",
        "start_time text not null",
        "end_time text",
        "update_time text not null",
    ],
};
const SUSPENSIONS: Table = Table {
    name: "linked_suspension",
    columns: &[
        "row_guid text not null primary key",
        "root_no text not null",
        "kind text not null",
        "suspend_time text not null",
        "resume_time text",
        "update_time text not null",
    ],
};
/// When the register was last written.
const REGISTERED: &str = "2018-09-14 17:00:00";

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let linked = linked(world);
    let mut rows = Vec::new();

    let mut loader = ITEMS.fill(&mut connection).await?;
    for item in &linked.items {
        let levels: Vec<&str> = item.path.iter().map(|level| level.use_level()).collect();
        loader.cell(item.number.as_str());
        loader.cell(item.category);
        loader.cell(item.name.as_str());
        loader.cell(item.catalog_code.as_str());
        loader.cell(levels.join("^"));
        loader.cell(item.baseline);
        loader.cell(if item.is_in_use { "1" } else { "3" });
        loader.cell(REGISTERED);
        loader.end_row().await?;
    }
    rows.push(("linked.linked_item".to_owned(), loader.finish().await?));

    let mut loader = IMPLEMENTATIONS.fill(&mut connection).await?;
    for (index, item) in linked.items.iter().enumerate() {
        for (at, level) in item.path.iter().enumerate() {
            let is_odd = |odd: &[usize]| at == 1 && odd.contains(&index);
            let condition = if is_odd(&OTHER_CONDITION) { "，且需现场核查" } else { "" };
            let code =
                if is_odd(&OTHER_CODE) { "342098999000" } else { item.catalog_code.as_str() };
            loader.cell(format!("SX-{}-{}", item.number, level.use_level()));
            loader.cell(item.number.as_str());
            loader.cell(level.use_level());
            loader.cell(code);
            loader.cell(format!("符合{}条件，材料齐全{condition}", item.category));
            loader.cell(REGISTERED);
            loader.end_row().await?;
        }
    }
    rows.push(("linked.linked_implementation".to_owned(), loader.finish().await?));

    let mut loader = ITEM_MATERIALS.fill(&mut connection).await?;
    for (index, item) in linked.items.iter().enumerate() {
        for (at, level) in item.path.iter().enumerate() {
            let mut materials = MATERIALS[..3 + index % 3].to_vec();
            if at == 1 && FEWER_MATERIALS.contains(&index) {
                materials.pop();
            }
            // The order of a list says nothing.
            if at % 2 == 1 {
                materials.reverse();
            }
            for (order, material) in (1..).zip(materials) {
                loader.cell(format!("CL-{}-{}-{order}", item.number, level.use_level()));
                loader.cell(item.number.as_str());
                loader.cell(level.use_level());
                loader.cell(material);
                loader.cell(order);
                loader.cell(REGISTERED);
                loader.end_row().await?;
            }
        }
    }
    rows.push(("linked.linked_material".to_owned(), loader.finish().await?));

    let mut loader = ROOTS.fill(&mut connection).await?;
    for root in &linked.roots {
        let applicant = &world.applicants[root.applicant];
        let state = match (root.oddity, root.finish) {
            (Oddity::Voided, _) => "作废",
            (_, Some(_)) => "办结",
            (_, None) => "在办",
        };
        let missing = usize::from(root.oddity == Oddity::MissingSub);
        loader.cell(root.number.as_str());
        loader.cell(root.item.map_or("LD999", |item| linked.items[item].number.as_str()));
        loader.cells([&applicant.name, &applicant.number, &applicant.mobile]);
        loader.cell(root.accept.text());
        loader.cell(root.finish.map(Moment::text));
        loader.cell(state);
        loader.cell(whole((root.levels.len() + missing) as u64));
        loader.cell(changed(root).text());
        loader.end_row().await?;
    }
    rows.push(("linked.linked_root".to_owned(), loader.finish().await?));

    let mut rng = generator(world.seed, "linked steps");
    let places = Places::new(world, &mut rng);
    let mut loader = STEPS.fill(&mut connection).await?;
    for root in &linked.roots {
        let count = root.levels.len();
        for (at, level) in root.levels.iter().enumerate() {
            let is_last = at + 1 == count;
            // The number of a sub-case that is not there is left out.
            let skips = root.oddity == Oddity::MissingSub && is_last;
            let unit = &world.units[places.at(root, *level)];
            let end = if is_last { root.finish } else { Some(root.accept.plus(step(at))) };
            loader.cell(format!("{}-{:02}", root.number, at + 1 + usize::from(skips)));
            loader.cell(root.number.as_str());
            loader.cell(level.use_level());
            loader.cell(unit.code.as_str());
            loader.cell(format!("{}为民服务机构", unit.name));
            loader.cell(Arc::clone(&places.handlers[root.applicant % places.handlers.len()]));
            loader.cell(root.accept.plus(step(at) - 60).text());
            loader.cell(end.map(|end| root.finish.map_or(end, |f| end.min(f)).text()));
            loader.cell(changed(root).text());
            loader.end_row().await?;
        }
    }
    rows.push(("linked.linked_step".to_owned(), loader.finish().await?));

    let mut loader = SUSPENSIONS.fill(&mut connection).await?;
    for root in &linked.roots {
        let Some((from, to)) = root.wait else { continue };
        loader.cell(format!("TB-{}", root.number));
        loader.cell(root.number.as_str());
        loader.cell("公示");
        loader.cell(from.text());
        loader.cell(to.map(Moment::text));
        loader.cell(changed(root).text());
        loader.end_row().await?;
    }
    rows.push(("linked.linked_suspension".to_owned(), loader.finish().await?));
    for table in [ROOTS.name, STEPS.name, SUSPENSIONS.name] {
        let index = format!("create index {table}_update_time on {table} (update_time)");
        execute(&mut connection, index).await?;
    }
    close(connection).await?;
    Ok(Witness { rows, figures: figures(&linked), planted: planted(&linked) })
}

/// When something of a case was last written.
fn changed(root: &Root) -> Moment {
    root.finish.unwrap_or(root.accept).plus(120).min(now())
}

/// After how many seconds a step that is not the last one ends.
fn step(at: usize) -> i64 {
    i64::try_from(at + 1).unwrap_or(1) * 120
}

/// Where the steps of a case are.
struct Places {
    /// A village of each township, by the township's index.
    villages: Vec<usize>,
    /// The county of each unit, by index.
    counties: Vec<usize>,
    handlers: Vec<Arc<str>>,
}

impl Places {
    fn new(world: &World, rng: &mut StdRng) -> Self {
        let units = &world.units;
        let village = |township: usize| {
            units.iter().position(|unit| unit.township == Some(township)).unwrap_or(township)
        };
        let county = |unit: usize| {
            let is_its = |other: &crate::world::Unit| {
                matches!(other.level, Level::County | Level::Park)
                    && other.county() == units[unit].county()
            };
            units.iter().position(is_its).unwrap_or_default()
        };
        Self {
            villages: (0..units.len()).map(village).collect(),
            counties: (0..units.len()).map(county).collect(),
            handlers: (0..60).map(|_| person_name(rng).into()).collect(),
        }
    }

    /// The unit that handles a step of a case.
    fn at(&self, root: &Root, level: Level) -> usize {
        match level {
            Level::City => 0,
            Level::County | Level::Park => self.counties[root.township],
            Level::Township => root.township,
            Level::Village => self.villages[root.township],
        }
    }
}

fn figures(linked: &Linked) -> Vec<(&'static str, Expected)> {
    let in_use: Vec<&LinkedItem> = linked.items.iter().filter(|item| item.is_in_use).collect();
    let mut categories: Vec<&str> = in_use.iter().map(|item| item.category).collect();
    categories.sort_unstable();
    categories.dedup();
    let counted: Vec<&Root> = linked.roots.iter().filter(|root| root.oddity.counts()).collect();
    // Of finished cases: the days before, and how many fewer it took.
    let cuts: Vec<(i64, i64)> = counted
        .iter()
        .filter(|root| root.finish.is_some())
        .filter_map(|root| {
            let baseline = i64::from(linked.items[root.item?].baseline?);
            Some((baseline, baseline - i64::from(root.took)))
        })
        .collect();
    vec![
        ("linked_categories", Expected::Count(categories.len() as u64)),
        ("linked_items", Expected::Count(in_use.len() as u64)),
        ("linked_cases", Expected::Count(counted.len() as u64)),
        (
            "linked_cycle_cut",
            Expected::Ratio {
                numerator: cuts.iter().map(|(baseline, cut)| cut * EXACT / baseline).sum(),
                denominator: whole(cuts.len() as u64) * EXACT,
            },
        ),
        (
            "linked_cycle_cut_total",
            Expected::Ratio {
                numerator: cuts.iter().map(|(_, cut)| cut).sum(),
                denominator: cuts.iter().map(|(baseline, _)| baseline).sum(),
            },
        ),
    ]
}

fn planted(linked: &Linked) -> Vec<(&'static str, Vec<String>)> {
    let items = |odd: &[usize]| -> Vec<String> {
        odd.iter().map(|index| linked.items[*index].number.clone()).collect()
    };
    let roots = |oddity: Oddity| -> Vec<String> {
        let odd = linked.roots.iter().filter(move |root| root.oddity == oddity);
        odd.map(|root| root.number.clone()).collect()
    };
    vec![
        ("linked_condition", items(&OTHER_CONDITION)),
        ("linked_material", items(&FEWER_MATERIALS)),
        ("linked_code", items(&OTHER_CODE)),
        ("linked_missing_sub", roots(Oddity::MissingSub)),
        ("linked_same_level", roots(Oddity::SameLevel)),
        ("linked_unknown_item", roots(Oddity::UnknownItem)),
        ("linked_endless_wait", roots(Oddity::EndlessWait)),
    ]
}
