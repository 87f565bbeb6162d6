//! Quarantine, pushes, repairs: what is decided by a person.

use axum::extract::Path;
use huiliu_sdk::{Error, ErrorKind, Result};

use crate::console::desk::{Answer, Desk, go_on, numbered, segment};
use crate::console::pages::{push, quarantine, repair};
use crate::console::parts::address;
use crate::data::{Decision, PushQuery, QuarantineQuery, RepairScope};
use crate::web::{Form, ReadNote};

/// Numbers that were chosen in a list; at least one.
fn chosen(form: &Form) -> Result<Vec<i64>> {
    let ids: Vec<i64> = form.all("id").iter().filter_map(|id| id.parse().ok()).collect();
    if ids.is_empty() {
        return Err(Error::new(ErrorKind::Config, "E-REQUEST", "nothing was chosen")
            .hint("tick at least one line of the list"));
    }
    Ok(ids)
}

/// The rows in quarantine.
pub(in crate::console) async fn quarantine_page(desk: Desk) -> Answer {
    let hub = desk.app.hub();
    let run = desk.ask("run").and_then(|run| run.trim_start_matches('#').parse().ok());
    let query = QuarantineQuery { stream: desk.asked("stream"), run };
    let counts = hub.quarantine_counts().await?;
    let mut rows = hub.quarantine(&query, &desk.place()).await?;
    for row in &mut rows.items {
        row.reason = desk.said(&row.code, &row.reason);
    }
    let sheet = quarantine::list(&desk.page, &counts, &query, &rows);
    desk.show_records(&sheet, ReadNote::of_quarantine(&rows.items))
}

/// One row in quarantine.
pub(in crate::console) async fn quarantine_row_page(desk: Desk, Path(id): Path<String>) -> Answer {
    let id = numbered(&id)?;
    let mut detail = desk.app.hub().quarantined(id).await?;
    detail.row.reason = desk.said(&detail.row.code, &detail.row.reason);
    let note = ReadNote::of_original(&detail);
    desk.show_records(&quarantine::row(&desk.page, &detail), note)
}

/// Tries rows again.
pub(in crate::console) async fn replay(desk: Desk, form: Form) -> Answer {
    let deed = desk.deed(&form)?;
    let stream = form.get("stream");
    let done = match form.get("what") {
        Some("stream") => desk.app.hub().replay(&[], Some(form.text("stream")?), &deed).await?,
        _ => desk.app.hub().replay(&chosen(&form)?, None, &deed).await?,
    };
    let sum = |of: fn(&crate::data::Replayed) -> u64| done.iter().map(of).sum::<u64>();
    let (tried, settled, kept) = (sum(|r| r.tried), sum(|r| r.settled), sum(|r| r.kept));
    let to = address("/quarantine", &[("stream", stream.unwrap_or_default())]);
    go_on(&to, &format!("replayed.{tried}.{settled}.{kept}"))
}

/// Takes a row out of quarantine.
pub(in crate::console) async fn discard(desk: Desk, Path(id): Path<String>, form: Form) -> Answer {
    desk.app.hub().discard(numbered(&id)?, &desk.deed(&form)?).await?;
    go_on("/quarantine", "discarded")
}

/// The pushes.
pub(in crate::console) async fn pushes_page(desk: Desk) -> Answer {
    let hub = desk.app.hub();
    let (pushes, days) = (hub.pushes().await?, hub.push_days().await?);
    desk.show(&push::list(&desk.page, &pushes, &days))
}

/// One push.
pub(in crate::console) async fn push_page(desk: Desk, Path(name): Path<String>) -> Answer {
    let hub = desk.app.hub();
    let pushes = hub.pushes().await?;
    let found = pushes.iter().find(|push| push.push == name).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "E-PUSH", format!("there is no push `{name}`"))
            .hint("the page of all pushes lists them")
    })?;
    let query = PushQuery { push: Some(name.clone()), state: desk.asked("state") };
    let records = hub.push_records(&query, &desk.place()).await?;
    let mut days = hub.push_days().await?;
    days.retain(|day| day.push == name);
    let sheet = push::push(&desk.page, found, &days, &query, &records);
    desk.show_records(&sheet, ReadNote::of_pushed(&records.items))
}

/// Decides about records of which nobody knows whether they arrived.
pub(in crate::console) async fn decide(desk: Desk, Path(name): Path<String>, form: Form) -> Answer {
    let decision = match form.text("decision")? {
        "arrived" => Decision::Arrived,
        "again" => Decision::Again,
        "dropped" => Decision::Dropped,
        other => {
            let message = format!("`{other}` is no decision");
            return Err(Error::new(ErrorKind::Config, "E-REQUEST", message).into());
        }
    };
    let (ids, deed) = (chosen(&form)?, desk.deed(&form)?);
    let decided = desk.app.hub().decide(&name, &ids, decision, &deed).await?;
    go_on(&format!("/pushes/{}", segment(&name)), &format!("decided.{}", decided.len()))
}

/// The repairs.
pub(in crate::console) async fn repairs_page(desk: Desk) -> Answer {
    let repairs = desk.app.hub().repairs().await?;
    desk.show(&repair::list(&desk.page, &repairs))
}

/// A plan of repairs.
pub(in crate::console) async fn repair_plan_page(desk: Desk) -> Answer {
    let scope = RepairScope {
        entity: desk.asked("entity"),
        system: desk.asked("system"),
        rule: desk.asked("rule"),
        key: desk.asked("key"),
    };
    let plan = desk.app.hub().plan_repair(&scope).await?;
    let what = ReadNote::of_repairs(&plan).what();
    desk.app.accounts().note_read(desk.visitor()?, "read", "/repairs/plan", what).await?;
    desk.show(&repair::plan(&desk.page, &plan))
}

/// Applies a plan, or takes it back.
pub(in crate::console) async fn apply_repair(desk: Desk, form: Form) -> Answer {
    let (hash, undo) = (form.text("hash")?, form.get("undo").is_some());
    let started = desk.app.hub().apply_repair(hash, undo, &desk.deed(&form)?).await?;
    match started.run {
        Some(run) => go_on(&format!("/runs/{run}"), "started"),
        None => go_on("/repairs", "applied"),
    }
}
