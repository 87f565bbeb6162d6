//! A reconciliation that is looked at and not written: its tables as they would be, in scratch files.

use std::collections::{BTreeMap, HashSet};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use huiliu_core::reconcile::Reconciliation;
use huiliu_sdk::Result;

use super::ledger::{self, Ledger};
use super::matching::{self, Match};
use super::output::{Target, class_batch, read_differences, stored_tables};
use super::plan::Layout;
use super::state::{Fingerprint, has_table, quoted};
use super::{ReconcileReport, ReconcileRequest, Reconciling, golden};
use crate::failure::engine_error;
use crate::scratch::{Scratch, ScratchTable, ScratchWriter};
use crate::session::{Engine, Session};

/// What would come of a reconciliation.
pub(crate) struct Drafted {
    /// Its tables as they would be, by name.
    pub(crate) tables: BTreeMap<String, ScratchTable>,
    /// What was found.
    pub(crate) report: ReconcileReport,
}

impl Engine {
    /// Reconciles the tables of `session`, whole, without writing to the lake.
    pub(crate) async fn draft_reconcile(
        &self,
        session: &Session,
        scratch: &Scratch,
        versions: &BTreeMap<String, i64>,
        request: ReconcileRequest<'_>,
    ) -> Result<Drafted> {
        let rec = request.reconciliation;
        let mut now = Fingerprint::of_inputs(self.pipelines(), rec, versions, self.files());
        // All keys are looked at, so that the golden table is written whole.
        let request = ReconcileRequest { everything: true, ..request };
        let reconciling = Reconciling { engine: self, session, request };
        let drafted = async {
            let ready = reconciling.prepare(&mut now, None).await?;
            let mut draft = Draft::new(self, session, scratch, rec, &ready.layout).await?;
            let found = reconciling.look(ready, &mut draft).await?;
            Ok(Drafted { tables: draft.finish()?, report: found.report })
        };
        drafted.await.map_err(|e: huiliu_sdk::Error| {
            e.context(format!("reconciliation {}", request.reconciliation.name))
        })
    }
}

/// The tables of one reconciliation, being written beside the lake. The columns that the hub adds to
/// its rows are empty.
struct Draft<'a> {
    engine: &'a Engine,
    session: &'a Session,
    rec: &'a Reconciliation,
    schema: SchemaRef,
    tables: BTreeMap<String, ScratchWriter>,
}

impl<'a> Draft<'a> {
    async fn new(
        engine: &'a Engine,
        session: &'a Session,
        scratch: &Scratch,
        rec: &'a Reconciliation,
        layout: &Layout,
    ) -> Result<Self> {
        let schema = golden::schema(rec, layout);
        let mut tables = BTreeMap::new();
        for (name, stored) in stored_tables(rec, &schema) {
            let writer = scratch.table(engine.lake(), &name, &stored).await?;
            tables.insert(name, writer);
        }
        Ok(Self { engine, session, rec, schema, tables })
    }

    fn put(&mut self, table: &str, batch: &RecordBatch) -> Result<()> {
        match self.tables.get_mut(table) {
            Some(writer) => writer.write(batch),
            None => Err(huiliu_sdk::Error::internal(format!("no draft of {table}"))),
        }
    }

    fn finish(self) -> Result<BTreeMap<String, ScratchTable>> {
        let mut tables = BTreeMap::new();
        for (name, writer) in self.tables {
            tables.insert(name, writer.finish()?);
        }
        Ok(tables)
    }
}

impl Target for Draft<'_> {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn remove(&mut self, _keys: RecordBatch) -> Result<()> {
        // Rows that are gone are not written again.
        Ok(())
    }

    async fn golden(&mut self, batches: Vec<RecordBatch>) -> Result<()> {
        let table = self.rec.table();
        batches.iter().try_for_each(|batch| self.put(&table, batch))
    }

    async fn ledger(&mut self, ledger: Ledger) -> Result<()> {
        let mut rows = read_differences(self.engine, self.session, self.rec).await?;
        let again: HashSet<&str> =
            ledger.written.iter().map(|row| row.difference_id.as_str()).collect();
        rows.retain(|row| !again.contains(row.difference_id.as_str()));
        rows.extend_from_slice(&ledger.written);
        self.put(&self.rec.differences(), &ledger::difference_batch(&rows)?)?;
        let events = self.rec.events();
        if has_table(self.engine, &events).await? {
            let failed = |e| engine_error("reading the ledger's events", e);
            let frame = self.session.query(&format!("select * from {}", quoted(&events))).await?;
            let mut stream = frame.execute_stream().await.map_err(failed)?;
            while let Some(batch) = stream.next().await {
                self.put(&events, &batch.map_err(failed)?)?;
            }
        }
        self.put(&events, &ledger::event_batch(&ledger.events)?)
    }

    async fn matches(&mut self, rows: &[Match]) -> Result<()> {
        self.put(&self.rec.matches(), &matching::batch(rows)?)
    }

    async fn coverage(&mut self, batch: RecordBatch) -> Result<()> {
        self.put(&self.rec.coverage(), &batch)
    }

    async fn classes(&mut self, counts: &[u64]) -> Result<()> {
        self.put(&self.rec.class_counts(), &class_batch(self.rec, counts)?)
    }
}
