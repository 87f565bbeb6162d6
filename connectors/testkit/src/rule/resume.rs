//! Going on from checkpoints, and telling the source what was committed.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use huiliu_sdk::{Checkpoint, ReadMode};

use super::{capabilities, does_not_apply, joined, modes, put, reading};
use crate::read::{column, read_until};
use crate::{Read, System, Table, cx, hazard, limited, open, read};

const ROWS: usize = 400;

/// Rows before a checkpoint and rows of a read that goes on there are all rows. None comes twice,
/// unless the read starts over and says that it is complete, or the connector says that it repeats
/// the rows at the mark.
pub async fn a_read_goes_on_from_every_checkpoint<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.source {
        return does_not_apply(system, "source").await;
    }
    let table = hazard::cases(0, ROWS);
    put(&mut system, &table).await;
    for mode in modes(declared) {
        let raw = reading(&system, &table, mode);
        if mode == ReadMode::Flagged {
            goes_on_with_flags(&mut system, &table).await;
            continue;
        }
        let endpoint = open(&system, raw);
        let whole = read(&*endpoint, &limited(10), &table.name, None).await.expect("a read");
        assert_eq!(joined(&whole.ids()), joined(&table.ids()), "{mode:?}: a whole read");
        for (batches, checkpoint) in &whole.checkpoints {
            let resume = Some(through_json(checkpoint));
            let rest = read(&*endpoint, &limited(10), &table.name, resume).await;
            let rest = rest.expect("a read goes on");
            let before = &whole.batches[..*batches];
            assert_together(&system, &table, before, &rest, &format!("{mode:?} at {checkpoint:?}"));
        }
    }
    system.end().await;
}

/// A checkpoint is stored between two reads.
fn through_json(checkpoint: &Checkpoint) -> Checkpoint {
    let text = serde_json::to_string(checkpoint).expect("a checkpoint is JSON");
    serde_json::from_str(&text).expect("a checkpoint comes back")
}

fn assert_together<S: System>(
    system: &S,
    table: &Table,
    before: &[RecordBatch],
    rest: &Read,
    what: &str,
) {
    if rest.complete == Some(true) {
        assert_eq!(joined(&rest.ids()), joined(&table.ids()), "{what}: a read that starts over");
        return;
    }
    let seen: BTreeSet<String> = column(before, "id").into_iter().flatten().collect();
    let rest_ids = rest.ids();
    let together: BTreeSet<&String> = seen.iter().chain(&rest_ids).collect();
    assert_eq!(together.len(), ROWS, "{what}: rows are lost");
    let distinct: BTreeSet<&String> = rest_ids.iter().collect();
    assert_eq!(distinct.len(), rest_ids.len(), "{what}: one read gives a row twice");
    let repeated: Vec<&String> = rest_ids.iter().filter(|id| seen.contains(*id)).collect();
    if repeated.is_empty() {
        return;
    }
    assert!(system.connector().bounds().repeats_at_mark, "{what}: {} rows again", repeated.len());
    let mark = column(before, "changed").into_iter().flatten().max();
    for (id, moment) in rest.column("id").into_iter().zip(rest.column("changed")) {
        let is_again = id.as_ref().is_some_and(|id| seen.contains(id));
        assert!(!is_again || moment == mark, "{what}: {id:?} comes again and is not at the mark");
    }
}

/// Of a flagged read only what was acknowledged is marked; the rest comes again.
async fn goes_on_with_flags<S: System>(system: &mut S, table: &Table) {
    let mut number = 0;
    loop {
        put(system, table).await;
        let endpoint = open(system, reading(system, table, ReadMode::Flagged));
        let whole = read(&*endpoint, &limited(10), &table.name, None).await.expect("a read");
        assert_eq!(joined(&whole.ids()), joined(&table.ids()), "nothing is marked unasked");
        if number == whole.checkpoints.len() {
            return;
        }
        let cx = limited(10);
        let (mut source, before) = read_until(&*endpoint, &cx, &table.name, number).await;
        let checkpoint = before.resume().expect("a checkpoint came");
        source.acknowledge(&cx, &checkpoint).await.expect("a commit is taken note of");
        drop(source);
        let resume = Some(through_json(&checkpoint));
        let rest = read(&*endpoint, &cx, &table.name, resume).await.expect("a read goes on");
        let mut together = before.ids();
        together.extend(rest.ids());
        together.sort();
        assert_eq!(joined(&together), joined(&table.ids()), "flagged, checkpoint {number}");
        number += 1;
    }
}

/// The second acknowledgement of a checkpoint changes nothing, nor does a late one.
pub async fn a_checkpoint_acknowledged_twice_has_one_effect<S: System>() {
    let mut system = S::fresh().await;
    let declared = capabilities(&system);
    if !declared.source {
        return does_not_apply(system, "source").await;
    }
    let table = hazard::cases(0, 60);
    for mode in modes(declared) {
        put(&mut system, &table).await;
        let endpoint = open(&system, reading(&system, &table, mode));
        let cx = cx();
        let (mut source, first) = read_until(&*endpoint, &cx, &table.name, 0).await;
        let mut checkpoints = vec![first.resume().expect("a checkpoint came")];
        let rest = read::drain_after(source.as_mut(), &cx, &table.name, first).await;
        let whole = rest.expect("the read goes on");
        checkpoints.push(whole.resume().expect("a checkpoint came"));
        for checkpoint in &checkpoints {
            source.acknowledge(&cx, checkpoint).await.expect("a commit is taken note of");
            let once = system.content().await;
            source.acknowledge(&cx, checkpoint).await.expect("a commit is taken note of again");
            assert_eq!(system.content().await, once, "{mode:?}: the second time has an effect");
        }
        let all = system.content().await;
        source.acknowledge(&cx, &checkpoints[0]).await.expect("a late commit is taken note of");
        assert_eq!(system.content().await, all, "{mode:?}: a late one has an effect");
        drop(source);
        // The hub may have ended between its commit and the acknowledgement.
        let rest = read(&*endpoint, &cx, &table.name, checkpoints.pop()).await;
        let rest = rest.expect("the next read goes well");
        if mode == ReadMode::Flagged {
            assert!(rest.is_empty(), "what was acknowledged comes again");
        }
    }
    system.end().await;
}
