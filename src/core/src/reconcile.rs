//! Reconciliations as they are written in `pipelines/reconcile/`: which systems hold an entity,
//! by which key their rows belong together, which fields must agree and whom one trusts.

mod check;
mod compare;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Document, Faults};

use compare::CompareKeys;
pub use compare::{Comparison, Normalise, VALUE_SCALE};

/// The file as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReconcileKeys {
    /// Version of this file's layout; 1.
    #[schemars(example = 1)]
    version: u32,
    /// What one row is, in the singular: `case` makes the table `reconciled.cases`.
    #[schemars(example = &"case")]
    entity: String,
    /// Its name, for people.
    #[schemars(example = &"办件")]
    title: String,
    /// Columns that all systems have and that together identify an entity.
    #[schemars(example = ["case_no"])]
    key: Vec<String>,
    /// The field that says how old an entity is, for `lag`.
    #[serde(default)]
    #[schemars(example = &"accept_time")]
    time: Option<String>,
    /// The system whose newest `time` is taken for now. Default: the clock.
    #[serde(default)]
    #[schemars(example = &"city")]
    as_of: Option<String>,
    /// Whether the golden table is written. Without it only classes and differences are, every
    /// run looks at all rows, and a few words of each are all that is kept. Default: yes.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    golden: bool,
    /// The systems, 2 to 8, the first one trusted most.
    #[schemars(example = serde_json::json!({ "city": { "table": "standard.city_cases" }, "province": { "table": "standard.province_cases" } }))]
    systems: BTreeMap<String, SystemKeys>,
    /// The fields of the golden table.
    #[schemars(example = serde_json::json!({ "accept_time": { "compare": { "within": "60s" } } }))]
    fields: BTreeMap<String, FieldKeys>,
    /// How many entities of a class (`mismatch`, `duplicate_key`, `unkeyed`, `missing_in_SYSTEM`)
    /// are no finding: a number, or a share of all entities such as `1%`.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "mismatch": "1%", "missing_in_province": 20 }))]
    warn: BTreeMap<String, LevelKeys>,
}

/// One system as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SystemKeys {
    /// The table or model with its rows, such as `standard.city_cases`.
    #[schemars(example = &"standard.city_cases")]
    table: String,
    /// Its name, for people.
    #[serde(default)]
    #[schemars(example = &"省级平台")]
    title: Option<String>,
    /// Who answers for differences that this system makes.
    #[serde(default)]
    #[schemars(example = &"市政务服务中心")]
    owner: Option<String>,
    /// The field that names who answers instead, such as the department that handles the case.
    #[serde(default)]
    #[schemars(example = &"department")]
    owner_field: Option<String>,
    /// How long an entity may take to arrive here, such as `2h`; younger ones are pending.
    #[serde(default)]
    #[schemars(example = &"2h")]
    lag: Option<String>,
    /// The entities that belong here: those whose `field` is among the values of a table. Default:
    /// all.
    #[serde(default)]
    expects: Option<Expects>,
    /// Names of columns that differ from those of key and fields: ours = theirs.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "case_no": "project_no" }))]
    columns: BTreeMap<String, String>,
    /// The column that tells its rows apart, for provenance.
    #[serde(default)]
    #[schemars(example = &"row_guid")]
    row: Option<String>,
    /// The column with the run that received the row, for provenance.
    #[serde(default)]
    #[schemars(example = &"received_run")]
    run: Option<String>,
    /// The column that says how many equally good rows this one stands for; above 1 it is a
    /// duplicate.
    #[serde(default)]
    #[schemars(example = &"copies")]
    copies: Option<String>,
    /// Whether repairs are proposed to it. Default: yes.
    #[serde(default = "yes")]
    #[schemars(example = false)]
    repair: bool,
    /// The push that brings what is missing here, as `system.push`; what the target accepted is
    /// fixed until it is read again.
    #[serde(default)]
    #[schemars(example = &"province.cases")]
    push: Option<String>,
    /// The push that mends fields here, as `system.push`; it needs `before`. Its records are sent
    /// by `reconcile repair apply` alone.
    #[serde(default)]
    #[schemars(example = &"province.corrections")]
    correct: Option<String>,
    /// How rows without a key find their entity: rules, the first that fits decides. Needs `row`.
    #[serde(default, rename = "match")]
    #[schemars(example = serde_json::json!([{ "on": ["applicant"], "within": { "accept_time": "2h" } }]))]
    rules: Vec<MatchKeys>,
}

/// A rule for rows without a key, as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MatchKeys {
    /// Fields that must be equal, as they are normalised.
    #[schemars(example = ["applicant", "item_code"])]
    on: Vec<String>,
    /// Times that must lie on one day.
    #[serde(default)]
    #[schemars(example = ["accept_time"])]
    day: Vec<String>,
    /// Times that may be so far apart: field = length of time. The nearest entity is taken.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "accept_time": "2h" }))]
    within: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// Which entities belong into a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expects {
    /// The field of the golden row.
    #[schemars(example = &"item_code")]
    pub field: String,
    /// The table with its values.
    #[schemars(example = &"standard.provincial_items")]
    pub from: String,
    /// The column there. Default: named like the field.
    #[serde(default)]
    #[schemars(example = &"code")]
    pub column: Option<String>,
}

/// One field as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FieldKeys {
    /// Its name, for people.
    #[serde(default)]
    #[schemars(example = &"受理时间")]
    title: Option<String>,
    /// How values are compared. Default: they must be equal.
    #[serde(default)]
    compare: CompareKeys,
    /// Whose value is taken, the first one that has any. Default, and after these: the systems in
    /// their order.
    #[serde(default)]
    #[schemars(example = ["city", "province"])]
    trust: Vec<String>,
    /// What does not count in a comparison.
    #[serde(default)]
    #[schemars(example = ["width", "trim"])]
    normalise: Vec<Normalise>,
    /// The code table by which a system's codes are translated first: system = table.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "province": "case_state" }))]
    codes: BTreeMap<String, String>,
    /// The systems that have the field. Default: all.
    #[serde(default)]
    #[schemars(example = ["city", "province"])]
    systems: Option<Vec<String>>,
}

/// A warn level as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum LevelKeys {
    /// That many.
    Count(u64),
    /// That share.
    Share(String),
}

/// How many entities of a class are no finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Level {
    /// That many.
    Count(u64),
    /// That many ten-thousandths of all entities.
    Share(u64),
}

impl Level {
    /// Whether `count` of `all` is above it.
    pub fn is_passed(self, count: u64, all: u64) -> bool {
        match self {
            Self::Count(most) => count > most,
            Self::Share(most) => u128::from(count) * 10_000 > u128::from(all) * u128::from(most),
        }
    }
}

/// One system of a reconciliation.
#[derive(Debug, Clone, Serialize)]
pub struct ReconcileSystem {
    /// Its name in the file.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// The table with its rows.
    pub table: String,
    /// Who answers for it.
    pub owner: String,
    /// The field that names who answers instead.
    pub owner_field: Option<String>,
    /// How long an entity may take to arrive, in microseconds.
    pub lag_micros: Option<i64>,
    /// The entities that belong into it.
    pub expects: Option<Expects>,
    /// Names of columns that differ: ours, theirs.
    pub columns: BTreeMap<String, String>,
    /// The column that tells its rows apart.
    pub row: Option<String>,
    /// The column with the run that received the row.
    pub run: Option<String>,
    /// The column with the number of copies.
    pub copies: Option<String>,
    /// Whether repairs are proposed to it.
    pub repair: bool,
    /// The push that brings what is missing in it, as `system.push`.
    pub push: Option<String>,
    /// The push that mends fields in it, as `system.push`.
    #[serde(skip)]
    pub correct: Option<String>,
    /// How its rows without a key find their entity.
    pub rules: Vec<MatchRule>,
}

/// A rule by which rows without a key find their entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatchRule {
    /// Fields that must be equal.
    pub on: Vec<String>,
    /// Times that must lie on one day.
    pub day: Vec<String>,
    /// Times that may be so many microseconds apart.
    pub within: Vec<(String, i64)>,
}

impl ReconcileSystem {
    /// What its table calls the column `name`.
    pub fn column<'a>(&'a self, name: &'a str) -> &'a str {
        self.columns.get(name).map_or(name, String::as_str)
    }
}

/// One field of a reconciliation.
#[derive(Debug, Clone, Serialize)]
pub struct ReconcileField {
    /// Its name.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// How its values are compared.
    pub compare: Comparison,
    /// The systems by trust, as positions in [`Reconciliation::systems`]; those without the field
    /// are not among them.
    pub trust: Vec<usize>,
    /// What does not count in a comparison.
    pub normalise: Vec<Normalise>,
    /// The code table of each system by its position.
    pub codes: BTreeMap<usize, String>,
}

/// One reconciliation, valid in itself.
#[derive(Debug, Clone, Serialize)]
pub struct Reconciliation {
    /// The file's name without ending.
    pub name: String,
    /// The file.
    #[serde(skip)]
    pub file: PathBuf,
    /// What one row is.
    pub entity: String,
    /// Its name, for people.
    pub title: String,
    /// The key columns.
    pub key: Vec<String>,
    /// The field that says how old an entity is.
    pub time: Option<String>,
    /// The system whose newest time is now, by its position; none for the clock.
    pub as_of: Option<usize>,
    /// Whether the golden table is written.
    pub golden: bool,
    /// The systems in the order of the file.
    pub systems: Vec<ReconcileSystem>,
    /// The fields in the order of the file.
    pub fields: Vec<ReconcileField>,
    /// Above how many entities a class is a finding.
    pub warn: BTreeMap<String, Level>,
}

impl Reconciliation {
    /// Reads a reconciliation from the text of `file`: all its faults at once.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Faults> {
        let document = Document::parse(file, text)?;
        let keys: ReconcileKeys = document.read(&reconcile_schema())?;
        let value = document.to_json();
        let names = |table: &str| -> Vec<String> {
            value[table].as_object().into_iter().flat_map(|o| o.keys().cloned()).collect()
        };
        let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        check::build(&document, name, file, keys, &names("systems"), &names("fields"))
    }

    /// The golden table: one row per key.
    pub fn table(&self) -> String {
        format!("reconciled.{}s", self.entity)
    }

    /// The ledger: one row per difference there is or was.
    pub fn differences(&self) -> String {
        format!("reconciled.{}_differences", self.entity)
    }

    /// A view of the ledger with the age of each difference.
    pub fn ledger(&self) -> String {
        format!("reconciled.{}_ledger", self.entity)
    }

    /// What happened to each difference, in the order in which it happened.
    pub fn events(&self) -> String {
        format!("reconciled.{}_events", self.entity)
    }

    /// What would have to change where.
    pub fn repairs(&self) -> String {
        format!("reconciled.{}_repairs", self.entity)
    }

    /// Codes found in the systems, and what they mean.
    pub fn coverage(&self) -> String {
        format!("reconciled.{}_coverage", self.entity)
    }

    /// Which rows without a key belong to which entity.
    pub fn matches(&self) -> String {
        format!("reconciled.{}_matches", self.entity)
    }

    /// How many keys are in each class.
    pub fn class_counts(&self) -> String {
        format!("reconciled.{}_classes", self.entity)
    }

    /// The tables it writes.
    pub fn writes(&self) -> [String; 6] {
        [
            self.table(),
            self.class_counts(),
            self.differences(),
            self.events(),
            self.coverage(),
            self.matches(),
        ]
    }

    /// What can be read once it has run: the tables it writes, and views of them.
    pub fn makes(&self) -> Vec<String> {
        self.writes().into_iter().chain([self.ledger(), self.repairs()]).collect()
    }

    /// Whether a system has all fields that a rule names.
    pub fn has_fields(&self, system: usize, rule: &MatchRule) -> bool {
        let within = rule.within.iter().map(|(field, _)| field);
        rule.on.iter().chain(&rule.day).chain(within).all(|name| {
            self.field(name).is_some_and(|field| self.fields[field].trust.contains(&system))
        })
    }

    /// The tables it reads.
    pub fn reads(&self) -> Vec<String> {
        let mut tables: Vec<String> = self.systems.iter().map(|s| s.table.clone()).collect();
        tables.extend(self.systems.iter().filter_map(|s| Some(s.expects.as_ref()?.from.clone())));
        tables.sort();
        tables.dedup();
        tables
    }

    /// The position of the field called `name`.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The position of the system called `name`.
    pub fn system(&self, name: &str) -> Option<usize> {
        self.systems.iter().position(|system| system.name == name)
    }

    /// The classes an entity can be in, the most important ones first.
    pub fn classes(&self) -> Vec<String> {
        let mut classes = vec!["duplicate_key".to_owned(), "pending".to_owned()];
        classes.extend(self.systems.iter().map(|system| format!("missing_in_{}", system.name)));
        classes.extend(["mismatch".to_owned(), "matched".to_owned()]);
        classes
    }

    /// Text that changes when anything that decides about the result does.
    pub fn definition(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The schema of a file in `pipelines/reconcile/`.
pub fn reconcile_schema() -> Value {
    let mut schema = crate::config::schema_of::<ReconcileKeys>();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("title".into(), "Huiliu reconciliation".into());
    }
    schema
}

#[cfg(test)]
mod tests;
