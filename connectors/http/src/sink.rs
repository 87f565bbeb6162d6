//! Writing records, with an outcome for each.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use async_trait::async_trait;
use huiliu_httpkit::{Answer, Failure, HeaderValue, Method};
use huiliu_sdk::{Cx, Error, ErrorKind, Outcome, Receipt, Result, Sink, WriteBatch};
use serde_json::{Map, Value};

use crate::call::{Body, Draft, Values};
use crate::config::{SendFormat, Shape};
use crate::encode;
use crate::pointer::scalar;
use crate::push::PushPlan;
use crate::session::Session;
use crate::template::{self, Template};

/// So many answers lost in a row mean that the system is gone, not that one got lost.
const LOST_IN_A_ROW: usize = 3;

/// Writes to one push.
pub(crate) struct HttpSink {
    session: Arc<Session>,
    plan: Arc<PushPlan>,
}

impl HttpSink {
    pub(crate) fn new(session: Arc<Session>, plan: Arc<PushPlan>) -> Self {
        Self { session, plan }
    }

    fn encode(&self, batch: &WriteBatch) -> Result<Vec<Value>> {
        let columns = self.columns(batch)?;
        let mut records = Vec::with_capacity(batch.batch.num_rows());
        for (row, key) in batch.idempotency_keys.iter().enumerate() {
            let mut record = Map::new();
            for (index, field) in &columns {
                let array = batch.batch.column(*index);
                record.insert((*field).to_owned(), encode::value(field, array, row)?);
            }
            if let Some(field) = &self.plan.field {
                record.insert(field.clone(), key.as_str().into());
            }
            records.push(Value::Object(record));
        }
        Ok(records)
    }

    /// Index of each column to send and the field that takes it.
    fn columns<'a>(&'a self, batch: &'a WriteBatch) -> Result<Vec<(usize, &'a str)>> {
        let schema = batch.batch.schema_ref();
        if self.plan.fields.is_empty() {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            return Ok(names.enumerate().collect());
        }
        let mut columns = Vec::new();
        for (column, field) in &self.plan.fields {
            let index = schema.index_of(column).map_err(|_| self.no_column(column))?;
            columns.push((index, field.as_str()));
        }
        Ok(columns)
    }

    fn request(&self, records: &[Value], keys: &[String]) -> Result<Draft> {
        let plan = &self.plan;
        let mut draft = plan.call.draft(&Values::new(), &[])?;
        draft.idempotent = self.is_repeatable();
        match (&plan.record, plan.send) {
            (Some(record), _) => {
                let texts: Result<Vec<String>> =
                    records.iter().map(|fields| self.xml(record, fields)).collect();
                let text = texts?.concat();
                if let Some(around) = plan.call.around(&text) {
                    draft.body = around;
                } else if matches!(draft.body, Body::Form(_)) {
                    self.place(&mut draft, text.into())?;
                } else {
                    draft.body = plan.call.enclosed(text);
                }
            }
            (None, SendFormat::Ndjson) => draft.body = encode::json_lines(records),
            (None, SendFormat::Csv) => {
                draft.body = encode::comma_separated(records, plan.delimiter)?;
            }
            (None, SendFormat::Json) => {
                let content = match (plan.shape, records) {
                    (Shape::Object, [record]) => record.clone(),
                    _ => Value::Array(records.to_vec()),
                };
                self.place(&mut draft, content)?;
            }
        }
        if let (Some(header), [key]) = (&plan.header, keys) {
            let value = HeaderValue::from_str(key)
                .map_err(|_| Error::internal("an idempotency key does not fit into a header"))?;
            draft.headers.push((header.clone(), value));
        }
        Ok(draft)
    }

    /// Puts the records where they belong in the body.
    fn place(&self, draft: &mut Draft, content: Value) -> Result<()> {
        match &mut draft.body {
            Body::Json(body) => self.plan.records.put(body, content),
            Body::None => {
                let mut body = Value::Null;
                self.plan.records.put(&mut body, content);
                draft.body = Body::Json(body);
            }
            Body::Form(_) | Body::Text { .. } => {
                if !draft.put(&self.plan.records.0.join("/"), content) {
                    return Err(Error::internal("the body has no place for records"));
                }
            }
        }
        Ok(())
    }

    fn xml(&self, template: &Template, fields: &Value) -> Result<String> {
        let fault = Cell::new(None);
        let text = template.fill(|name| {
            let Some(value) = fields.get(name) else {
                fault.set(Some(self.no_column(name)));
                return None;
            };
            let escaped = template::xml(&scalar(value).unwrap_or_default());
            if escaped.is_none() {
                let message = format!("field `{name}` holds a character that XML cannot hold");
                fault.set(Some(Error::new(ErrorKind::Data, "E-RANGE", message)));
            }
            escaped.map(Cow::Owned)
        });
        match fault.take() {
            Some(error) => Err(error),
            None => Ok(text),
        }
    }

    /// The value of a column as it was sent, as text.
    fn text(&self, batch: &WriteBatch, column: &str, row: usize) -> Result<Option<String>> {
        let schema = batch.batch.schema_ref();
        let index = schema.index_of(column).map_err(|_| self.no_column(column))?;
        Ok(scalar(&encode::value(column, batch.batch.column(index), row)?))
    }

    fn no_column(&self, column: &str) -> Error {
        let message = format!("{}: the records have no column `{column}`", self.plan.id);
        Error::new(ErrorKind::Schema, "E-COLUMN", message).hint("check fields")
    }

    /// Sends records in one request.
    async fn send(
        &self,
        cx: &Cx,
        records: &[Value],
        keys: &[String],
    ) -> Result<Vec<Outcome>, Failure> {
        let draft = self.request(records, keys)?;
        let plan = &self.plan;
        let read = |answer: &Answer| {
            if plan.outcomes.is_none() && plan.success.conditions.is_empty() {
                return Ok(vec![Outcome::Accepted; keys.len()]);
            }
            let content: Value = answer.json()?;
            plan.success.check(&self.session, answer.request(), &content)?;
            Ok(match &plan.outcomes {
                Some(outcomes) => outcomes.read(&self.session, &content, keys),
                None => vec![Outcome::Accepted; keys.len()],
            })
        };
        self.session.ask(cx, &draft, &plan.answer, read).await.map_err(|mut failure| {
            let refuses = matches!(failure.error.code(), "E-REMOTE" | "E-SOAP-FAULT");
            // A target that says yes in words nobody understands may have acted.
            failure.lost |= matches!(failure.status, Some(200..=299)) && !refuses;
            failure
        })
    }
}

#[async_trait]
impl Sink for HttpSink {
    fn is_repeatable(&self) -> bool {
        self.plan.field.is_some() || self.plan.header.is_some()
    }

    fn at_once(&self) -> u32 {
        u32::try_from(self.plan.batch).unwrap_or(u32::MAX)
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        let count = batch.batch.num_rows();
        if batch.idempotency_keys.len() != count {
            return Err(Error::internal("there are not as many idempotency keys as records"));
        }
        let records = self.encode(&batch)?;
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(count);
        let mut lost = 0;
        let parts = records.chunks(self.plan.batch);
        for (records, keys) in parts.zip(batch.idempotency_keys.chunks(self.plan.batch)) {
            match self.send(cx, records, keys).await {
                Ok(part) => {
                    outcomes.extend(part);
                    lost = 0;
                }
                Err(failure) if failure.error.kind() == ErrorKind::Cancelled => {
                    if outcomes.is_empty() {
                        return Err(failure.error);
                    }
                    break;
                }
                // It may have been acted on, and only asking can tell.
                Err(failure) if failure.lost => {
                    outcomes.extend(vec![Outcome::Unknown; keys.len()]);
                    lost += 1;
                    if lost == LOST_IN_A_ROW {
                        break;
                    }
                }
                Err(failure) if outcomes.is_empty() => {
                    return Err(failure.error.context(&self.plan.id));
                }
                // What is known of earlier records must not get lost with this error; the next
                // write meets it again.
                Err(_) => break,
            }
        }
        outcomes.resize(count, Outcome::Unsent);
        Ok(Receipt { outcomes })
    }

    async fn lookup(&mut self, cx: &Cx, batch: &WriteBatch) -> Result<Receipt> {
        let Some(lookup) = &self.plan.lookup else {
            return Err(Error::unsupported("looking up what the target has"));
        };
        let mut outcomes = Vec::with_capacity(batch.idempotency_keys.len());
        for (row, key) in batch.idempotency_keys.iter().enumerate() {
            let key = match &lookup.column {
                Some(column) => self.text(batch, column, row)?.unwrap_or_default(),
                None => key.clone(),
            };
            let mut same = Vec::with_capacity(lookup.same.len());
            for (column, pointer) in &lookup.same {
                same.push((self.text(batch, column, row)?, pointer));
            }
            let is_same = |entry: &Value| {
                // Nothing and an empty text are told apart by few systems.
                same.iter().all(|(sent, pointer)| {
                    pointer.text(entry).unwrap_or_default() == sent.as_deref().unwrap_or_default()
                })
            };
            let mut draft = Draft::new(Method::GET, lookup.url.clone());
            draft.query(&lookup.param, &key);
            let read = |answer: &Answer| {
                let content: Value = answer.json()?;
                let keys = std::slice::from_ref(&key);
                Ok(lookup.outcomes.read_if(&self.session, &content, keys, is_same))
            };
            match self.session.ask(cx, &draft, &self.plan.answer, read).await {
                Ok(known) => outcomes.extend(known),
                Err(failure) if failure.status == Some(404) => outcomes.push(Outcome::Unknown),
                Err(failure)
                    if outcomes.is_empty() || failure.error.kind() == ErrorKind::Cancelled =>
                {
                    return Err(failure.error.context(&self.plan.id));
                }
                // What is known of the others must not get lost with this error; what is not is
                // asked for again.
                Err(_) => break,
            }
        }
        for key in &batch.idempotency_keys[outcomes.len()..] {
            outcomes.push(Outcome::Pending { handle: key.clone() });
        }
        Ok(Receipt { outcomes })
    }
}
