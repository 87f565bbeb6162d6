//! Room that is kept for the end of a run: when the disk is full, how the run ended can still be
//! stored in the hub's own database, because a file of no other use makes way for it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use huiliu_store::StoreAddress;

use crate::hub::Hub;

/// What the end of a run needs at most: SQLite's log before it is folded into the file.
const BYTES: usize = 8 << 20;
/// Written at once; not zeros, which some file systems do not store.
const PIECE: [u8; 64 << 10] = [0x5a; 64 << 10];

impl Hub {
    fn ballast(&self) -> PathBuf {
        self.data.join("ballast")
    }

    /// Makes sure that the room is kept, where the database is in the data folder. Without room
    /// for it there is none to keep.
    pub(crate) fn keep_ballast(&self) {
        let path = self.ballast();
        if !matches!(self.project.store, Ok(StoreAddress::Sqlite)) || path.exists() {
            return;
        }
        if let Err(error) = write(&path) {
            tracing::warn!(%error, path = %path.display(), "no room is kept for the end of runs");
            drop(std::fs::remove_file(&path));
        }
    }

    /// Gives the room up; says whether there was any.
    pub(crate) fn free_ballast(&self) -> bool {
        std::fs::remove_file(self.ballast()).is_ok()
    }
}

fn write(path: &std::path::Path) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    for _ in 0..BYTES / PIECE.len() {
        file.write_all(&PIECE)?;
    }
    file.sync_all()
}
