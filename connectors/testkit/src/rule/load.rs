//! Whole tables.

use huiliu_sdk::{Cx, Endpoint, ErrorKind, LoadMode, LoadRequest, ReadMode, Result, StreamId};

use super::value::assert_values;
use super::write::without_bytes;
use super::{capabilities, does_not_apply, joined, reading, writing};
use crate::stop::{Ended, Stop, moments, stop};
use crate::{System, Table, cx, hazard, open, read};

/// Loads the table in place of what is there, in two batches.
async fn load(endpoint: &dyn Endpoint, cx: &Cx, table: &Table) -> Result<u64> {
    let push = StreamId::new(table.name.as_str());
    let request = LoadRequest { push, schema: table.batch.schema(), mode: LoadMode::Replace };
    let mut loader = endpoint.loader(cx, request).await?;
    let half = table.batch.num_rows() / 2;
    loader.write(cx, table.batch.slice(0, half)).await?;
    loader.write(cx, table.batch.slice(half, table.batch.num_rows() - half)).await?;
    loader.finish(cx).await
}

/// A table of every type that is loaded is read back by the connector's own source; loaded again
/// it is there once.
pub async fn a_whole_table_is_read_back_as_it_was_loaded<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.loader {
        return does_not_apply(system, "loader").await;
    }
    let mut table = system.storable(hazard::every_type());
    system.target(&table).await;
    for round in 0..2 {
        let endpoint = open(&system, writing(&system, &table, true));
        let loaded = match load(&*endpoint, &cx(), &table).await {
            Err(error) if system.connector().bounds().bytes.is_some() && round == 0 => {
                assert_eq!(error.kind(), ErrorKind::Schema, "{error}");
                table = without_bytes(&table);
                system.target(&table).await;
                load(&*open(&system, writing(&system, &table, true)), &cx(), &table).await
            }
            loaded => loaded,
        };
        assert_eq!(loaded.expect("a load"), 4);
        assert_eq!(joined(&sorted(&mut system, &table).await), joined(&table.ids()));
        if declared.source {
            let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
            let outcome = read(&*endpoint, &cx(), &table.name, None).await.expect("a read");
            assert_values(&system, &table, &outcome);
        }
    }
    system.end().await;
}

async fn sorted<S: System>(system: &mut S, table: &Table) -> Vec<String> {
    let mut ids = system.written(table).await;
    ids.sort();
    ids
}

/// Nothing of a load is seen before its end. Stopped at any await, it leaves the old table or, once
/// it was told to finish, the new one; the next load goes well.
pub async fn a_load_stopped_at_any_await_leaves_the_old_or_the_new_table<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).loader {
        return does_not_apply(system, "loader").await;
    }
    let (old, new) = (hazard::cases(0, 10), hazard::cases(5, 25));
    system.target(&old).await;
    let endpoint = open(&system, writing(&system, &old, true));
    for how in [Stop::Cancel, Stop::Drop] {
        for at in moments() {
            load(&*endpoint, &cx(), &old).await.expect("a load of the old table");
            let cx_stopped = cx();
            let what = format!("{how:?} at poll {at}");
            let is_done =
                match stop(how, at, &cx_stopped, load(&*endpoint, &cx_stopped, &new)).await {
                    Ended::Itself(loaded) => {
                        assert_eq!(loaded.expect("a load that nobody stops"), 20);
                        true
                    }
                    Ended::Asked(Err(error)) => {
                        assert_eq!(error.kind(), ErrorKind::Cancelled, "{what}: {error}");
                        false
                    }
                    Ended::Asked(Ok(loaded)) => {
                        assert_eq!(loaded, 20, "{what}");
                        let there = joined(&sorted(&mut system, &new).await);
                        assert_eq!(there, joined(&new.ids()), "{what}: a load that ended well");
                        false
                    }
                    Ended::Dropped => false,
                };
            let there = joined(&sorted(&mut system, &new).await);
            let is_whole = there == joined(&old.ids()) || there == joined(&new.ids());
            assert!(is_whole, "{what}: neither the old nor the new table: {there}");
            load(&*endpoint, &cx(), &new).await.unwrap_or_else(|error| {
                panic!("{what}: the next load: {:?} {error}", error.kind())
            });
            assert_eq!(joined(&sorted(&mut system, &new).await), joined(&new.ids()), "{what}");
            if is_done {
                break;
            }
        }
    }
    system.end().await;
}
