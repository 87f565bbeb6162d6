//! `enterprise.db`: enterprises that are being started, each a bundle of four steps.

use std::path::Path;

use huiliu_sdk::Result;
use rand::Rng;
use rand::rngs::StdRng;

use super::database::{Table, close, create, execute};
use crate::seed::{chance, generator};
use crate::truth::{Expected, Witness};
use crate::world::{
    Applicant, Moment, World, add_workdays, day_of, is_workday, now, scaled, time_of,
};

/// Bundles at full scale, of which the report does not tell.
const BUNDLES_AT_FULL_SCALE: f64 = 1_260.0;
const LEAST_BUNDLES: u64 = 30;
/// Working days that the slowest bundle takes.
const LONGEST: u32 = 3;
/// What has to be done, and who does it.
const STEPS: [(&str, &str); 4] =
    [("licence", "市工商局"), ("seal", "市公安局"), ("tax", "市税务局"), ("bank", "开户银行")];

const BUNDLES: Table = Table {
    name: "bundles",
    columns: &[
        "seq integer primary key",
        "bundle_id text not null",
        "enterprise_name text not null",
        "uscc text not null",
        "agent_name text not null",
        "agent_mobile text",
        "accept_time text not null",
        "state text not null",
        "update_time text not null",
    ],
};

const BUNDLE_STEPS: Table = Table {
    name: "steps",
    columns: &[
        "seq integer primary key",
        "bundle_id text not null",
        "step text not null",
        "department text not null",
        "finish_time text",
        "update_time text not null",
    ],
};

/// One bundle.
struct Bundle<'w> {
    id: String,
    firm: &'w Applicant,
    accept: Moment,
    state: &'static str,
    /// When each step was finished, if it is.
    finishes: [Option<Moment>; 4],
    updated: Moment,
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let mut bundles = bundles(world);
    let claimed = bundles
        .iter()
        .filter(|bundle| bundle.state == "finished" && bundle.finishes.iter().any(Option::is_none));
    let claimed = claimed.map(|bundle| bundle.id.clone()).collect();
    bundles.sort_by(|a, b| (a.updated, &a.id).cmp(&(b.updated, &b.id)));
    let mut loader = BUNDLES.fill(&mut connection).await?;
    for (seq, bundle) in (1_i64..).zip(&bundles) {
        let firm = bundle.firm;
        loader.cell(seq);
        loader.cell(bundle.id.as_str());
        loader.cells([&firm.name, &firm.number, &firm.contact, &firm.mobile]);
        loader.cell(bundle.accept.text());
        loader.cell(bundle.state);
        loader.cell(bundle.updated.text());
        loader.end_row().await?;
    }
    let mut rows = vec![("enterprise.bundles".to_owned(), loader.finish().await?)];
    let mut loader = BUNDLE_STEPS.fill(&mut connection).await?;
    let mut seq = 0_i64;
    for bundle in &bundles {
        for ((step, department), finish) in STEPS.iter().zip(bundle.finishes) {
            seq += 1;
            loader.cell(seq);
            loader.cell(bundle.id.as_str());
            loader.cell(*step);
            loader.cell(*department);
            loader.cell(finish.map(Moment::text));
            loader.cell(bundle.updated.text());
            loader.end_row().await?;
        }
    }
    rows.push(("enterprise.steps".to_owned(), loader.finish().await?));
    for table in ["bundles", "steps"] {
        let index = format!("create index {table}_update_time on {table} (update_time)");
        execute(&mut connection, index).await?;
    }
    close(connection).await?;
    Ok(Witness {
        rows,
        figures: vec![("enterprise_start_days", Expected::Count(u64::from(LONGEST)))],
        planted: vec![("claimed_bundles", claimed)],
    })
}

fn bundles(world: &World) -> Vec<Bundle<'_>> {
    let mut rng = generator(world.seed, "enterprise");
    let firms: Vec<&Applicant> =
        world.applicants.iter().filter(|one| !one.is_person && one.is_valid).collect();
    let count = scaled(BUNDLES_AT_FULL_SCALE, world.scale).max(LEAST_BUNDLES);
    let days = day_of("2018-08-01")..=day_of("2018-12-13");
    let bundle = |number: u64| {
        let firm = firms[rng.random_range(0..firms.len())];
        // The first ones are of an early day and have what must occur at any scale.
        let day = if number <= 6 { day_of("2018-08-07") } else { rng.random_range(days.clone()) };
        let accept = time_of(&mut rng, day);
        let (state, finishes) = match number {
            1 => ("finished", finished(&mut rng, accept, LONGEST)),
            2 | 3 => ("withdrawn", finished(&mut rng, accept, LONGEST * 3)),
            4 | 5 => {
                // The platform says so, but the bank has not answered.
                let [licence, seal, tax, _] = finished(&mut rng, accept, 1);
                ("finished", [licence, seal, tax, None])
            }
            _ if chance(&mut rng, 0.01) => ("withdrawn", finished(&mut rng, accept, LONGEST * 2)),
            _ => {
                let days = rng.random_range(1..=LONGEST).min(rng.random_range(1..=LONGEST));
                let is_quick = is_workday(accept.day()) && chance(&mut rng, 0.2);
                let finishes = finished(&mut rng, accept, if is_quick { 0 } else { days });
                let is_open = finishes.iter().any(Option::is_none);
                (if is_open { "processing" } else { "finished" }, finishes)
            }
        };
        let last = finishes.iter().flatten().max().copied().unwrap_or(accept);
        let id = format!("QYKB2018{number:06}");
        let updated = last.max(accept).plus(60).min(now());
        Bundle { id, firm, accept, state, finishes, updated }
    };
    (1..=count).map(bundle).collect()
}

/// The ends of the four steps of which the last is `days` working days later; what lies ahead of
/// the present has not happened.
fn finished(rng: &mut StdRng, accept: Moment, days: u32) -> [Option<Moment>; 4] {
    let at = |rng: &mut StdRng, days: u32| {
        let second = rng.random_range(9 * 3600..17 * 3600);
        let moment = Moment::at(add_workdays(accept.day(), days), second);
        // On the day itself it comes after the application, as late as that was.
        let end = Moment::at(accept.day(), 86_399);
        let moment = if days == 0 { moment.max(accept.plus(1800)).min(end) } else { moment };
        (moment < now()).then_some(moment)
    };
    let first = rng.random_range(0..=days.min(1));
    let second = rng.random_range(first..=days);
    let last = at(rng, days);
    let (licence, seal) = (at(rng, first), at(rng, second));
    [licence, seal.min(last), last, last]
}
