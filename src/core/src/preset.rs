//! Presets: what the tables of one family of front databases (前置库) have in common, as data.
//!
//! A system file names a preset in place of a table's name, key, cursor, flag and columns. What the
//! preset says is put under what the operator wrote before any connector sees it.

mod expand;
mod family;
mod fields;
mod keys;
mod origin;
mod recognise;
mod spelling;
mod template;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::{Document, Fault, Faults, closest};

pub(crate) use expand::expand;
pub use family::{Column, Family, Table};
pub use fields::{Fields, PushShape};
pub(crate) use keys::{PushPresetKeys, StreamPresetKeys, SystemPresetKeys};
pub use origin::Origins;
pub use recognise::Recognised;
pub use spelling::Spelling;

/// The presets that come with the program, by family.
const SHIPPED: [(&str, &str); 7] = [
    ("dn_task", include_str!("../presets/dn_task.toml")),
    ("ea_jc_step", include_str!("../presets/ea_jc_step.toml")),
    ("inf_apply", include_str!("../presets/inf_apply.toml")),
    ("pre", include_str!("../presets/pre.toml")),
    ("up_pro", include_str!("../presets/up_pro.toml")),
    ("up_task", include_str!("../presets/up_task.toml")),
    ("up_uc", include_str!("../presets/up_uc.toml")),
];

/// All presets a project can use.
#[derive(Debug, Clone)]
pub struct Presets {
    families: Vec<Family>,
}

impl Presets {
    /// The presets that come with the program, and those of the project's own `files` (path and
    /// text). A file with the name of a shipped family stands in its place.
    pub fn load(files: &[(PathBuf, String)]) -> Result<Self, Faults> {
        let mut families: Vec<Family> = Vec::new();
        let mut faults = Faults::default();
        let own: Vec<(&Path, &str)> =
            files.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect();
        let is_own = |name: &str| own.iter().any(|(path, _)| stem(path) == name);
        let shipped = SHIPPED.iter().filter(|(name, _)| !is_own(name));
        let shipped: Vec<(PathBuf, &str)> =
            shipped.map(|(name, text)| (format!("presets/{name}.toml").into(), *text)).collect();
        let all = shipped.iter().map(|(path, text)| (path.as_path(), *text)).chain(own);
        for (path, text) in all {
            match read(path, text, &families) {
                Ok(family) => families.push(family),
                Err(found) => faults.0.extend(found.0),
            }
        }
        families.sort_by(|a, b| a.name.cmp(&b.name));
        if faults.is_empty() { Ok(Self { families }) } else { Err(faults) }
    }

    /// The families, by name.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The family called `name`.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// The preset of one table called `name`, and its family.
    pub fn table(&self, name: &str) -> Option<(&Family, &Table)> {
        self.families.iter().find_map(|family| {
            family.tables.iter().find(|table| table.name == name).map(|table| (family, table))
        })
    }

    fn tables(&self) -> impl Iterator<Item = (&Family, &Table)> {
        self.families.iter().flat_map(|family| family.tables.iter().map(move |t| (family, t)))
    }

    /// What to do about a preset for one table that is not there.
    fn advice(&self, name: &str) -> String {
        if let Some(family) = self.family(name) {
            let tables: Vec<&str> = family.tables.iter().map(|table| table.name.as_str()).collect();
            return format!(
                "`{name}` is a family, for the top of the file; here use one of: {}",
                tables.join(", ")
            );
        }
        nearest(name, self.tables().map(|(_, table)| table.name.as_str()))
    }

    /// What to do about a family or table that is not there.
    fn advice_for_systems(&self, name: &str) -> String {
        let families = self.families.iter().map(|family| family.name.as_str());
        nearest(name, families.chain(self.tables().map(|(_, table)| table.name.as_str())))
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match closest(name, known) {
        Some(close) => format!("did you mean `{close}`?"),
        None => "`huiliu presets` lists all".to_owned(),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned()
}

fn read(path: &Path, text: &str, before: &[Family]) -> Result<Family, Faults> {
    let document = Document::parse(path, text)?;
    let family = Family::read(&stem(path), &document)?;
    let mut faults: Vec<Fault> = Vec::new();
    for table in &family.tables {
        let other =
            before.iter().find(|other| other.tables.iter().any(|known| known.name == table.name));
        if let Some(other) = other {
            let message =
                format!("`{}` is a preset of the family `{}` too", table.name, other.name);
            let place = format!("tables.{}", table.name);
            faults.push(document.fault(&place, message, Some("give it another name".to_owned())));
        }
    }
    if faults.is_empty() { Ok(family) } else { Err(Faults(faults)) }
}

/// The schema of a preset file.
pub fn preset_schema() -> Value {
    family::schema()
}

#[cfg(test)]
mod tests;
