//! What the sources hold: rows with a number, a version and a hash of both, as the seed decides.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::chance::{Chance, mix};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) version: i64,
    pub(crate) hash: String,
    /// When it changed last. Several rows may have changed together, some after they were read.
    pub(crate) at: i64,
    pub(crate) gone: bool,
}

/// What a payload is: the hash, long enough that rows take up room.
fn hash(table: u64, id: i64, version: i64) -> String {
    let start = mix(table ^ mix(id.cast_unsigned() ^ mix(version.cast_unsigned())));
    (0..4).map(|part| format!("{:016x}", mix(start + part))).collect()
}

/// The rows of one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) rows: BTreeMap<i64, Row>,
    number: u64,
    now: i64,
}

impl Table {
    fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// A time for a change: a new one, or that of the newest row there is.
    fn moment(&mut self, chance: &mut Chance) -> i64 {
        if self.now == 0 || !chance.once_in(3) {
            self.now += 1;
        }
        self.now
    }

    fn insert(&mut self, chance: &mut Chance) {
        let id = self.rows.last_key_value().map_or(1, |(id, _)| id + 1);
        self.put(id, 1, false, chance);
    }

    fn put(&mut self, id: i64, version: i64, gone: bool, chance: &mut Chance) {
        let at = self.moment(chance);
        let hash = hash(self.number, id, version);
        self.rows.insert(id, Row { version, hash, at, gone });
    }

    fn any(&self, chance: &mut Chance) -> Option<i64> {
        let index = chance.below(self.rows.len());
        self.rows.keys().nth(index).copied()
    }

    /// Gives a row that is there another version, or marks it as gone.
    fn advance(&mut self, gone: bool, chance: &mut Chance) {
        let Some(id) = self.any(chance) else { return };
        let row = &self.rows[&id];
        if row.gone {
            return;
        }
        let version = row.version + 1;
        self.put(id, version, gone, chance);
    }

    /// Number, version and hash of the rows that are not gone.
    pub(crate) fn live(&self) -> BTreeMap<i64, (i64, String)> {
        let live = self.rows.iter().filter(|(_, row)| !row.gone);
        live.map(|(id, row)| (*id, (row.version, row.hash.clone()))).collect()
    }
}

/// What the sources hold: `cases` changes row by row, `ledger` only grows, `plan` is made anew.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) cases: Table,
    pub(crate) ledger: Table,
    pub(crate) plan: Table,
}

impl Sources {
    /// Sources with `cases` and `plan` of `rows` rows.
    pub(crate) fn new(rows: usize, chance: &mut Chance) -> Self {
        let mut sources = Self { cases: Table::new(1), ledger: Table::new(2), plan: Table::new(3) };
        for _ in 0..rows {
            sources.cases.insert(chance);
            sources.plan.insert(chance);
        }
        for _ in 0..20 {
            sources.ledger.insert(chance);
        }
        sources
    }

    /// Something happens in every table.
    pub(crate) fn change(&mut self, chance: &mut Chance) {
        for _ in 0..=chance.below(20) {
            self.cases.insert(chance);
        }
        for _ in 0..=chance.below(40) {
            self.cases.advance(false, chance);
        }
        for _ in 0..chance.below(4) {
            self.cases.advance(true, chance);
        }
        for _ in 0..=chance.below(3) {
            self.ledger.insert(chance);
        }
        for _ in 0..=chance.below(30) {
            self.plan.advance(false, chance);
        }
        if let Some(id) = self.plan.any(chance).filter(|_| self.plan.rows.len() > 1) {
            self.plan.rows.remove(&id);
        }
    }

    /// Statements that bring a database from `before` to this, in one transaction. Where rows are
    /// fetched by a flag, a row that changes is to be fetched again.
    pub(crate) fn script(&self, before: Option<&Self>) -> String {
        let mut sql = String::from("begin;");
        if before.is_none() {
            for table in ["cases", "ledger", "plan"] {
                write!(
                    sql,
                    "create table {table} (id bigint primary key, version bigint not null,
                     hash text not null, at bigint not null, gone bigint not null,
                     flag text not null default '0');"
                )
                .unwrap();
            }
        }
        let none = Table::default();
        for (name, table, earlier) in [
            ("cases", &self.cases, before.map_or(&none, |before| &before.cases)),
            ("ledger", &self.ledger, before.map_or(&none, |before| &before.ledger)),
            ("plan", &self.plan, before.map_or(&none, |before| &before.plan)),
        ] {
            for (id, row) in &table.rows {
                if earlier.rows.get(id) == Some(row) {
                    continue;
                }
                let Row { version, hash, at, gone } = row;
                let gone = i32::from(*gone);
                write!(
                    sql,
                    "insert into {name} values ({id}, {version}, '{hash}', {at}, {gone}, '0')
                     on conflict (id) do update set version = excluded.version,
                       hash = excluded.hash, at = excluded.at, gone = excluded.gone, flag = '0';"
                )
                .unwrap();
            }
            for id in earlier.rows.keys().filter(|id| !table.rows.contains_key(id)) {
                write!(sql, "delete from {name} where id = {id};").unwrap();
            }
        }
        sql + "commit;"
    }
}
