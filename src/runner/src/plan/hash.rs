//! The hash of a plan: what was edited, the snapshot it stands on, and what was built before.

use std::fmt;
use std::str::FromStr;

use huiliu_engine::short_hash;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::ModelRow;

use crate::hub::Hub;

/// Letters of each hash.
const LETTERS: usize = 12;

/// What a plan depends on, in three parts, so that a plan that is no longer the present one can say
/// why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanHash {
    /// The project, as far as something is computed from it today.
    project: String,
    snapshot: i64,
    /// What was built, and from what.
    builds: String,
}

impl Hub {
    /// The hash of a plan on `snapshot` after `builds`.
    pub(crate) fn plan_hash(&self, snapshot: i64, builds: &[ModelRow]) -> PlanHash {
        let pipelines = self.engine.pipelines();
        let mut project = Vec::new();
        for model in &pipelines.models {
            let header = &model.header;
            project.push(format!(
                "{}\0{:?}\0{:?}\0{}",
                model.name, header.kind, header.key, model.sql
            ));
        }
        project.extend(pipelines.reconciliations.values().map(|rec| rec.definition()));
        for (name, hash) in &self.project.files {
            project.push(format!("{name}\0{hash}"));
        }
        for (key, figure) in self.figure_origins(|_| huiliu_engine::Origin::default()) {
            project.push(format!("{key}\0{:?}", figure.counted));
        }
        for (stream, settings) in self.settings_now() {
            project.push(format!("{stream}\0{settings}"));
        }
        for (id, system) in &self.project.systems {
            project.push(format!("{id}\0{:?}\0{:?}", system.config.stage, system.config.pushes));
        }
        let builds: Vec<String> =
            builds.iter().map(|row| format!("{}\0{}", row.name, row.fingerprint)).collect();
        PlanHash { project: letters(&project), snapshot, builds: letters(&builds) }
    }
}

fn letters(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut hash = short_hash(&parts);
    hash.truncate(LETTERS);
    hash
}

impl PlanHash {
    /// Fails unless `present` is the same, and says what is not.
    pub(super) fn check(&self, present: &Self) -> Result<()> {
        let mut changed = Vec::new();
        if self.project != present.project {
            changed.push(
                "the project's files, or the definitions in force today, are others".to_owned(),
            );
        }
        if self.snapshot != present.snapshot {
            changed.push(format!(
                "the lake went from snapshot {} to {}",
                self.snapshot, present.snapshot
            ));
        }
        if self.builds != present.builds {
            changed.push("tables were built since".to_owned());
        }
        if changed.is_empty() {
            return Ok(());
        }
        let message = format!("this plan is no longer the present one: {}", changed.join("; "));
        Err(Error::new(ErrorKind::Conflict, "E-PLAN-STALE", message)
            .hint("nothing ran; look at `huiliu plan` again"))
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.project, self.snapshot, self.builds)
    }
}

impl FromStr for PlanHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.trim().split('-').collect();
        let is_hash = |part: &str| {
            part.len() == LETTERS && part.chars().all(|letter| letter.is_ascii_hexdigit())
        };
        if let [project, snapshot, builds] = parts[..]
            && is_hash(project)
            && is_hash(builds)
            && let Ok(snapshot) = snapshot.parse()
        {
            return Ok(Self {
                project: project.to_lowercase(),
                snapshot,
                builds: builds.to_lowercase(),
            });
        }
        Err(Error::new(ErrorKind::Config, "E-PLAN", format!("`{text}` is no hash of a plan"))
            .hint("copy the whole hash that `huiliu plan` prints"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(project: char, snapshot: i64, builds: char) -> PlanHash {
        let word = |letter: char| letter.to_string().repeat(LETTERS);
        PlanHash { project: word(project), snapshot, builds: word(builds) }
    }

    #[test]
    fn a_hash_is_read_back_and_anything_else_is_refused() {
        let known = hash('a', 7, 'b');
        let again: PlanHash = known.to_string().to_uppercase().parse().unwrap();
        assert_eq!(again, known);
        for wrong in ["", "abc", "aaaaaaaaaaaa-7", "aaaaaaaaaaaa-x-bbbbbbbbbbbb", "zz-7-zz"] {
            assert_eq!(wrong.parse::<PlanHash>().unwrap_err().code(), "E-PLAN", "{wrong}");
        }
    }

    #[test]
    fn what_changed_since_is_said() {
        let known = hash('a', 7, 'b');
        assert!(known.check(&known).is_ok());
        let said = known.check(&hash('c', 9, 'b')).unwrap_err();
        assert_eq!(said.code(), "E-PLAN-STALE");
        let text = said.to_string();
        assert!(text.contains("files") && text.contains("from snapshot 7 to 9"), "{text}");
        assert!(!text.contains("built"), "{text}");
        assert!(known.check(&hash('a', 7, 'c')).unwrap_err().to_string().contains("built"));
    }
}
