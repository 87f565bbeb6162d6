//! Writing records and whole tables by statements with parameters.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use huiliu_sdk::{
    Cx, Error, ErrorKind, LoadMode, Loader, Outcome, Receipt, Result, Sink, WriteBatch,
};
use odbc_api::{Connection, Error as OdbcError, Prepared};

use crate::config::{Push, Settings};
use crate::connection::{blocking, connect, seconds};
use crate::fault::{fault, is_of_connection, refusal};
use crate::parameter::{Parameter, parameter};
use crate::statement;

type Statement<'a> = Prepared<odbc_api::handles::StatementImpl<'a>>;

/// The statements of one table, and where their values stand in a batch.
struct Writer<'a> {
    insert: Statement<'a>,
    /// Changes a row by its key; none where rows are only added.
    update: Option<Statement<'a>>,
    /// Columns of the batch that `update` sets, then those of its key.
    set: Vec<usize>,
    key: Vec<usize>,
}

impl<'a> Writer<'a> {
    fn new(
        db: &'a Connection<'static>,
        settings: &Settings,
        push: &Push,
        batch: &RecordBatch,
        is_keyed: bool,
    ) -> Result<Self> {
        let schema = batch.schema();
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let prepare = |sql: &str| -> Result<Statement<'a>> {
            let failed = |cause: OdbcError| fault("preparing to write", &cause);
            let mut statement = db.prepare(sql).map_err(failed)?;
            if let Some(seconds) = seconds(settings.statement_timeout) {
                // A driver that knows no timeout writes without one.
                drop(statement.set_query_timeout_sec(seconds));
            }
            Ok(statement)
        };
        let insert = prepare(&statement::insert(settings, &push.table, &names))?;
        if !is_keyed {
            return Ok(Self { insert, update: None, set: Vec::new(), key: Vec::new() });
        }
        let place = |column: &String| {
            names.iter().position(|name| name == column).ok_or_else(|| {
                let message = format!("the records have no column `{column}`, which is their key");
                Error::new(ErrorKind::Schema, "E-COLUMN-MISSING", message)
            })
        };
        let key = push.key.iter().map(place).collect::<Result<Vec<usize>>>()?;
        let mut set: Vec<usize> = (0..names.len()).filter(|index| !key.contains(index)).collect();
        if set.is_empty() {
            // A record that is nothing but its key sets that to itself.
            set.clone_from(&key);
        }
        let columns: Vec<&String> = set.iter().map(|index| &names[*index]).collect();
        let update = prepare(&statement::update(settings, &push.table, &columns, &push.key))?;
        Ok(Self { insert, update: Some(update), set, key })
    }

    /// Whether a row has no value in its key, so that nothing can be told by it.
    fn lacks_key(&self, batch: &RecordBatch, row: usize) -> bool {
        self.key.iter().any(|index| batch.column(*index).is_null(row))
    }

    /// Changes the row of this key, or adds one.
    fn write(&mut self, batch: &RecordBatch, row: usize) -> Result<(), WriteError> {
        if self.change(batch, row)? { Ok(()) } else { self.add(batch, row) }
    }

    /// The same in a transaction of its own. Between its two statements another writer may add the
    /// row, such as one of ours that was told to stop and is still at it.
    fn write_alone(&mut self, batch: &RecordBatch, row: usize) -> Result<(), WriteError> {
        match self.write(batch, row) {
            Err(WriteError::Driver(cause)) if refusal(&cause).is_some() => {
                match self.change(batch, row) {
                    Ok(true) => Ok(()),
                    _ => Err(WriteError::Driver(cause)),
                }
            }
            written => written,
        }
    }

    /// Whether there was a row of this key to be changed.
    fn change(&mut self, batch: &RecordBatch, row: usize) -> Result<bool, WriteError> {
        let Some(update) = &mut self.update else { return Ok(false) };
        let places = self.set.iter().chain(&self.key);
        let values = parameters(batch, row, places.copied())?;
        drop(update.execute(values.as_slice())?);
        Ok(update.row_count()?.is_some_and(|rows| rows > 0))
    }

    fn add(&mut self, batch: &RecordBatch, row: usize) -> Result<(), WriteError> {
        let values = parameters(batch, row, 0..batch.num_columns())?;
        drop(self.insert.execute(values.as_slice())?);
        Ok(())
    }
}

enum WriteError {
    Driver(OdbcError),
    Ours(Error),
}

impl From<OdbcError> for WriteError {
    fn from(cause: OdbcError) -> Self {
        Self::Driver(cause)
    }
}

impl From<Error> for WriteError {
    fn from(cause: Error) -> Self {
        Self::Ours(cause)
    }
}

fn parameters(
    batch: &RecordBatch,
    row: usize,
    places: impl Iterator<Item = usize>,
) -> Result<Vec<Parameter>> {
    places.map(|index| parameter(batch.column(index).as_ref(), row)).collect()
}

/// Writes records one transaction each, so that each has an outcome of its own.
pub(crate) struct OdbcSink {
    settings: Arc<Settings>,
    push: Push,
    /// None before the first batch and after a failure.
    db: Option<Connection<'static>>,
}

impl OdbcSink {
    pub(crate) fn new(settings: &Arc<Settings>, push: Push) -> Self {
        Self { settings: Arc::clone(settings), push, db: None }
    }
}

#[async_trait]
impl Sink for OdbcSink {
    /// A record replaces itself by its key.
    fn is_repeatable(&self) -> bool {
        true
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        cx.request().await?;
        let (settings, push, db) = (Arc::clone(&self.settings), self.push.clone(), self.db.take());
        let (db, outcomes) = blocking(cx, move |cx| {
            let db = db.map_or_else(|| connect(&settings), Ok)?;
            let outcomes = write_records(&db, &settings, &push, &batch.batch, cx)?;
            Ok((db, outcomes))
        })
        .await?;
        if !outcomes.contains(&Outcome::Unknown) {
            self.db = Some(db);
        }
        Ok(Receipt { outcomes })
    }
}

fn write_records(
    db: &Connection<'static>,
    settings: &Settings,
    push: &Push,
    batch: &RecordBatch,
    cx: &Cx,
) -> Result<Vec<Outcome>> {
    let mut writer = Writer::new(db, settings, push, batch, true)?;
    let mut outcomes = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        cx.check()?;
        if writer.lacks_key(batch, row) {
            outcomes.push(rejected("E-NULL", "a column of the key has no value"));
            continue;
        }
        match writer.write_alone(batch, row) {
            Ok(()) => outcomes.push(Outcome::Accepted),
            Err(WriteError::Driver(cause)) => match refusal(&cause) {
                Some(state) => outcomes.push(rejected(state, "the database refuses its values")),
                None if is_of_connection(&cause) => {
                    outcomes.push(Outcome::Unknown);
                    break;
                }
                None if outcomes.is_empty() => return Err(fault("writing records", &cause)),
                None => break,
            },
            Err(WriteError::Ours(error)) => return Err(error),
        }
    }
    outcomes.resize(batch.num_rows(), Outcome::Unsent);
    Ok(outcomes)
}

fn rejected(code: &str, message: &str) -> Outcome {
    Outcome::Rejected { code: code.to_owned(), message: message.to_owned() }
}

/// Writes a whole table in one transaction.
pub(crate) struct OdbcLoader {
    settings: Arc<Settings>,
    push: Push,
    mode: LoadMode,
    /// None after a failure, which leaves the target as it was.
    db: Option<Connection<'static>>,
    rows: u64,
}

impl OdbcLoader {
    pub(crate) async fn start(
        settings: &Arc<Settings>,
        cx: &Cx,
        push: Push,
        mode: LoadMode,
    ) -> Result<Self> {
        cx.request().await?;
        let (opening, table) = (Arc::clone(settings), push.table.clone());
        let db = blocking(cx, move |_| {
            let failed = |cause: OdbcError| fault("beginning to write", &cause);
            let db = connect(&opening)?;
            db.set_autocommit(false).map_err(failed)?;
            if mode == LoadMode::Replace {
                let sql = format!("delete from {}", statement::table(&opening, &table));
                let timeout = seconds(opening.statement_timeout);
                drop(db.execute(&sql, (), timeout).map_err(failed)?);
            }
            Ok(db)
        })
        .await?;
        Ok(Self { settings: Arc::clone(settings), push, mode, db: Some(db), rows: 0 })
    }

    fn take(&mut self) -> Result<Connection<'static>> {
        self.db.take().ok_or_else(|| Error::internal("a load goes on that has failed"))
    }
}

#[async_trait]
impl Loader for OdbcLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        cx.request().await?;
        let db = self.take()?;
        let (settings, push, mode) = (Arc::clone(&self.settings), self.push.clone(), self.mode);
        let rows = batch.num_rows() as u64;
        let db = blocking(cx, move |cx| {
            load(&db, &settings, &push, &batch, mode, cx)?;
            Ok(db)
        })
        .await?;
        self.db = Some(db);
        self.rows += rows;
        Ok(())
    }

    async fn finish(mut self: Box<Self>, cx: &Cx) -> Result<u64> {
        let db = self.take()?;
        blocking(cx, move |_| db.commit().map_err(|cause| committing(&cause))).await?;
        Ok(self.rows)
    }
}

fn load(
    db: &Connection<'static>,
    settings: &Settings,
    push: &Push,
    batch: &RecordBatch,
    mode: LoadMode,
    cx: &Cx,
) -> Result<()> {
    let mut writer = Writer::new(db, settings, push, batch, mode == LoadMode::Upsert)?;
    for row in 0..batch.num_rows() {
        cx.check()?;
        if writer.lacks_key(batch, row) {
            let message = format!("a row for {} has no value in its key", push.table);
            return Err(Error::new(ErrorKind::Data, "E-NULL", message));
        }
        writer.write(batch, row).map_err(|error| match error {
            WriteError::Driver(cause) => fault("writing rows", &cause),
            WriteError::Ours(error) => error,
        })?;
    }
    Ok(())
}

/// Whether a commit whose answer was lost was done, nobody knows.
fn committing(cause: &OdbcError) -> Error {
    if is_of_connection(cause) {
        return Error::new(ErrorKind::Unreachable, "E-CONNECT", "the answer to a commit was lost");
    }
    fault("committing", cause)
}
