//! `catalog.db`: the catalogue of items as the office that keeps it hands it down.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;

use super::database::{Loader, close, create, create_national, execute};
use crate::seed::{generator, guid};
use crate::world::{CatalogEntry, World, catalog};

const TABLE: &str = "dn_task_directory";
const COLUMNS: &[&str] = &[
    "row_guid",
    "catalog_code",
    "task_name",
    "task_type",
    "by_law",
    "use_level",
    "task_state",
    "task_version",
    "plan_effective_date",
    "cd_operation",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

/// What was written.
pub(crate) struct Written {
    /// Rows per table.
    pub(crate) rows: (String, u64),
    /// The codes of entries that no item in use has.
    pub(crate) unused: Vec<String>,
}

/// One version of an entry.
struct Version<'e> {
    name: &'e str,
    number: u32,
    state: &'static str,
    operation: &'static str,
    day: &'static str,
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: Arc<World>) -> Result<Written> {
    let mut connection = create(path).await?;
    let mut rng = generator(world.seed, TABLE);
    let entries = catalog(&world);
    create_national(&mut connection, TABLE).await?;
    let mut loader = Loader::new(&mut connection, TABLE, COLUMNS).await?;
    let mut serial = 0;
    for entry in &entries {
        for version in versions(entry) {
            serial += 1;
            loader.cell(guid(&mut rng, serial));
            loader.cell(entry.code.as_str());
            loader.cell(version.name);
            loader.cell(entry.task_type);
            loader.cell("《安徽省政府权力清单和责任清单》");
            loader.cell(entry.levels.as_str());
            loader.cell(version.state);
            loader.cell(version.number);
            loader.cell(format!("{} 00:00:00", version.day));
            loader.cell(version.operation);
            loader.cell(format!("{} 16:00:00", version.day));
            loader.cell(format!("{}16", version.day.replace('-', "")));
            loader.end_row().await?;
        }
    }
    let rows = (format!("catalog.{TABLE}"), loader.finish().await?);
    execute(&mut connection, format!("create index {TABLE}_cd_time on {TABLE} (cd_time)")).await?;
    close(connection).await?;
    let unused = entries.into_iter().filter(|entry| entry.is_unused).map(|entry| entry.code);
    Ok(Written { rows, unused: unused.collect() })
}

fn versions(entry: &CatalogEntry) -> Vec<Version<'_>> {
    let mut versions = Vec::with_capacity(3);
    let mut add = |name, state, day| {
        let number = u32::try_from(versions.len()).unwrap_or(0) + 1;
        let operation = if number == 1 { "I" } else { "U" };
        versions.push(Version { name, number, state, operation, day });
    };
    if let Some(name) = &entry.older_name {
        add(name.as_str(), "1", "2017-10-09");
    }
    add(entry.name.as_str(), "1", "2017-12-01");
    if !entry.is_in_use {
        add(entry.name.as_str(), "3", "2018-05-21");
    }
    versions
}
