//! The work of jobs in a real hub: each is a run.

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_core::config::JobConfig;
use huiliu_sdk::Result;
use tokio_util::sync::CancellationToken;

use super::scheduler::{JobEvent, Scheduler, Settings, Work, WorkEnd};
use super::{find, planned};
use crate::hub::Hub;
use crate::run::{Progress, RunOptions, RunReport, Silent};

struct HubWork(Arc<Hub>);

#[async_trait]
impl Work for HubWork {
    async fn run(&self, job: &JobConfig, stop: CancellationToken) -> WorkEnd {
        match self.0.run_job(&job.name, stop, Arc::new(Silent)).await {
            Ok(report) => WorkEnd { report: Some(report), error: None },
            Err(error) => WorkEnd { report: None, error: Some(error) },
        }
    }
}

impl Hub {
    /// A scheduler over the project's jobs, which tells `events` what happens.
    pub fn scheduler(
        self: &Arc<Self>,
        events: impl Fn(JobEvent) + Send + Sync + 'static,
    ) -> Result<Arc<Scheduler>> {
        let settings = Settings {
            jobs: planned(&self.project)?.into(),
            store: self.lake().store().clone(),
            clock: Arc::clone(&self.clock),
            holder: self.holder.clone(),
            heartbeat: Arc::clone(&self.heartbeat),
            park_after: self.project.hub.park_after,
            work: Arc::new(HubWork(Arc::clone(self))),
        };
        Ok(Scheduler::with(settings, events))
    }

    /// Runs what the job `name` runs, now.
    pub async fn run_job(
        self: &Arc<Self>,
        name: &str,
        cancel: CancellationToken,
        progress: Arc<dyn Progress>,
    ) -> Result<RunReport> {
        let job = find(&self.project.jobs.jobs, name)?;
        let options = RunOptions { whole: job.whole, ..RunOptions::default() };
        Box::pin(self.run_with(&job.run, Some(name), options, cancel, progress)).await
    }
}
