//! Probes and lists of streams.

use std::sync::Arc;

use huiliu_sdk::{Clock, Cx, ManualClock, RawStream, ReadMode, StreamSettings, SystemClock};

use super::{assert_rows, capabilities, does_not_apply, put, reading};
use crate::{System, cx, hazard, limited, open, read};

/// `probe` and `discover` leave everything as it was.
pub async fn looking_at_a_system_changes_nothing<S: System>() {
    let mut system = S::fresh().await;
    let table = hazard::cases(0, 20);
    put(&mut system, &table).await;
    let declared = capabilities(&system);
    let raw = match declared.source {
        true => reading(&system, &table, ReadMode::Full),
        false => system.config(),
    };
    let before = system.content().await;
    let endpoint = open(&system, raw);
    let cx = cx();
    for _ in 0..2 {
        let probe = endpoint.probe(&cx).await.expect("a probe goes well");
        assert!(!probe.summary.is_empty(), "a probe says what answered");
        assert!(!probe.summary.contains(crate::CANARY), "{}", probe.summary);
    }
    if declared.discover {
        endpoint.discover(&cx).await.expect("streams are listed");
    }
    assert_eq!(system.content().await, before, "looking has changed the system");
    system.end().await;
}

/// A stream as `discover` proposes it is configured and read as it is.
pub async fn what_is_discovered_can_be_read<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).discover {
        return does_not_apply(system, "discover").await;
    }
    let table = hazard::cases(0, 20);
    put(&mut system, &table).await;
    let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
    let found = endpoint.discover(&cx()).await.expect("streams are listed");
    assert!(!found.is_empty(), "a table is not listed");
    let mut raw = system.config();
    for (index, spec) in found.iter().enumerate() {
        let settings = StreamSettings {
            name: format!("s{index}"),
            key: spec.key.clone(),
            columns: spec.columns.iter().cloned().collect(),
            ..StreamSettings::default()
        };
        raw.streams.push(RawStream { settings, options: spec.options.clone() });
    }
    let endpoint = open(&system, raw);
    // What was put there a moment ago may be left alone for a while.
    let later = ManualClock::new(SystemClock.now() + chrono::Duration::hours(1));
    let cx = Cx { clock: Arc::new(later), ..limited(7) };
    let mut sizes = Vec::new();
    for index in 0..found.len() {
        let name = format!("s{index}");
        let outcome = read(&*endpoint, &cx, &name, None).await;
        let outcome = outcome.expect("a stream that is listed can be read");
        if outcome.ids() == table.ids() {
            assert_rows(&table, &outcome, "what was discovered");
            return system.end().await;
        }
        sizes.push(outcome.len());
    }
    panic!("none of the streams has the rows of the table: {found:?}, rows {sizes:?}");
}
