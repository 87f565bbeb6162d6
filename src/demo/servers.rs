//! The demo's front databases on real servers, and a project whose files say so.

use std::path::Path;

use huiliu_city::{Front, Servers};
use huiliu_sdk::{Error, ErrorKind};

use super::HEAD;
use crate::setup::{Failure, Setup};

const POSTGRES: &str = "postgresql://postgres@127.0.0.1:5432/postgres";
const MYSQL: &str = "mysql://root@127.0.0.1:3306";

/// Where the servers are.
pub(super) fn servers(setup: &Setup) -> Servers {
    let address = |variable, usual: &str| setup.variable(variable).unwrap_or(usual).to_owned();
    Servers {
        postgres: address("HUILIU_DEMO_POSTGRES_URL", POSTGRES),
        mysql: address("HUILIU_DEMO_MYSQL_URL", MYSQL),
    }
}

/// Copies the front databases to the servers and makes a copy of the project in which their systems
/// are read from there; the city's SQLite files stay and are not read.
pub(super) async fn move_fronts(setup: &Setup, city: &Path) -> Result<Setup, Failure> {
    let servers = servers(setup);
    setup.printer.note(setup.printer.pick(
        "copying the front databases to PostgreSQL and MariaDB",
        "正在把前置库复制到 PostgreSQL 和 MariaDB",
    ));
    let fronts = huiliu_city::copy_to_servers(city, &servers).await?;
    let secrets: Vec<(String, String)> =
        fronts.iter().map(|front| (secret(front), front.url.clone())).collect();
    setup.secrets().put(Some(HEAD), &secrets)?;
    let project = setup.data.join("project");
    for part in ["config", "pipelines"] {
        copy(&setup.project.join(part), &project.join(part)).map_err(failed)?;
    }
    for entry in std::fs::read_dir(project.join("config/systems")).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let text = std::fs::read_to_string(&file).map_err(failed)?;
        if let Some(moved) = fronts.iter().find_map(|front| on_server(&text, front)) {
            std::fs::write(&file, moved).map_err(failed)?;
        }
    }
    let note = setup.printer.pick(
        "the systems of the front databases are in this copy of the project:",
        "前置库各系统改在服务器上的项目副本：",
    );
    setup.printer.note(&format!("{note} {}", project.display()));
    Ok(setup.in_project(project))
}

fn secret(front: &Front) -> String {
    format!("front_{}_url", front.database)
}

/// A system file that reads the front's SQLite file, as one that reads its copy.
fn on_server(text: &str, front: &Front) -> Option<String> {
    let path = format!("/{}.db\"", front.database);
    let is_path = |line: &str| line.starts_with("path = ") && line.ends_with(&path);
    if !text.lines().any(is_path) {
        return None;
    }
    let line = |line: &str| match line {
        "kind = \"sqlite\"" => format!("kind = \"{}\"", front.kind),
        line if is_path(line) => {
            let url = format!("url = \"${{secret:{}}}\"", secret(front));
            match &front.schema {
                Some(schema) => format!("{url}\nschema = \"{schema}\""),
                None => url,
            }
        }
        line => line.to_owned(),
    };
    Some(text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n")
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn failed(error: std::io::Error) -> Error {
    let message = "the project cannot be copied into the data folder";
    Error::new(ErrorKind::Permission, "E-DATA", message)
        .hint("name a folder that may be written with --data")
        .cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_that_reads_the_front_is_moved() {
        let front = |schema: Option<&str>| Front {
            database: "linked",
            kind: "postgres",
            url: "postgresql://127.0.0.1/x".into(),
            schema: schema.map(str::to_owned),
        };
        let text = "version = 1\nkind = \"sqlite\"\npath = \"${env:CITY_FOLDER}/linked.db\"\n";
        assert_eq!(
            on_server(text, &front(Some("s"))).as_deref(),
            Some(
                "version = 1\nkind = \"postgres\"\nurl = \"${secret:front_linked_url}\"\n\
                 schema = \"s\"\n"
            )
        );
        assert_eq!(on_server(&text.replace("linked", "items"), &front(None)), None);
    }
}
