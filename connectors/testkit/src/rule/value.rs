//! Values and names nobody hopes for.

use arrow::datatypes::DataType;
use huiliu_sdk::{ErrorKind, OriginalValue, ReadMode, read_original};

use super::{assert_found, assert_rows, capabilities, does_not_apply, modes, put, reading};
use crate::{Read, Refused, System, Table, Text, cx, hazard, open, read, texts};

async fn read_table<S: System>(system: &S, table: &Table) -> Read {
    let endpoint = open(system, reading(system, table, ReadMode::Full));
    let outcome = read(&*endpoint, &cx(), &table.name, None).await;
    outcome.unwrap_or_else(|error| panic!("table `{}`: {error}", table.name))
}

/// No rows are no fault: columns where they are known, a checkpoint, an end.
pub async fn a_stream_without_rows_has_columns_and_an_end<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.source {
        return does_not_apply(system, "source").await;
    }
    let table = hazard::empty();
    put(&mut system, &table).await;
    for mode in modes(declared) {
        let endpoint = open(&system, reading(&system, &table, mode));
        let outcome = read(&*endpoint, &cx(), &table.name, None).await.expect("a read of nothing");
        assert!(outcome.is_empty() && outcome.rejected.is_empty(), "{mode:?}: rows from nowhere");
        let schema = outcome.schemas.last().expect("columns are told");
        for name in table.names().iter().filter(|name| *name != "flag") {
            assert!(schema.field_with_name(name).is_ok(), "{mode:?}: no column `{name}`");
        }
        let again = read(&*endpoint, &cx(), &table.name, outcome.resume()).await;
        assert!(again.expect("a second read of nothing").is_empty());
    }
    system.end().await;
}

/// Rows without a value and several rows of one key are rows like others.
pub async fn rows_without_values_and_rows_of_one_key_are_all_read<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    for table in [hazard::all_null(), hazard::duplicate_keys()] {
        let table = system.storable(table);
        put(&mut system, &table).await;
        assert_rows(&table, &read_table(&system, &table).await, &table.name);
    }
    system.end().await;
}

/// The extremes of every type come as they are, and no value stays none.
pub async fn values_of_every_type_are_read_as_they_are<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    let table = system.storable(hazard::every_type());
    put(&mut system, &table).await;
    let outcome = read_table(&system, &table).await;
    assert_values(&system, &table, &outcome);
    system.end().await;
}

/// Asserts that the rows came. Where the connector says that bytes do not come back, they come as
/// text of their hexadecimal digits.
pub(super) fn assert_values<S: System>(system: &S, table: &Table, outcome: &Read) {
    assert!(outcome.rejected.is_empty(), "rows are set aside: {:?}", outcome.rejected);
    let names = table.names();
    let mut found = texts(&outcome.batches, &names);
    if system.connector().bounds().bytes.is_some() {
        let schema = table.batch.schema();
        for (index, field) in schema.fields().iter().enumerate() {
            if *field.data_type() != DataType::Binary {
                continue;
            }
            for row in &mut found {
                row[index] = row[index].take().map(|text| digits(&text));
            }
        }
    }
    assert_found(table, &found, "values");
}

/// Bytes that are digits themselves, as those.
fn digits(hex: &str) -> String {
    let bytes: Option<Vec<u8>> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok())
        .collect();
    match bytes.map(String::from_utf8) {
        Some(Ok(text)) if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => text,
        _ => hex.to_owned(),
    }
}

/// Whatever a column is called, it is a name, and its values come under it.
pub async fn odd_names_of_columns_are_only_names<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    for table in [vec![hazard::odd_names()], hazard::hostile_names()].concat() {
        put(&mut system, &table).await;
        assert_rows(&table, &read_table(&system, &table).await, "odd names");
    }
    system.end().await;
}

/// Text comes as it is or its row is set aside; the rows around it come.
pub async fn odd_text_is_read_as_it_is_or_set_aside<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    let table = system.storable(hazard::odd_text());
    put(&mut system, &table).await;
    assert_rows(&table, &read_table(&system, &table).await, "odd text");
    let table = hazard::nul_text();
    match system.put(&table).await {
        Err(refused) => refuses(&refused),
        Ok(()) => {
            let outcome = read_table(&system, &table).await;
            assert_one_aside(&table, &outcome, |value| {
                *value == OriginalValue::Text("nul\0inside".to_owned())
            });
        }
    }
    system.end().await;
}

fn refuses(refused: &Refused) {
    assert!(!refused.0.is_empty(), "the system refuses without a word");
    eprintln!("the system does not take it: {}", refused.0);
}

/// Text that is none in its encoding is set aside with its bytes; the rows around it come.
pub async fn text_that_is_none_is_set_aside_with_its_original<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    let table = hazard::broken_text();
    match system.put(&table).await {
        Err(refused) => refuses(&refused),
        Ok(()) => {
            let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
            match read(&*endpoint, &cx(), &table.name, None).await {
                Ok(outcome) => assert_one_aside(&table, &outcome, |value| {
                    *value == OriginalValue::Bytes(b"\xd6\xd0\xb9\xfa \xff".to_vec())
                }),
                // Of a document that is none as a whole no row can be told apart.
                Err(error) => assert_eq!(error.kind(), ErrorKind::Data, "{error}"),
            }
        }
    }
    system.end().await;
}

/// Asserts that the middle one of three rows is set aside with its original, or came as it is.
fn assert_one_aside(table: &Table, outcome: &Read, original: impl Fn(&OriginalValue) -> bool) {
    let ids: Vec<Text> = outcome.column("id");
    let came = |id: &str| ids.contains(&Some(id.to_owned()));
    assert!(came("1") && came("3"), "the rows around it are lost: {ids:?}");
    if came("2") {
        return assert_rows(table, outcome, &table.name);
    }
    let [rejected] = &outcome.rejected[..] else {
        panic!("one row is to be set aside: {:?}", outcome.rejected)
    };
    match read_original(&rejected.raw) {
        Some(row) => {
            let body = row.iter().find(|(name, _)| name == "body");
            let is_kept = body.is_some_and(|(_, value)| original(value));
            assert!(is_kept, "the original is not what was there: {rejected:?}");
        }
        None => {
            let text = String::from_utf8_lossy(&rejected.raw);
            assert!(text.contains("_line"), "the original is of no known form: {rejected:?}");
        }
    }
}
