//! `app.db`: what the province's app publishes of ours, and how much it is used in each city.

use std::path::Path;

use huiliu_sdk::Result;
use rand::Rng;
use rand::seq::SliceRandom;

use super::database::{Table, close, create, whole};
use crate::seed::generator;
use crate::truth::{Expected, Witness};
use crate::world::{MONTHS, Moment, World, app_users, cities, day_of};

/// Interfaces in the report.
const PUBLISHED: usize = 39;
/// Those that are drafts yet; the rest was taken back.
const DRAFTS: usize = 3;
/// Every so many of the published ones are there in a second version.
const RENEWED_EVERY: usize = 9;
const SUBJECTS: [&str; 11] = [
    "社会保险",
    "住房公积金",
    "不动产登记",
    "出入境证件",
    "机动车",
    "医疗保险",
    "水费",
    "电费",
    "燃气费",
    "学籍",
    "婚姻登记",
];
const SERVICES: [&str; 4] = ["查询", "预约", "办理进度", "证明下载"];

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

/// What becomes of an interface.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Draft,
    Published,
    Withdrawn,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let mut rng = generator(world.seed, "app interfaces");
    let mut names: Vec<String> = SUBJECTS
        .iter()
        .flat_map(|subject| SERVICES.iter().map(move |service| format!("{subject}{service}")))
        .collect();
    names.shuffle(&mut rng);
    let mut withdrawn = Vec::new();
    let mut loader = INTERFACES.fill(&mut connection).await?;
    let mut seq = 0_i64;
    for (index, name) in names.iter().enumerate() {
        let id = format!("WST3405{:04}", index + 1);
        // What was published once and is not any more keeps its older version.
        let states: &[State] = if index < PUBLISHED {
            let is_renewed = index % RENEWED_EVERY == 0;
            if is_renewed { &[State::Published, State::Published] } else { &[State::Published] }
        } else if index < PUBLISHED + DRAFTS {
            &[State::Draft]
        } else {
            withdrawn.push(id.clone());
            &[State::Published, State::Withdrawn]
        };
        let first = rng.random_range(day_of("2018-03-01")..day_of("2018-09-01"));
        let days = [first, first + rng.random_range(20..90)];
        for ((version, state), day) in (1..).zip(states).zip(days) {
            seq += 1;
            loader.cell(seq);
            loader.cell(id.as_str());
            loader.cell(version);
            loader.cell(name.as_str());
            loader.cell("马鞍山市政务服务中心");
            loader.cell(state.word());
            loader.cell(Moment::at(day, rng.random_range(32_400..61_200)).text());
            loader.end_row().await?;
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
