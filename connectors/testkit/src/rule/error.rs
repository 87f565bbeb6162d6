//! Errors: the right kind, no secret, and never a read that ends well with less than there is.

use huiliu_sdk::{Error, ErrorKind, Event, RawConfig, ReadMode, Result, StreamId};

use super::{assert_rows, capabilities, does_not_apply, put, reading};
use crate::{CANARY, Read, System, Trouble, cx, hazard, limited, open, read, request};

/// What goes wrong has the kind by which a policy can act on it, says what to do, and repeats
/// nothing that the configuration keeps secret.
pub async fn errors_have_the_right_kind_and_hold_no_secret<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    let table = hazard::cases(0, 5);
    put(&mut system, &table).await;
    let troubles = [
        (Trouble::Unreachable, &[ErrorKind::Unreachable, ErrorKind::Timeout][..]),
        (Trouble::Login, &[ErrorKind::Auth]),
        (Trouble::Place, &[ErrorKind::NotFound]),
    ];
    for (trouble, kinds) in troubles {
        let Some(mut raw) = system.troubled(trouble) else { continue };
        if declared.source {
            raw.streams.push(system.stream(&table, ReadMode::Full));
        }
        let endpoint = open(&system, raw);
        let probe = endpoint.probe(&cx()).await;
        assert_told(&probe.expect_err("a probe of what is not there"), kinds, trouble);
        if declared.discover {
            let listed = endpoint.discover(&cx()).await;
            assert_told(&listed.expect_err("a list of what is not there"), kinds, trouble);
        }
        if declared.source {
            let outcome = read(&*endpoint, &cx(), &table.name, None).await;
            assert_told(&outcome.expect_err("a read of what is not there"), kinds, trouble);
        }
    }
    if declared.source {
        missing_table_and_column(&system).await;
    }
    system.end().await;
}

fn assert_told(error: &Error, kinds: &[ErrorKind], what: impl std::fmt::Debug) {
    let told = format!("{error} {error:?} {:?}", error.hint_text());
    assert!(!told.contains(CANARY), "{what:?}: an error holds the secret: {told}");
    assert!(kinds.contains(&error.kind()), "{what:?}: {:?} {error}", error.kind());
    assert!(error.code().starts_with('E'), "{what:?}: {}", error.code());
    assert!(error.hint_text().is_some(), "{what:?}: nobody is told what to do: {error}");
}

async fn missing_table_and_column<S: System>(system: &S) {
    let mut gone = hazard::cases(0, 5);
    gone.name = "no_such_table".to_owned();
    let endpoint = open(system, reading(system, &gone, ReadMode::Full));
    match read(&*endpoint, &cx(), &gone.name, None).await {
        // Where tables are looked for by a pattern, none may be there yet.
        Ok(outcome) => {
            let is_nothing = outcome.is_empty() && outcome.complete == Some(false);
            assert!(is_nothing, "a table that is not there is read as complete");
        }
        Err(error) => assert_told(&error, &[ErrorKind::NotFound], "a missing table"),
    }
    let table = hazard::cases(0, 5);
    let mut raw: RawConfig = reading(system, &table, ReadMode::Full);
    raw.streams[0].settings.key = vec!["no_such_column".to_owned()];
    let outcome = match system.connector().configure(raw) {
        // Where the configuration names all columns, it is told at once.
        Err(faults) => {
            let is_told = faults.0.iter().any(|fault| fault.path == "streams[0].key");
            return assert!(is_told, "{:?}", faults.0);
        }
        Ok(endpoint) => read(&*endpoint, &cx(), &table.name, None).await,
    };
    let error = outcome.expect_err("a key that is no column");
    assert_told(&error, &[ErrorKind::Schema, ErrorKind::Config], "a missing column");
    assert!(error.message().contains("no_such_column"), "the column is not named: {error}");
}

/// When the system goes away in the middle, a read ends with an error of a kind that is tried
/// again or looked into, or it had all rows in hand.
pub async fn a_system_that_vanishes_never_ends_a_read_well<S: System>() {
    let mut system = S::fresh().await;
    if !capabilities(&system).source {
        return does_not_apply(system, "source").await;
    }
    // More than what waits in any buffer on the way.
    let table = hazard::wide_rows(6_000, 2_000);
    put(&mut system, &table).await;
    let endpoint = open(&system, reading(&system, &table, ReadMode::Full));
    let cx = limited(50);
    let source = endpoint.source(&cx, request(&table.name, None)).await;
    let mut source = source.expect("a read can start");
    let stream = StreamId::new(table.name.as_str());
    let mut outcome = Read::default();
    let mut has_vanished = false;
    let ended: Result<()> = loop {
        match source.next(&cx).await {
            Ok(Some(event)) => {
                let is_rows = matches!(event, Event::Rows(_));
                outcome.take(&stream, &cx, event);
                if is_rows && !has_vanished {
                    system.vanish().await;
                    has_vanished = true;
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(has_vanished, "no rows came");
    match ended {
        Ok(()) => assert_rows(&table, &outcome, "a read that ends well"),
        Err(error) => {
            let kinds = [
                ErrorKind::Unreachable,
                ErrorKind::Timeout,
                ErrorKind::NotFound,
                ErrorKind::Conflict,
                ErrorKind::Data,
            ];
            assert_told(&error, &kinds, "a system that vanishes");
        }
    }
    drop(source);
    system.end().await;
}
