//! `huiliu report`: pages and reports for people.

use std::path::PathBuf;

use huiliu_core::policy::exit;
use huiliu_runner::{Hub, write_page};
use huiliu_sdk::{Error, ErrorKind};
use serde_json::json;

use crate::cli::ReportArgs;
use crate::setup::{Failure, Setup};

/// Writes what was asked for. As JSON it is what it says, without its form.
pub(crate) async fn report(setup: &Setup, args: ReportArgs) -> Result<u8, Failure> {
    if args.name == "daily" && args.end.is_some() {
        let message = "the page of the day is of today";
        return Err(Error::new(ErrorKind::Config, "E-REPORT", message)
            .hint("leave out --end, or name a report of pipelines/reports/")
            .into());
    }
    let hub = setup.open_existing().await?;
    let done = match args.name.as_str() {
        "daily" => daily(setup, &hub, args.out).await,
        _ => named(setup, &hub, args).await,
    };
    hub.close().await;
    done
}

async fn daily(setup: &Setup, hub: &Hub, out: Option<PathBuf>) -> Result<u8, Failure> {
    let page = Box::pin(hub.daily_page(None)).await?;
    let printer = setup.printer;
    if let Some(file) = &out {
        write_page(file, page.html().as_bytes())?;
    }
    let attention = page.attention();
    if printer.is_json() {
        let file = out.as_ref().map(|file| file.display().to_string());
        printer.json(&json!({ "file": file, "attention": attention, "page": page }));
    } else if let Some(file) = &out {
        printer.line(&format!(
            "{}: {} {}",
            file.display(),
            attention.len(),
            printer.pick("things need a person", "件事需要人处理")
        ));
    } else {
        printer.line(&page.html());
    }
    Ok(exit::DONE)
}

async fn named(setup: &Setup, hub: &Hub, args: ReportArgs) -> Result<u8, Failure> {
    let folder = args.out.unwrap_or_else(|| setup.data.join("reports"));
    let mut written = Vec::new();
    for report in Box::pin(hub.report(&args.name, args.end)).await? {
        let files = report.write(&folder)?.map(|file| file.display().to_string());
        written.push((files, report.page));
    }
    let printer = setup.printer;
    if printer.is_json() {
        let list = written.iter().map(|(files, page)| json!({ "files": files, "report": page }));
        printer.json(&json!({ "reports": list.collect::<Vec<_>>() }));
        return Ok(exit::DONE);
    }
    for (files, _) in &written {
        files.iter().for_each(|file| printer.line(file));
    }
    if written.is_empty() {
        printer.note(printer.pick("nobody to write to", "没有需要发函的单位"));
    }
    Ok(exit::DONE)
}
