//! Where a stream's pages come from: one list, one list for each record of a parent, or a file
//! that is made on request. A task of its own works one page ahead of the caller.

mod children;
mod job;
mod list;

use std::sync::Arc;

use huiliu_sdk::{Cx, Error, Result};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::page::Page;
use crate::plan::StreamPlan;
use crate::session::Session;

pub(crate) use children::Children;
pub(crate) use list::List;

/// A page and where it came from.
pub(crate) struct Part {
    pub(crate) page: Page,
    pub(crate) origin: Arc<str>,
    /// The parent up to which everything has been sent with this page, from time to time.
    pub(crate) mark: Option<Value>,
}

/// What is read.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) cx: Cx,
    pub(crate) session: Arc<Session>,
    pub(crate) plan: Arc<StreamPlan>,
    /// Parameters beside those of the page.
    pub(crate) parameters: Vec<(String, Value)>,
    pub(crate) row_limit: Option<u64>,
}

/// The pages of a stream. Dropping it stops the reading.
pub(crate) struct Feed {
    parts: mpsc::Receiver<Result<Part>>,
    tasks: JoinSet<()>,
}

impl Feed {
    /// Starts reading; the children of a parent begin after `after`.
    pub(crate) fn start(
        reader: Reader,
        parent: Option<Arc<StreamPlan>>,
        after: Option<Value>,
    ) -> Self {
        let (sender, parts) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let outlet = Outlet(sender);
            let done = match (parent, reader.plan.job.is_some()) {
                (Some(parent), _) => {
                    Box::pin(Children::new(reader, parent, after).run(&outlet)).await
                }
                (None, true) => Box::pin(job::run(&reader, &outlet)).await,
                (None, false) => Box::pin(list::run(reader, &outlet)).await,
            };
            if let Err(error) = done {
                outlet.fail(error).await;
            }
        });
        Self { parts, tasks }
    }

    /// The next page, or nothing at the end.
    pub(crate) async fn next(&mut self, cx: &Cx) -> Result<Option<Part>> {
        let part = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(Error::cancelled()),
            part = self.parts.recv() => part,
        };
        if let Some(part) = part {
            return part.map(Some);
        }
        // Silence is an end only if the task came to its own.
        match self.tasks.join_next().await {
            Some(Err(error)) => Err(Error::internal("fetching pages stopped short").cause(error)),
            _ => Ok(None),
        }
    }
}

/// Where a task puts its pages.
pub(crate) struct Outlet(mpsc::Sender<Result<Part>>);

/// Room for one page. It is waited for before the page is asked for, so that never more than one
/// waits.
pub(crate) struct Room<'o>(mpsc::Permit<'o, Result<Part>>);

impl Outlet {
    /// Waits for room; nothing if nobody listens any more.
    pub(crate) async fn room(&self) -> Option<Room<'_>> {
        self.0.reserve().await.ok().map(Room)
    }

    async fn fail(&self, error: Error) {
        if let Some(Room(room)) = self.room().await {
            room.send(Err(error));
        }
    }
}

impl Room<'_> {
    pub(crate) fn send(self, part: Part) {
        self.0.send(Ok(part));
    }
}
