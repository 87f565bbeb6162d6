//! Whether a stream's state still belongs to the lake that is there. A lake that was restored, or
//! a table that was made anew, is found before anything is read.

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Store, StreamState};

/// Fails unless the table and the last commit of `state` are those of the live lake.
///
/// A snapshot that is gone because old ones were expired proves nothing; one that is ahead of the
/// newest, or that was made for something else, proves that the lake was taken back.
pub(crate) async fn check_state(store: &Store, state: Option<&StreamState>) -> Result<()> {
    let Some(state) = state else { return Ok(()) };
    let (system, stream) = (&state.system, &state.stream);
    let node = format!("{system}.{stream}");
    if state.table_id != 0 {
        let table = format!("{system}_{stream}");
        if store.live_table("current", &table).await? != Some(state.table_id) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-TABLE-ID",
                format!("{node}: the lake table current.{table} was made anew or dropped"),
            )
            .hint(format!(
                "read it from the start: `huiliu state reset {node} --from-start --reason TEXT`"
            )));
        }
    }
    if state.snapshot_id == 0 {
        return Ok(());
    }
    let newest = store.newest_snapshot().await?;
    if state.snapshot_id > newest {
        return Err(rewound(&node, state.snapshot_id, newest));
    }
    match store.snapshot_message(state.snapshot_id).await? {
        Some(message) if !message.split(' ').any(|word| word == node) => {
            let before = before(store, state).await?;
            Err(rewound(&node, state.snapshot_id, before))
        }
        _ => Ok(()),
    }
}

/// The newest commit of the stream that the catalog still has as this stream's.
async fn before(store: &Store, state: &StreamState) -> Result<i64> {
    let node = format!("{}.{}", state.system, state.stream);
    for commit in store.commits(&state.system, &state.stream, u32::MAX).await? {
        let message = store.snapshot_message(commit.snapshot_id).await?;
        if message.is_some_and(|message| message.split(' ').any(|word| word == node)) {
            return Ok(commit.snapshot_id);
        }
    }
    Ok(0)
}

fn rewound(node: &str, had: i64, back: i64) -> Error {
    let message = format!(
        "{node}: its last commit is snapshot {had}, which the lake does not have as this stream's \
         any more: the lake was taken back"
    );
    Error::new(ErrorKind::Conflict, "E-LAKE-REWOUND", message).hint(format!(
        "follow the lake: `huiliu state reset {node} --to-snapshot {back} --reason TEXT`"
    ))
}
