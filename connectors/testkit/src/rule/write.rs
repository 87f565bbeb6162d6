//! Records, each with an outcome.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use huiliu_sdk::{
    Cx, Endpoint, ErrorKind, Outcome, ReadMode, Receipt, Result, StreamId, WriteBatch, WriteRequest,
};

use super::value::assert_values;
use super::{capabilities, does_not_apply, joined, reading, writing};
use crate::stop::{Ended, Stop, moments, stop};
use crate::{System, Table, cx, hazard, open, read};

fn batch(table: &Table) -> WriteBatch {
    WriteBatch {
        stream: StreamId::new(table.name.as_str()),
        batch: table.batch.clone(),
        idempotency_keys: table.column("id").into_iter().flatten().collect(),
    }
}

/// Writes all records through a sink of their own.
async fn write(endpoint: &dyn Endpoint, cx: &Cx, table: &Table) -> Result<Receipt> {
    let push = StreamId::new(table.name.as_str());
    let mut sink = endpoint.sink(cx, WriteRequest { push }).await?;
    sink.write(cx, batch(table)).await
}

fn assert_accepted(receipt: &Receipt, table: &Table) {
    let all = vec![Outcome::Accepted; table.batch.num_rows()];
    assert_eq!(receipt.outcomes, all, "records of `{}`", table.name);
}

/// What the sink says of itself is what the connector declares, and what it says is so: written
/// again under their keys, records have no second effect.
pub async fn records_written_twice_have_one_effect_or_say_so<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.sink {
        return does_not_apply(system, "sink").await;
    }
    let table = hazard::cases(0, 40);
    system.target(&table).await;
    let endpoint = open(&system, writing(&system, &table, false));
    let push = StreamId::new(table.name.as_str());
    let mut sink = endpoint.sink(&cx(), WriteRequest { push }).await.expect("a sink");
    assert_eq!(sink.is_repeatable(), declared.idempotent_sink);
    assert_accepted(&sink.write(&cx(), batch(&table)).await.expect("a write"), &table);
    assert_eq!(joined(&sorted(system.written(&table).await)), joined(&table.ids()));
    if declared.idempotent_sink {
        assert_accepted(&sink.write(&cx(), batch(&table)).await.expect("a second write"), &table);
        drop(sink);
        assert_accepted(&write(&*endpoint, &cx(), &table).await.expect("a third write"), &table);
        let written = sorted(system.written(&table).await);
        assert_eq!(joined(&written), joined(&table.ids()), "a record has a second effect");
    }
    system.end().await;
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// The record that the target refuses is told with a code and words; the others are there.
pub async fn each_record_has_an_outcome_of_its_own<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).sink {
        return does_not_apply(system, "sink").await;
    }
    let mut table = hazard::cases(0, 7);
    let (refused, refused_name) = (4, system.refused_name());
    let names: Vec<String> = (0..7)
        .map(|row| refused_name.clone().filter(|_| row == refused).unwrap_or(format!("name {row}")))
        .collect();
    table.batch = with_names(&table.batch, names);
    system.target(&table).await;
    let endpoint = open(&system, writing(&system, &table, false));
    let receipt = write(&*endpoint, &cx(), &table).await.expect("a write");
    assert_eq!(receipt.outcomes.len(), 7, "each record has an outcome");
    for (row, outcome) in receipt.outcomes.iter().enumerate() {
        match outcome {
            Outcome::Accepted => {
                let is_wrong = row == refused && refused_name.is_some();
                assert!(!is_wrong, "the refused record is accepted");
            }
            Outcome::Rejected { code, message } => {
                assert_eq!(row, refused, "another record is refused: {message}");
                assert!(!code.is_empty() && !message.is_empty(), "a refusal says why");
            }
            other => panic!("record {row}: {other:?}"),
        }
    }
    let mut expected = table.ids();
    if refused_name.is_some() {
        expected.remove(refused);
    }
    assert_eq!(joined(&sorted(system.written(&table).await)), joined(&expected));
    system.end().await;
}

fn with_names(batch: &RecordBatch, names: Vec<String>) -> RecordBatch {
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    let at = batch.schema().index_of("name").expect("cases have names");
    columns[at] = Arc::new(StringArray::from(names));
    RecordBatch::try_new(batch.schema(), columns).expect("the same columns")
}

/// Records of every type, read by the connector's own source, are what was written. Where the
/// connector says that bytes do not come back, it may refuse to write them.
pub async fn records_are_read_back_as_they_were_written<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.sink {
        return does_not_apply(system, "sink").await;
    }
    if !declared.source {
        return does_not_apply(system, "source").await;
    }
    let mut table = system.storable(hazard::every_type());
    system.target(&table).await;
    let endpoint = open(&system, writing(&system, &table, false));
    let receipt = match write(&*endpoint, &cx(), &table).await {
        Err(error) if system.connector().bounds().bytes.is_some() => {
            assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
            table = without_bytes(&table);
            system.target(&table).await;
            write(&*open(&system, writing(&system, &table, false)), &cx(), &table).await
        }
        receipt => receipt,
    };
    assert_accepted(&receipt.expect("a write"), &table);
    let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
    let outcome = read(&*endpoint, &cx(), &table.name, None).await.expect("a read");
    assert_values(&system, &table, &outcome);
    system.end().await;
}

pub(super) fn without_bytes(table: &Table) -> Table {
    let keep: Vec<usize> = (table.names().iter().enumerate())
        .filter_map(|(index, name)| (name != "photo").then_some(index))
        .collect();
    Table { batch: table.batch.project(&keep).expect("columns that are there"), ..table.clone() }
}

/// A write that is asked to stop, or whose caller goes away, at any await, ends soon; nothing stays
/// locked, and written again the records are there, once where the connector promises that.
pub async fn a_write_stopped_at_any_await_can_be_done_again<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.sink {
        return does_not_apply(system, "sink").await;
    }
    let table = hazard::cases(0, 30);
    for how in [Stop::Cancel, Stop::Drop] {
        for at in moments() {
            system.target(&table).await;
            let endpoint = open(&system, writing(&system, &table, false));
            let cx_stopped = cx();
            let what = format!("{how:?} at poll {at}");
            let work = write(&*endpoint, &cx_stopped, &table);
            let is_done = match stop(how, at, &cx_stopped, work).await {
                Ended::Itself(receipt) => {
                    assert_accepted(&receipt.expect("a write that nobody stops"), &table);
                    true
                }
                Ended::Asked(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Cancelled, "{what}: {error}");
                    false
                }
                // What it says it has done, it has done.
                Ended::Asked(Ok(receipt)) => {
                    let written = system.written(&table).await;
                    let ids = table.column("id").into_iter().flatten();
                    for (id, outcome) in ids.zip(&receipt.outcomes) {
                        let is_there = written.contains(&id);
                        assert!(is_there || *outcome != Outcome::Accepted, "{what}: {id} is lost");
                    }
                    false
                }
                Ended::Dropped => false,
            };
            let again = write(&*endpoint, &cx(), &table).await;
            let again = again.unwrap_or_else(|error| panic!("{what}: the next write: {error}"));
            assert_accepted(&again, &table);
            let mut written = sorted(system.written(&table).await);
            if !declared.idempotent_sink {
                written.dedup();
            }
            assert_eq!(joined(&written), joined(&table.ids()), "{what}");
            if is_done {
                break;
            }
        }
    }
    system.end().await;
}
