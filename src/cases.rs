//! `huiliu test`: the cases of the pipelines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use huiliu_core::policy::exit;
use huiliu_engine::CaseRunner;
use huiliu_engine::function::DomainFunctions;
use huiliu_sdk::{Error, ErrorKind};
use serde_json::json;

use crate::setup::{Failure, Setup};

/// Where cases are, below the project.
const FOLDER: &str = "pipelines/tests";

/// Runs the project's cases; 3 when one is not as its file says.
pub(crate) async fn test(setup: &Setup, filter: Option<&str>, update: bool) -> Result<u8, Failure> {
    let project = setup.load()?;
    let functions = DomainFunctions {
        calendar: Arc::clone(&project.calendar),
        codes: Arc::clone(&project.codes),
    };
    let runner = CaseRunner::new(project.pipelines.clone(), functions, project.zone);
    let folder = project.root.join(FOLDER);
    let mut reports = Vec::new();
    for file in files(&folder, filter)? {
        let report = runner.run(&file, update).await?;
        if !setup.printer.is_json() {
            let name = file.strip_prefix(&project.root).unwrap_or(&file).display();
            match &report.fault {
                None => setup.printer.line(&format!("ok      {name}")),
                Some(fault) => setup.printer.line(&format!("FAILED  {name}\n{fault}")),
            }
        }
        reports.push(report);
    }
    let failed = reports.iter().filter(|report| report.fault.is_some()).count();
    let passed = reports.len() - failed;
    if setup.printer.is_json() {
        setup.printer.json(&json!({ "files": reports, "passed": passed, "failed": failed }));
    } else {
        setup.printer.line(&match setup.printer.pick("en", "zh") {
            "zh" => format!("{passed} 个文件通过，{failed} 个文件失败"),
            _ => format!("{passed} files passed, {failed} failed"),
        });
    }
    Ok(if failed > 0 { exit::FAILED } else { exit::DONE })
}

/// The files of cases whose name contains `filter`, in order.
fn files(folder: &Path, filter: Option<&str>) -> Result<Vec<PathBuf>, Error> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "slt"))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            filter.is_none_or(|filter| name.contains(filter))
        })
        .collect();
    found.sort();
    if found.is_empty() {
        let message = match filter {
            Some(filter) => format!("no case in {} has `{filter}` in its name", folder.display()),
            None => format!("{} holds no .slt file", folder.display()),
        };
        return Err(Error::new(ErrorKind::Config, "E-CASES", message)
            .hint("a case makes the tables that a model reads, and asks for the model"));
    }
    Ok(found)
}
