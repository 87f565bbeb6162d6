//! Commands that look without changing anything: check, preview, schema; and init.

use std::path::Path;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use huiliu_core::config::{alerts_schema, connectors_page, hub_schema, jobs_schema, system_schema};
use huiliu_core::identifier::mask_tagged;
use huiliu_core::preset::preset_schema;
use huiliu_core::reconcile::reconcile_schema;
use huiliu_engine::record_text;
use huiliu_runner::{Project, System};
use huiliu_sdk::{
    Bounds, Clock, Cx, Error, ErrorKind, Event, ReadRequest, Spec, StreamId, StreamRequest,
    SystemClock,
};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::metric::{count, names};
use crate::query::DOOR;
use crate::registry::registry;
use crate::setup::{Failure, Setup};

/// The files of a new project: name, content.
const TEMPLATE: [(&str, &str); 12] = [
    ("config/hub.toml", include_str!("../config/hub.toml")),
    ("config/alerts.toml", include_str!("../config/alerts.toml")),
    ("config/calendar/holidays.csv", include_str!("../config/calendar/holidays.csv")),
    ("config/codes/case_status.csv", include_str!("../config/codes/case_status.csv")),
    ("config/codes/dept_case_state.csv", include_str!("../config/codes/dept_case_state.csv")),
    ("config/codes/divisions.csv", include_str!("../config/codes/divisions.csv")),
    ("config/codes/done_result_2018.csv", include_str!("../config/codes/done_result_2018.csv")),
    ("config/codes/done_result_2020.csv", include_str!("../config/codes/done_result_2020.csv")),
    ("config/codes/item_type.csv", include_str!("../config/codes/item_type.csv")),
    ("config/codes/project_state.csv", include_str!("../config/codes/project_state.csv")),
    ("config/codes/use_level.csv", include_str!("../config/codes/use_level.csv")),
    (".gitignore", "/data\n"),
];

/// Makes a new project: hub, calendar, codes, empty folders for systems and pipelines.
pub(crate) fn init(setup: &Setup, folder: &Path) -> Result<u8, Failure> {
    let io = |path: &Path, error: std::io::Error| {
        Error::new(ErrorKind::Permission, "E-INIT", format!("{} cannot be written", path.display()))
            .cause(error)
    };
    if folder.join("config").exists() {
        let message = format!("{} already holds a project", folder.display());
        return Err(Error::new(ErrorKind::Config, "E-INIT", message)
            .hint("name an empty folder: `huiliu init FOLDER`")
            .into());
    }
    for sub in ["config/systems", "pipelines/models/standard", "pipelines/metrics"] {
        let path = folder.join(sub);
        std::fs::create_dir_all(&path).map_err(|e| io(&path, e))?;
    }
    for (name, content) in TEMPLATE {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io(parent, e))?;
        }
        std::fs::write(&path, content).map_err(|e| io(&path, e))?;
    }
    write_schemas(&folder.join("config/schema"))?;
    let text = setup.printer.pick(
        "made a project; next: add a system in config/systems/, then `huiliu check`",
        "项目已建立；下一步：在 config/systems/ 中添加系统，然后运行 `huiliu check`",
    );
    setup.printer.line(&format!("{}: {text}", folder.display()));
    Ok(0)
}

/// Checks the whole project and says what is in it.
pub(crate) fn check(setup: &Setup) -> Result<u8, Failure> {
    let project = setup.load()?;
    let missing: Vec<(&str, &str)> = project
        .systems
        .values()
        .flat_map(|system| {
            let id = system.config.id.as_str();
            system.config.missing.iter().map(move |missing| (id, missing.reference.as_str()))
        })
        .collect();
    if setup.printer.is_json() {
        let nodes: Vec<&str> =
            project.graph.nodes().iter().map(|node| node.name.as_str()).collect();
        let missing: Vec<Value> = missing
            .iter()
            .map(|(system, reference)| json!({ "system": system, "reference": reference }))
            .collect();
        setup.printer.json(&json!({ "valid": true, "nodes": nodes, "missing": missing }));
        return Ok(0);
    }
    setup.printer.line(&format!(
        "{}: {} systems, {} models, {} reconciliations, {} audits, {} metrics, {} jobs",
        setup.printer.pick("valid", "配置有效"),
        project.systems.len(),
        project.pipelines.models.len(),
        project.pipelines.reconciliations.len(),
        project.pipelines.audits.len(),
        project.pipelines.metrics.len(),
        project.jobs.jobs.len()
    ));
    for node in project.graph.nodes() {
        let needs: Vec<&str> = project.graph.needs(&node.name).collect();
        let from =
            if needs.is_empty() { String::new() } else { format!(" <- {}", needs.join(" ")) };
        setup.printer.line(&format!("  {}{from}", node.name));
    }
    for (system, reference) in missing {
        setup.printer.note(&format!(
            "{system}: {} {reference}",
            setup.printer.pick("no value yet for", "尚未提供取值：")
        ));
    }
    for (name, _) in setup.secrets().plain()? {
        setup.printer.note(&format!(
            "{name}: {}",
            setup.printer.pick(
                "this secret is not encrypted; run `huiliu secret seal`",
                "该密钥未加密，请执行 `huiliu secret seal`"
            )
        ));
    }
    let warnings = project.calendar_warnings(SystemClock.now());
    warnings.iter().for_each(|warning| setup.printer.error(warning));
    Ok(0)
}

pub(crate) fn find_system<'a>(project: &'a Project, id: &str) -> Result<&'a System, Error> {
    project.systems.get(id).ok_or_else(|| {
        let known: Vec<&str> = project.systems.keys().map(String::as_str).collect();
        Error::new(ErrorKind::Config, "E-SYSTEM", format!("no system is called `{id}`"))
            .hint(format!(
                "there are: {}; `huiliu discover {id} --kind KIND --url URL --write` makes a new one",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
    })
}

pub(crate) fn endpoint(system: &System) -> Result<&Arc<dyn huiliu_sdk::Endpoint>, Error> {
    system.endpoint.as_ref().ok_or_else(|| {
        let names: Vec<&str> =
            system.config.missing.iter().map(|missing| missing.reference.as_str()).collect();
        let message = format!("{}: no value for {}", system.config.id, names.join(", "));
        Error::new(ErrorKind::Auth, "E-SECRET-MISSING", message)
            .hint("set it in the environment or the data folder's `env` file, a secret with `huiliu secret set`")
    })
}

fn context(setup: &Setup) -> Cx {
    Cx { cancel: setup.cancel.clone(), ..Cx::new() }
}

/// Does `work` with a system within the limits it shares with all who use it. They are kept in
/// the data folder; where there is none, nobody else is at work.
pub(crate) async fn within_limits<T>(
    setup: &Setup,
    project: &Project,
    system: &System,
    purpose: &str,
    work: impl AsyncFnOnce(Cx) -> Result<T, Error>,
) -> Result<T, Failure> {
    let limits = &system.config.limits;
    let is_limited = limits.connections.is_some() || limits.requests_per_minute.is_some();
    if !is_limited || !setup.has_data(project) {
        return Ok(work(context(setup)).await?);
    }
    let hub = setup.open_existing().await?;
    let protected = hub.protect(&context(setup), system, purpose).await?;
    let done = work(protected.cx.clone()).await;
    protected.end(&hub).await?;
    hub.close().await;
    Ok(done?)
}

/// Shows the first rows of a stream, with tagged columns masked.
pub(crate) async fn preview(setup: &Setup, stream: &str, limit: u64) -> Result<u8, Failure> {
    let project = setup.load()?;
    let Some((id, name)) = stream.split_once('.') else {
        let message = format!("`{stream}` is no stream");
        return Err(Error::new(ErrorKind::Config, "E-SELECTOR", message)
            .hint("write it as system.stream; `huiliu check` lists them")
            .into());
    };
    let system = find_system(&project, id)?;
    let Some((settings, _)) = system.config.streams.iter().find(|(s, _)| s.name == name) else {
        let known: Vec<&str> = system.config.streams.iter().map(|(s, _)| s.name.as_str()).collect();
        let message = format!("{id} has no stream `{name}`");
        return Err(Error::new(ErrorKind::Config, "E-SELECTOR", message)
            .hint(format!("there are: {}", known.join(", ")))
            .into());
    };
    let request = ReadRequest {
        streams: vec![StreamRequest { stream: StreamId::new(name), resume: None }],
        row_limit: Some(limit),
    };
    let endpoint = endpoint(system)?;
    let (batches, rejected) = within_limits(setup, &project, system, "preview", async |cx| {
        let mut source = endpoint.source(&cx, request).await?;
        let mut batches = Vec::new();
        let mut rejected = (0, String::new());
        while let Some(event) = source.next(&cx).await? {
            if let Event::Rows(rows) = event {
                if let (0, Some(first)) = (rejected.0, rows.rejected.first()) {
                    rejected.1 = format!("{}:{} {}", rows.origin, first.position, first.reason);
                }
                rejected.0 += rows.rejected.len();
                batches.push(masked(&rows.batch, settings)?);
            }
        }
        Ok((batches, rejected))
    })
    .await?;
    // Where there is no data folder yet, there is no audit either.
    if setup.has_data(&project) {
        let what = json!({ "door": DOOR, "columns": names(&batches), "rows": count(&batches) });
        let hub = setup.open_existing().await?;
        hub.note_read(&setup.who(), "read", &format!("preview {stream}"), what).await?;
        hub.close().await;
    }
    setup.printer.rows(&batches)?;
    let printer = setup.printer;
    if batches.iter().all(|batch| batch.num_rows() == 0) {
        printer.note(printer.pick("no rows", "没有数据"));
    }
    let (unfit, first) = rejected;
    if unfit > 0 {
        printer.note(&format!(
            "{unfit} {} {first}",
            printer.pick(
                "rows do not fit and would go to quarantine; the first:",
                "行不符合要求，将转入隔离区；第一行："
            )
        ));
    }
    Ok(0)
}

/// A batch as text, with personal data as the masking rules show it.
fn masked(
    batch: &RecordBatch,
    settings: &huiliu_sdk::StreamSettings,
) -> Result<RecordBatch, Error> {
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); batch.num_columns()];
    for row in 0..batch.num_rows() {
        for (column, (name, value)) in columns.iter_mut().zip(record_text(batch, row)?) {
            let tag = settings.columns.get(&name).and_then(|spec| spec.tag.as_deref());
            column.push(value.map(|value| mask(tag, value)));
        }
    }
    let schema = batch.schema();
    let fields: Vec<Field> =
        schema.fields().iter().map(|f| Field::new(f.name(), DataType::Utf8, true)).collect();
    let arrays: Vec<ArrayRef> =
        columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// A value as the masking rule of its tag shows it.
pub(crate) fn mask(tag: Option<&str>, value: String) -> String {
    match tag {
        None => value,
        Some(tag) => mask_tagged(tag, &value),
    }
}

/// Prints all schemas, or writes them as files.
pub(crate) fn schema(setup: &Setup, folder: Option<&Path>) -> Result<u8, Failure> {
    match folder {
        Some(folder) => write_schemas(folder)?,
        None => {
            let all: serde_json::Map<String, Value> = schemas().into_iter().collect();
            setup.printer.json(&Value::Object(all));
        }
    }
    Ok(0)
}

/// Prints what each kind of system can do, where it ends, and its keys.
pub(crate) fn connectors(setup: &Setup) -> Result<u8, Failure> {
    let kinds: Vec<(Spec, Bounds)> =
        registry().0.iter().map(|connector| (connector.spec(), connector.bounds())).collect();
    if setup.printer.is_json() {
        let kinds: Vec<Value> =
            kinds.iter().map(|(spec, bounds)| json!({ "spec": spec, "bounds": bounds })).collect();
        setup.printer.json(&json!(kinds));
    } else {
        setup.printer.line(connectors_page(&kinds).trim_end());
    }
    Ok(0)
}

/// All schemas by file name without ending.
fn schemas() -> Vec<(String, Value)> {
    let mut schemas = vec![
        ("hub".to_owned(), hub_schema()),
        ("jobs".to_owned(), jobs_schema()),
        ("alerts".to_owned(), alerts_schema()),
    ];
    schemas.push(("preset".to_owned(), preset_schema()));
    schemas.push(("reconcile".to_owned(), reconcile_schema()));
    for connector in &registry().0 {
        let spec = connector.spec();
        schemas.push((format!("system-{}", spec.kind), system_schema(&spec)));
    }
    schemas
}

fn write_schemas(folder: &Path) -> Result<(), Error> {
    let io = |error: std::io::Error| {
        let message = format!("{} cannot be written", folder.display());
        Error::new(ErrorKind::Permission, "E-SCHEMA-WRITE", message).cause(error)
    };
    std::fs::create_dir_all(folder).map_err(io)?;
    for (name, schema) in schemas() {
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|e| Error::internal("a schema could not be written").cause(e))?;
        std::fs::write(folder.join(format!("{name}.json")), text + "\n").map_err(io)?;
    }
    Ok(())
}
