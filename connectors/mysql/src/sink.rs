//! Writing records, with an outcome for each.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, LoadMode, Outcome, Receipt, Result, Sink, WriteBatch};
use sqlx::mysql::MySqlConnection;

use crate::config::{Push, Settings};
use crate::database::{Purpose, execute, open, unless_cancelled};
use crate::fault::{fault, lost, number, of_row};
use crate::target::Target;
use crate::value::Bound;

/// Times a batch is sent when another transaction holds the same rows the other way round.
const ATTEMPTS: usize = 3;

/// Writes records to one table: each is inserted, or updates the row of its key.
pub(crate) struct TableSink {
    settings: Arc<Settings>,
    push: Push,
    session: Option<(MySqlConnection, Option<Target>)>,
}

impl TableSink {
    pub(crate) async fn open(settings: &Arc<Settings>, cx: &Cx, push: &Push) -> Result<Self> {
        let db = unless_cancelled(cx, open(settings, Purpose::Write)).await?;
        Ok(Self { settings: Arc::clone(settings), push: push.clone(), session: Some((db, None)) })
    }

    async fn session(&mut self, batch: &WriteBatch) -> Result<(MySqlConnection, Target)> {
        let (mut db, target) = match self.session.take() {
            Some(session) => session,
            None => (open(&self.settings, Purpose::Write).await?, None),
        };
        let schema = batch.batch.schema();
        let target = match target.filter(|target| target.is_for(&schema)) {
            Some(target) => target,
            None => {
                let hub = self.settings.hub_zone;
                Target::plan(&mut db, &self.push, &schema, LoadMode::Upsert, hub).await?
            }
        };
        Ok((db, target))
    }
}

#[async_trait]
impl Sink for TableSink {
    /// A record replaces itself by its key.
    fn is_repeatable(&self) -> bool {
        true
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        let count = batch.batch.num_rows();
        if batch.idempotency_keys.len() != count {
            return Err(Error::internal("there are not as many idempotency keys as records"));
        }
        // What fails below leaves no session, and the next write opens a new one.
        let (mut db, target) = unless_cancelled(cx, self.session(&batch)).await?;
        let mut outcomes = vec![Outcome::Accepted; count];
        let (mut rows, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (row, outcome) in outcomes.iter_mut().enumerate() {
            match target.values(&batch.batch, row) {
                Ok(values) => {
                    rows.push(values);
                    places.push(row);
                }
                Err((column, reason)) => {
                    let message = format!("column `{column}`: {reason}");
                    *outcome = Outcome::Rejected { code: "value".to_owned(), message };
                }
            }
        }
        if rows.is_empty() {
            self.session = Some((db, Some(target)));
            return Ok(Receipt { outcomes });
        }
        let sending = send(cx, &mut db, &target, &rows);
        for (row, refused) in unless_cancelled(cx, sending).await? {
            outcomes[places[row]] = refused;
        }
        // From here on nobody may stop: what the server answers is what became of the records.
        match sqlx::raw_sql("commit").execute(&mut db).await {
            Ok(_) => self.session = Some((db, Some(target))),
            Err(cause) if lost(&cause) => {
                for outcome in outcomes.iter_mut().filter(|outcome| **outcome == Outcome::Accepted)
                {
                    *outcome = Outcome::Unknown;
                }
            }
            Err(cause) => return Err(fault("committing records", cause)),
        }
        Ok(Receipt { outcomes })
    }
}

/// Sends all rows in one transaction that stays open, and says which ones the server refuses.
async fn send(
    cx: &Cx,
    db: &mut MySqlConnection,
    target: &Target,
    rows: &[Vec<Bound<'_>>],
) -> Result<Vec<(usize, Outcome)>> {
    for attempt in 1..=ATTEMPTS {
        execute(db, "start transaction").await?;
        match attempt_all(cx, db, target, rows).await? {
            Ok(refused) => return Ok(refused),
            // A deadlock has undone the whole transaction.
            Err(cause) if attempt < ATTEMPTS && number(&cause) == Some(1213) => {}
            Err(cause) => {
                let what = format!("writing records to table `{}`", target.table);
                return Err(fault(what, cause));
            }
        }
    }
    Err(Error::internal("there was no attempt to send records"))
}

/// A statement is undone as a whole when one of its rows is refused, so that the refused ones are
/// found by halving.
async fn attempt_all(
    cx: &Cx,
    db: &mut MySqlConnection,
    target: &Target,
    rows: &[Vec<Bound<'_>>],
) -> Result<sqlx::Result<Vec<(usize, Outcome)>>> {
    let mut refused = Vec::new();
    let mut parts: Vec<Range<usize>> = target.parts(rows).into_iter().rev().collect();
    while let Some(part) = parts.pop() {
        cx.request().await?;
        let Err(cause) = target.insert(db, &rows[part.clone()]).await else { continue };
        if !of_row(&cause) {
            return Ok(Err(cause));
        }
        if part.len() > 1 {
            let middle = part.start + part.len() / 2;
            // In order: a later record of the same key has to come later.
            parts.push(middle..part.end);
            parts.push(part.start..middle);
            continue;
        }
        let code = number(&cause).map_or_else(String::new, |number| number.to_string());
        let message = target.complaint(&cause);
        refused.push((part.start, Outcome::Rejected { code, message }));
    }
    Ok(Ok(refused))
}
