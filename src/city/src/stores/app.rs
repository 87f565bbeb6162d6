//! `app.db`: what the province's app publishes of ours, and how much it is used in each city.

use std::path::Path;

use huiliu_sdk::Result;

use super::database::{Table, close, create, create_received, whole};
use crate::truth::{Expected, Witness};
use crate::world::{MONTHS, PUBLISHED, State, World, app_users, cities, interfaces};

/// Under its former name the app shows the office that provides the interfaces, until it is told the
/// present one.
const FORMER_NAME: &str = "马鞍山市行政服务中心";

const INTERFACES: Table = Table {
    name: "interfaces",
    columns: &[
        "seq integer primary key",
        "interface_id text not null",
        "version integer not null",
        "interface_name text not null",
        "provider text not null",
        "state text not null",
        "state_time text not null",
    ],
};

const ACTIVITY: Table = Table {
    name: "activity",
    columns: &[
        "seq integer primary key",
        "city_code text not null",
        "month text not null",
        "active_users integer not null",
        "is_complete integer not null",
    ],
};

fn word(state: State) -> &'static str {
    match state {
        State::Draft => "draft",
        State::Published => "published",
        State::Withdrawn => "withdrawn",
    }
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    create_received(&mut connection).await?;
    let mut withdrawn = Vec::new();
    let mut loader = INTERFACES.fill(&mut connection).await?;
    let mut seq = 0_i64;
    for interface in interfaces(world.seed) {
        for (version, (state, time)) in (1..).zip(&interface.versions) {
            seq += 1;
            loader.cell(seq);
            loader.cell(interface.id.as_str());
            loader.cell(version);
            loader.cell(interface.name.as_str());
            loader.cell(FORMER_NAME);
            loader.cell(word(*state));
            loader.cell(time.text());
            loader.end_row().await?;
            if *state == State::Withdrawn {
                withdrawn.push(interface.id.clone());
            }
        }
    }
    let mut rows = vec![("app.interfaces".to_owned(), loader.finish().await?)];

    let mut loader = ACTIVITY.fill(&mut connection).await?;
    seq = 0;
    for (city, months) in cities().iter().zip(app_users(world)) {
        for (month, users) in MONTHS.iter().zip(months) {
            seq += 1;
            loader.cell(seq);
            loader.cell(city.code);
            loader.cell(*month);
            loader.cell(whole(users));
            loader.cell(i64::from(*month != MONTHS[MONTHS.len() - 1]));
            loader.end_row().await?;
        }
    }
    rows.push(("app.activity".to_owned(), loader.finish().await?));
    close(connection).await?;
    let figures = vec![
        ("wst_interfaces", Expected::Count(PUBLISHED as u64)),
        ("rank_wst_activity", Expected::Count(2)),
    ];
    Ok(Witness { rows, figures, planted: vec![("withdrawn_interfaces", withdrawn)] })
}
