//! Reconciliations of a case: computed from the tables it made, beside a lake that stays empty.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use datafusion::catalog::TableProvider;
use huiliu_core::reconcile::Reconciliation;
use huiliu_lake::Lake;
use huiliu_sdk::{Clock, Error, ErrorKind, Result, SystemClock};
use tempfile::TempDir;

use crate::function::DomainFunctions;
use crate::origin::FileHashes;
use crate::pipeline::Pipelines;
use crate::reconcile::ReconcileRequest;
use crate::scratch::Scratch;
use crate::session::{Engine, EngineOptions, Session};

/// Memory of one case.
const MEMORY: usize = 256 << 20;
/// What a case says to set its clock.
const SET_NOW: &str = "set huiliu.now";

/// What reconciles the tables of a case.
pub(super) struct Reconciler {
    engine: Engine,
    scratch: Scratch,
    zone: Tz,
    _folder: TempDir,
}

/// The tables of one reconciliation, ready to be read.
pub(super) type Tables = Vec<(String, Arc<dyn TableProvider>)>;

impl Reconciler {
    pub(super) async fn new(
        pipelines: &Pipelines,
        functions: &DomainFunctions,
        zone: Tz,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|e| {
            Error::new(ErrorKind::Permission, "E-DATA", "no temporary folder could be made")
                .hint("check the rights of the system's folder for temporary files")
                .cause(e)
        })?;
        let options = EngineOptions {
            memory_bytes: MEMORY,
            spill: folder.path().to_owned(),
            partitions: 1,
            zone,
        };
        let lake = Lake::open(folder.path()).await?;
        let engine =
            Engine::new(lake, pipelines.clone(), functions.clone(), options, FileHashes::new());
        Ok(Self { engine, scratch: Scratch::new(folder.path())?, zone, _folder: folder })
    }

    /// The zone of wall times.
    pub(super) fn zone(&self) -> Tz {
        self.zone
    }

    /// Reconciles what `session` has. Without `now`, in microseconds of wall time, the clock says
    /// when that is.
    pub(super) async fn run(
        &self,
        session: &Session,
        rec: &Reconciliation,
        now: Option<i64>,
    ) -> Result<Tables> {
        let clock = || SystemClock.now().with_timezone(&self.zone).naive_local();
        let wall_time = now.unwrap_or_else(|| clock().and_utc().timestamp_micros());
        let request = ReconcileRequest {
            reconciliation: rec,
            run: 1,
            received_at: wall_time,
            wall_time,
            last: None,
            everything: true,
        };
        let drafted =
            self.engine.draft_reconcile(session, &self.scratch, &BTreeMap::new(), request).await?;
        let mut tables = Tables::new();
        for (name, table) in drafted.tables {
            tables.push((name, table.provider()?));
        }
        Ok(tables)
    }
}

/// Which tables of a case were computed by its reconciliations.
pub(super) type Computed = BTreeSet<String>;

/// The time that `statement` sets, such as `set huiliu.now = '2018-12-13 12:00:00'`; none when it
/// sets none.
pub(super) fn set_now(statement: &str) -> Option<Result<i64>> {
    let statement = statement.trim();
    let head = statement.get(..SET_NOW.len())?;
    if !head.eq_ignore_ascii_case(SET_NOW) {
        return None;
    }
    let value = statement[SET_NOW.len()..].trim().trim_start_matches('=').trim().trim_matches('\'');
    let time = NaiveDateTime::parse_from_str(value, "%Y-%m-%d %H:%M:%S");
    Some(time.map(|time| time.and_utc().timestamp_micros()).map_err(|_| {
        Error::new(ErrorKind::Config, "E-CASES", "`huiliu.now` is no time")
            .hint("write set huiliu.now = '2018-12-13 12:00:00'")
    }))
}
