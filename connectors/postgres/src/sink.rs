//! Writing records one transaction per batch, with an answer for each record.
//!
//! A batch is one statement. If the target refuses it, it is halved behind a savepoint until the
//! records at fault stand alone. A record sent again replaces itself by its key.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use arrow::datatypes::{DataType, Decimal128Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, ErrorKind, LoadMode, Outcome, Receipt, Result, Sink, WriteBatch};
use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::catalog::Declared;
use crate::config::{Push, Settings};
use crate::database::{self, Session, run, unless_cancelled};
use crate::encode::fits;
use crate::fault::{self, fault};
use crate::layout::precision;
use crate::target::{self, Target};

/// Writes records to one table.
pub(crate) struct PostgresSink {
    settings: Arc<Settings>,
    push: Push,
    /// None before the first batch and after a failure.
    session: Option<Session>,
}

/// One column as texts that the server reads as its own type.
type Texts = Vec<Option<String>>;

impl PostgresSink {
    pub(crate) fn new(settings: &Arc<Settings>, push: Push) -> Self {
        Self { settings: Arc::clone(settings), push, session: None }
    }
}

#[async_trait]
impl Sink for PostgresSink {
    /// A record replaces itself by its key.
    fn is_repeatable(&self) -> bool {
        true
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        if batch.batch.num_rows() == 0 {
            return Ok(Receipt::default());
        }
        cx.request().await?;
        let mut session = match self.session.take() {
            Some(session) => session,
            None => database::connect(&self.settings, cx, self.settings.hub_zone).await?,
        };
        let written = Box::pin(write(&mut session.db, cx, &self.push, &batch.batch)).await?;
        // A connection that lost its commit is of no more use.
        if !written.contains(&Outcome::Unknown) {
            self.session = Some(session);
        }
        Ok(Receipt { outcomes: written })
    }
}

async fn write(
    db: &mut PgConnection,
    cx: &Cx,
    push: &Push,
    batch: &RecordBatch,
) -> Result<Vec<Outcome>> {
    let target = target::look_up(db, cx, push, &batch.schema()).await?;
    let mut outcomes = vec![Outcome::Accepted; batch.num_rows()];
    let mut columns = Vec::with_capacity(target.columns.len());
    for (array, column) in batch.columns().iter().zip(&target.columns) {
        columns.push(texts(array, column, &mut outcomes)?);
    }
    let rows: Vec<usize> =
        (0..batch.num_rows()).filter(|row| outcomes[*row] == Outcome::Accepted).collect();
    let sql = statement(&target, batch);

    run(db, cx, "beginning to write", "begin", &[]).await?;
    // What is checked at the commit could no longer be told apart by record.
    run(db, cx, "beginning to write", "set constraints all immediate", &[]).await?;
    let mut waiting: Vec<&[usize]> = if rows.is_empty() { vec![] } else { vec![rows.as_slice()] };
    while let Some(part) = waiting.pop() {
        run(db, cx, "beginning a part", "savepoint part", &[]).await?;
        let mut query = sqlx::query(AssertSqlSafe(sql.as_str())).persistent(false);
        for texts in &columns {
            query = query.bind(part.iter().map(|row| texts[*row].clone()).collect::<Texts>());
        }
        let Err(cause) = unless_cancelled(cx, query.execute(&mut *db)).await? else {
            run(db, cx, "ending a part", "release savepoint part", &[]).await?;
            continue;
        };
        let Some(state) = fault::state(&cause).filter(|state| fault::is_of_rows(state)) else {
            return Err(fault("writing records", cause));
        };
        run(db, cx, "taking a part back", "rollback to savepoint part", &[]).await?;
        if let [row] = part {
            outcomes[*row] = rejected(&state, words(&state, &cause));
        } else {
            // The first half comes first, so that of two records of one key the later one wins.
            let (first, second) = part.split_at(part.len() / 2);
            waiting.push(second);
            waiting.push(first);
        }
    }
    match sqlx::query("commit").persistent(false).execute(db).await {
        Ok(_) => Ok(outcomes),
        Err(cause @ sqlx::Error::Database(_)) => Err(fault("committing the records", cause)),
        // The commit was sent and its answer lost: nobody knows.
        Err(_) => {
            for outcome in &mut outcomes {
                if *outcome == Outcome::Accepted {
                    *outcome = Outcome::Unknown;
                }
            }
            Ok(outcomes)
        }
    }
}

fn statement(target: &Target, batch: &RecordBatch) -> String {
    let fields = batch.schema();
    let values: Vec<String> = (target.columns.iter().zip(fields.fields()).enumerate())
        .map(|(index, (column, field))| match (field.data_type(), column.type_oid) {
            // Read as a wall time, an instant would lose its zone without a word.
            (DataType::Timestamp(_, Some(_)), 1114) => {
                format!("u.c{index}::timestamptz::timestamp")
            }
            // The cast leaves the length out, or it would cut; the insertion itself refuses.
            _ => format!("u.c{index}::{}", column.cast),
        })
        .collect();
    let lists: Vec<String> = (1..=values.len()).map(|index| format!("${index}::text[]")).collect();
    let names: Vec<String> = (0..values.len()).map(|index| format!("c{index}")).collect();
    let from = format!("unnest({}) as u({})", lists.join(", "), names.join(", "));
    target.insert(&values, &from, LoadMode::Upsert)
}

/// The values of a column as text. Records with values the target cannot hold are rejected here.
fn texts(array: &ArrayRef, column: &Declared, outcomes: &mut [Outcome]) -> Result<Texts> {
    // An instant is shown without its zone, so that the zone's name need not be understood here.
    let (array, suffix) = match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let wall = array.to_data().into_builder().data_type(DataType::Timestamp(*unit, None));
            (make_array(wall.build()?), "+00")
        }
        _ => (ArrayRef::clone(array), ""),
    };
    let formatter = ArrayFormatter::try_new(&array, &FormatOptions::default())?;
    let is_binary = matches!(
        array.data_type(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    );
    let mut texts = Vec::with_capacity(array.len());
    for (row, outcome) in outcomes.iter_mut().enumerate() {
        if array.is_null(row) {
            texts.push(None);
            continue;
        }
        let text = formatter.value(row).try_to_string().map_err(|cause| {
            Error::new(
                ErrorKind::Data,
                "E-RANGE",
                format!("column `{}` holds a value that cannot be written", column.name),
            )
            .cause(cause)
        })?;
        if text.contains('\0') {
            let why = format!("column `{}` holds text with a NUL character", column.name);
            *outcome = rejected("22021", why);
        }
        if let Some(decimals) = array.as_primitive_opt::<Decimal128Type>()
            && column.type_oid == 1700
            && let Some((digits, scale)) = precision(column.modifier)
            && !fits(decimals.value(row), decimals.scale(), digits, scale)
        {
            // The server would round without a word.
            let why = format!("column `{}` has fewer digits than the number", column.name);
            *outcome = rejected("22003", why);
        }
        texts.push(Some(if is_binary { format!("\\x{text}") } else { text + suffix }));
    }
    Ok(texts)
}

fn rejected(code: &str, message: String) -> Outcome {
    Outcome::Rejected { code: code.to_owned(), message }
}

/// Why a record was refused, without its values, which the server's own words repeat.
fn words(state: &str, cause: &sqlx::Error) -> String {
    let what = match state {
        "22001" => "text that is too long",
        "22003" => "a number that is too large",
        "22007" | "22008" => "a date or time that is none",
        "22021" => "text the database cannot keep",
        "22P02" => "text that is not of the column's type",
        "23502" => "no value where one is required",
        "23503" => "a reference to a row that does not exist",
        "23505" => "a value that another row has",
        "23514" => "a value that a check does not allow",
        _ => "a record the database does not take",
    };
    let place = cause
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .and_then(fault::place);
    format!("{what}{}", place.unwrap_or_default())
}
