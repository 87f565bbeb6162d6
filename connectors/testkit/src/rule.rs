//! The rules, each of which is one test of each connector.

mod bound;
mod capability;
mod column;
mod error;
mod key;
mod load;
mod look;
mod memory;
mod resume;
mod stop;
mod value;
mod write;

pub use bound::{
    a_preview_ends_at_its_limit, a_very_large_row_is_never_cut, batches_stay_within_their_limits,
    very_many_columns_are_all_read,
};
pub use capability::{
    a_way_of_reading_that_is_not_declared_is_refused_by_configure,
    what_is_not_declared_is_refused_by_name,
};
pub use column::changed_columns_are_told_and_values_stay_right;
pub use error::{
    a_system_that_vanishes_never_ends_a_read_well, errors_have_the_right_kind_and_hold_no_secret,
};
pub use key::{
    all_faults_of_a_configuration_are_told_at_once,
    every_key_has_a_description_an_example_and_a_default, keys_that_are_not_described_are_refused,
};
pub use load::{
    a_load_stopped_at_any_await_leaves_the_old_or_the_new_table,
    a_whole_table_is_read_back_as_it_was_loaded,
};
pub use look::{looking_at_a_system_changes_nothing, what_is_discovered_can_be_read};
pub use memory::memory_stays_within_what_is_declared;
pub use resume::{
    a_checkpoint_acknowledged_twice_has_one_effect, a_read_goes_on_from_every_checkpoint,
};
pub use stop::{
    a_read_cancelled_at_any_await_ends_and_leaves_nothing,
    a_read_dropped_at_any_await_leaves_nothing,
};
pub use value::{
    a_stream_without_rows_has_columns_and_an_end, odd_names_of_columns_are_only_names,
    odd_text_is_read_as_it_is_or_set_aside, rows_without_values_and_rows_of_one_key_are_all_read,
    text_that_is_none_is_set_aside_with_its_original, values_of_every_type_are_read_as_they_are,
};
pub use write::{
    a_write_stopped_at_any_await_can_be_done_again, each_record_has_an_outcome_of_its_own,
    records_are_read_back_as_they_were_written, records_written_twice_have_one_effect_or_say_so,
};

use arrow::datatypes::DataType;
use huiliu_sdk::{Capabilities, RawConfig, ReadMode};

use crate::{Read, System, Table, texts, value::same};

/// Ends a rule that does not apply, because the connector does not declare what it is about.
async fn does_not_apply<S: System>(system: S, what: &str) {
    eprintln!("does not apply: the connector declares no {what}");
    system.end().await;
}

/// The declared ways of reading.
fn modes(capabilities: Capabilities) -> Vec<ReadMode> {
    [
        (capabilities.source, ReadMode::Full),
        (capabilities.incremental, ReadMode::Incremental),
        (capabilities.flagged, ReadMode::Flagged),
    ]
    .into_iter()
    .filter_map(|(is_declared, mode)| is_declared.then_some(mode))
    .collect()
}

fn capabilities<S: System>(system: &S) -> Capabilities {
    system.connector().spec().capabilities
}

/// The system's configuration with one stream.
fn reading<S: System>(system: &S, table: &Table, mode: ReadMode) -> RawConfig {
    let mut raw = system.config();
    raw.streams.push(system.stream(table, mode));
    raw
}

/// The system's configuration with one push, of records or of the `whole` table.
fn writing<S: System>(system: &S, table: &Table, whole: bool) -> RawConfig {
    let mut raw = system.config();
    raw.pushes.push(system.push(table, whole));
    raw
}

async fn put<S: System>(system: &mut S, table: &Table) {
    if let Err(refused) = system.put(table).await {
        panic!("the system does not take table `{}`: {}", table.name, refused.0);
    }
}

/// Asserts that the rows of `table` came, each once and none besides, whatever their order.
fn assert_rows(table: &Table, read: &Read, what: &str) {
    assert!(read.rejected.is_empty(), "{what}: rows are set aside: {:?}", read.rejected);
    assert_found(table, &texts(&read.batches, &table.names()), what);
}

fn assert_found(table: &Table, found: &[Vec<crate::Text>], what: &str) {
    let (expected, mut found) = (table.rows(), found.to_vec());
    let schema = table.batch.schema();
    let kinds: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
    let equal = |row: &[crate::Text], other: &[crate::Text]| {
        row.iter().zip(other).zip(&kinds).all(|((a, b), kind)| same(kind, a, b))
    };
    for row in &expected {
        let Some(at) = found.iter().position(|other| equal(row, other)) else {
            panic!("{what}: a row did not come as it is\n{}", nearest(table, row, &found));
        };
        found.swap_remove(at);
    }
    assert!(found.is_empty(), "{what}: {} rows came that are not there", found.len());
}

/// What differs between a row and the one with the same first value.
fn nearest(table: &Table, row: &[crate::Text], found: &[Vec<crate::Text>]) -> String {
    let Some(near) = found.iter().find(|other| other.first() == row.first()) else {
        let first: Vec<_> = found.iter().map(|other| other.first()).take(5).collect();
        return format!("no row begins with {:?}, but {first:?}", row.first());
    };
    let mut differences = Vec::new();
    for (index, field) in table.batch.schema().fields().iter().enumerate() {
        if !same(field.data_type(), &row[index], &near[index]) {
            let shown = |text: &crate::Text| {
                text.as_ref().map(|text| text.chars().take(60).collect::<String>())
            };
            let (expected, came) = (shown(&row[index]), shown(&near[index]));
            differences.push(format!("{}: {expected:?} came as {came:?}", field.name()));
        }
    }
    differences.join("\n")
}

/// `id`s as one line.
fn joined(ids: &[String]) -> String {
    ids.join(" ")
}
