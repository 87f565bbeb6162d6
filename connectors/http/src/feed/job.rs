//! A file that is made on request: ask for it, wait until it is ready, fetch it.

use huiliu_httpkit::{Answer, Method};
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::Value;
use tokio::time::Instant;

use super::{Outlet, Part, Reader};
use crate::body::AnswerPlan;
use crate::call::{Draft, Values};
use crate::page::Page;
use crate::plan::{JobPlan, StreamPlan};
use crate::session::Session;

/// Reads the file's records as one page.
pub(crate) async fn run(reader: &Reader, outlet: &Outlet) -> Result<()> {
    let Reader { session, plan, .. } = reader;
    let Some(job) = &plan.job else { return Ok(()) };
    let (handle, request) = submitted(reader, job).await?;
    let values = Values::from([("job".to_owned(), handle)]);
    let (last, answered) = finished(reader, job, &values, &request).await?;
    let draft = match (&job.download, &job.link) {
        (Some(download), _) => download.draft(&values, &[])?,
        (None, Some(link)) => {
            let text = link.text(&last).unwrap_or_default();
            let url = answered.url.join(&text).ok().filter(|_| !text.is_empty());
            let place = link.0.join("/");
            let url = url.ok_or_else(|| wrong(&request, &format!("no address at /{place}")))?;
            session.hosts().check(&request, &url)?;
            Draft::new(Method::GET, url)
        }
        (None, None) => return Err(wrong(&request, "no way to fetch the file")),
    };
    let Some(room) = outlet.room().await else { return Ok(()) };
    let read = |answer: &Answer| {
        let page = Page::split(answer, &plan.records, plan.answer.lists_are_loose())?;
        page.require_list(&plan.records)?;
        Ok(page)
    };
    let page: Page = session.ask(&reader.cx, &draft, &plan.answer, read).await?;
    check_total(plan, &last, &page)?;
    room.send(Part { page, origin: format!("{} file", plan.path).into(), mark: None });
    Ok(())
}

/// Asks for the file and says what its handle is.
async fn submitted(reader: &Reader, job: &JobPlan) -> Result<(String, String)> {
    let Reader { session, plan, parameters, .. } = reader;
    let draft = plan.call.draft(&Values::new(), parameters)?;
    let read = |answer: &Answer| {
        let content = checked(session, plan, answer)?;
        let handle = job.handle.text(&content).filter(|handle| !handle.is_empty());
        let place = job.handle.0.join("/");
        let handle = handle
            .ok_or_else(|| wrong(answer.request(), &format!("no handle of the job at /{place}")))?;
        Ok((handle, answer.request().to_owned()))
    };
    Ok(session.ask(&reader.cx, &draft, &AnswerPlan::default(), read).await?)
}

/// Asks how the job is until it is done.
async fn finished(
    reader: &Reader,
    job: &JobPlan,
    values: &Values,
    request: &str,
) -> Result<(Value, Draft)> {
    let Reader { cx, session, plan, .. } = reader;
    let start = Instant::now();
    loop {
        let draft = job.poll.draft(values, &[])?;
        let read = |answer: &Answer| checked(session, plan, answer);
        let content = session.ask(cx, &draft, &AnswerPlan::default(), read).await?;
        let state = job.state.text(&content).unwrap_or_default();
        if job.done.contains(&state) {
            return Ok((content, draft));
        }
        if job.failed.contains(&state) {
            let state = session.quote(&state);
            return Err(Error::new(
                ErrorKind::Data,
                "E-JOB",
                format!("{request}: the system could not make the file, its state is `{state}`"),
            )
            .hint("ask the system's owner why"));
        }
        if start.elapsed() + job.interval > job.timeout {
            let seconds = job.timeout.as_secs();
            let message = format!("{request}: the file was not ready after {seconds} s");
            return Err(Error::new(ErrorKind::Timeout, "E-JOB-TIMEOUT", message)
                .hint("raise job.timeout, or ask for less"));
        }
        tokio::select! {
            () = tokio::time::sleep(job.interval) => {}
            () = cx.cancel.cancelled() => return Err(Error::cancelled()),
        }
    }
}

fn checked(session: &Session, plan: &StreamPlan, answer: &Answer) -> Result<Value> {
    let content: Value = answer.json()?;
    plan.success.check(session, answer.request(), &content)?;
    Ok(content)
}

/// The last answer may say how many records the file has.
fn check_total(plan: &StreamPlan, last: &Value, page: &Page) -> Result<()> {
    let Some(place) = &plan.total else { return Ok(()) };
    let total: Option<u64> = place.text(last).and_then(|text| text.parse().ok());
    match total {
        Some(total) if total == page.len() as u64 => Ok(()),
        Some(total) => {
            let rows = page.len();
            let message = format!("{}: the file has {rows} records, not {total}", plan.path);
            Err(Error::new(ErrorKind::Data, "E-TRUNCATED", message).hint("run again"))
        }
        None => Err(wrong(&page.request, &format!("no count at /{}", place.0.join("/")))),
    }
}

fn wrong(request: &str, what: &str) -> Error {
    Error::new(ErrorKind::Schema, "E-SHAPE", format!("{request}: {what}"))
        .hint("check the pointers under job")
}
