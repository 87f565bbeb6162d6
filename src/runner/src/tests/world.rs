//! A hub of one system in a folder of its own.

use std::path::Path;
use std::sync::Arc;

use huiliu_core::config::Resolver;
use huiliu_store::{QuarantineRow, StepRow};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::script::{Play, Script, Stage};
use crate::{Hub, HubOptions, Project, Registry, RunOptions, RunReport, Silent};

/// A hub of the system `s`, whose stream `t` plays scripts.
pub(super) struct World {
    folder: TempDir,
    pub(super) stage: Arc<Stage>,
}

impl World {
    /// A hub whose stream `t` has these settings.
    pub(super) fn new(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("config");
        for sub in ["systems", "calendar"] {
            std::fs::create_dir_all(config.join(sub)).unwrap();
        }
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        for file in ["hub.toml", "calendar/holidays.csv"] {
            std::fs::copy(shipped.join(file), config.join(file)).unwrap();
        }
        let world = Self { folder, stage: Arc::default() };
        world.configure(settings);
        world
    }

    /// Other settings for the stream.
    pub(super) fn configure(&self, settings: &str) {
        self.configure_system("", settings);
    }

    /// Other settings for the system, which is live, and for the stream.
    pub(super) fn configure_system(&self, system: &str, stream: &str) {
        let text = format!(
            "version = 1\nkind = \"script\"\ntitle = \"剧本\"\nowner = \"测试科\"\n{system}\n\
             [[streams]]\nname = \"t\"\n{stream}\n"
        );
        self.put("config/systems/s.toml", &text);
    }

    /// A file of the project.
    pub(super) fn put(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Adds to `config/hub.toml`.
    pub(super) fn add_to_hub(&self, text: &str) {
        let path = self.folder.path().join("config/hub.toml");
        let shipped = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{shipped}\n{text}\n")).unwrap();
    }

    pub(super) async fn hub(&self) -> Arc<Hub> {
        let registry = Registry(vec![Box::new(Script(Arc::clone(&self.stage)))]);
        let project = Project::load(self.folder.path(), &registry, &Resolver::default())
            .unwrap_or_else(|failure| panic!("{failure:?}"));
        let data = self.folder.path().join("data");
        let clock = Arc::<Stage>::clone(&self.stage);
        let options = HubOptions { data, key_file: None, clock, meaning: |_| None };
        Arc::new(Hub::open(project, options).await.unwrap())
    }

    /// Runs everything; plans of these hashes pass.
    pub(super) async fn run(&self, accepted: &[&str]) -> RunReport {
        let hub = self.hub().await;
        let accepted: Vec<String> = accepted.iter().map(|hash| (*hash).to_owned()).collect();
        let options = RunOptions { accepted, ..RunOptions::default() };
        let cancel = CancellationToken::new();
        let report = Box::pin(hub.run_with("*", None, options, cancel, Arc::new(Silent))).await;
        hub.close().await;
        report.unwrap()
    }

    /// One run in which the stream says `plays`.
    pub(super) async fn read(&self, plays: Vec<Play>) -> StepRow {
        self.stage.script("t", vec![plays]);
        step(&self.run(&[]).await)
    }

    /// One run in which the stream says `plays`, and which must end well.
    #[track_caller]
    pub(super) fn good_read(&self, plays: Vec<Play>) -> impl Future<Output = StepRow> {
        let place = std::panic::Location::caller();
        async move {
            let step = self.read(plays).await;
            let good = ["succeeded", "unchanged"].contains(&step.state.as_str());
            assert!(good, "{place}: {step:?}");
            step
        }
    }

    /// The rows of a query, cells with `|` between them.
    pub(super) async fn query(&self, sql: &str) -> Vec<String> {
        let hub = self.hub().await;
        let session = hub.engine.session(None).await.unwrap();
        let mut rows = Vec::new();
        for batch in session.collect(sql, None).await.unwrap() {
            for row in 0..batch.num_rows() {
                let cells = huiliu_engine::record_text(&batch, row).unwrap();
                let cells: Vec<String> =
                    cells.into_iter().map(|(_, cell)| cell.unwrap_or("-".into())).collect();
                rows.push(cells.join("|"));
            }
        }
        drop(session);
        hub.close().await;
        rows
    }

    /// Number of rows in `current.s_t`.
    pub(super) async fn count(&self) -> String {
        self.query("select count(*) from current.s_t").await.remove(0)
    }

    pub(super) async fn quarantine(&self) -> Vec<QuarantineRow> {
        let hub = self.hub().await;
        let rows = hub.lake().store().quarantine().await.unwrap();
        hub.close().await;
        rows
    }

    /// Data files of the stream's table, those of no snapshot included.
    pub(super) fn files(&self) -> usize {
        let folder = self.folder.path().join("data/lake/current/s_t");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// The folder of the project.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The step of the stream.
#[track_caller]
pub(super) fn step(report: &RunReport) -> StepRow {
    report.steps.iter().find(|step| step.node == "s.t").unwrap().clone()
}
