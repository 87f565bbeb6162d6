//! Writing records, with an outcome for each.

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, LoadMode, Outcome, Receipt, Result, Sink, WriteBatch};
use sqlx::SqliteConnection;

use crate::config::{Push, Settings};
use crate::database::{Purpose, execute, fault, number, open, primary, unless_cancelled};
use crate::stored::Stored;
use crate::target::{Target, of_row};

/// Writes records to one table: each is inserted, or updates the row of its key.
pub(crate) struct TableSink {
    settings: Arc<Settings>,
    push: Push,
    session: Option<(SqliteConnection, Option<Target>)>,
}

/// A record's place in its batch, and its values.
type Record = (usize, Vec<Stored>);

impl TableSink {
    pub(crate) async fn open(settings: &Arc<Settings>, cx: &Cx, push: &Push) -> Result<Self> {
        let db = unless_cancelled(cx, open(&settings.path, Purpose::Write)).await?;
        Ok(Self { settings: Arc::clone(settings), push: push.clone(), session: Some((db, None)) })
    }

    async fn session(&mut self, batch: &WriteBatch) -> Result<(SqliteConnection, Target)> {
        let (mut db, target) = match self.session.take() {
            Some(session) => session,
            None => (open(&self.settings.path, Purpose::Write).await?, None),
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
        cx.request().await?;
        // What fails below leaves no session, and the next write opens a new one.
        let (mut db, target) = unless_cancelled(cx, self.session(&batch)).await?;
        let mut outcomes = vec![Outcome::Accepted; count];
        let mut records: Vec<Record> = Vec::with_capacity(count);
        for (row, outcome) in outcomes.iter_mut().enumerate() {
            match target.values(&batch.batch, row) {
                Ok(values) => records.push((row, values)),
                Err((column, reason)) => {
                    *outcome = rejected("value".to_owned(), format!("column `{column}`: {reason}"));
                }
            }
        }
        let sending = together(cx, &mut db, &target, &records);
        match unless_cancelled(cx, sending).await? {
            Some(refused) => {
                for (row, refusal) in refused {
                    outcomes[row] = refusal;
                }
                // From here on nobody may stop: what comes of the commit is what became of the
                // records.
                match sqlx::query("commit").execute(&mut db).await {
                    Ok(_) => {}
                    // A constraint that is looked at only now says nothing of which record it is.
                    Err(cause) if of_row(&cause) => {
                        execute(&mut db, "rollback").await?;
                        alone(cx, &mut db, &target, &records, &mut outcomes).await?;
                    }
                    // The disk may have kept it all the same.
                    Err(cause) if primary(&cause) == Some(10) => {
                        for outcome in
                            outcomes.iter_mut().filter(|outcome| **outcome == Outcome::Accepted)
                        {
                            *outcome = Outcome::Unknown;
                        }
                        return Ok(Receipt { outcomes });
                    }
                    Err(cause) => return Err(fault("committing records", cause)),
                }
            }
            None => alone(cx, &mut db, &target, &records, &mut outcomes).await?,
        }
        self.session = Some((db, Some(target)));
        Ok(Receipt { outcomes })
    }
}

fn rejected(code: String, message: String) -> Outcome {
    Outcome::Rejected { code, message }
}

fn refusal(target: &Target, cause: &sqlx::Error) -> Outcome {
    let code = number(cause).map_or_else(String::new, |number| number.to_string());
    rejected(code, target.complaint(cause))
}

/// Sends all records in one transaction that stays open, and says which ones SQLite refuses.
/// Nothing if one of them has undone the transaction with all before it, as a trigger can.
async fn together(
    cx: &Cx,
    db: &mut SqliteConnection,
    target: &Target,
    records: &[Record],
) -> Result<Option<Vec<(usize, Outcome)>>> {
    execute(db, "begin immediate").await?;
    let mut refused = Vec::new();
    for (row, values) in records {
        cx.check()?;
        let Err(cause) = target.insert(db, values).await else { continue };
        if !of_row(&cause) {
            return Err(fault(format!("writing records to table `{}`", target.table), cause));
        }
        if !is_in_transaction(db).await? {
            return Ok(None);
        }
        refused.push((*row, refusal(target, &cause)));
    }
    Ok(Some(refused))
}

/// Whether a transaction is open. SQLite refuses to begin one within another.
async fn is_in_transaction(db: &mut SqliteConnection) -> Result<bool> {
    match sqlx::query("begin immediate").execute(&mut *db).await {
        Ok(_) => {
            execute(db, "rollback").await?;
            Ok(false)
        }
        Err(cause) if primary(&cause) == Some(1) => Ok(true),
        Err(cause) => Err(fault("looking for a transaction", cause)),
    }
}

/// Sends each record in a transaction of its own, where none can undo another.
async fn alone(
    cx: &Cx,
    db: &mut SqliteConnection,
    target: &Target,
    records: &[Record],
    outcomes: &mut [Outcome],
) -> Result<()> {
    let mut stopped = false;
    for (index, (row, values)) in records.iter().enumerate() {
        if stopped {
            outcomes[*row] = Outcome::Unsent;
            continue;
        }
        cx.check()?;
        outcomes[*row] = match target.insert(db, values).await {
            Ok(()) => Outcome::Accepted,
            Err(cause) if of_row(&cause) => refusal(target, &cause),
            Err(cause) if index == 0 => {
                let what = format!("writing records to table `{}`", target.table);
                return Err(fault(what, cause));
            }
            Err(_) => {
                stopped = true;
                Outcome::Unsent
            }
        };
    }
    Ok(())
}
