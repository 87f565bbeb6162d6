//! Audits as they are written in `pipelines/audits/`: a SELECT that must return no rows.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Faults;
use crate::model::split_header;

/// The schema that all audits are in.
const SCHEMA: &str = "audits";

/// What it means that an audit finds rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing that reads the models which name the audit is computed or sent.
    #[default]
    Block,
    /// It is a finding.
    Warn,
}

impl Severity {
    /// The word it is written as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Warn => "warn",
        }
    }
}

/// The header of an audit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHeader {
    /// What must never be, for people.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// What it means that there are rows. Default: `block`.
    #[serde(default)]
    pub severity: Severity,
    /// Columns of the SELECT that tell its rows apart and hold no personal data: they are kept and
    /// shown as examples. Without them only the number of rows is.
    #[serde(default)]
    pub key: Vec<String>,
}

/// One audit: a header and one SELECT.
#[derive(Debug, Clone)]
pub struct Audit {
    /// `audits.NAME`, from the file's name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Its header.
    pub header: AuditHeader,
    /// Its SELECT.
    pub sql: String,
}

impl Audit {
    /// Reads an audit from the text of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Faults> {
        let (document, sql) = split_header(file, text, "owner = \"WHO ANSWERS\"")?;
        let header: AuditHeader = serde_json::from_value(document.to_json())
            .map_err(|e| Faults(vec![document.fault("", e.to_string(), None)]))?;
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        Ok(Self { name: audit_name(stem), file: file.to_owned(), header, sql: sql.to_owned() })
    }
}

/// The whole name of the audit that a model's header calls `name`.
pub fn audit_name(name: &str) -> String {
    format!("{SCHEMA}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_blocks_unless_it_says_otherwise() {
        let file = Path::new("pipelines/audits/codes_unique.sql");
        let audit =
            |header: &str| Audit::parse(file, &format!("/* +++\n{header}\n+++ */\nselect 1;"));
        let plain = audit("description = \"a\"\nowner = \"b\"").unwrap();
        assert_eq!((plain.name.as_str(), plain.sql.as_str()), ("audits.codes_unique", "select 1"));
        assert_eq!(plain.header.severity, Severity::Block);
        let warning = audit("description = \"a\"\nowner = \"b\"\nseverity = \"warn\"").unwrap();
        assert_eq!(warning.header.severity, Severity::Warn);
        let wrong = audit("description = \"a\"\nowner = \"b\"\nseverity = \"stop\"").unwrap_err();
        assert!(wrong.render().contains("codes_unique.sql"), "{}", wrong.render());
        assert!(audit("description = \"a\"").unwrap_err().render().contains("owner"));
    }
}
