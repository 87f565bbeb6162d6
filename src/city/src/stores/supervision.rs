//! `supervision.db`: the cards that electronic supervision issued by its own count, the cases that
//! were pushed to it, and what it says of them.

use std::path::Path;

use huiliu_sdk::Result;

use super::database::{Table, close, create, create_received, whole};
use crate::truth::Witness;
use crate::world::{Moment, Status, World, day_of, is_workday, now};

/// Working days after the promise from which a card is a red one.
const SERIOUS: i64 = 3;
/// Planted of each kind.
const PLANTED: usize = 3;
/// Messages of the day before that have a state, from when cases were sent by hand.
const BY_HAND: usize = 12;

const ALERTS: Table = Table {
    name: "alerts",
    columns: &[
        "seq integer primary key",
        "alert_id text not null",
        "project_no text not null",
        "rule text not null",
        "level text not null",
        "issue_time text not null",
        "update_time text not null",
    ],
};

/// What became of each message with a case, once it is known.
const STATES: Table = Table {
    name: "states",
    columns: &[
        "seq integer primary key",
        "msg_id text not null",
        "project_no text not null",
        "state text not null",
        "error_code text",
        "error_text text",
        "update_time text not null",
    ],
};

/// A card: of which case, how grave, when.
struct Alert {
    project_no: String,
    is_red: bool,
    at: Moment,
}

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    create_received(&mut connection).await?;
    let (mut unissued, mut unfounded, mut graver) = (Vec::new(), Vec::new(), Vec::new());
    let mut alerts = Vec::new();
    for (index, case) in world.cases.iter().enumerate() {
        if !case.is_readable_in_city() || case.status == Status::Deleted {
            continue;
        }
        let number = world.number_of(case);
        let timing = world.timing_of(index);
        let (late, until) = (timing.late, timing.until);
        if !timing.is_overdue() {
            // A holiday was counted as a working day.
            if unfounded.len() < PLANTED && late == 0 && case.finish.is_some() && index % 5 == 0 {
                unfounded.push(number.clone());
                alerts.push(Alert { project_no: number, is_red: false, at: issued(until) });
            }
            continue;
        }
        if unissued.len() < PLANTED && index % 4 == 1 {
            unissued.push(number);
            continue;
        }
        let mut is_red = late >= SERIOUS || timing.is_past_legal;
        if graver.len() < PLANTED && is_red && index % 4 == 2 {
            graver.push(number.clone());
            is_red = false;
        }
        // Some red ones were yellow before, and both are kept.
        if is_red && index % 4 == 3 {
            let at = issued(until);
            alerts.push(Alert { project_no: number.clone(), is_red: false, at });
        }
        alerts.push(Alert { project_no: number, is_red, at: issued(until) });
    }
    alerts.sort_by(|a, b| (a.at, &a.project_no, a.is_red).cmp(&(b.at, &b.project_no, b.is_red)));
    let mut loader = ALERTS.fill(&mut connection).await?;
    for (index, alert) in alerts.iter().enumerate() {
        loader.cell(whole(index as u64 + 1));
        loader.cell(format!("JC{:08}", index + 1));
        loader.cell(alert.project_no.as_str());
        loader.cell(if alert.is_red { "严重超期" } else { "超期" });
        loader.cell(if alert.is_red { "红牌" } else { "黄牌" });
        loader.cell(alert.at.text());
        loader.cell(alert.at.text());
        loader.end_row().await?;
    }
    let mut rows = vec![("supervision.alerts".to_owned(), loader.finish().await?)];
    let sent = Moment::at(day_of("2018-12-12"), 20 * 3600).text();
    let mut loader = STATES.fill(&mut connection).await?;
    for (index, alert) in alerts.iter().take(BY_HAND).enumerate() {
        loader.cell(whole(index as u64 + 1));
        loader.cell(format!("20181212{:06}", index + 1));
        loader.cell(alert.project_no.as_str());
        loader.cell("Y");
        loader.cell(None::<&str>);
        loader.cell(None::<&str>);
        loader.cell(sent.as_str());
        loader.end_row().await?;
    }
    rows.push(("supervision.states".to_owned(), loader.finish().await?));
    close(connection).await?;
    let planted =
        vec![("card_not_issued", unissued), ("card_unfounded", unfounded), ("card_level", graver)];
    Ok(Witness { rows, planted, ..Witness::default() })
}

/// Cards are issued in the evening.
fn issued(day: u32) -> Moment {
    let second = if is_workday(day) { 17 * 3600 + 1800 } else { 12 * 3600 };
    Moment::at(day, second).min(now())
}
