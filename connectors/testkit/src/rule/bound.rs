//! How much comes at once, and how much comes at all.

use huiliu_sdk::{BatchLimits, Cx, ErrorKind, ROW_BYTES, ReadMode};

use super::{assert_rows, capabilities, does_not_apply, modes, put, reading};
use crate::{Refused, System, cx, hazard, limited, open, read, request};

/// A batch holds no more than so many times the bytes that are allowed: buffers grow by doubling,
/// and the last row may go over.
const FACTOR: usize = 4;

/// Columns of a stream that no system has to bear.
const COLUMNS: usize = 5_000;

/// Each batch stays within its rows, and within [`FACTOR`] times its bytes in memory.
pub async fn batches_stay_within_their_limits<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    let table = hazard::wide_rows(1_500, 2_000);
    put(&mut system, &table).await;
    let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
    let limits = BatchLimits { rows: 16_384, bytes: 256 << 10 };
    let outcome = read(&*endpoint, &Cx { limits, ..cx() }, &table.name, None).await;
    let outcome = outcome.expect("a read of wide rows");
    assert_rows(&table, &outcome, "wide rows");
    for batch in &outcome.batches {
        let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size());
        assert!(bytes <= FACTOR * limits.bytes, "{rows} rows in {bytes} bytes");
    }
    let narrow = read(&*endpoint, &limited(64), &table.name, None).await;
    assert_eq!(narrow.expect("a read of few rows at a time").len(), 1_500);
    system.end().await;
}

/// A preview gives as many rows as it is asked for, and no checkpoint that would leave others out.
pub async fn a_preview_ends_at_its_limit<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.source {
        return does_not_apply(system, "source").await;
    }
    let table = hazard::cases(0, 50);
    put(&mut system, &table).await;
    let before = system.content().await;
    for mode in modes(declared) {
        let endpoint = open(&system, reading(&system, &table, mode));
        for limit in [0, 1, 7, 1_000] {
            let cx = limited(5);
            let mut wanted = request(&table.name, None);
            wanted.row_limit = Some(limit);
            let mut source = endpoint.source(&cx, wanted).await.expect("a preview starts");
            let shown =
                read::drain_after(source.as_mut(), &cx, &table.name, crate::Read::default())
                    .await
                    .expect("a preview goes well");
            let expected = usize::try_from(limit).expect("a small number").min(50);
            assert_eq!(shown.len(), expected, "{mode:?}: a preview of {limit}");
            if expected < 50 {
                assert_eq!(shown.complete, Some(false), "{mode:?}: a part calls itself complete");
            }
        }
    }
    assert_eq!(system.content().await, before, "a preview has changed the system");
    system.end().await;
}

/// The largest row that there may be comes as it is. One beyond it is set aside, or fails the read
/// with a clear error; it is never cut.
pub async fn a_very_large_row_is_never_cut<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    for (bytes, is_promised) in
        [(ROW_BYTES / 8, true), (ROW_BYTES - 4_096, true), (ROW_BYTES + 4_096, false)]
    {
        let table = hazard::large_row(bytes);
        if let Err(Refused(words)) = system.put(&table).await {
            assert!(!words.is_empty(), "the system refuses without a word");
            eprintln!("the system does not take a row of {bytes} bytes: {words}");
            continue;
        }
        let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
        match read(&*endpoint, &cx(), &table.name, None).await {
            Ok(outcome) if outcome.rejected.is_empty() => assert_rows(&table, &outcome, "large"),
            Ok(outcome) => {
                assert!(!is_promised, "a row of {bytes} bytes is set aside");
                assert_eq!((outcome.len(), outcome.rejected.len()), (2, 1));
                assert_eq!(outcome.ids().join(" "), "1 3");
            }
            Err(error) => {
                assert!(!is_promised, "a row of {bytes} bytes: {error}");
                assert_eq!(error.kind(), ErrorKind::Data, "{error}");
                assert!(error.hint_text().is_some(), "nobody is told what to do: {error}");
            }
        }
    }
    system.end().await;
}

/// As many columns as the system has at most, and 5,000 where it has no most.
pub async fn very_many_columns_are_all_read<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    let most = system.columns().unwrap_or(COLUMNS);
    let table = hazard::many_columns(most.min(COLUMNS));
    put(&mut system, &table).await;
    let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
    let outcome = read(&*endpoint, &cx(), &table.name, None).await;
    assert_rows(&table, &outcome.expect("a read of many columns"), "many columns");
    system.end().await;
}
