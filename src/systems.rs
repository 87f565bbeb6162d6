//! `huiliu systems`: the register of the city's systems beside those that are connected.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use huiliu_core::config::Stage;
use huiliu_core::policy::exit;
use huiliu_engine::record_text;
use huiliu_runner::{Hub, Project};
use huiliu_sdk::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::output::Printer;
use crate::setup::{Failure, Setup};

/// The columns that the register's table must have.
const COLUMNS: &str = "department, title, stage, deadline, items, system";

/// One line: a system of ours, an entry of the register, or both.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) id: Option<String>,
    pub(crate) title: String,
    pub(crate) owner: String,
    /// As its file says; of one that is not connected, as the register says.
    pub(crate) stage: String,
    /// The stage of the register, where it has an entry.
    pub(crate) registered: Option<String>,
    pub(crate) deadline: Option<String>,
    pub(crate) items: Option<i64>,
    /// When it last answered a read or took a push, in UTC.
    pub(crate) last_contact: Option<String>,
}

impl Line {
    fn is_in_dispute(&self) -> bool {
        self.registered.as_ref().is_some_and(|stage| *stage != self.stage)
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "title": self.title, "owner": self.owner, "stage": self.stage,
            "registered_stage": self.registered, "deadline": self.deadline, "items": self.items,
            "last_contact": self.last_contact,
        })
    }
}

/// Shows all systems; ends with findings where a file and the register name different stages.
pub(crate) async fn systems(setup: &Setup) -> Result<u8, Failure> {
    let project = setup.load()?;
    let lines = if setup.has_data(&project) {
        let hub = setup.open_existing().await?;
        let known = lines(&hub).await;
        hub.close().await;
        known?
    } else {
        connected(&project)
    };
    let code = if lines.iter().any(Line::is_in_dispute) { exit::FINDINGS } else { exit::DONE };
    let totals = Totals::of(&lines);
    if setup.printer.is_json() {
        let list: Vec<Value> = lines.iter().map(Line::json).collect();
        setup.printer.json(&json!({ "systems": list, "register": totals.json() }));
    } else {
        print(setup.printer, &lines)?;
        totals.print(setup.printer);
    }
    Ok(code)
}

/// All systems, and entries of the register that are not connected.
pub(crate) async fn lines(hub: &Hub) -> Result<Vec<Line>> {
    let mut lines = connected(&hub.project);
    for (system, at) in last_contacts(hub).await? {
        if let Some(line) = lines.iter_mut().find(|line| line.id.as_ref() == Some(&system)) {
            line.last_contact = Some(at);
        }
    }
    if let Some(register) = &hub.project.hub.register {
        merge(&mut lines, entries(hub, &register.from).await?);
    }
    Ok(lines)
}

fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Survey => "survey",
        Stage::Trial => "trial",
        Stage::Live => "live",
    }
}

fn connected(project: &Project) -> Vec<Line> {
    let line = |(id, system): (&String, &huiliu_runner::System)| Line {
        id: Some(id.clone()),
        title: system.config.title.clone(),
        owner: system.config.owner.clone(),
        stage: word(system.config.stage).to_owned(),
        ..Line::default()
    };
    project.systems.iter().map(line).collect()
}

/// When each system last answered: a read that came to its end, or a push that was sent.
async fn last_contacts(hub: &Hub) -> Result<BTreeMap<String, String>> {
    let mut contacts: BTreeMap<String, String> = BTreeMap::new();
    for step in hub.lake().store().steps(None).await? {
        let mut parts = step.node.split('.');
        let system = match (step.kind.as_str(), step.state.as_str()) {
            ("stream", "succeeded" | "unchanged") => parts.next(),
            ("push", "succeeded") => parts.nth(1),
            _ => None,
        };
        let (Some(system), Some(at)) = (system, step.finished_at) else { continue };
        let last = contacts.entry(system.to_owned()).or_default();
        if *last < at {
            *last = at;
        }
    }
    Ok(contacts)
}

/// The entries of the register, each with the id of its system if it has one.
async fn entries(hub: &Hub, table: &str) -> Result<Vec<Line>> {
    let session = hub.engine.session(None).await?;
    let sql = format!("select {COLUMNS} from {table} order by department");
    let batches = session.collect(&sql, None).await.map_err(|error| {
        let message = format!("the register {table} cannot be read: {error}");
        Error::new(ErrorKind::Config, "E-REGISTER", message)
            .hint(format!("`[register]` in config/hub.toml names a table with {COLUMNS}; build it"))
    })?;
    let mut entries = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let mut cells = record_text(batch, row)?.into_iter().map(|(_, text)| text);
            let mut next = || cells.next().flatten();
            let (owner, title) = (next().unwrap_or_default(), next().unwrap_or_default());
            let stage = next().unwrap_or_default();
            entries.push(Line {
                owner,
                title,
                registered: Some(stage.clone()),
                stage,
                deadline: next(),
                items: next().and_then(|items| items.parse().ok()),
                id: next(),
                last_contact: None,
            });
        }
    }
    Ok(entries)
}

/// Puts what the register says to the systems that are connected; the others follow.
fn merge(lines: &mut Vec<Line>, entries: Vec<Line>) {
    for entry in entries {
        let ours = lines.iter_mut().find(|line| line.id.is_some() && line.id == entry.id);
        match ours {
            Some(line) => {
                line.registered = entry.registered;
                line.deadline = entry.deadline;
                line.items = entry.items;
            }
            None => lines.push(Line { id: None, ..entry }),
        }
    }
}

/// What the register sums to.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) departments: usize,
    pub(crate) live: usize,
    pub(crate) trial: usize,
    pub(crate) survey: usize,
    /// Of the systems in service.
    pub(crate) items: i64,
}

impl Totals {
    pub(crate) fn of(lines: &[Line]) -> Self {
        let mut totals = Self::default();
        for line in lines.iter().filter(|line| line.registered.is_some()) {
            totals.departments += 1;
            match line.stage.as_str() {
                "live" => {
                    totals.live += 1;
                    totals.items += line.items.unwrap_or(0);
                }
                "trial" => totals.trial += 1,
                _ => totals.survey += 1,
            }
        }
        totals
    }

    fn json(&self) -> Value {
        json!({
            "departments": self.departments, "live": self.live, "trial": self.trial,
            "survey": self.survey, "items": self.items,
        })
    }

    fn print(&self, printer: Printer) {
        if self.departments == 0 {
            let text = printer.pick(
                "the register is not built yet, or config/hub.toml names none under [register]",
                "登记册尚未生成，或 config/hub.toml 没有 [register]",
            );
            printer.note(text);
            return;
        }
        let Self { departments, live, trial, survey, items } = self;
        let names = [
            (printer.pick("departments", "部门"), *departments),
            (printer.pick("live", "已对接"), *live),
            (printer.pick("trial", "联调"), *trial),
            (printer.pick("survey", "摸底"), *survey),
        ];
        let mut parts: Vec<String> =
            names.iter().map(|(name, count)| format!("{name} {count}")).collect();
        parts.push(format!("{} {items}", printer.pick("items integrated", "已对接事项")));
        printer.line(&parts.join(printer.pick(", ", "，")));
    }
}

fn print(printer: Printer, lines: &[Line]) -> Result<()> {
    let stage = |line: &Line| match (&line.registered, line.is_in_dispute()) {
        (Some(registered), true) => {
            format!("{} ({} {registered})", line.stage, printer.pick("register:", "登记册："))
        }
        _ => line.stage.clone(),
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let column = |of: &dyn Fn(&Line) -> String| -> ArrayRef {
        std::sync::Arc::new(StringArray::from_iter_values(lines.iter().map(of)))
    };
    let batch = RecordBatch::try_from_iter([
        (printer.pick("system", "系统"), column(&|line| or_dash(line.id.clone()))),
        (printer.pick("title", "名称"), column(&|line| line.title.clone())),
        (printer.pick("owner", "单位"), column(&|line| line.owner.clone())),
        (printer.pick("stage", "阶段"), column(&stage)),
        (printer.pick("deadline", "期限"), column(&|line| or_dash(line.deadline.clone()))),
        (
            printer.pick("items", "事项"),
            column(&|line| or_dash(line.items.map(|items| items.to_string()))),
        ),
        (
            printer.pick("last contact", "最近联系"),
            column(&|line| or_dash(line.last_contact.clone())),
        ),
    ])?;
    printer.rows(&[batch])
}
