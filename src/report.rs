//! `huiliu report`: pages for people.

use huiliu_core::policy::exit;
use huiliu_runner::write_page;
use serde_json::json;

use crate::cli::ReportCommand;
use crate::setup::{Failure, Setup};

/// Writes the page that was asked for. As JSON it is what the page says, without its form.
pub(crate) async fn report(setup: &Setup, command: ReportCommand) -> Result<u8, Failure> {
    let ReportCommand::Daily { out } = command;
    let hub = setup.open_existing().await?;
    let page = Box::pin(hub.daily_page(None)).await?;
    hub.close().await;
    let printer = setup.printer;
    if let Some(file) = &out {
        write_page(file, &page.html())?;
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
