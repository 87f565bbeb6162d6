//! Receipts: what a system is told of the records that the hub has committed.

use arrow::record_batch::RecordBatch;
use huiliu_httpkit::{Answer, Failure, Url};
use huiliu_sdk::{ConfigErrors, Cx, Error, ErrorKind, RawStream, Result, StreamId};
use serde_json::{Map, Value};

use crate::body::AnswerPlan;
use crate::call::{Body, BodyOptions, CallPlan, Draft, Values};
use crate::config::ReceiptOptions;
use crate::encode;
use crate::faults::under;
use crate::plan::{answer_plan, place};
use crate::pointer::{Pointer, scalar};
use crate::session::Session;
use crate::success::Success;

/// The name of a record's place in a request.
const ID: &str = "id";

/// How receipts are sent.
pub(crate) struct ReceiptPlan {
    stream: StreamId,
    call: CallPlan,
    answer: AnswerPlan,
    success: Success,
    column: String,
    /// Where a list of records goes; none if each has a request of its own.
    records: Option<Pointer>,
    field: Option<String>,
    batch: usize,
}

impl ReceiptPlan {
    /// Checks the options.
    pub(crate) fn new(
        base: &Url,
        raw: &RawStream,
        options: ReceiptOptions,
        at: &str,
        errors: &mut ConfigErrors,
    ) -> Option<Self> {
        let at = &under(at, "receipt");
        let before = errors.0.len();
        let column = options.column.or_else(|| match &raw.settings.key[..] {
            [one] => Some(one.clone()),
            _ => None,
        });
        if column.is_none() {
            errors.push_with_hint(
                under(at, "column"),
                "is missing, since the key is not one column",
                "name the column that the system knows the record by",
            );
        }
        let records = options.records.as_ref();
        let records = records.map(|text| place(text, &under(at, "records"), errors));
        if records.is_none() && options.field.is_some() {
            errors.push(under(at, "field"), "is only for a list at records");
        }
        if records.is_some() && options.xml.is_some() {
            errors.push_with_hint(
                under(at, "records"),
                "cannot stand beside xml",
                "put {id} into xml, so that each record is told by itself",
            );
        }
        let success = Success::new(&options.success, options.message.as_deref(), at, errors);
        let soap = options.soap.as_ref();
        let answer = match (success.conditions.is_empty(), soap) {
            // Nobody looks at what is said beside the status.
            (true, None) => AnswerPlan::anything(),
            _ => answer_plan(options.format, None, None, soap, Vec::new(), at, errors),
        };
        let body = BodyOptions {
            body: options.body,
            form: options.form,
            xml: options.xml,
            soap: options.soap,
        };
        let names: &[&str] = if records.is_some() { &[] } else { &[ID] };
        let (method, params) = (options.method.method(), &options.params);
        let call = CallPlan::new(base, method, &options.path, params, body, names, &[], at, errors);
        if errors.0.len() > before {
            return None;
        }
        Some(Self {
            stream: StreamId::new(raw.settings.name.as_str()),
            call: call?,
            answer,
            success,
            column: column?,
            batch: if records.is_some() { options.batch as usize } else { 1 },
            records,
            field: options.field,
        })
    }

    /// The records of a batch, as the system knows them.
    pub(crate) fn ids(&self, batch: &RecordBatch) -> Result<Vec<String>> {
        let Ok(index) = batch.schema_ref().index_of(&self.column) else {
            let message = format!("{}: no column `{}` for receipts", self.stream, self.column);
            return Err(Error::new(ErrorKind::Schema, "E-COLUMN", message)
                .hint("check receipt.column and fields"));
        };
        let mut ids = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            ids.extend(scalar(&encode::value(&self.column, batch.column(index), row)?));
        }
        Ok(ids)
    }

    /// Tells the system that the hub has these records. Told twice, it has nothing else to do.
    pub(crate) async fn send(&self, cx: &Cx, session: &Session, ids: &[String]) -> Result<()> {
        for ids in ids.chunks(self.batch.max(1)) {
            let draft = self.draft(ids)?;
            let read = |answer: &Answer| {
                if self.success.conditions.is_empty() {
                    return Ok(());
                }
                self.success.check(session, answer.request(), &answer.json()?)
            };
            let told = session.ask(cx, &draft, &self.answer, read).await;
            told.map_err(|failure: Failure| {
                failure.error.context(format!("receipts of stream `{}`", self.stream))
            })?;
        }
        Ok(())
    }

    fn draft(&self, ids: &[String]) -> Result<Draft> {
        let mut values = Values::new();
        if let (None, [id]) = (&self.records, ids) {
            values.insert(ID.to_owned(), id.clone());
        }
        let mut draft = self.call.draft(&values, &[])?;
        draft.idempotent = true;
        let Some(records) = &self.records else { return Ok(draft) };
        let entry = |id: &String| match &self.field {
            Some(field) => Value::Object(Map::from_iter([(field.clone(), id.as_str().into())])),
            None => id.as_str().into(),
        };
        let list = Value::Array(ids.iter().map(entry).collect());
        match &mut draft.body {
            Body::Json(body) => records.put(body, list),
            Body::None => {
                let mut body = Value::Null;
                records.put(&mut body, list);
                draft.body = Body::Json(body);
            }
            Body::Form(_) | Body::Text { .. } => {
                if !draft.put(&records.0.join("/"), list) {
                    return Err(Error::internal("the body has no place for records"));
                }
            }
        }
        Ok(draft)
    }
}
