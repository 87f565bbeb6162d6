//! The threads that serve connections and make the hub's own sessions.
//!
//! A new session plans all views, which takes a while without a pause; on the hub's own threads it
//! would hold up whoever shares them. All have a large stack, because a stack overflow would end the
//! whole hub.

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

/// The stack of each thread: room for the deepest statement that is taken.
pub(super) const STACK: usize = 256 << 20;
/// Threads for connections; they wait far more than they work.
const CONNECTION_THREADS: usize = 2;
/// Threads on which sessions are made.
const SESSION_THREADS: usize = 2;

/// The threads that serve connections and make sessions.
pub(crate) struct Workers {
    runtimes: Vec<Runtime>,
    connections: Handle,
    sessions: Handle,
}

impl Workers {
    pub(crate) fn new() -> std::io::Result<Self> {
        let connections = threads("door").worker_threads(CONNECTION_THREADS).build()?;
        let sessions = threads("door-session").worker_threads(SESSION_THREADS).build()?;
        Ok(Self {
            connections: connections.handle().clone(),
            sessions: sessions.handle().clone(),
            runtimes: vec![connections, sessions],
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
