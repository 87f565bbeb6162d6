//! Driving the real program: a data folder of its own, the shipped project or an edited copy.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A hub that can be run: a project and a data folder that vanishes with it.
pub(crate) struct Hub {
    folder: TempDir,
    project: PathBuf,
}

impl Hub {
    /// The shipped project with empty data.
    pub(crate) fn shipped() -> Self {
        Self { folder: TempDir::new().unwrap(), project: root().to_owned() }
    }

    /// A copy of the shipped project, to be edited.
    pub(crate) fn edited() -> Self {
        let folder = TempDir::new().unwrap();
        let project = folder.path().join("project");
        for part in ["config", "pipelines"] {
            copy(&root().join(part), &project.join(part));
        }
        Self { folder, project }
    }

    /// The project's folder.
    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The hub's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("huiliu.db")
    }

    /// The folder of the simulated city.
    pub(crate) fn city(&self) -> PathBuf {
        self.data().join("city")
    }

    /// What the city says of itself.
    pub(crate) fn truth(&self) -> Value {
        let text = std::fs::read(self.city().join("truth.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Replaces `from`, which must be there, in a file of the project.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.project.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// The line of a file of the project that begins with `start`, from 1.
    pub(crate) fn line_of(&self, file: &str, start: &str) -> usize {
        let text = std::fs::read_to_string(self.project.join(file)).unwrap();
        1 + text.lines().position(|line| line.starts_with(start)).unwrap()
    }

    /// The program with its folders and an environment that says nothing.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_huiliu"));
        command.env_clear().env("LC_ALL", "C.UTF-8").arg("--project").arg(&self.project);
        command.arg("--data").arg(self.data()).args(arguments);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().unwrap(), arguments)
    }

    /// Runs the program with a text on stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Done {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input.as_bytes()).unwrap();
        file.rewind().unwrap();
        Done::of(self.command(arguments).stdin(file).output().unwrap(), arguments)
    }

    /// Runs the program with JSON output.
    pub(crate) fn run_json(&self, arguments: &[&str]) -> Done {
        self.run(&[&["--output", "json"], arguments].concat())
    }

    /// A demo of the small city of `seed`, which must end well.
    pub(crate) fn demo(&self, seed: u64) -> Value {
        self.demo_of(seed, "0.05")
    }

    /// A demo of the city of `seed` and this scale, which must end well.
    pub(crate) fn demo_of(&self, seed: u64, scale: &str) -> Value {
        let seed = seed.to_string();
        self.run_json(&["demo", "--scale", scale, "--seed", &seed]).expect(0).json()
    }

    /// All rows of a query.
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        let done = self.run_json(&["query", sql, "--limit", "1000000"]).expect(0);
        done.json().as_array().unwrap().clone()
    }
}

/// How the program ended.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    command: String,
}

impl Done {
    pub(crate) fn of(output: Output, arguments: &[&str]) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            command: arguments.join(" "),
        }
    }

    /// Fails with all output unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        let Self { command, out, err, .. } = &self;
        assert_eq!(self.code, Some(code), "huiliu {command}\n--- stdout\n{out}\n--- stderr\n{err}");
        self
    }

    /// The JSON on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in: {}", self.out))
    }

    /// Everything it said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// The step of `node` in the report of a run.
#[track_caller]
pub(crate) fn step<'a>(report: &'a Value, part: &str, node: &str) -> &'a Value {
    let steps = report[part].as_array().unwrap_or_else(|| panic!("no {part} in {report}"));
    steps.iter().find(|s| s["node"] == node).unwrap_or_else(|| panic!("no {node} in {report}"))
}

/// Copies a folder with all it holds.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
