//! Where statements run: on threads of their own.
//!
//! Some operators compute for a long time without a pause. On the hub's own threads such a
//! statement would stop everything else, its own timeout first; here it only wears out itself.
//! Connections have threads apart from plans for the same reason, and all have a large stack,
//! because a stack overflow would end the whole hub.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Batches that wait for the client; the plan rests while it does not read.
const WAITING_BATCHES: usize = 2;

/// The stack of each thread: room for the deepest expression that is let in.
const STACK: usize = 256 << 20;
/// Threads for connections; they wait far more than they work.
const CONNECTION_THREADS: usize = 2;
/// Threads on which sessions are made: a statement that never pauses must not keep the next one
/// from beginning.
const SESSION_THREADS: usize = 4;
/// Threads for plans. Some compute without a pause; the system shares its processors among more
/// threads than it has, the runtime would not.
const PLAN_THREADS: usize = 8;

/// The threads that serve connections and run plans.
pub(crate) struct Workers {
    runtimes: Vec<Runtime>,
    connections: Handle,
    sessions: Handle,
    plans: Handle,
}

/// The batches of one running plan; dropping them ends it.
pub(crate) struct Batches {
    received: mpsc::Receiver<Result<RecordBatch>>,
    task: JoinSet<()>,
}

impl Workers {
    pub(crate) fn new() -> std::io::Result<Self> {
        let connections = threads("door").worker_threads(CONNECTION_THREADS).build()?;
        let sessions = threads("door-session").worker_threads(SESSION_THREADS).build()?;
        let plans = threads("door-plan").worker_threads(PLAN_THREADS).build()?;
        Ok(Self {
            connections: connections.handle().clone(),
            sessions: sessions.handle().clone(),
            plans: plans.handle().clone(),
            runtimes: vec![connections, sessions, plans],
        })
    }

    /// The threads that serve connections.
    pub(crate) fn connections(&self) -> &Handle {
        &self.connections
    }

    /// Does `work` on the threads of sessions; none when it panicked.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut task = JoinSet::new();
        task.spawn_on(work, &self.sessions);
        task.join_next().await?.ok()
    }

    /// Starts `frame`.
    pub(crate) fn run(&self, frame: DataFrame) -> Batches {
        let (sender, received) = mpsc::channel(WAITING_BATCHES);
        let mut task = JoinSet::new();
        task.spawn_on(
            async move {
                if let Err(error) = Box::pin(execute(frame, &sender)).await {
                    // Nobody waits for it when the client has gone.
                    sender.send(Err(error)).await.ok();
                }
            },
            &self.plans,
        );
        Batches { received, task }
    }
}

fn threads(name: &str) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.thread_name(name).thread_stack_size(STACK).enable_all();
    builder
}

impl Drop for Workers {
    fn drop(&mut self) {
        // A thread that computes without a pause must not hold up the one that stops the hub.
        for runtime in self.runtimes.drain(..) {
            runtime.shutdown_background();
        }
    }
}

impl Batches {
    /// The next batch; none after the last one.
    pub(crate) async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if let Some(batch) = self.received.recv().await {
            return Some(batch);
        }
        // A plan that panicked must not pass for one that came to its end.
        let broken = matches!(self.task.join_next().await, Some(Err(_)));
        broken.then(|| Err(DataFusionError::Internal("the statement broke the engine".into())))
    }
}

async fn execute(frame: DataFrame, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let context = Arc::new(TaskContext::from(&frame.clone().into_parts().0));
    let plan = with_pauses(frame.create_physical_plan().await?)?;
    let mut batches = execute_stream(plan, context)?;
    while let Some(batch) = batches.next().await {
        if sender.send(Ok(batch?)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Lets every join pause between its batches, so that a statement can be stopped there.
fn with_pauses(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let paused = plan.transform_up(|node| {
        if node.children().len() < 2 {
            return Ok(Transformed::no(node));
        }
        let node: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(node));
        Ok(Transformed::yes(node))
    })?;
    Ok(paused.data)
}
