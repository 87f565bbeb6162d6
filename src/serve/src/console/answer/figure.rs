//! The first page, and the figures.

use axum::extract::Path;
use huiliu_core::access::Permission;

use crate::console::desk::{Answer, Desk};
use crate::console::pages::{figure, metric, overview};
use crate::data::{PageQuery, Part};
use crate::web::ReadNote;

/// Runs and times of jobs that the first page shows.
const NEWEST: u32 = 6;

/// The first page.
pub(in crate::console) async fn overview_page(desk: Desk) -> Answer {
    let hub = desk.app.hub();
    let mut seen = hub.overview().await?;
    if !desk.page.may(Permission::Figures) {
        seen.figures.clear();
        seen.differences.clear();
    }
    let runs = hub.runs(&PageQuery { cursor: None, limit: Some(NEWEST) }).await?;
    let upcoming = hub.upcoming(NEWEST as usize).await?;
    desk.show(&overview::overview(&desk.page, &seen, &runs.items, &upcoming))
}

/// All figures.
pub(in crate::console) async fn figures_page(desk: Desk) -> Answer {
    let figures = desk.app.hub().figures().await?;
    desk.show(&figure::list(&desk.page, &figures))
}

/// One figure.
pub(in crate::console) async fn metric_page(desk: Desk, Path(key): Path<String>) -> Answer {
    let hub = desk.app.hub();
    let found = hub.metric(&key).await?;
    let by = desk.asked("by").filter(|by| found.dimensions.contains(by));
    let broken = match by {
        Some(by) => {
            desk.visitor()?.require_all_rows()?;
            Some(hub.breakdown(&key, &[by]).await?)
        }
        None => None,
    };
    desk.show(&metric::metric(&desk.page, &found, broken.as_ref()))
}

/// The rows a figure counts.
pub(in crate::console) async fn metric_rows_page(desk: Desk, Path(key): Path<String>) -> Answer {
    let hub = desk.app.hub();
    let part = match desk.ask("part") {
        Some("denominator") => Part::Denominator,
        _ => Part::Numerator,
    };
    let found = hub.metric(&key).await?;
    let limits = &desk.visitor()?.limits;
    let rows = hub.metric_rows(&key, part, &desk.place(), limits).await?;
    let note = ReadNote::of_rows(&key, &rows);
    desk.show_records(&metric::rows(&desk.page, &found, part, &rows), note)
}

/// Why a figure moved.
pub(in crate::console) async fn metric_change_page(
    mut desk: Desk,
    Path(key): Path<String>,
) -> Answer {
    let found = desk.app.hub().metric(&key).await?;
    let from = desk.asked("from").unwrap_or_default();
    let to = desk.asked("to").unwrap_or_default();
    let asked = (from.as_str(), to.as_str());
    if from.is_empty() {
        return desk.show(&metric::change(&desk.page, &found, asked, None));
    }
    let until = Some(asked.1).filter(|to| !to.is_empty());
    match desk.app.hub().change(&key, asked.0, until).await {
        Ok(change) => desk.show(&metric::change(&desk.page, &found, asked, Some(&change))),
        // What was asked for stays to be mended.
        Err(error) => desk.show_fault(&error, |page| metric::change(page, &found, asked, None)),
    }
}
