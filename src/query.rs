//! Commands that read: SQL and runs.

use huiliu_sdk::{Error, ErrorKind};
use serde_json::json;

use crate::cli::RunsCommand;
use crate::setup::{Failure, Setup};
use crate::work;

/// What the audit calls the command line.
pub(crate) const DOOR: &str = "command line";

/// Runs one read-only statement.
pub(crate) async fn query(
    setup: &Setup,
    sql: &str,
    snapshot: Option<i64>,
    limit: usize,
) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let session = hub.engine.session(snapshot).await?;
    let read = huiliu_serve::sql::read_by_statement(&session, sql).await?;
    let rows = session.collect(sql, Some(limit)).await?;
    let count: usize = rows.iter().map(arrow::record_batch::RecordBatch::num_rows).sum();
    // Whoever owns the data folder sees persons as they are, so that is noted before it is shown.
    if hub.engine.are_personal(&session, &read.columns).await? {
        let tables: Vec<&str> = read.columns.keys().map(String::as_str).collect();
        let what = json!({
            "door": DOOR, "sql": read.shape, "columns": read.columns, "rows": count,
        });
        hub.note_read(&setup.who(), "query", &tables.join(", "), what).await?;
    }
    setup.printer.rows(&rows)?;
    if count == limit && !setup.printer.is_json() {
        setup.printer.note(&format!("(the first {limit} rows; --limit shows more)"));
    }
    hub.close().await;
    Ok(0)
}

/// Lists runs, or shows one with its steps.
pub(crate) async fn runs(setup: &Setup, command: Option<RunsCommand>) -> Result<u8, Failure> {
    let hub = setup.open_existing().await?;
    let store = hub.lake().store();
    // One run is looked for among all, however long ago it was.
    let runs = store.runs(if command.is_none() { 50 } else { u32::MAX }).await?;
    let mut code = 0;
    match command {
        None if setup.printer.is_json() => setup.printer.json(&json!({ "runs": runs })),
        None => {
            for run in &runs {
                setup.printer.line(&format!(
                    "{:>5}  {:<10} {}  {}",
                    run.run_id, run.state, run.started_at, run.selector
                ));
            }
        }
        Some(RunsCommand::Show { run: wanted }) => {
            let Some(run) = runs.iter().find(|run| run.run_id == wanted) else {
                let message = format!("there is no run {wanted}");
                return Err(Error::new(ErrorKind::Config, "E-NO-RUN", message)
                    .hint("`huiliu runs` lists them")
                    .into());
            };
            let steps = store.steps(Some(wanted)).await?;
            if setup.printer.is_json() {
                let uneven: Vec<&str> = steps
                    .iter()
                    .filter(|step| matches!(step.kind.as_str(), "stream" | "replay"))
                    .filter(|step| step.balance.check().is_err())
                    .map(|step| step.node.as_str())
                    .collect();
                if !uneven.is_empty() {
                    code = huiliu_core::policy::exit::FAILED;
                }
                let balanced = uneven.is_empty();
                setup.printer.json(&json!({
                    "run": run, "steps": steps, "balanced": balanced, "uneven": uneven,
                }));
            } else {
                setup.printer.line(&format!("run {}: {}", run.run_id, run.state));
                work::print_steps(setup.printer, &steps);
                if !work::print_sums(setup.printer, &steps) {
                    code = huiliu_core::policy::exit::FAILED;
                }
            }
        }
    }
    hub.close().await;
    Ok(code)
}
