//! In `province.db`: what the province publishes about its cities.

use std::path::Path;

use huiliu_sdk::Result;

use super::database::{Table, close, create, whole};
use crate::truth::{Expected, Witness};
use crate::world::{World, cities, date_text, standings};

const STATISTICS: Table = Table {
    name: "city_statistics",
    columns: &[
        "seq integer primary key",
        "city_code text not null",
        "city_name text not null",
        "stat_date text not null",
        "population integer not null",
        "legal_persons integer not null",
        "registered_persons integer not null",
        "registered_legal_persons integer not null",
        "visits integer not null",
        "update_time text not null",
    ],
};

/// Adds the table to the province's file, which is complete otherwise.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let mut loader = STATISTICS.fill(&mut connection).await?;
    let mut seq = 0_i64;
    for (day, standings) in standings(world) {
        for (city, standing) in cities().iter().zip(standings) {
            seq += 1;
            loader.cell(seq);
            loader.cell(city.code);
            loader.cell(city.name);
            loader.cell(date_text(day));
            for number in [
                city.population,
                city.legal_persons,
                standing.persons,
                standing.organisations,
                standing.visits,
            ] {
                loader.cell(whole(number));
            }
            loader.cell(format!("{} 02:00:00", date_text(day + 1)));
            loader.end_row().await?;
        }
    }
    let rows = vec![("province.city_statistics".to_owned(), loader.finish().await?)];
    close(connection).await?;
    let figures = vec![
        ("rank_person_reg", Expected::Count(5)),
        ("rank_legal_reg", Expected::Count(8)),
        ("rank_activity", Expected::Count(4)),
    ];
    Ok(Witness { rows, figures, ..Witness::default() })
}
