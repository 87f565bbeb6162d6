//! The private folder of one program: its configuration, catalog and state, gone with it.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use huiliu_sdk::{Error, Result};
use serde::Serialize;
use tempfile::TempDir;

use crate::fault::broken;

/// A folder that only we can enter. It is the program's home and holds its temporary files too,
/// so that nothing of what it leaves stays.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let made = tempfile::Builder::new()
            .prefix("huiliu-singer-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        Ok(Self(made.map_err(|cause| broken("a temporary folder", cause))?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes `content` into a file that only we can read, and says where it is.
    pub(crate) fn put(&self, name: &str, content: &impl Serialize) -> Result<PathBuf> {
        let path = self.path().join(name);
        let text = serde_json::to_vec(content)
            .map_err(|cause| Error::internal("a file could not be written").cause(cause))?;
        let open = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        let written = open.and_then(|mut file| file.write_all(&text));
        written.map_err(|cause| broken("a temporary file", cause))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_is_for_its_owner_alone_and_goes_with_the_folder() {
        let folder = Folder::new().unwrap();
        let path = folder.put("config.json", &serde_json::json!({ "password": "x" })).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(folder.path())), (0o600, 0o700));
        drop(folder);
        assert!(!path.exists());
    }
}
