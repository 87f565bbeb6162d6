//! The hub at work: a project, its data folder, its engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::SecondsFormat;
use huiliu_core::duration::{parse_duration, parse_size};
use huiliu_engine::{Engine, EngineOptions};
use huiliu_lake::Lake;
use huiliu_sdk::{Clock, Cx, Error, ErrorKind, Result};
use huiliu_store::{SealKey, StoreAddress};

use crate::Project;
use crate::ballast::make_room;
use crate::heartbeat::Heartbeat;
use crate::lock::{Folder, FolderLock};

/// How a hub is opened.
pub struct HubOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The file of the encryption key; by default `key` in the data folder.
    pub key_file: Option<PathBuf>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What codes of errors mean, for the pages that a run writes.
    pub meaning: Meaning,
}

/// What a code of an error means and what can be done, in the words of the page's readers.
pub type Meaning = fn(&str) -> Option<(&'static str, &'static str)>;

/// The hub at work.
pub struct Hub {
    /// The project.
    pub project: Project,
    /// The engine over the lake.
    pub engine: Engine,
    pub(crate) data: PathBuf,
    pub(crate) key: SealKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) holder: String,
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) meaning: Meaning,
}

impl Hub {
    /// Opens the hub's data for `project`, making the folder when it is not there.
    pub async fn open(project: Project, options: HubOptions) -> Result<Self> {
        let data = options.data;
        let spill = data.join("spill");
        let is_new = !data.exists();
        let made = std::fs::create_dir_all(&spill);
        let made = made.and_then(|()| if is_new { sync_folder(data.parent()) } else { Ok(()) });
        made.map_err(|e| {
            Error::new(
                ErrorKind::Permission,
                "E-DATA",
                format!("the data folder {} cannot be made", data.display()),
            )
            .hint("name a folder that may be written with --data")
            .cause(e)
        })?;
        let key = load_key(&options.key_file.unwrap_or_else(|| data.join("key")))?;
        let store = project.store.as_ref().map_err(|missing| {
            Error::new(
                ErrorKind::Auth,
                "E-SECRET-MISSING",
                format!("config/hub.toml: no value for {}", missing.reference),
            )
            .hint("set env: names in the environment or in the data folder's `env`, secret: names with `huiliu secret set`")
        })?;
        let lake = match Lake::open_with(&data, store).await {
            Err(error) if error.code() == "E-DISK-FULL" && make_room(&data) => {
                Lake::open_with(&data, store).await?
            }
            opened => opened?,
        };
        let functions = huiliu_engine::function::DomainFunctions {
            calendar: Arc::clone(&project.calendar),
            codes: Arc::clone(&project.codes),
        };
        let memory = usize::try_from(parse_size(&project.hub.memory)?).unwrap_or(usize::MAX);
        let engine = Engine::new(
            lake,
            project.pipelines.clone(),
            functions,
            EngineOptions { memory_bytes: memory, spill, partitions: 2, zone: project.zone },
            project.files.clone(),
        )
        .with_personal(project.personal_columns());
        let holder = format!("process {}", std::process::id());
        let hold = parse_duration(&project.hub.lease)?;
        let heartbeat = Arc::new(Heartbeat::new(engine.lake().store().clone(), hold));
        let HubOptions { clock, meaning, .. } = options;
        let folder = Arc::default();
        Ok(Self { project, engine, data, key, clock, holder, heartbeat, folder, meaning })
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        self.engine.lake()
    }

    /// The key of what is stored encrypted.
    pub fn seal_key(&self) -> &SealKey {
        &self.key
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Now, as it is stored.
    pub fn now(&self) -> String {
        self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Today in the hub's zone, as `YYYY-MM-DD`.
    pub fn today(&self) -> String {
        self.clock.now().with_timezone(&self.project.zone).format("%Y-%m-%d").to_string()
    }

    /// A context for calls into connectors.
    pub fn context(&self, cancel: tokio_util::sync::CancellationToken) -> Cx {
        Cx { clock: Arc::clone(&self.clock), cancel, ..Cx::new() }
    }

    /// Makes this the one service on the hub's database, until what it gives is dropped. Several
    /// may share a Postgres.
    pub fn serve_alone(&self) -> Result<Option<FolderLock>> {
        match self.project.store {
            Ok(StoreAddress::Postgres(_)) => Ok(None),
            _ => FolderLock::take_service(&self.data, &self.holder).map(Some),
        }
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.lake().store().close().await;
    }
}

/// Reads the encryption key, or makes one that only the owner can read.
pub fn load_key(path: &Path) -> Result<SealKey> {
    if path.exists() {
        return open_key(path);
    }
    let bytes = SealKey::generate();
    write_private(path, &bytes).map_err(|e| no_key(path, e))?;
    SealKey::new(&bytes)
}

/// Reads the encryption key that something was sealed with.
pub fn open_key(path: &Path) -> Result<SealKey> {
    SealKey::new(&std::fs::read(path).map_err(|e| no_key(path, e))?)
}

fn no_key(path: &Path, cause: std::io::Error) -> Error {
    let message = format!("the encryption key {} cannot be used", path.display());
    Error::new(ErrorKind::Config, "E-KEY", message)
        .hint("check where the file is, its owner and that its folder may be written")
        .cause(cause)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // What is sealed with a key whose name was lost with the power is lost as well.
    sync_folder(path.parent())
}

/// Syncs a folder, so that the names in it survive a power loss.
pub(crate) fn sync_folder(folder: Option<&Path>) -> std::io::Result<()> {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
