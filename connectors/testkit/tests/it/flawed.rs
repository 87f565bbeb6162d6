//! The suite notices what it is there to notice: the connector `lines` with one flaw at a time.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use huiliu_sdk::{
    Bounds, Checkpoint, ConfigErrors, Connector, Cx, Endpoint, Error, Event, Outcome, Probe,
    RawConfig, RawPush, RawStream, ReadMode, ReadRequest, Receipt, Result, Sink, Source, Spec,
    StreamSpec, WriteBatch, WriteRequest,
};
use huiliu_testkit::{CANARY, Refused, System, Table, Trouble, rule, run};
use serde_json::json;

use crate::conformance::Folder;
use crate::lines::LinesConnector;

/// A flaw and the rule that notices it, by these words.
macro_rules! notices {
    ($($flaw:ident: $rule:ident, $words:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(non_camel_case_types)] // a flaw is called like its test
        enum Flaw { $($flaw),* }

        const FLAWS: &[Flaw] = &[$(Flaw::$flaw),*];

        $(
            #[test]
            fn $flaw() {
                const FLAW: usize = Flaw::$flaw as usize;
                let flawed = || run(rule::$rule::<Flawed<FLAW>>());
                // A rule may look up which test it is.
                let name = std::thread::current().name().unwrap().to_owned();
                let thread = std::thread::Builder::new().name(name).spawn(flawed).unwrap();
                let panic = thread.join().expect_err("the flaw is not noticed");
                let text = match panic.downcast_ref::<String>() {
                    Some(text) => text.clone(),
                    None => (*panic.downcast_ref::<&str>().unwrap()).to_owned(),
                };
                assert!(text.contains($words), "something else is noticed: {text}");
            }
        )*
    };
}

notices! {
    a_row_lost_between_two_reads: a_read_goes_on_from_every_checkpoint, "rows are lost";
    a_row_read_twice: a_read_goes_on_from_every_checkpoint, "rows again";
    a_probe_that_writes: looking_at_a_system_changes_nothing, "has changed the system";
    a_read_that_leaves_a_lock: a_read_dropped_at_any_await_leaves_nothing, "has left something";
    a_read_that_hears_no_stop: a_read_cancelled_at_any_await_ends_and_leaves_nothing, "Timeout";
    text_that_is_cut: values_of_every_type_are_read_as_they_are, "came as";
    a_large_row_that_is_cut: a_very_large_row_is_never_cut, "came as";
    a_row_left_out_without_a_word: odd_text_is_read_as_it_is_or_set_aside, "to be set aside";
    batches_as_large_as_they_come: batches_stay_within_their_limits, "bytes";
    a_read_that_holds_all_rows: memory_stays_within_what_is_declared, "MiB are declared";
    a_commit_that_has_an_effect_each_time: a_checkpoint_acknowledged_twice_has_one_effect, "an effect";
    an_error_with_a_secret: errors_have_the_right_kind_and_hold_no_secret, "holds the secret";
    one_fault_at_a_time: all_faults_of_a_configuration_are_told_at_once, "not told";
    a_key_without_an_example: every_key_has_a_description_an_example_and_a_default, "no example";
    a_capability_that_is_not_declared: what_is_not_declared_is_refused_by_name, "sink";
    a_refusal_that_is_not_told: each_record_has_an_outcome_of_its_own, "is accepted";
    a_repeatable_sink_that_is_none: records_written_twice_have_one_effect_or_say_so, "left == right";
}

struct Flawed<const FLAW: usize>(Folder);

#[async_trait]
impl<const FLAW: usize> System for Flawed<FLAW> {
    async fn fresh() -> Self {
        Self(Folder::fresh().await)
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(FlawedConnector { flaw: FLAWS[FLAW], folder: self.config().base_dir })
    }

    fn config(&self) -> RawConfig {
        self.0.config()
    }

    fn stream(&self, table: &Table, read: ReadMode) -> RawStream {
        self.0.stream(table, read)
    }

    async fn put(&mut self, table: &Table) -> Result<(), Refused> {
        self.0.put(table).await
    }

    async fn content(&mut self) -> String {
        self.0.content().await
    }

    async fn vanish(&mut self) {
        self.0.vanish().await;
    }

    fn troubled(&self, trouble: Trouble) -> Option<RawConfig> {
        self.0.troubled(trouble)
    }

    fn push(&self, table: &Table, whole: bool) -> RawPush {
        self.0.push(table, whole)
    }

    async fn target(&mut self, table: &Table) {
        self.0.target(table).await;
    }

    async fn written(&mut self, table: &Table) -> Vec<String> {
        self.0.written(table).await
    }

    fn refused_name(&self) -> Option<String> {
        self.0.refused_name()
    }
}

#[derive(Clone)]
struct FlawedConnector {
    flaw: Flaw,
    folder: PathBuf,
}

impl FlawedConnector {
    fn litter(&self, name: &str) {
        let path = self.folder.join(name);
        let before = std::fs::read(&path).unwrap_or_default();
        std::fs::write(path, [&before[..], b"."].concat()).unwrap();
    }
}

impl Connector for FlawedConnector {
    fn spec(&self) -> Spec {
        let mut spec = LinesConnector.spec();
        match self.flaw {
            Flaw::a_key_without_an_example => {
                spec.push_schema["properties"]["longest"]["examples"] = json!([]);
            }
            Flaw::a_capability_that_is_not_declared => spec.capabilities.sink = false,
            _ => {}
        }
        spec
    }

    fn bounds(&self) -> Bounds {
        LinesConnector.bounds()
    }

    fn configure(&self, raw: RawConfig) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        let inner = LinesConnector.configure(raw).map_err(|mut faults| {
            if self.flaw == Flaw::one_fault_at_a_time {
                faults.0.truncate(1);
            }
            faults
        })?;
        Ok(Arc::new(FlawedEndpoint { inner, connector: self.clone() }))
    }
}

struct FlawedEndpoint {
    inner: Arc<dyn Endpoint>,
    connector: FlawedConnector,
}

#[async_trait]
impl Endpoint for FlawedEndpoint {
    async fn probe(&self, cx: &Cx) -> Result<Probe> {
        let flaw = self.connector.flaw;
        if flaw == Flaw::a_probe_that_writes {
            self.connector.litter("probe");
        }
        let probe = self.inner.probe(cx).await;
        probe.map_err(|error| match flaw {
            Flaw::an_error_with_a_secret => error.context(CANARY),
            _ => error,
        })
    }

    async fn discover(&self, cx: &Cx) -> Result<Vec<StreamSpec>> {
        self.inner.discover(cx).await
    }

    async fn source(&self, cx: &Cx, mut request: ReadRequest) -> Result<Box<dyn Source>> {
        let flaw = self.connector.flaw;
        for checkpoint in request.streams.iter_mut().filter_map(|stream| stream.resume.as_mut()) {
            let lines = checkpoint.state["lines"].as_u64().unwrap();
            match flaw {
                Flaw::a_row_lost_between_two_reads if lines < 400 => {
                    checkpoint.state["lines"] = json!(lines + 1);
                }
                Flaw::a_row_read_twice => checkpoint.state["lines"] = json!(lines - 1),
                _ => {}
            }
        }
        if flaw == Flaw::a_read_that_leaves_a_lock {
            self.connector.litter("lock");
        }
        let inner = self.inner.source(&context(flaw, cx), request).await?;
        Ok(Box::new(FlawedSource {
            inner,
            held: VecDeque::new(),
            connector: self.connector.clone(),
        }))
    }

    async fn sink(&self, cx: &Cx, request: WriteRequest) -> Result<Box<dyn Sink>> {
        let inner = self.inner.sink(cx, request).await?;
        Ok(Box::new(FlawedSink { inner, flaw: self.connector.flaw }))
    }
}

/// The context that the connector sees.
fn context(flaw: Flaw, cx: &Cx) -> Cx {
    match flaw {
        Flaw::batches_as_large_as_they_come => {
            let mut limits = cx.limits;
            limits.bytes = usize::MAX;
            Cx { limits, ..cx.clone() }
        }
        Flaw::a_read_that_hears_no_stop => Cx { cancel: Cx::new().cancel, ..cx.clone() },
        _ => cx.clone(),
    }
}

struct FlawedSource {
    inner: Box<dyn Source>,
    /// Events that were read before anybody asked for them.
    held: VecDeque<Event>,
    connector: FlawedConnector,
}

#[async_trait]
impl Source for FlawedSource {
    async fn next(&mut self, cx: &Cx) -> Result<Option<Event>> {
        let flaw = self.connector.flaw;
        if flaw == Flaw::a_read_that_holds_all_rows {
            while let Some(event) = self.inner.next(cx).await? {
                self.held.push_back(event);
            }
            return Ok(self.held.pop_front());
        }
        let mut event = self.inner.next(&context(flaw, cx)).await?;
        if flaw == Flaw::a_read_that_hears_no_stop && cx.cancel.is_cancelled() {
            return Err(Error::new(huiliu_sdk::ErrorKind::Timeout, "E-FLAW", "stopped too late"));
        }
        match (&mut event, flaw) {
            (Some(Event::Rows(rows)), Flaw::text_that_is_cut) => {
                rows.batch = cut(&rows.batch, 1_000)
            }
            (Some(Event::Rows(rows)), Flaw::a_large_row_that_is_cut) => {
                rows.batch = cut(&rows.batch, 1 << 20);
            }
            (Some(Event::Rows(rows)), Flaw::a_row_left_out_without_a_word) => {
                rows.rejected.clear();
            }
            (None, Flaw::a_read_that_leaves_a_lock) => {
                drop(std::fs::remove_file(self.connector.folder.join("lock")));
            }
            _ => {}
        }
        Ok(event)
    }

    async fn acknowledge(&mut self, cx: &Cx, checkpoint: &Checkpoint) -> Result<()> {
        if self.connector.flaw == Flaw::a_commit_that_has_an_effect_each_time {
            self.connector.litter("commits");
        }
        self.inner.acknowledge(cx, checkpoint).await
    }
}

/// The batch with its texts cut to so many characters.
fn cut(batch: &RecordBatch, most: usize) -> RecordBatch {
    let columns: Vec<ArrayRef> = (batch.columns().iter())
        .map(|array| match array.data_type() {
            DataType::Utf8 => {
                let short = |text: &str| text.chars().take(most).collect::<String>();
                let texts = array.as_string::<i32>().iter().map(|text| text.map(short));
                Arc::new(texts.collect::<StringArray>()) as ArrayRef
            }
            _ => Arc::clone(array),
        })
        .collect();
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

struct FlawedSink {
    inner: Box<dyn Sink>,
    flaw: Flaw,
}

#[async_trait]
impl Sink for FlawedSink {
    fn is_repeatable(&self) -> bool {
        self.flaw == Flaw::a_repeatable_sink_that_is_none || self.inner.is_repeatable()
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        let mut receipt = self.inner.write(cx, batch).await?;
        if self.flaw == Flaw::a_refusal_that_is_not_told {
            receipt.outcomes.fill(Outcome::Accepted);
        }
        Ok(receipt)
    }
}
