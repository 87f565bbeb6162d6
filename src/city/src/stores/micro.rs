//! `micro.db`: applications that came through the micro portal and WeChat, and the visits there.

use std::path::Path;

use huiliu_sdk::Result;

use super::database::{Table, close, create, whole};
use crate::truth::Witness;
use crate::world::{Moment, World, date_text, day_of};

/// Every so many of the online applications came this way.
const MOBILE_EVERY: usize = 10;
/// Applications that nobody accepted, and days of which the portal has other numbers.
const LOST: u32 = 3;
const OTHER_DAYS: [usize; 2] = [40, 200];

const APPLICATIONS: Table = Table {
    name: "applications",
    columns: &[
        "seq integer primary key",
        "apply_no text not null",
        "project_no text",
        "task_code text not null",
        "channel text not null",
        "apply_time text not null",
        "update_time text not null",
    ],
};
const VISITS: Table = Table {
    name: "visits",
    columns: &[
        "seq integer primary key",
        "visit_date text not null",
        "channel text not null",
        "visits integer not null",
        "update_time text not null",
    ],
};

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let online = world.cases.iter().filter(|case| case.is_online && case.is_readable_in_city());
    let mut rows: Vec<(Moment, Option<String>, &str)> = online
        .step_by(MOBILE_EVERY)
        .map(|case| (case.apply, Some(world.number_of(case)), &*world.item_of(case).task_code))
        .collect();
    for number in 0..LOST {
        let at = Moment::at(day_of("2018-11-12") + number, 20 * 3600 + 7 * number);
        rows.push((at, None, &world.items[0].task_code));
    }
    rows.sort_by_key(|(apply, _, _)| *apply);
    let mut lost = Vec::new();
    let mut loader = APPLICATIONS.fill(&mut connection).await?;
    for (index, (apply, project, task)) in rows.iter().enumerate() {
        let number = format!("WX{:08}", index + 1);
        if project.is_none() {
            lost.push(number.clone());
        }
        loader.cell(whole(index as u64 + 1));
        loader.cell(number);
        loader.cell(project.as_deref());
        loader.cell(*task);
        loader.cell(if index % 3 == 0 { "micro" } else { "wechat" });
        loader.cell(apply.text());
        // When the portal was told of it; the list is in the order of this.
        loader.cell(apply.plus(30).text());
        loader.end_row().await?;
    }
    let mut counts = vec![("micro.applications".to_owned(), loader.finish().await?)];

    let mut other = Vec::new();
    let mut seq = 0;
    let mut loader = VISITS.fill(&mut connection).await?;
    for (index, visits) in world.portal.visits.iter().enumerate() {
        let date = date_text(visits.day);
        let is_other = OTHER_DAYS.contains(&index);
        if is_other {
            other.push(date.to_owned());
        }
        let wechat = visits.mobile * 2 / 3;
        let micro = visits.mobile - wechat + u64::from(is_other);
        for (channel, count) in [("wechat", wechat), ("micro", micro)] {
            seq += 1;
            loader.cell(seq);
            loader.cell(date);
            loader.cell(channel);
            loader.cell(whole(count));
            loader.cell(format!("{} 00:30:00", date_text(visits.day + 1)));
            loader.end_row().await?;
        }
    }
    counts.push(("micro.visits".to_owned(), loader.finish().await?));
    close(connection).await?;
    let planted = vec![("micro_lost", lost), ("micro_visits", other)];
    Ok(Witness { rows: counts, planted, ..Witness::default() })
}
