//! The hub's own tables for queries: runs, steps, streams, outbox, audits, quarantine, codes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use chrono_tz::Tz;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use huiliu_core::code_table::CodeTables;
use huiliu_sdk::Result;
use huiliu_store::Store;

use crate::failure::engine_error;
use crate::text::day_in;

type Named = (String, Arc<dyn TableProvider>);

fn table(name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<Named> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let table = MemTable::try_new(schema, vec![vec![batch]])
        .map_err(|e| engine_error("the hub's own tables", e))?;
    Ok((name.to_owned(), Arc::new(table)))
}

fn texts<T>(rows: &[T], value: impl Fn(&T) -> Option<&str>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<StringArray>())
}

fn numbers<T>(rows: &[T], value: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<Int64Array>())
}

fn count(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}

/// The tables of schema `ops`.
pub(crate) async fn ops_tables(store: &Store, zone: Tz) -> Result<Vec<Named>> {
    let runs = store.runs(10_000).await?;
    let steps = store.steps(None).await?;
    let streams = store.stream_states().await?;
    let outbox = store.outbox_counts().await?;
    let audits = store.verdicts().await?;
    let days = store.push_days(None, |at| day_in(at, zone)).await?;
    Ok(vec![
        table(
            "runs",
            vec![
                ("run_id", numbers(&runs, |r| Some(r.run_id))),
                ("job", texts(&runs, |r| r.job.as_deref())),
                ("selector", texts(&runs, |r| Some(&r.selector))),
                ("state", texts(&runs, |r| Some(&r.state))),
                ("started_at", texts(&runs, |r| Some(&r.started_at))),
                ("finished_at", texts(&runs, |r| r.finished_at.as_deref())),
                ("exit_code", numbers(&runs, |r| r.exit_code)),
            ],
        )?,
        table(
            "steps",
            vec![
                ("run_id", numbers(&steps, |s| Some(s.run_id))),
                ("node", texts(&steps, |s| Some(&s.node))),
                ("kind", texts(&steps, |s| Some(&s.kind))),
                ("state", texts(&steps, |s| Some(&s.state))),
                ("read", numbers(&steps, |s| count(s.balance.read))),
                ("written", numbers(&steps, |s| count(s.balance.written))),
                ("unchanged", numbers(&steps, |s| count(s.balance.unchanged))),
                ("deduplicated", numbers(&steps, |s| count(s.balance.deduplicated))),
                ("filtered", numbers(&steps, |s| count(s.balance.filtered))),
                ("quarantined", numbers(&steps, |s| count(s.balance.quarantined))),
                ("echoed", numbers(&steps, |s| count(s.balance.echoed))),
                ("deleted", numbers(&steps, |s| count(s.balance.deleted))),
                ("snapshot_id", numbers(&steps, |s| s.snapshot_id)),
                ("code", texts(&steps, |s| s.code.as_deref())),
                ("message", texts(&steps, |s| s.message.as_deref())),
                ("started_at", texts(&steps, |s| Some(&s.started_at))),
                ("finished_at", texts(&steps, |s| s.finished_at.as_deref())),
            ],
        )?,
        table(
            "streams",
            vec![
                ("system", texts(&streams, |s| Some(&s.system))),
                ("stream", texts(&streams, |s| Some(&s.stream))),
                ("seq", numbers(&streams, |s| Some(s.seq))),
                ("snapshot_id", numbers(&streams, |s| Some(s.snapshot_id))),
                ("run_id", numbers(&streams, |s| Some(s.run_id))),
                ("updated_at", texts(&streams, |s| Some(&s.updated_at))),
            ],
        )?,
        table(
            "outbox",
            vec![
                ("system", texts(&outbox, |o| Some(&o.system))),
                ("push", texts(&outbox, |o| Some(&o.push))),
                ("state", texts(&outbox, |o| Some(&o.state))),
                ("records", numbers(&outbox, |o| Some(o.records))),
                ("attempts", numbers(&outbox, |o| Some(o.attempts))),
            ],
        )?,
        table(
            "push_days",
            vec![
                ("system", texts(&days, |d| Some(&d.system))),
                ("push", texts(&days, |d| Some(&d.push))),
                ("day", texts(&days, |d| Some(&d.day))),
                ("sent", numbers(&days, |d| Some(d.sent))),
                ("accepted", numbers(&days, |d| Some(d.accepted))),
                ("rejected", numbers(&days, |d| Some(d.rejected))),
                ("waiting", numbers(&days, |d| Some(d.waiting))),
                ("unknown", numbers(&days, |d| Some(d.unknown))),
                ("missing", numbers(&days, |d| Some(d.missing()))),
            ],
        )?,
        table(
            "audits",
            vec![
                ("audit", texts(&audits, |a| Some(&a.audit))),
                ("run_id", numbers(&audits, |a| Some(a.run_id))),
                ("severity", texts(&audits, |a| Some(&a.severity))),
                ("rows", numbers(&audits, |a| Some(a.row_count))),
                ("examples", texts(&audits, |a| Some(&a.examples))),
                ("found_at", texts(&audits, |a| Some(&a.found_at))),
            ],
        )?,
    ])
}

/// The table of schema `quarantine`.
pub(crate) async fn quarantine_tables(store: &Store) -> Result<Vec<Named>> {
    let rows = store.quarantine().await?;
    Ok(vec![table(
        "rows",
        vec![
            ("quarantine_id", numbers(&rows, |r| Some(r.quarantine_id))),
            ("run_id", numbers(&rows, |r| Some(r.run_id))),
            ("system", texts(&rows, |r| Some(&r.system))),
            ("stream", texts(&rows, |r| Some(&r.stream))),
            ("origin", texts(&rows, |r| Some(&r.origin))),
            ("position", numbers(&rows, |r| Some(r.position))),
            ("code", texts(&rows, |r| Some(&r.code))),
            ("reason", texts(&rows, |r| Some(&r.reason))),
            ("quarantined_at", texts(&rows, |r| Some(&r.quarantined_at))),
        ],
    )?])
}

/// The tables of schema `codes`: the files of `config/codes/`.
pub(crate) fn code_tables(codes: &CodeTables) -> Result<Vec<Named>> {
    let mut tables = Vec::new();
    for name in codes.names() {
        let code_table = codes.get(name)?;
        let rows: Vec<&[String]> = code_table.rows().collect();
        let columns = code_table
            .columns()
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let values = texts(&rows, |row| {
                    row.get(index).map(String::as_str).filter(|value| !value.is_empty())
                });
                (column.as_str(), values)
            })
            .collect();
        tables.push(table(name, columns)?);
    }
    Ok(tables)
}
