//! Systems, runs, jobs, alerts.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Path;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use huiliu_sdk::{Error, ErrorKind, Result};
use tokio::time::MissedTickBehavior;

use crate::console::desk::{Answer, Desk, go_on, numbered, segment};
use crate::console::pages::{alert, job, run, system};
use crate::data::{Deed, RunDetail, RunRequest};
use crate::identity::Visitor;
use crate::web::{Failure, Form};

/// How often a run that goes on is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Times of a job that are shown.
const HISTORY: u32 = 50;
/// Times that are to come.
const NEXT: usize = 12;

/// The register.
pub(in crate::console) async fn systems_page(desk: Desk) -> Answer {
    let register = desk.app.hub().systems().await?;
    desk.show(&system::register(&desk.page, &register))
}

/// One system.
pub(in crate::console) async fn system_page(desk: Desk, Path(id): Path<String>) -> Answer {
    let detail = desk.app.hub().system(&id).await?;
    desk.show(&system::system(&desk.page, &detail))
}

/// The runs.
pub(in crate::console) async fn runs_page(desk: Desk) -> Answer {
    let runs = desk.app.hub().runs(&desk.place()).await?;
    desk.show(&run::list(&desk.page, &runs))
}

/// Starts a run.
pub(in crate::console) async fn start_run(desk: Desk, form: Form) -> Answer {
    let request = RunRequest {
        selector: form.text("selector")?.to_owned(),
        during_quiet_hours: form.get("during_quiet_hours").is_some(),
        whole: form.get("whole").is_some(),
        accept: form.all("accept").into_iter().map(str::to_owned).collect(),
    };
    let started = desk.app.hub().start_run(&request, &desk.deed(&form)?).await?;
    let path = started.run.map_or_else(|| "/runs".to_owned(), |run| format!("/runs/{run}"));
    go_on(&path, "started")
}

/// One run.
pub(in crate::console) async fn run_page(desk: Desk, Path(number): Path<String>) -> Answer {
    let detail = read(&desk, numbered(&number)?).await?;
    desk.show(&run::run(&desk.page, &detail))
}

/// A run, with what its errors mean in the reader's language.
async fn read(desk: &Desk, number: i64) -> Result<RunDetail> {
    let mut detail = desk.app.hub().run(number).await?;
    for step in &mut detail.steps {
        let Some(code) = &step.code else { continue };
        step.message = Some(desk.said(code, step.message.as_deref().unwrap_or_default()));
        step.hint = desk.advice(code, step.hint.take());
    }
    Ok(detail)
}

/// One run as it goes: its changing part, again and again, until it has ended.
pub(in crate::console) async fn run_live(
    desk: Desk,
    Path(number): Path<String>,
) -> Result<Response, Failure> {
    let number = numbered(&number)?;
    let place = desk.app.watch().ok_or_else(|| {
        Error::new(ErrorKind::Throttled, "E-BUSY", "too many runs are being watched")
            .hint("the page shows the run all the same; load it again")
    })?;
    let visitor = desk.visitor()?.clone();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looks = stream::unfold(Some((desk, visitor, ticks, place)), move |state| async move {
        let (desk, visitor, mut ticks, place) = state?;
        ticks.tick().await;
        let event = look(&desk, &visitor, number).await;
        let goes_on = event.is_some();
        let event = event.unwrap_or_else(|| Event::default().event("end").data("-"));
        let state = goes_on.then_some((desk, visitor, ticks, place));
        Some((Ok::<Event, Infallible>(event), state))
    });
    Ok(Sse::new(looks).keep_alive(KeepAlive::default()).into_response())
}

/// How a run stands now; nothing when there is no more to see, or not for this visitor.
async fn look(desk: &Desk, visitor: &Visitor, number: i64) -> Option<Event> {
    if !desk.app.accounts().is_still_in(visitor).await.unwrap_or(false) {
        return None;
    }
    let detail = read(desk, number).await.ok()?;
    if detail.run_row.finished_at.is_some() {
        return None;
    }
    let mut page = desk.page.clone();
    page.times.now = desk.app.accounts().clock_now();
    Some(Event::default().event("part").data(run::progress(&page, &detail).into_string()))
}

/// The jobs.
pub(in crate::console) async fn jobs_page(desk: Desk) -> Answer {
    let hub = desk.app.hub();
    let (jobs, upcoming) = (hub.jobs().await?, hub.upcoming(NEXT).await?);
    desk.show(&job::list(&desk.page, &jobs, &upcoming))
}

/// One job.
pub(in crate::console) async fn job_page(desk: Desk, Path(name): Path<String>) -> Answer {
    let hub = desk.app.hub();
    let mut history = hub.job_history(Some(&name), HISTORY).await?;
    for time in &mut history {
        let Some(code) = &time.code else { continue };
        time.message = Some(desk.said(code, time.message.as_deref().unwrap_or_default()));
    }
    let jobs = hub.jobs().await?;
    let found = jobs.iter().find(|job| job.job == name).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "E-JOB-NAME", format!("there is no job `{name}`"))
            .hint("the page of all jobs lists them")
    })?;
    desk.show(&job::job(&desk.page, found, &history))
}

/// Runs a job now.
pub(in crate::console) async fn run_job(desk: Desk, Path(name): Path<String>) -> Answer {
    let deed = Deed { who: desk.visitor()?.user.clone(), reason: String::new() };
    let is_queued = desk.app.hub().run_job(&name, &deed).await?;
    go_on(&format!("/jobs/{}", segment(&name)), if is_queued { "queued" } else { "waits" })
}

/// Lets a parked job run again.
pub(in crate::console) async fn unpark_job(
    desk: Desk,
    Path(name): Path<String>,
    form: Form,
) -> Answer {
    desk.app.hub().unpark_job(&name, &desk.deed(&form)?).await?;
    go_on(&format!("/jobs/{}", segment(&name)), "unparked")
}

/// The alerts.
pub(in crate::console) async fn alerts_page(desk: Desk) -> Answer {
    let alerts = desk.app.hub().alerts().await?;
    desk.show(&alert::list(&desk.page, &alerts))
}
