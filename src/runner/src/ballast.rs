//! Room that is kept for when the disk is full: the hub's database can still be opened and read,
//! and how a run ended can still be stored in it, because a file of no other use makes way.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use huiliu_store::StoreAddress;

use crate::hub::Hub;

/// What the end of a run needs at most: SQLite's log before it is folded into the file.
const BYTES: u64 = 8 << 20;
/// What opening the database needs: SQLite's log and the index over it.
const OPENING: u64 = 1 << 20;
/// Written at once; not zeros, which some file systems do not store.
static PIECE: [u8; 64 << 10] = [0x5a; 64 << 10];

impl Hub {
    /// Makes sure that the room is kept, where the database is in the data folder. Without room
    /// for it there is none to keep.
    pub(crate) fn keep_ballast(&self) {
        if !matches!(self.project.store, Ok(StoreAddress::Sqlite)) {
            return;
        }
        if let Err(error) = fill(&place(&self.data)) {
            tracing::warn!(%error, "no room is kept for the end of runs");
        }
    }

    /// Gives the room up; says whether there was any.
    pub(crate) fn free_ballast(&self) -> bool {
        std::fs::remove_file(place(&self.data)).is_ok()
    }
}

fn place(data: &Path) -> PathBuf {
    data.join("ballast")
}

/// Gives up a part of the room, for opening the database; says whether there was any.
pub(crate) fn make_room(data: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(place(data)) else { return false };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    length > 2 * OPENING && file.set_len(length - OPENING).is_ok()
}

/// Writes the file up to its full length, or leaves it as long as it was.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
    let length = file.metadata()?.len();
    if length >= BYTES {
        return Ok(());
    }
    file.seek(SeekFrom::Start(length))?;
    let written = write(&mut file, BYTES - length);
    if written.is_err() {
        if length == 0 {
            drop(std::fs::remove_file(path));
        } else {
            file.set_len(length)?;
        }
    }
    written
}

fn write(file: &mut File, mut bytes: u64) -> std::io::Result<()> {
    while bytes > 0 {
        let piece = PIECE.len().min(usize::try_from(bytes).unwrap_or(PIECE.len()));
        file.write_all(&PIECE[..piece])?;
        bytes -= piece as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_given_up_for_each_opening_and_filled_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let (data, path) = (folder.path(), place(folder.path()));
        let length = || std::fs::metadata(&path).unwrap().len();
        assert!(!make_room(data), "there is none yet");
        fill(&path).unwrap();
        assert_eq!(length(), BYTES);
        for part in 1..=6 {
            assert!(make_room(data));
            assert_eq!(length(), BYTES - part * OPENING);
        }
        assert!(!make_room(data), "what is left is for the end of a run");
        fill(&path).unwrap();
        assert_eq!(length(), BYTES);
    }
}
