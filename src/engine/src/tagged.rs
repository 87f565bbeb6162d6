//! What the engine knows of personal data in the tables of its lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use huiliu_core::model::ModelKind;
use huiliu_sdk::Result;
use huiliu_store::ModelRow;

use crate::origin::{FileHashes, Origin};
use crate::personal::{Personal, Tags};
use crate::session::{Engine, Known, Session};

impl Engine {
    /// The kinds of personal data in the columns of a table, as of the latest snapshot. None when
    /// nothing is known of the table: then all of it may be personal.
    pub async fn personal_columns(&self, table: &str) -> Result<Option<Tags>> {
        let session = Box::pin(self.session(None)).await?;
        let personal = self.personal(&session).await?;
        Ok(personal.tags(table).cloned())
    }

    /// Whether any of these columns, by table, shows personal data at the session's snapshot. All columns
    /// of a table of which nothing is known may.
    pub async fn are_personal(
        &self,
        session: &Session,
        columns: &BTreeMap<String, BTreeSet<String>>,
    ) -> Result<bool> {
        let personal = self.personal(session).await?;
        let is_any = |(table, columns): (&String, &BTreeSet<String>)| {
            columns.iter().any(|column| personal.tag(table, column).is_some())
        };
        Ok(columns.iter().any(is_any))
    }

    /// Which columns of which tables hold personal data, as of the session's snapshot.
    pub(crate) async fn personal(&self, session: &Session) -> Result<Arc<Personal>> {
        let unknown = self.built_otherwise(session.snapshot()).await?;
        if let Some(known) = self.known(session.snapshot(), &unknown) {
            return Ok(known);
        }
        let mut selects = Vec::new();
        let models = self.pipelines().models.iter().map(|model| (&model.name, &model.sql));
        let audits = self.pipelines().audits.values().map(|audit| (&audit.name, &audit.sql));
        for (name, sql) in models.chain(audits).filter(|(name, _)| !unknown.contains(*name)) {
            // What cannot be planned stays unknown, and of unknown tables all is hidden.
            if let Ok(plan) = session.context().state().create_logical_plan(sql).await {
                selects.push((name, plan));
            }
        }
        let recs = self.pipelines().reconciliations.values();
        let recs: Vec<_> = recs.filter(|rec| !unknown.contains(&rec.table())).collect();
        let mut personal = Personal::new(self.tagged());
        for (name, _) in &selects {
            personal.expect(name);
        }
        for rec in &recs {
            personal.expect_reconciliation(rec);
        }
        // Models read reconciliations and the other way round, so this goes on until nothing new
        // is learned. It ends because nothing is forgotten.
        loop {
            let before = personal.clone();
            for (name, select) in &selects {
                personal.learn(name, select);
            }
            for rec in &recs {
                personal.learn_reconciliation(rec);
            }
            if personal == before {
                break;
            }
        }
        let personal = Arc::new(personal);
        let mut known = self.personal.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = session.snapshot();
        *known = Some(Known { snapshot, unknown, personal: Arc::clone(&personal) });
        Ok(personal)
    }

    /// The same where the session may have no views yet; they are added only if they are needed.
    pub(crate) async fn personal_without_views(
        &self,
        session: &mut Session,
    ) -> Result<Arc<Personal>> {
        let unknown = self.built_otherwise(session.snapshot()).await?;
        if let Some(known) = self.known(session.snapshot(), &unknown) {
            return Ok(known);
        }
        self.add_all_views(session).await;
        self.personal(session).await
    }

    fn known(&self, snapshot: i64, unknown: &BTreeSet<String>) -> Option<Arc<Personal>> {
        let known = self.personal.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &&Known| known.snapshot == snapshot && known.unknown == *unknown;
        known.as_ref().filter(is_same).map(|known| Arc::clone(&known.personal))
    }

    /// The tables whose rows at `snapshot` were computed by other definitions than there are now,
    /// or perhaps were, because they were built again later. Where their columns come from cannot be read off
    /// the present SQL.
    async fn built_otherwise(&self, snapshot: i64) -> Result<BTreeSet<String>> {
        let builds = self.lake().store().models().await?;
        let builds: BTreeMap<&str, &ModelRow> =
            builds.iter().map(|row| (row.name.as_str(), row)).collect();
        let built = |name: &str| builds.get(name).filter(|row| row.snapshot_id <= snapshot);
        let pipelines = self.pipelines();
        let (versions, files) = (BTreeMap::new(), FileHashes::new());
        let mut others = BTreeSet::new();
        let tables = pipelines.models.iter().filter(|model| model.header.kind == ModelKind::Table);
        for model in tables {
            let last = built(&model.name).and_then(|row| Origin::parse(&row.fingerprint));
            let now = pipelines.origin(&model.name, &versions, &files);
            if last.is_none_or(|last| last.definitions != now.definitions) {
                others.insert(model.name.clone());
            }
        }
        for rec in pipelines.reconciliations.values() {
            let last = built(&rec.table());
            if !last.is_some_and(|row| self.is_reconciled_as(rec, &row.fingerprint)) {
                others.insert(rec.table());
            }
        }
        Ok(others)
    }
}
