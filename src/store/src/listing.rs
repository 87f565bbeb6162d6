//! Lists a page at a time, newest first, for those who look at them.

use huiliu_sdk::Result;

use crate::{QuarantineFilter, QuarantineRow, RunRow, SentRow, Store, args};

impl Store {
    /// Runs older than `before`, newest first.
    pub async fn runs_before(&self, before: Option<i64>, limit: u32) -> Result<Vec<RunRow>> {
        let rows = self
            .all(
                "list runs",
                "select run_id, job, selector, state, started_at, finished_at, exit_code
                 from huiliu_run where ?1 is null or run_id < ?1 order by run_id desc limit ?2",
                args![before, limit],
            )
            .await?;
        rows.iter().map(crate::run::run_row).collect()
    }

    /// One run.
    pub async fn run_of(&self, run: i64) -> Result<Option<RunRow>> {
        let row = self
            .one(
                "read a run",
                "select run_id, job, selector, state, started_at, finished_at, exit_code
                 from huiliu_run where run_id = ?",
                args![run],
            )
            .await?;
        row.as_ref().map(crate::run::run_row).transpose()
    }

    /// Rows in quarantine older than `before`, newest first.
    pub async fn quarantined_before(
        &self,
        filter: &QuarantineFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<QuarantineRow>> {
        let rows = self
            .all(
                "list quarantined rows",
                "select quarantine_id, run_id, system, stream, origin, position, code, reason,
                        quarantined_at
                 from huiliu_quarantine
                 where (?1 is null or system = ?1) and (?2 is null or stream = ?2)
                   and (?3 is null or run_id = ?3) and (?4 is null or quarantine_id < ?4)
                 order by quarantine_id desc limit ?5",
                args![filter.system.as_ref(), filter.stream.as_ref(), filter.run, before, limit],
            )
            .await?;
        rows.iter().map(crate::set_aside::quarantine_row).collect()
    }

    /// Records of the outbox older than `before`, newest first: of one push, or of all.
    pub async fn sent_before(
        &self,
        push: Option<(&str, &str)>,
        state: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SentRow>> {
        let (system, name) = push.unzip();
        let rows = self
            .all(
                "list what was sent",
                crate::outbox::select_sent!(
                    "where (?1 is null or system = ?1) and (?2 is null or push = ?2)
                       and (?3 is null or state = ?3) and (?4 is null or outbox_id < ?4)
                     order by outbox_id desc limit ?5"
                ),
                args![system, name, state, before, limit],
            )
            .await?;
        rows.iter().map(crate::outbox::sent_row).collect()
    }
}
