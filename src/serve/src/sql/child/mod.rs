//! A statement process: plans and runs what the hub hands it, one statement after the other.
//!
//! It stands behind the second half of the gate, whatever it is handed: only reading plans, on
//! tables that may be asked, masked and filtered for those whose rights came with the statement. Its
//! memory is limited by the system, so that it can only end itself; when memory runs out on the
//! machine it is the first to go. It ends with the hub, because it ends when its line does.

mod catalog;
mod function;
mod session;

use std::io::{self, BufWriter, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use arrow_ipc::writer::StreamEncoder;
use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use huiliu_engine::{Engine, engine_error};
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::SealKey;
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use self::session::Sessions;
use super::names::Names;
use super::threads::STACK;
use super::wire::{
    Described, Hello, MAX_FRAME, Order, Run, Statement, Told, parameter_schema, read_message,
    schema_of, schema_text, values_of, write_described, write_done, write_failed, write_rows,
};
use super::{cut, parameter, tables, viewer};

/// Threads that compute.
const THREADS: usize = 2;
/// Threads that read files.
const FILE_THREADS: usize = 16;
/// The stack of each; statements are planned on a thread of their own with a larger one.
const THREAD_STACK: usize = 16 << 20;
/// What a process may need beside the memory of the engine: stacks, 544 MiB of addresses that are
/// hardly ever used, and what the engine does not count, such as the rows on their way.
const BESIDE: u64 = 1 << 30;
/// How much lower its priority is than the hub's.
const NICE: i32 = 5;
/// Batches that wait to be sent; the plan rests while the hub does not take them.
const WAITING_BATCHES: usize = 2;
/// About how many bytes a batch on the line has.
const BATCH: usize = 4 << 20;
/// Bytes that are written in one go.
const WRITTEN: usize = 256 << 10;

/// What statements are run on.
pub struct Opened {
    /// The lake and how it is read.
    pub engine: Engine,
    /// The key of pseudonyms.
    pub key: SealKey,
    /// The memory of `engine`, of which the process's own limit follows.
    pub memory_bytes: u64,
}

/// Answers the statements that come over the socket that is this process's standard input, on what
/// `open` gives, until the other end closes it. The process then ends.
pub fn serve_statements<F>(open: impl FnOnce() -> F + Send + 'static) -> io::Result<()>
where
    F: Future<Output = Result<Opened>> + 'static,
{
    step_back();
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut incoming = line.try_clone()?;
    let Some(Hello { spill }) = read_message(&mut incoming)? else { return Ok(()) };
    let (sender, orders) = mpsc::unbounded_channel();
    let spilled = spill.clone();
    thread::Builder::new()
        .name("orders".into())
        .spawn(move || listen(&mut incoming, &sender, &spilled))?;
    let planner = thread::Builder::new().name("planner".into()).stack_size(STACK);
    let planner = planner.spawn(move || {
        let mut threads = Builder::new_multi_thread();
        threads.thread_name("statement").worker_threads(THREADS);
        threads.max_blocking_threads(FILE_THREADS).thread_stack_size(THREAD_STACK);
        let runtime = threads.enable_all().build()?;
        let answered = runtime.block_on(Box::pin(answer(open, spill, orders, line)));
        runtime.shutdown_background();
        answered
    })?;
    planner.join().unwrap_or_else(|_| Err(io::Error::other("a statement broke the engine")))
}

/// Lets everything else go first: the hub computes before it, and where memory runs out the system
/// ends it before anything else. What the system refuses does not matter.
fn step_back() {
    nice(NICE).ok();
    std::fs::write("/proc/self/oom_score_adj", "1000").ok();
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
}

/// Limits the memory of this process: an allocation beyond it fails, which ends the process.
fn limit_memory(most: u64) -> Result<()> {
    let most = getrlimit(Resource::Data).maximum.map_or(most, |allowed| allowed.min(most));
    setrlimit(Resource::Data, Rlimit { current: Some(most), maximum: Some(most) })
        .map_err(|e| Error::internal("the memory could not be limited").cause(e))
}

/// Hands orders on, also while a statement computes. The end of the line ends the process: the hub
/// is gone, or does not want it any more.
fn listen(line: &mut impl Read, sender: &mpsc::UnboundedSender<Order>, spill: &Path) {
    while let Ok(Some(order)) = read_message(line) {
        if sender.send(order).is_err() {
            break;
        }
    }
    std::fs::remove_dir_all(spill).ok();
    std::process::exit(0);
}

async fn answer<F>(
    open: impl FnOnce() -> F,
    spill: PathBuf,
    mut orders: mpsc::UnboundedReceiver<Order>,
    line: UnixStream,
) -> io::Result<()>
where
    F: Future<Output = Result<Opened>>,
{
    let mut line = BufWriter::with_capacity(WRITTEN, line);
    let mut statements = match Box::pin(Statements::open(open, spill)).await {
        Ok(statements) => statements,
        Err(error) => {
            // Whoever asks first is told.
            orders.recv().await;
            return write_failed(&mut line, &Told::of(&error));
        }
    };
    while let Some(order) = orders.recv().await {
        match Box::pin(statements.answer(order, &mut line)).await {
            Ok(()) => {}
            Err(Failure::Told(told)) => write_failed(&mut line, &told)?,
            Err(Failure::Line(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Why an order is not answered.
enum Failure {
    Told(Box<Told>),
    Line(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(Box::new(Told::of(&error)))
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self::Told(Box::new(Told::of_engine(error)))
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Line(error)
    }
}

/// The statements of a process.
struct Statements {
    sessions: Sessions,
    /// The last one that was described, which is most likely the next one to run.
    planned: Option<(Statement, DataFrame)>,
}

impl Statements {
    async fn open<F>(open: impl FnOnce() -> F, spill: PathBuf) -> Result<Self>
    where
        F: Future<Output = Result<Opened>>,
    {
        let Opened { engine, key, memory_bytes } = open().await?;
        limit_memory(memory_bytes.saturating_add(BESIDE))?;
        let mut sessions = Sessions::new(engine, viewer(&key), spill)?;
        if let Err(error) = Box::pin(sessions.warm_up()).await {
            tracing::warn!(%error, "a process for statements could not look at the lake ahead");
        }
        Ok(Self { sessions, planned: None })
    }

    async fn answer(
        &mut self,
        order: Order,
        line: &mut BufWriter<UnixStream>,
    ) -> Result<(), Failure> {
        match order {
            Order::Describe { statement, names } => {
                self.planned = None;
                let frame = Box::pin(self.plan(&statement, &names)).await?;
                write_described(line, &described(&frame)?)?;
                self.planned = Some((statement, frame));
            }
            Order::Run(run) => {
                Box::pin(self.run(*run, line)).await?;
                write_done(line)?;
            }
        }
        Ok(())
    }

    /// Plans a reading statement and checks what it reads.
    async fn plan(&mut self, statement: &Statement, names: &Names) -> Result<DataFrame> {
        let Statement { sql, snapshot, limits } = statement;
        let session = self.sessions.at(*snapshot, limits, names).await?;
        let frame = Box::pin(session.query(sql)).await?;
        tables::check(frame.logical_plan())?;
        Ok(frame)
    }

    async fn run(&mut self, run: Run, line: &mut BufWriter<UnixStream>) -> Result<(), Failure> {
        let Run { statement, names, columns, values, rows } = run;
        let mut frame = match self.planned.take() {
            Some((planned, frame)) if planned == statement => frame,
            _ => {
                let frame = Box::pin(self.plan(&statement, &names)).await?;
                let now = schema_of(&schema_text(frame.schema().as_arrow())?)?;
                if now.fields() != schema_of(&columns)?.fields() {
                    return Err(changed().into());
                }
                frame
            }
        };
        if let Some(values) = values {
            frame = frame.with_param_values(values_of(&values)?)?;
        }
        if let Some(rows) = rows {
            frame = cut(frame, rows)?;
        }
        send_rows(frame, line).await
    }
}

fn described(frame: &DataFrame) -> Result<Described, Failure> {
    let types = parameter::types(frame.logical_plan());
    let types = types.map_err(|e| engine_error("the query", e))?;
    Ok(Described {
        columns: schema_text(frame.schema().as_arrow())?,
        parameters: schema_text(&parameter_schema(&types))?,
        reads: tables::read_by(frame.logical_plan())?,
    })
}

/// Computes on threads of its own while what is there is sent.
async fn send_rows(frame: DataFrame, line: &mut BufWriter<UnixStream>) -> Result<(), Failure> {
    let context = Arc::new(TaskContext::from(&frame.clone().into_parts().0));
    let plan = Box::pin(frame.create_physical_plan()).await?;
    let mut encoder = StreamEncoder::try_new(&plan.schema())?;
    let mut batches = execute_stream(plan, context)?;
    let (sender, mut received) = mpsc::channel(WAITING_BATCHES);
    let computed = tokio::spawn(async move {
        while let Some(batch) = batches.next().await {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
    });
    while let Some(batch) = received.recv().await {
        for part in parts(&batch?) {
            let encoded = encoder.encode(&compact(&part)?)?;
            let bytes: usize = encoded.iter().map(|buffer| buffer.len()).sum();
            if bytes > MAX_FRAME {
                return Err(too_large().into());
            }
            write_rows(line, &encoded)?;
        }
    }
    // A statement that panicked must not pass for one that came to its end.
    computed.await.map_err(|_| io::Error::other("a statement broke the engine"))?;
    write_rows(line, &encoder.finish()?)?;
    Ok(())
}

/// A batch in parts that are not too large, as far as whole rows can be.
fn parts(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    let parts = batch.get_array_memory_size().div_ceil(BATCH).max(1);
    let step = rows.div_ceil(parts).max(1);
    (0..rows).step_by(step).map(move |from| batch.slice(from, step.min(rows - from)))
}

/// A batch without the bytes that none of its rows uses; views may hold on to many.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => Arc::clone(column),
        }
    };
    let columns = batch.columns().iter().map(column).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &rows)
}

fn too_large() -> Error {
    let message = format!("a row has more than {} MiB", MAX_FRAME >> 20);
    Error::new(ErrorKind::Data, "E-SQL-ROW-SIZE", message).hint("ask for a part of the value")
}

fn changed() -> Error {
    let message = "the columns of the statement changed after it was planned";
    Error::new(ErrorKind::Schema, "E-SQL-CHANGED", message)
        .hint("ask again; a changed configuration holds for the service when it is started again")
}
