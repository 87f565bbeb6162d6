//! Sending a whole table to a system, at one snapshot, whenever it has changed.

use huiliu_core::config::PushConfig;
use huiliu_sdk::{Cx, Endpoint, Error, ErrorKind, LoadMode, LoadRequest, Result, StreamId};
use huiliu_store::{LoadRow, StepRow};

use crate::hub::Hub;
use crate::mover::{GuardPlan, Guards, not_ready};
use crate::project::System;
use crate::stop::in_time;

/// One load on its way.
struct Load<'a> {
    hub: &'a Hub,
    cx: &'a Cx,
    system: &'a System,
    push: &'a PushConfig,
    mode: LoadMode,
}

impl Hub {
    /// Sends the table of a push with `load`; says whether there was anything to send. In the
    /// balance, `read` is what was sent and `written` what the target has taken.
    pub(crate) async fn send_load(
        &self,
        cx: &Cx,
        guards: &Guards,
        system: &System,
        push: &PushConfig,
        mode: LoadMode,
        step: &mut StepRow,
    ) -> Result<bool> {
        let load = Load { hub: self, cx, system, push, mode };
        let version = self.engine.table_version(&push.from).await?;
        if !load.is_open(guards, step, version).await? {
            return Ok(false);
        }
        load.send(step).await?;
        Ok(true)
    }
}

impl Load<'_> {
    fn id(&self) -> &str {
        &self.system.config.id
    }

    /// Whether the table is to be sent: it has changed since it last was, and no earlier load of
    /// it may have arrived unknown to us.
    async fn is_open(&self, guards: &Guards, step: &StepRow, version: i64) -> Result<bool> {
        let store = self.hub.lake().store();
        if self.mode == LoadMode::Append
            && let Some(open) = store.open_load(self.id(), &self.push.name).await?
        {
            let sent = u64::try_from(open.rows).unwrap_or(0);
            let plan =
                |kind| GuardPlan::build(&step.node, kind, open.version).rows(sent, sent).done();
            let (again, done) = (plan("load_again"), plan("load_done"));
            if guards.accepts(&done) {
                let mut tx = store.begin().await?;
                tx.put_load(&open).await?;
                tx.count_load(&open, open.rows).await?;
                tx.commit().await?;
            } else if !guards.accepts(&again) {
                let error = self.unknown(open.rows, &again, &done);
                guards.stop(again);
                guards.stop(done);
                return Err(error);
            }
        }
        let last = store.last_load(self.id(), &self.push.name).await?;
        Ok(last.is_none_or(|last| last.version != version))
    }

    fn unknown(&self, rows: i64, again: &GuardPlan, done: &GuardPlan) -> Error {
        let (node, table) = (&again.node, &self.push.from);
        Error::new(
            ErrorKind::Conflict,
            "E-LOAD-UNKNOWN",
            format!("nobody knows whether {rows} rows of {table} were added at the target"),
        )
        .hint(format!(
            "look there; if they were: `huiliu run {node} --accept {}`; if not: `huiliu run \
             {node} --accept {}`, which sends them again",
            done.hash, again.hash
        ))
    }

    async fn send(&self, step: &mut StepRow) -> Result<()> {
        let endpoint = self.system.endpoint.as_ref().ok_or_else(|| not_ready(self.system))?;
        let load = self.transfer(endpoint.as_ref(), step).await?;
        let store = self.hub.lake().store();
        let mut tx = store.begin().await?;
        tx.put_load(&load).await?;
        tx.count_load(&load, i64::try_from(step.balance.written).unwrap_or(i64::MAX)).await?;
        tx.put_step(step).await?;
        tx.commit().await
    }

    async fn transfer(&self, endpoint: &dyn Endpoint, step: &mut StepRow) -> Result<LoadRow> {
        let mut scan = self.hub.engine.scan(&self.push.from).await?;
        let request = LoadRequest {
            push: StreamId::new(self.push.name.as_str()),
            schema: scan.schema(),
            mode: self.mode,
        };
        let silence = self.system.config.limits.silence();
        let mut loader = in_time(self.cx, silence, endpoint.loader(self.cx, request)).await?;
        while let Some(batch) = scan.next().await? {
            self.cx.check()?;
            let rows = batch.num_rows() as u64;
            if rows > 0 {
                in_time(self.cx, silence, loader.write(self.cx, batch)).await?;
                step.balance.read += rows;
            }
        }
        let load = LoadRow {
            system: self.id().to_owned(),
            push: self.push.name.clone(),
            version: scan.version(),
            snapshot_id: scan.snapshot(),
            rows: i64::try_from(step.balance.read).unwrap_or(i64::MAX),
            run_id: step.run_id,
            at: self.hub.now(),
        };
        if self.mode == LoadMode::Append {
            // Noted before anything can become visible there, so that a process that dies here
            // does not add the rows a second time.
            let mut tx = self.hub.lake().store().begin().await?;
            tx.put_open_load(&load).await?;
            tx.commit().await?;
        }
        match in_time(self.cx, silence, loader.finish(self.cx)).await {
            Ok(written) => step.balance.written = written,
            Err(error) => return Err(self.finish_failed(error, &load).await?),
        }
        if step.balance.written != step.balance.read {
            return Err(Error::new(
                ErrorKind::Data,
                "E-LOAD-COUNT",
                format!(
                    "{} rows were sent and the target has taken {}",
                    step.balance.read, step.balance.written
                ),
            )
            .hint("look at the target's table; it is sent again with the next run"));
        }
        Ok(load)
    }

    /// The error of a load that did not end well. Rows that are added twice stay twice, so only
    /// one that the target has refused may be sent again without asking.
    async fn finish_failed(&self, error: Error, load: &LoadRow) -> Result<Error> {
        if self.mode != LoadMode::Append {
            return Ok(error);
        }
        if is_refusal(&error) {
            let mut tx = self.hub.lake().store().begin().await?;
            tx.forget_open_load(self.id(), &self.push.name).await?;
            tx.commit().await?;
            return Ok(error);
        }
        let message = format!("the answer for {} rows of {} was lost", load.rows, self.push.from);
        Ok(Error::new(ErrorKind::Conflict, "E-LOAD-UNKNOWN", message)
            .hint("look at the target; the next run says how to go on")
            .cause(error))
    }
}

/// Whether an error says that the target has taken nothing.
fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Config
        | ErrorKind::Auth
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::Schema
        | ErrorKind::Data
        | ErrorKind::Conflict
        | ErrorKind::Unsupported => true,
        ErrorKind::Unreachable
        | ErrorKind::Throttled
        | ErrorKind::Timeout
        | ErrorKind::Cancelled
        | ErrorKind::Internal => false,
    }
}
