//! The rule: nothing is lost, nothing is doubled, nothing is stuck. What breaks it is returned in
//! words, so that a test with a planted defect can ask for it.

use sqlx::Connection;

use super::expected::{Expected, difference};
use super::town::{EVERYTHING, Town};
use crate::lake;

/// What was found to break the rule.
pub(crate) type Findings = Vec<String>;

/// Reads of one run that may each have committed: the first try and those after it.
const TRIES: usize = 4;

/// What must be zero when nothing runs: what it would mean, and how often it is so.
const STUCK: [(&str, &str); 8] = [
    ("runs that never ended", "select count(*) from huiliu_run where state = 'running'"),
    ("leases that are held", "select count(*) from huiliu_lease where holder is not null"),
    ("connections that are held", "select count(*) from huiliu_slot"),
    ("attempts that never ended", "select count(*) from huiliu_attempt"),
    (
        "steps that do not balance",
        "select count(*) from huiliu_step where kind = 'stream'
           and read <> written + unchanged + deduplicated + filtered + quarantined + echoed",
    ),
    (
        "states that are not those of their last commit",
        "select count(*) from huiliu_state s where not exists (
           select 1 from huiliu_commit c where c.system = s.system and c.stream = s.stream
             and c.seq = s.seq and c.snapshot_id = s.snapshot_id and c.run_id = s.run_id
             and c.seq = (select max(seq) from huiliu_commit m
                          where m.system = s.system and m.stream = s.stream))",
    ),
    (
        "states whose snapshot is gone",
        "select count(*) from huiliu_state s where not exists (
           select 1 from ducklake_snapshot n where n.snapshot_id = s.snapshot_id)",
    ),
    (
        "records queued twice",
        "select count(*) - count(distinct record_key || ' ' || record_hash) from huiliu_outbox",
    ),
];

impl Town {
    /// After a disturbance: every commit is there as a whole, or not at all.
    pub(crate) async fn all_or_nothing(&mut self) -> Findings {
        match self.seen().await {
            Ok(seen) => self.take_in(&seen, false),
            Err(finding) => vec![finding],
        }
    }

    /// Runs `arguments` undisturbed and compares everything.
    pub(crate) async fn recover(&mut self, arguments: &[&str]) -> Findings {
        let done = self.run(arguments, None).await;
        if done.code != Some(0) {
            return vec![format!(
                "stuck: {arguments:?} ends with {:?}: {}",
                done.code,
                done.said()
            )];
        }
        self.compare(arguments).await
    }

    /// Compares everything, after `arguments` ran to a good end.
    pub(crate) async fn compare(&mut self, arguments: &[&str]) -> Findings {
        let seen = match self.seen().await {
            Ok(seen) => seen,
            Err(finding) => return vec![finding],
        };
        let reads = arguments == EVERYTHING;
        let mut findings = self.take_in(&seen, reads);
        findings.extend(self.bookkeeping().await);
        if reads {
            findings.extend(self.pushed().await);
        }
        findings
    }

    /// Takes what is seen for what is expected from now on, if it is one of the contents that
    /// whole commits lead to; with `reads`, only the newest will do.
    fn take_in(&mut self, seen: &Expected, reads: bool) -> Findings {
        let mut findings = Vec::new();
        let before = self.expected.clone();

        let after = before.with_cases(&self.sources);
        let committed = (&seen.cases, &seen.superseded) == (&after.cases, &after.superseded);
        let untouched = (&seen.cases, &seen.superseded) == (&before.cases, &before.superseded);
        if !committed && (reads || !untouched) {
            findings.extend(difference("current.office_cases", &after.cases, &seen.cases));
            findings.extend(difference(
                "history.office_cases",
                &after.superseded,
                &seen.superseded,
            ));
        }

        let least = usize::from(reads);
        let mut ledger = before.clone();
        let mut copies = 0;
        while ledger.ledger != seen.ledger && copies < TRIES {
            ledger = ledger.with_ledger(&self.sources);
            copies += 1;
        }
        if ledger.ledger != seen.ledger || copies < least {
            let once = before.with_ledger(&self.sources);
            let found = difference("current.office_ledger", &once.ledger, &seen.ledger);
            findings.push(found.unwrap_or_else(|| "current.office_ledger is behind".to_owned()));
        }

        let after = before.with_plan(&self.sources);
        if seen.plan != after.plan && (reads || seen.plan != before.plan) {
            findings.extend(difference("current.office_plan", &after.plan, &seen.plan));
        }
        self.expected = seen.clone();
        findings
    }

    /// What the hub's database says about itself.
    async fn bookkeeping(&self) -> Findings {
        let mut database = lake::sqlite(&self.hub.database()).await;
        let mut findings = Vec::new();
        for (what, sql) in STUCK {
            let count = lake::number(&mut database, sql).await;
            if count != 0 {
                findings.push(format!("{count} {what}"));
            }
        }
        let count =
            |bag: &super::expected::Bag| i64::try_from(bag.values().sum::<usize>()).unwrap();
        let versions = count(&self.expected.cases) + count(&self.expected.superseded);
        for (stream, rows, sql) in [
            (
                "cases",
                versions,
                "select coalesce(sum(written), 0) from huiliu_step where node = 'office.cases'",
            ),
            (
                "ledger",
                count(&self.expected.ledger),
                "select coalesce(sum(written), 0) from huiliu_step where node = 'office.ledger'",
            ),
        ] {
            let balanced = lake::number(&mut database, sql).await;
            if balanced != rows {
                findings.push(format!("{stream} has {rows} rows, and its balances {balanced}"));
            }
        }
        database.close().await.unwrap();
        findings
    }

    /// What the target has received: every newest version, none under two keys.
    async fn pushed(&self) -> Findings {
        let received = self.target.received();
        let mut findings = Vec::new();
        for pair in received.windows(2).filter(|pair| pair[0] == pair[1]) {
            findings.push(format!("the target has {} v{} twice", pair[0].0, pair[0].1));
        }
        let ever = |row: &(i64, i64, String)| {
            self.expected.cases.contains_key(row) || self.expected.superseded.contains_key(row)
        };
        for row in received.iter().filter(|row| !ever(row)) {
            findings.push(format!("the target has {} v{}, which the hub never had", row.0, row.1));
        }
        for row in self.expected.cases.keys().filter(|row| !received.contains(row)) {
            findings.push(format!("the target lacks {} v{}", row.0, row.1));
        }
        let mut database = lake::sqlite(&self.hub.database()).await;
        let sql = "select count(*) from huiliu_outbox where state <> 'accepted'";
        let open = lake::number(&mut database, sql).await;
        let queued = lake::number(&mut database, "select count(*) from huiliu_outbox").await;
        if open != 0 || usize::try_from(queued).unwrap() != received.len() {
            findings.push(format!(
                "{queued} records are queued, {open} of them not accepted; the target has {}",
                received.len()
            ));
        }
        database.close().await.unwrap();
        findings
    }

    /// Looks at all files, and asks DuckDB for the same content.
    pub(crate) async fn doctor(&self) -> Findings {
        let mut findings = Vec::new();
        let done = self.run(&["doctor"], None).await;
        if done.code != Some(0) {
            findings.push(format!("doctor: {}", done.said()));
        }
        let counts = lake::counts(&self.hub.database());
        for (table, bag) in [
            ("current.office_cases", &self.expected.cases),
            ("current.office_plan", &self.expected.plan),
        ] {
            let rows = i64::try_from(bag.values().sum::<usize>()).unwrap();
            if counts.get(table) != Some(&rows) {
                findings.push(format!(
                    "DuckDB finds {:?} rows in {table}, not {rows}",
                    counts.get(table)
                ));
            }
        }
        findings
    }
}

/// Fails with all findings.
#[track_caller]
pub(crate) fn none(findings: &Findings, when: &str) {
    assert!(findings.is_empty(), "{when}:\n{}", findings.join("\n"));
}
