//! Metrics and their figures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One figure as it was computed last.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    /// The metric's key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// `percent`, `mean` or `count`.
    pub unit: String,
    /// The value as decimal text in the unit; none before it was computed, and when the
    /// denominator is zero.
    pub value: Option<String>,
    /// What counts; none before it was computed.
    pub numerator: Option<i64>,
    /// What it is counted against; none for counts.
    pub denominator: Option<i64>,
    /// The definition in words.
    pub definition: String,
    /// First day of the definition.
    pub valid_from: String,
    /// Who answers for it.
    pub owner: String,
    /// The snapshot it was computed from.
    pub snapshot: Option<i64>,
    /// How it moved since the day before, as decimal text in the unit with a sign; none when that
    /// is not known.
    pub change: Option<String>,
    /// How it stood at the end of each of the last days that is known, oldest first, and now.
    pub trend: Vec<FigurePoint>,
    /// What the office itself published, if that is known.
    pub published: Option<PublishedValue>,
    /// Audits that keep it from being computed anew; what is shown is the last good figure.
    pub held_back_by: Vec<String>,
}

/// A figure at the end of a day.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FigurePoint {
    /// The day, `YYYY-MM-DD`.
    pub day: String,
    /// The value as decimal text in the unit.
    pub text: String,
    /// The value as a number, for drawing only.
    pub height: f64,
}

/// What the office published of a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PublishedValue {
    /// The value as it was printed.
    pub value: String,
    /// Of which day or period.
    pub period: String,
    /// Where it was printed.
    pub source: String,
}

/// A version of what a metric means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DefinitionVersion {
    /// First day it applies, `YYYY-MM-DD`.
    pub valid_from: String,
    /// In words.
    pub text: String,
    /// SQL predicate of the rows that count; all rows without one.
    pub denominator: Option<String>,
    /// SQL predicate, within the denominator, of the rows above the line.
    pub numerator: Option<String>,
    /// SQL expression; equal values count once.
    pub distinct: Option<String>,
    /// SQL expression: what a row adds above the line.
    pub measure: Option<String>,
    /// SQL expression: what a row adds below the line.
    pub weight: Option<String>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricDetail {
    /// Its figure.
    #[serde(flatten)]
    pub figure: Figure,
    /// The table or model it counts.
    pub from: String,
    /// Its definitions, oldest first.
    pub definitions: Vec<DefinitionVersion>,
    /// By what it can be broken down.
    pub dimensions: Vec<String>,
    /// Whether the rows above the line can be told apart from those below it; counts have one
    /// part only.
    pub is_ratio: bool,
}

/// A figure broken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Breakdown {
    /// The metric's key.
    pub key: String,
    /// The dimensions, in the order that was asked for.
    pub by: Vec<String>,
    /// The groups in the order of their dimensions; rows without one come first.
    pub groups: Vec<Group>,
    /// The snapshot.
    pub snapshot: i64,
}

/// One group of a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Group {
    /// The dimensions' values.
    pub of: Vec<Option<String>>,
    /// The value as decimal text in the unit; none when the denominator is zero.
    pub value: Option<String>,
    /// What counts.
    pub numerator: i64,
    /// What it is counted against; none for counts.
    pub denominator: Option<i64>,
}

/// Why a figure moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// The metric's key.
    pub key: String,
    /// The snapshot before.
    pub from_snapshot: i64,
    /// The value before.
    pub from: Option<String>,
    /// What counted before.
    pub from_numerator: i64,
    /// What it was counted against.
    pub from_denominator: Option<i64>,
    /// The snapshot after.
    pub to_snapshot: i64,
    /// The value after.
    pub to: Option<String>,
    /// What counts after.
    pub to_numerator: i64,
    /// What it is counted against.
    pub to_denominator: Option<i64>,
    /// The change in the metric's unit, rounded; none where one side has no value.
    pub change: Option<String>,
    /// The change as an exact fraction, such as `-1/300`.
    pub exact_change: Option<String>,
    /// Its parts in the order in which they are applied; their exact changes sum to the whole.
    pub steps: Vec<ChangeStep>,
}

/// One part of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangeStep {
    /// `definition`, `gone`, `corrected` or `new`.
    pub step: String,
    /// Rows (or distinct values) that it moves.
    pub rows: i64,
    /// What counts after it.
    pub numerator: i64,
    /// What that is counted against after it.
    pub denominator: Option<i64>,
    /// What it adds in the metric's unit, rounded.
    pub change: Option<String>,
    /// What it adds as an exact fraction.
    pub exact_change: Option<String>,
}

/// A part of a figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Rows that count.
    #[default]
    Numerator,
    /// Rows they are counted against.
    Denominator,
}
