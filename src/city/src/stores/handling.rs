//! More of `operation.db`: the steps of cases, the special procedures for which they waited, and
//! what was paid for them.

use std::sync::Arc;

use huiliu_sdk::Result;
use sqlx::sqlite::SqliteConnection;

use super::database::{Loader, Table, create_national, execute};
use crate::seed::{generator, guid};
use crate::world::{Moment, World, now, person_name};

const PROCESS: &[&str] = &[
    "row_guid",
    "project_no",
    "process_name",
    "event_name",
    "event_start_time",
    "event_end_time",
    "handle_user_name",
    "handle_explain='同意'",
    "cd_operation='I'",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

const SPECIAL: &[&str] = &[
    "row_guid",
    "project_no",
    "special_type",
    "special_name",
    "special_reason='依法需要进行'",
    "special_time",
    "end_time",
    "handle_user",
    "cd_operation='I'",
    "cd_time",
    "cd_batch",
    "data_source='p34'",
];

/// The platform's own table of what was paid; amounts are whole cents (分).
const CHARGES: Table = Table {
    name: "pro_charge",
    columns: &[
        "charge_no varchar(50) not null primary key",
        "project_no varchar(50) not null",
        "amount integer not null",
        "pay_time datetime not null",
        "update_time datetime not null",
    ],
};
const CENTS: u32 = 100;

/// Writes the tables and says how many rows each has.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    world: &World,
) -> Result<Vec<(String, u64)>> {
    let mut rng = generator(world.seed, "handling");
    let clerks: Vec<Arc<str>> = (0..120).map(|_| person_name(&mut rng).into()).collect();
    let mut rows = Vec::new();
    let listed = || (0..world.cases.len()).filter(|index| world.cases[*index].is_in_city());

    create_national(connection, "up_pro_process").await?;
    let mut loader = Loader::new(connection, "up_pro_process", PROCESS).await?;
    let mut serial = 0;
    for index in listed() {
        let number = world.number_of(&world.cases[index]);
        for step in world.steps_of(index) {
            serial += 1;
            loader.cell(guid(&mut rng, serial));
            loader.cell(number.as_str());
            loader.cell(step.event.1);
            loader.cell(step.event.0);
            loader.cell(step.start.text());
            // The column must have a value, so what is not over ends when it began.
            loader.cell(step.end.text());
            clerk(&mut loader, &clerks, index);
            sync(&mut loader, step.written);
            loader.end_row().await?;
        }
    }
    rows.push(("operation.up_pro_process".to_owned(), loader.finish().await?));

    create_national(connection, "up_pro_special_procedure").await?;
    let mut loader = Loader::new(connection, "up_pro_special_procedure", SPECIAL).await?;
    serial = 0;
    for index in listed() {
        let Some(wait) = world.wait_of(index) else { continue };
        serial += 1;
        let end = wait.to.unwrap_or(wait.from);
        loader.cell(guid(&mut rng, serial));
        loader.cell(world.number_of(&world.cases[index]));
        loader.cell(wait.kind.0);
        loader.cell(wait.kind.1);
        loader.cell(wait.from.text());
        loader.cell(end.text());
        clerk(&mut loader, &clerks, index);
        sync(&mut loader, end.plus(60));
        loader.end_row().await?;
    }
    rows.push(("operation.up_pro_special_procedure".to_owned(), loader.finish().await?));

    let mut loader = CHARGES.fill(connection).await?;
    serial = 0;
    for index in listed() {
        let Some(charge) = world.charge_of(index) else { continue };
        serial += 1;
        loader.cell(format!("JF{serial:010}"));
        loader.cell(world.number_of(&world.cases[index]));
        loader.cell(charge.yuan * CENTS);
        loader.cell(charge.at.text());
        loader.cell(charge.at.plus(30).min(now()).text());
        loader.end_row().await?;
    }
    rows.push(("operation.pro_charge".to_owned(), loader.finish().await?));

    for (table, column) in [
        ("up_pro_process", "cd_time"),
        ("up_pro_special_procedure", "cd_time"),
        (CHARGES.name, "update_time"),
    ] {
        let index = format!("create index {table}_{column} on {table} ({column})");
        execute(connection, index).await?;
    }
    Ok(rows)
}

fn clerk(loader: &mut Loader<'_>, clerks: &[Arc<str>], number: usize) {
    loader.cell(Arc::clone(&clerks[number % clerks.len()]));
}

/// When a row was put into the front database, and in which batch.
fn sync(loader: &mut Loader<'_>, at: Moment) {
    let at = at.min(now()).text();
    loader.cell(at.as_str());
    loader.cell(at[..13].replace(['-', ' '], ""));
}
