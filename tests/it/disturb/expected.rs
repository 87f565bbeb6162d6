//! What the lake must hold, as the sources' rows say; and what it holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::Connection;

use super::source::{Sources, Table};
use super::town::Town;
use crate::lake;

/// Rows by number, version and hash, each with how often it is there.
pub(crate) type Bag = BTreeMap<(i64, i64, String), usize>;

/// The tables of the sources in the lake.
const TABLES: [(&str, &str); 4] = [
    ("current.office_cases", "cases"),
    ("history.office_cases", "superseded"),
    ("current.office_ledger", "ledger"),
    ("current.office_plan", "plan"),
];

/// So many small files are joined.
pub(crate) const SMALL_FILES: usize = 8;

/// The content of the lake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) cases: Bag,
    pub(crate) superseded: Bag,
    pub(crate) ledger: Bag,
    pub(crate) plan: Bag,
}

fn live(table: &Table) -> Bag {
    let live = table.live().into_iter();
    live.map(|(id, (version, hash))| ((id, version, hash), 1)).collect()
}

impl Expected {
    /// The content after one more commit of `cases`: its versions that were superseded or are gone
    /// are in history.
    pub(crate) fn with_cases(&self, sources: &Sources) -> Self {
        let mut next = self.clone();
        next.cases = live(&sources.cases);
        for (row, times) in &self.cases {
            if !next.cases.contains_key(row) {
                *next.superseded.entry(row.clone()).or_default() += times;
            }
        }
        next
    }

    /// The content after one more commit of `ledger`, each of which adds all its rows.
    pub(crate) fn with_ledger(&self, sources: &Sources) -> Self {
        let mut next = self.clone();
        for (row, times) in live(&sources.ledger) {
            *next.ledger.entry(row).or_default() += times;
        }
        next
    }

    /// The content after one more commit of `plan`.
    pub(crate) fn with_plan(&self, sources: &Sources) -> Self {
        Self { plan: live(&sources.plan), ..self.clone() }
    }
}

/// How `found` differs from `wanted`, in a few words.
pub(crate) fn difference(what: &str, wanted: &Bag, found: &Bag) -> Option<String> {
    let rows: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    let times = |bag: &Bag, row: &(i64, i64, String)| bag.get(row).copied().unwrap_or(0);
    let lost: Vec<_> = rows.iter().filter(|row| times(found, row) < times(wanted, row)).collect();
    let extra: Vec<_> = rows.iter().filter(|row| times(found, row) > times(wanted, row)).collect();
    let some = |rows: &[&&(i64, i64, String)]| -> String {
        let shown: Vec<String> =
            rows.iter().take(5).map(|row| format!("{} v{}", row.0, row.1)).collect();
        format!("{} ({})", rows.len(), shown.join(", "))
    };
    (!lost.is_empty() || !extra.is_empty())
        .then(|| format!("{what}: lost {}, doubled or unknown {}", some(&lost), some(&extra)))
}

impl Town {
    /// Reads all streams to a good end, and takes it for granted that each committed once.
    async fn read(&mut self) {
        self.run(&["run", "office.*"], None).await.expect(0);
        let expected = self.expected.with_cases(&self.sources);
        self.expected = expected.with_ledger(&self.sources).with_plan(&self.sources);
    }

    /// Changes and reads so often. Each time there are snapshots to expire, and after
    /// [`SMALL_FILES`] times files to be joined.
    pub(crate) async fn change_and_read(&mut self, times: usize) {
        for _ in 0..times {
            self.change().await;
            self.read().await;
        }
    }

    /// What the lake holds.
    pub(crate) async fn seen(&self) -> Result<Expected, String> {
        let mut seen = Expected::default();
        if !self.hub.database().exists() {
            return Ok(seen);
        }
        let mut database = lake::sqlite(&self.hub.database()).await;
        let made = "select count(*) from sqlite_master where name = 'ducklake_table'";
        if lake::number(&mut database, made).await == 0 {
            database.close().await.unwrap();
            return Ok(seen);
        }
        let sql = "select s.schema_name || '.' || t.table_name from ducklake_table t
                   join ducklake_schema s on s.schema_id = t.schema_id
                   where t.end_snapshot is null";
        let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut database).await.unwrap();
        database.close().await.unwrap();
        let queries: Vec<String> = TABLES
            .iter()
            .filter(|(table, _)| tables.iter().any(|made| made == table))
            .map(|(table, part)| format!("select '{part}' as part, id, version, hash from {table}"))
            .collect();
        if queries.is_empty() {
            return Ok(seen);
        }
        let sql = queries.join(" union all ");
        let arguments = ["--output", "json", "query", &sql, "--limit", "1000000"];
        let done = self.run(&arguments, None).await;
        if done.code != Some(0) {
            return Err(format!("the lake cannot be read: {}", done.said()));
        }
        let rows: Value = done.json();
        for row in rows.as_array().unwrap() {
            let bag = match row["part"].as_str().unwrap() {
                "cases" => &mut seen.cases,
                "superseded" => &mut seen.superseded,
                "ledger" => &mut seen.ledger,
                _ => &mut seen.plan,
            };
            let number = |name: &str| row[name].as_i64().unwrap();
            let hash = row["hash"].as_str().unwrap().to_owned();
            *bag.entry((number("id"), number("version"), hash)).or_default() += 1;
        }
        Ok(seen)
    }
}
