//! An endpoint whose columns have other names than in the lake.
//!
//! The connector knows the source's names only and the hub the lake's only; what passes between
//! them is renamed here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use huiliu_core::config::SystemConfig;
use huiliu_core::preset::{Fields, PushShape};
use huiliu_sdk::{
    Checkpoint, Cx, Endpoint, Error, ErrorKind, Event, LoadRequest, Loader, Probe, ReadRequest,
    Receipt, Rejected, Result, Sink, Source, StreamId, StreamSpec, WriteBatch, WriteRequest,
    original, read_original,
};
use serde_json::Value;

/// `endpoint`, if need be with its columns renamed as `config` says.
pub(crate) fn translated(endpoint: Arc<dyn Endpoint>, config: &SystemConfig) -> Arc<dyn Endpoint> {
    let streams: HashMap<StreamId, Arc<Names>> = config
        .fields
        .iter()
        .map(|(stream, fields)| (StreamId::new(stream.as_str()), Arc::new(Names::inward(fields))))
        .collect();
    let pushes: HashMap<StreamId, Arc<Outward>> = config
        .pushes
        .iter()
        .filter(|push| !push.shape.is_plain())
        .map(|push| (StreamId::new(push.name.as_str()), Arc::new(Outward::new(&push.shape))))
        .collect();
    if streams.is_empty() && pushes.is_empty() {
        return endpoint;
    }
    Arc::new(Translated { endpoint, streams, pushes })
}

struct Translated {
    endpoint: Arc<dyn Endpoint>,
    streams: HashMap<StreamId, Arc<Names>>,
    pushes: HashMap<StreamId, Arc<Outward>>,
}

#[async_trait]
impl Endpoint for Translated {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        self.endpoint.probe(cx).await
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        self.endpoint.discover(cx).await
    }

    async fn source(&self, cx: &Cx, request: ReadRequest) -> Result<Box<dyn Source>> {
        let source = self.endpoint.source(cx, request).await?;
        Ok(Box::new(Inward { source, streams: self.streams.clone() }))
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        let shape = self.pushes.get(&request.push).map(Arc::clone);
        let sink = self.endpoint.sink(cx, request).await?;
        Ok(match shape {
            Some(shape) => Box::new(TranslatedSink { sink, shape }),
            None => sink,
        })
    }

    async fn loader(&self, cx: &Cx, mut request: LoadRequest) -> Result<Box<dyn Loader>> {
        let Some(shape) = self.pushes.get(&request.push).map(Arc::clone) else {
            return self.endpoint.loader(cx, request).await;
        };
        request.schema = shape.batch(&RecordBatch::new_empty(request.schema))?.schema();
        let loader = self.endpoint.loader(cx, request).await?;
        Ok(Box::new(TranslatedLoader { loader, shape }))
    }
}

/// Other names for some columns.
struct Names(HashMap<String, String>);

impl Names {
    /// From the source's names to the lake's.
    fn inward(fields: &Fields) -> Self {
        Self(fields.iter().map(|(lake, there)| (there.to_owned(), lake.to_owned())).collect())
    }

    fn of<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    fn schema(&self, schema: &SchemaRef) -> Result<SchemaRef> {
        let mut fields: Vec<Field> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let name = self.of(field.name());
            if let Some(first) = fields.iter().find(|known| known.name() == name) {
                let message = format!("two columns would be called `{}`", first.name());
                return Err(Error::new(ErrorKind::Schema, "E-COLUMN-TWICE", message)
                    .hint("correct `fields` or `names` of this stream, or choose with `select`"));
            }
            fields.push(field.as_ref().clone().with_name(name));
        }
        Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
    }

    fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = self.schema(&batch.schema())?;
        Ok(RecordBatch::try_new_with_options(
            schema,
            batch.columns().to_vec(),
            &RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
        )?)
    }

    /// A row that is set aside, so that it can be tried again under the lake's names.
    fn rejected(&self, mut row: Rejected) -> Rejected {
        if let Some(values) = read_original(&row.raw) {
            row.raw = original(values.iter().map(|(name, value)| (self.of(name), value.cell())));
        }
        row
    }
}

/// A read whose rows come under the lake's names.
struct Inward {
    source: Box<dyn Source>,
    streams: HashMap<StreamId, Arc<Names>>,
}

#[async_trait]
impl Source for Inward {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        let Some(event) = self.source.next(cx).await? else { return Ok(None) };
        Ok(Some(match event {
            Event::Schema(stream, schema) => match self.streams.get(&stream) {
                Some(names) => Event::Schema(stream, names.schema(&schema)?),
                None => Event::Schema(stream, schema),
            },
            Event::Rows(mut rows) => {
                if let Some(names) = self.streams.get(&rows.stream) {
                    rows.batch = names.batch(&rows.batch)?;
                    rows.rejected =
                        rows.rejected.into_iter().map(|row| names.rejected(row)).collect();
                }
                Event::Rows(rows)
            }
            Event::Keys(stream, keys) => match self.streams.get(&stream) {
                Some(names) => Event::Keys(stream, names.batch(&keys)?),
                None => Event::Keys(stream, keys),
            },
            other @ (Event::Checkpoint(_) | Event::Note(..) | Event::End { .. }) => other,
        }))
    }

    async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        self.source.acknowledge(cx, checkpoint).await
    }
}

/// What becomes of records on their way to the target.
struct Outward {
    names: Names,
    set: Vec<(String, Value)>,
}

impl Outward {
    fn new(shape: &PushShape) -> Self {
        let pairs = shape.fields.iter().map(|(ours, there)| (ours.to_owned(), there.to_owned()));
        let set = shape.set.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { names: Names(pairs.collect()), set }
    }

    /// The records under the target's names, with the columns that have one value in all of them.
    fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let named = self.names.schema(&batch.schema())?;
        let mut fields: Vec<Field> =
            named.fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut columns = batch.columns().to_vec();
        for (name, value) in &self.set {
            let column = constant(value, batch.num_rows());
            let field = Field::new(name, column.data_type().clone(), false);
            match fields.iter().position(|known| known.name() == name) {
                Some(place) => {
                    fields[place] = field;
                    columns[place] = column;
                }
                None => {
                    fields.push(field);
                    columns.push(column);
                }
            }
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

/// One value for all rows. The configuration lets nothing else through.
fn constant(value: &Value, rows: usize) -> ArrayRef {
    match value {
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value; rows])),
        Value::Number(number) => {
            Arc::new(Int64Array::from(vec![number.as_i64().unwrap_or_default(); rows]))
        }
        other => Arc::new(StringArray::from(vec![other.as_str().unwrap_or_default(); rows])),
    }
}

struct TranslatedSink {
    sink: Box<dyn Sink>,
    shape: Arc<Outward>,
}

#[async_trait]
impl Sink for TranslatedSink {
    fn is_repeatable(&self) -> bool {
        self.sink.is_repeatable()
    }

    fn at_once(&self) -> u32 {
        self.sink.at_once()
    }

    async fn write(&mut self, cx: &Cx, mut batch: WriteBatch) -> Result<Receipt> {
        batch.batch = self.shape.batch(&batch.batch)?;
        self.sink.write(cx, batch).await
    }

    async fn lookup(&mut self, cx: &Cx, batch: &WriteBatch) -> Result<Receipt> {
        let mut batch = batch.clone();
        batch.batch = self.shape.batch(&batch.batch)?;
        self.sink.lookup(cx, &batch).await
    }
}

struct TranslatedLoader {
    loader: Box<dyn Loader>,
    shape: Arc<Outward>,
}

#[async_trait]
impl Loader for TranslatedLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        self.loader.write(cx, self.shape.batch(&batch)?).await
    }

    async fn finish(self: Box<Self>, cx: &Cx) -> Result<u64> {
        self.loader.finish(cx).await
    }
}
