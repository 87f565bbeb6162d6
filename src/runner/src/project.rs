//! A project as it stands on disk: `config/` and `pipelines/`, read and checked as a whole.

mod alerts;
mod audit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use huiliu_core::audit::{Audit, audit_name};
use huiliu_core::calendar::Calendar;
use huiliu_core::code_table::CodeTables;
use huiliu_core::config::{
    Document, Fault, Faults, HubConfig, JobsFile, Missing, PushConfig, Resolver, Stage,
    StoreConfig, SystemConfig, hub_schema, jobs_schema, parse_system,
};
use huiliu_core::graph::{Graph, Node, NodeKind};
use huiliu_core::model::{Metric, Model, ModelKind};
use huiliu_core::policy;
use huiliu_core::preset::Presets;
use huiliu_core::reconcile::{Comparison, ReconcileSystem, Reconciliation};
use huiliu_core::report::Report;
use huiliu_engine::{CALENDAR, FileHashes, Pipelines, Tags, short_hash};
use huiliu_sdk::{ColumnSpec, ConfigError, Connector, Endpoint, Error};
use huiliu_store::{PostgresAddress, StoreAddress};

use crate::translate::translated;

/// A lease is renewed three times while it holds, which takes a moment of its own.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// The connectors the program was built with.
pub struct Registry(pub Vec<Box<dyn Connector>>);

impl Registry {
    /// The connector for `kind`.
    pub fn find(&self, kind: &str) -> Option<&dyn Connector> {
        self.0.iter().find(|connector| connector.spec().kind == kind).map(AsRef::as_ref)
    }
}

/// One system of the project.
#[derive(Clone)]
pub struct System {
    /// Its configuration.
    pub config: SystemConfig,
    /// The way to it; none while references have no value.
    pub endpoint: Option<Arc<dyn Endpoint>>,
    /// Whether its streams are read together, by one source.
    pub(crate) is_shared: bool,
}

impl System {
    /// Whether a stream of it tags a column of this name as personal data.
    pub(crate) fn is_personal(&self, column: &str) -> bool {
        self.config
            .streams
            .iter()
            .any(|(stream, _)| stream.columns.get(column).and_then(ColumnSpec::personal).is_some())
    }

    /// `error` of `node` with the words that say whom to ask.
    pub(crate) fn blame(&self, node: &str, error: Error) -> Error {
        let hint = error.hint_text().map(|hint| hint.replace("SYSTEM.STREAM", node));
        let error = match &hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        };
        // Nobody there has to answer for a stop that was asked for here, for our own disk, or for
        // what we noted of a stream.
        if error.kind() == huiliu_sdk::ErrorKind::Cancelled
            || policy::is_local(&error)
            || error.code() == "E-STATE"
        {
            return error.context(node);
        }
        let config = &self.config;
        let hint = hint.unwrap_or_default();
        let hint = format!(
            "{hint}{}{} answers for {} ({})",
            if hint.is_empty() { "" } else { "; " },
            config.owner,
            config.title,
            config.file.display()
        );
        error.context(node).hint(hint)
    }
}

/// A project that is complete and valid.
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// `config/hub.toml`.
    pub hub: HubConfig,
    /// The hub's zone.
    pub zone: Tz,
    /// Where the hub's database is, or which reference in its address has no value.
    pub store: Result<StoreAddress, Missing>,
    /// The presets that system files can name.
    pub presets: Presets,
    /// The systems by id.
    pub systems: BTreeMap<String, System>,
    /// `config/jobs.toml`.
    pub jobs: JobsFile,
    /// `config/alerts.toml`.
    pub alerts: crate::watch::Alerts,
    /// The models and metrics.
    pub pipelines: Pipelines,
    /// Reports of a period, by name.
    pub reports: BTreeMap<String, Report>,
    /// The working-day calendar.
    pub calendar: Arc<Calendar>,
    /// The code tables.
    pub codes: Arc<CodeTables>,
    /// Everything that can run.
    pub graph: Graph,
    /// Hashes of the calendar and the code tables.
    pub files: FileHashes,
}

/// Why a project could not be loaded.
#[derive(Debug)]
pub enum LoadFailure {
    /// Files with faults, all of them.
    Faults(Faults),
    /// A fault without a place in a file.
    Error(Error),
}

impl From<Error> for LoadFailure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Project {
    /// The columns that hold personal data, each with its kind, by `system_stream`.
    pub(crate) fn personal_columns(&self) -> BTreeMap<String, Tags> {
        let mut tagged = BTreeMap::new();
        for (id, system) in &self.systems {
            for (stream, _) in &system.config.streams {
                let tags = stream.columns.iter();
                let tags = tags.filter_map(|(name, spec)| Some((name.clone(), spec.tag.clone()?)));
                tagged.insert(format!("{id}_{}", stream.name), tags.collect());
            }
        }
        tagged
    }
}

impl Project {
    /// Reads the project at `root`. Nothing is contacted.
    pub fn load(
        root: &Path,
        registry: &Registry,
        resolver: &Resolver,
    ) -> Result<Self, LoadFailure> {
        let mut faults = Faults::default();
        let hub: Option<HubConfig> =
            read_config(&root.join("config/hub.toml"), &hub_schema(), &mut faults);
        let jobs: Option<JobsFile> = if root.join("config/jobs.toml").exists() {
            read_config(&root.join("config/jobs.toml"), &jobs_schema(), &mut faults)
        } else {
            Some(JobsFile::default())
        };
        let alerts = alerts::load(root, resolver, &mut faults)?;
        let (Some(hub), Some(jobs)) = (hub, jobs) else { return Err(LoadFailure::Faults(faults)) };
        let hub_file = root.join("config/hub.toml");
        let Ok(zone) = hub.zone.parse::<Tz>() else {
            let message = format!("`{}` is no time zone", hub.zone);
            faults.0.push(plain_fault(&hub_file, message, "use a name such as Asia/Shanghai"));
            return Err(LoadFailure::Faults(faults));
        };
        if let Err(error) = huiliu_core::duration::parse_size(&hub.memory) {
            faults.0.push(plain_fault(&hub_file, error.to_string(), "write it such as 1GiB"));
        }
        match huiliu_core::duration::parse_duration(&hub.lease) {
            Ok(lease) if lease >= SHORTEST_LEASE => {}
            _ => {
                let message = format!("`{}` is not the length of a lease", hub.lease);
                faults.0.push(plain_fault(&hub_file, message, "write it such as 60s; at least 1s"));
            }
        }
        if let Err(error) = huiliu_core::duration::parse_duration(&hub.maintenance.grace) {
            faults.0.push(plain_fault(&hub_file, error.to_string(), "write it such as 1h"));
        }
        let store = match store_address(hub.store.as_ref(), resolver) {
            Ok(store) => store,
            Err(error) => {
                let hint = error.hint_text().unwrap_or_default().to_owned();
                faults.0.push(fault_in(&hub_file, "store", error.to_string(), &hint)?);
                return Err(LoadFailure::Faults(faults));
            }
        };
        for (index, job) in jobs.jobs.iter().enumerate() {
            let mut found = job.faults();
            if jobs.jobs[..index].iter().any(|other| other.name == job.name) {
                found.push(("name", "two jobs have this name".into(), "rename one of them"));
            }
            match job.zone.as_deref().unwrap_or(&hub.zone).parse::<Tz>() {
                Err(_) => {
                    let hint = "use a name such as Asia/Shanghai";
                    found.push(("zone", "no such time zone".into(), hint));
                }
                Ok(zone) => {
                    if let Err(error) = huiliu_core::schedule::Schedule::parse(&job.cron, zone) {
                        let hint = "five fields: minute hour day-of-month month day-of-week";
                        found.push(("cron", error.to_string(), hint));
                    }
                }
            }
            for (key, message, hint) in found {
                let place = format!("jobs[{index}].{key}");
                let message = format!("job {}: {message}", job.name);
                faults.0.push(fault_in(&root.join("config/jobs.toml"), &place, message, hint)?);
            }
        }
        let presets = match load_presets(root) {
            Ok(presets) => presets,
            Err(found) => {
                faults.0.extend(found.0);
                return Err(LoadFailure::Faults(faults));
            }
        };
        let surroundings = Surroundings { root, registry, resolver, presets: &presets, zone };
        let systems = load_systems(&surroundings, &mut faults);
        let models = load_files(&root.join("pipelines/models"), "sql", Model::parse, &mut faults);
        let metrics =
            load_files(&root.join("pipelines/metrics"), "toml", Metric::parse, &mut faults);
        let reconcile = root.join("pipelines/reconcile");
        let reconciliations = load_files(&reconcile, "toml", Reconciliation::parse, &mut faults);
        let audits = load_files(&root.join("pipelines/audits"), "sql", Audit::parse, &mut faults);
        let reports =
            load_files(&root.join("pipelines/reports"), "toml", Report::parse, &mut faults);
        let reports: BTreeMap<String, Report> =
            reports.into_iter().map(|report| (report.name.clone(), report)).collect();
        if let Err(found) = crate::report::check(&reports, &metrics) {
            faults.0.extend(found.0);
        }
        if !faults.is_empty() {
            return Err(LoadFailure::Faults(faults));
        }
        let mut files = FileHashes::new();
        let calendar_file = root.join("config").join(&hub.calendar);
        let calendar_text = read_text(&calendar_file)?;
        files.insert(CALENDAR.to_owned(), short_hash(&[&calendar_text]));
        let calendar = Calendar::parse(&calendar_text, calendar_file.display().to_string())?;
        let mut code_files = Vec::new();
        for file in list(&root.join("config/codes"), "csv") {
            let text = read_text(&file)?;
            let name = stem(&file);
            files.insert(format!("codes.{name}"), short_hash(&[&text]));
            code_files.push((name, text));
        }
        let codes = CodeTables::from_files(code_files)?;
        check_references(&reconciliations, &codes, &systems)?;
        let pipelines = Pipelines::new(models, metrics)?
            .with_reconciliations(reconciliations)?
            .with_audits(audits)?;
        let mut nodes = nodes(&systems, &pipelines, &hub)?;
        for name in reports.keys() {
            let name = format!("{}{name}", crate::report::NODES);
            let node = Node::new(name, NodeKind::Report, Vec::new(), Vec::new());
            nodes.push(Node { on_request: true, ..node });
        }
        audit::check(&nodes, &systems, &pipelines)?;
        let graph = Graph::new(nodes)?;
        for job in jobs.jobs.iter().filter(|job| job.run.trim() != crate::maintain::SELECTOR) {
            graph.select(&job.run).map_err(|e| e.context(format!("job {}", job.name)))?;
        }
        Ok(Self {
            root: root.to_owned(),
            hub,
            zone,
            store,
            presets,
            systems,
            jobs,
            alerts,
            pipelines,
            reports,
            calendar: Arc::new(calendar),
            codes: Arc::new(codes),
            graph,
            files,
        })
    }
}

/// Every code table and push that a reconciliation names must be there.
fn check_references(
    reconciliations: &[Reconciliation],
    codes: &CodeTables,
    systems: &BTreeMap<String, System>,
) -> Result<(), LoadFailure> {
    let pushes: Vec<String> = systems
        .iter()
        .flat_map(|(id, system)| {
            system.config.pushes.iter().map(move |push| format!("{id}.{}", push.name))
        })
        .collect();
    let mut faults = Faults::default();
    for rec in reconciliations {
        for system in &rec.systems {
            if let Some(push) = system.push.as_ref().filter(|push| !pushes.contains(push)) {
                let place = format!("systems.{}.push", system.name);
                let message = format!("no push is called `{push}`");
                let hint = format!("use one of: {}", pushes.join(", "));
                faults.0.push(fault_in(&rec.file, &place, message, &hint)?);
            }
            if let Some((message, hint)) = correct_fault(rec, system, systems) {
                let place = format!("systems.{}.correct", system.name);
                faults.0.push(fault_in(&rec.file, &place, message, &hint)?);
            }
        }
        for field in &rec.fields {
            let of_hub = match &field.compare {
                Comparison::Code(table) => Some(("compare".to_owned(), table)),
                _ => None,
            };
            let of_systems = field
                .codes
                .iter()
                .map(|(system, table)| (format!("codes.{}", rec.systems[*system].name), table));
            for (place, table) in of_hub.into_iter().chain(of_systems) {
                if let Err(error) = codes.get(table) {
                    let place = format!("fields.{}.{place}", field.name);
                    let hint = error.hint_text().unwrap_or_default().to_owned();
                    faults.0.push(fault_in(&rec.file, &place, error.message().into(), &hint)?);
                }
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(LoadFailure::Faults(faults)) }
}

/// What is wrong with the push that corrects a system.
fn correct_fault(
    rec: &Reconciliation,
    system: &ReconcileSystem,
    systems: &BTreeMap<String, System>,
) -> Option<(String, String)> {
    let name = system.correct.as_deref()?;
    let known: Vec<(String, &PushConfig)> = systems
        .iter()
        .flat_map(|(id, system)| {
            let pushes = system.config.pushes.iter().filter(|push| push.before.is_some());
            pushes.map(move |push| (format!("{id}.{}", push.name), push))
        })
        .collect();
    let Some((_, push)) = known.iter().find(|(known, _)| known == name) else {
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        let hint = if names.is_empty() {
            "a push corrects when it has `before`; none has".to_owned()
        } else {
            format!("use one of: {}", names.join(", "))
        };
        return Some((format!("no push with `before` is called `{name}`"), hint));
    };
    if push.key.len() == rec.key.len() {
        return None;
    }
    let message = format!("the push {name} has another key than this reconciliation");
    Some((message, format!("give it the columns of `{}`, in this order", rec.key.join(", "))))
}

fn store_address(
    config: Option<&StoreConfig>,
    resolver: &Resolver,
) -> Result<Result<StoreAddress, Missing>, Error> {
    let Some(config) = config else { return Ok(Ok(StoreAddress::Sqlite)) };
    let mut url = serde_json::Value::String(config.url.clone());
    if let Some(missing) = resolver.resolve(&mut url).into_iter().next() {
        return Ok(Err(missing));
    }
    let address = PostgresAddress::new(url.as_str().unwrap_or_default(), &config.schema)?;
    Ok(Ok(StoreAddress::Postgres(address)))
}

/// A fault at a place of a file that was read before.
fn fault_in(file: &Path, place: &str, message: String, hint: &str) -> Result<Fault, LoadFailure> {
    let document = Document::parse(file, &read_text(file)?).map_err(LoadFailure::Faults)?;
    Ok(document.fault(place, message, Some(hint.to_owned())))
}

fn plain_fault(file: &Path, message: String, hint: &str) -> Fault {
    Fault {
        file: file.to_owned(),
        line: 1,
        column: 1,
        message,
        hint: Some(hint.to_owned()),
        excerpt: None,
    }
}

fn read_text(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|e| {
        let hint = "`huiliu init` writes a complete project; --project names its folder";
        Error::new(
            huiliu_sdk::ErrorKind::Config,
            "E-PROJECT",
            format!("{} cannot be read", file.display()),
        )
        .hint(hint)
        .cause(e)
    })
}

fn read_config<T: serde::de::DeserializeOwned>(
    file: &Path,
    schema: &serde_json::Value,
    faults: &mut Faults,
) -> Option<T> {
    let text = match read_text(file) {
        Ok(text) => text,
        Err(error) => {
            let hint = error.hint_text().unwrap_or_default().to_owned();
            faults.0.push(plain_fault(file, error.to_string(), &hint));
            return None;
        }
    };
    match Document::parse(file, &text).and_then(|document| document.read(schema)) {
        Ok(value) => Some(value),
        Err(found) => {
            faults.0.extend(found.0);
            None
        }
    }
}

/// What a system file is read with.
struct Surroundings<'a> {
    root: &'a Path,
    registry: &'a Registry,
    resolver: &'a Resolver,
    presets: &'a Presets,
    zone: Tz,
}

fn load_presets(root: &Path) -> Result<Presets, Faults> {
    let mut files = Vec::new();
    for file in list(&root.join("config/presets"), "toml") {
        let text = readable_text(&file)?;
        files.push((file, text));
    }
    Presets::load(&files)
}

fn readable_text(file: &Path) -> Result<String, Faults> {
    read_text(file)
        .map_err(|e| Faults(vec![plain_fault(file, e.to_string(), "check who may read the file")]))
}

fn load_systems(with: &Surroundings<'_>, faults: &mut Faults) -> BTreeMap<String, System> {
    let mut systems = BTreeMap::new();
    for file in list(&with.root.join("config/systems"), "toml") {
        match readable_text(&file).and_then(|text| parse_text(&file, &text, with)) {
            Ok(system) => {
                systems.insert(system.config.id.clone(), system);
            }
            Err(found) => faults.0.extend(found.0),
        }
    }
    systems
}

impl System {
    /// Checks `text` as what the system file `file` of the project at `root` would say.
    pub fn parse(
        file: &Path,
        text: &str,
        project: &Project,
        registry: &Registry,
        resolver: &Resolver,
    ) -> Result<Self, Faults> {
        let (root, presets, zone) = (project.root.as_path(), &project.presets, project.zone);
        parse_text(file, text, &Surroundings { root, registry, resolver, presets, zone })
    }
}

fn parse_text(file: &Path, text: &str, with: &Surroundings<'_>) -> Result<System, Faults> {
    let document = Document::parse(file, text)?;
    let kind = document.to_json()["kind"].as_str().unwrap_or_default().to_owned();
    let Some(connector) = with.registry.find(&kind) else {
        let kinds: Vec<&str> = with.registry.0.iter().map(|c| c.spec().kind).collect();
        let message = if kind.is_empty() {
            "the key `kind` is missing".to_owned()
        } else {
            format!("there is no kind of system called `{kind}`")
        };
        let hint = format!("use one of: {}", kinds.join(", "));
        return Err(Faults(vec![document.fault("kind", message, Some(hint))]));
    };
    let (spec, zone) = (connector.spec(), with.zone);
    let config =
        parse_system(&document, file, &spec, with.presets, with.resolver, with.root, zone)?;
    let is_shared = spec.capabilities.shared;
    if !config.missing.is_empty() {
        return Ok(System { config, endpoint: None, is_shared });
    }
    match connector.configure(config.raw.clone()) {
        Ok(endpoint) => {
            let endpoint = Some(translated(endpoint, &config));
            Ok(System { endpoint, config, is_shared })
        }
        Err(errors) => {
            let fault =
                |e: ConfigError| config.origins.fault(&document, &e.path, e.message, e.hint);
            Err(Faults(errors.0.into_iter().map(fault).collect()))
        }
    }
}

fn load_files<T>(
    folder: &Path,
    ending: &str,
    parse: impl Fn(&Path, &str) -> Result<T, Faults>,
    faults: &mut Faults,
) -> Vec<T> {
    let mut files = list(folder, ending);
    for sub in list_folders(folder) {
        files.extend(list(&sub, ending));
    }
    let mut parsed = Vec::new();
    for file in files {
        let result = read_text(&file)
            .map_err(|e| Faults(vec![plain_fault(&file, e.to_string(), "check the file")]))
            .and_then(|text| parse(&file, &text));
        match result {
            Ok(value) => parsed.push(value),
            Err(found) => faults.0.extend(found.0),
        }
    }
    parsed
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    found.sort();
    found
}

fn list(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let fits = |path: &PathBuf| path.is_file() && path.extension().is_some_and(|e| e == ending);
    entries(folder).into_iter().filter(fits).collect()
}

fn list_folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn stem(file: &Path) -> String {
    file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned()
}

/// Everything that can run.
fn nodes(
    systems: &BTreeMap<String, System>,
    pipelines: &Pipelines,
    hub: &HubConfig,
) -> Result<Vec<Node>, Error> {
    let mut nodes = Vec::new();
    let in_use = || systems.values().filter(|system| system.config.stage != Stage::Survey);
    let received: BTreeSet<String> = in_use()
        .flat_map(|system| {
            system.config.streams.iter().map(move |(settings, _)| (system, settings))
        })
        .flat_map(|(system, settings)| {
            let table = format!("{}_{}", system.config.id, settings.name);
            ["current", "history"].map(|schema| format!("{schema}.{table}"))
        })
        .collect();
    for system in in_use() {
        let id = &system.config.id;
        for (settings, _) in &system.config.streams {
            let table = format!("{id}_{}", settings.name);
            let makes = ["current", "history", "raw"].map(|s| format!("{s}.{table}")).to_vec();
            let name = format!("{id}.{}", settings.name);
            nodes.push(Node::new(name, NodeKind::Stream, makes, Vec::new()));
        }
        for push in &system.config.pushes {
            let built = pipelines.model(&push.from).map(|model| model.header.kind);
            let is_received = push.load.is_some()
                && (received.contains(&push.from) || push.from == crate::figures::FIGURES);
            // What is sent as a repair is asked for when it is planned, so a view will do.
            let is_asked_for = push.before.is_some() && built.is_some();
            if built != Some(ModelKind::Table) && !is_received && !is_asked_for {
                let message = format!("push {id}.{} takes its rows from {}", push.name, push.from);
                let hint = "`from` must name a model of kind table in pipelines/models, or, with \
                            `load`, a stream's table such as current.SYSTEM_STREAM or \
                            metrics.figures";
                return Err(Error::new(huiliu_sdk::ErrorKind::Config, "E-PUSH", message).hint(hint));
            }
            let name = format!("push.{id}.{}", push.name);
            let reads: Vec<String> = push.reads().map(str::to_owned).collect();
            let is_made =
                |table: &String| pipelines.model(table).is_some() || received.contains(table);
            if let Some(table) = reads.iter().skip(1).find(|table| !is_made(table)) {
                let message = format!("push {id}.{} names {table}, which nothing makes", push.name);
                let hint = "`before` must name a model in pipelines/models; `receipts.from` a model, \
                            or a stream's table such as current.SYSTEM_STREAM";
                return Err(Error::new(huiliu_sdk::ErrorKind::Config, "E-PUSH", message).hint(hint));
            }
            nodes.push(Node::new(name, NodeKind::Push, Vec::new(), reads));
        }
    }
    let reads = |name: &str| pipelines.reads(name).map(str::to_owned).collect();
    for model in &pipelines.models {
        let (name, makes) = (model.name.clone(), vec![model.name.clone()]);
        nodes.push(Node {
            audits: model.header.audits.iter().map(|name| audit_name(name)).collect(),
            is_view: model.header.kind == ModelKind::View,
            ..Node::new(name, NodeKind::Model, makes, reads(&model.name))
        });
    }
    for rec in pipelines.reconciliations.values() {
        nodes.push(Node::new(rec.table(), NodeKind::Reconcile, rec.makes(), rec.reads()));
    }
    for audit in pipelines.audits.values() {
        let kind = NodeKind::Audit(audit.header.severity);
        nodes.push(Node::new(audit.name.clone(), kind, Vec::new(), reads(&audit.name)));
    }
    for metric in pipelines.metrics.values() {
        let name = format!("metrics.{}", metric.key);
        nodes.push(Node::new(name, NodeKind::Metric, Vec::new(), vec![metric.from.clone()]));
    }
    if hub.daily_page.is_some() {
        // It needs nothing, because it is written all the more when something failed.
        let name = crate::daily::NODE.to_owned();
        nodes.push(Node::new(name, NodeKind::Report, Vec::new(), Vec::new()));
    }
    Ok(nodes)
}
