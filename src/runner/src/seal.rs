//! Sealing published figures, and counting them again.

use huiliu_engine::{SealPlan, SealedDefinition};
use huiliu_lake::Commit;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{Lease, SealedFigure};
use serde::Serialize;
use serde_json::json;

use crate::audit::{Change, Deed};
use crate::hub::Hub;
use crate::lock::FolderLock;
use crate::verdict::found;

/// A seal, and whether it still holds.
#[derive(Debug, Clone, Serialize)]
pub struct SealCheck {
    /// The seal.
    #[serde(flatten)]
    pub seal: SealedFigure,
    /// The value as it is counted now from what was kept.
    pub recounted: Option<String>,
    /// Whether the predicates were applied again, or, because they look at personal data, only
    /// their outcomes were counted.
    pub by_predicates: bool,
    /// What is not as it was sealed; nothing when the seal holds.
    pub faults: Vec<String>,
}

impl Hub {
    /// Seals the figure of a metric as it is at `snapshot`, or at the latest one.
    pub async fn seal_figure(
        &self,
        key: &str,
        snapshot: Option<i64>,
        deed: &Deed<'_>,
    ) -> Result<SealedFigure> {
        let metric = self.metric(key)?;
        if let (None, Some(verdict)) = (snapshot, self.held_back(key).await?.first())
            && let Some(audit) = self.engine.pipelines().audits.get(&verdict.audit)
        {
            return Err(found(audit, verdict).context(key));
        }
        let lock = FolderLock::take(&self.data, &self.holder)?;
        let session = self.engine.session(snapshot).await?;
        let day = self.day_of(session.snapshot()).await?;
        let is_personal = |column: &str| self.is_personal(column);
        let plan = self.engine.plan_seal(&session, metric, &day, is_personal).await?;
        // Maintenance must not take the files being written for those of a dead process.
        let lease = self.table_lease(&format!("metrics.{}", plan.sealed.table())).await?;
        let sealed = self.seal_leased(&session, &plan, &day, &lease, deed).await;
        self.lake().store().release_lease(&lease).await?;
        drop(lock);
        sealed
    }

    async fn seal_leased(
        &self,
        session: &huiliu_engine::Session,
        plan: &SealPlan,
        day: &str,
        lease: &Lease,
        deed: &Deed<'_>,
    ) -> Result<SealedFigure> {
        let store = self.lake().store();
        let mut tx = store.begin().await?;
        let seal_id = tx.next_seal().await?;
        drop(tx);
        let pseudonym = |text: &str| Ok(self.key.pseudonym(text));
        let rows = self.engine.seal_rows(session, plan, seal_id, pseudonym).await?;
        let definition = serde_json::to_string(&plan.sealed)
            .map_err(|e| Error::internal("a definition could not be sealed").cause(e))?;
        let seal = SealedFigure {
            seal_id,
            metric: plan.sealed.metric.clone(),
            definition,
            definition_hash: plan.sealed.hash()?,
            day: day.to_owned(),
            snapshot_id: session.snapshot(),
            value: plan.figure.value.clone(),
            numerator: plan.figure.numerator,
            denominator: plan.figure.denominator,
            row_count: rows.content.rows,
            row_sum: format!("{:032x}", rows.content.sum),
            sealed_at: self.now(),
            sealed_by: deed.who.to_owned(),
            reason: deed.reason.to_owned(),
        };
        let commit = Commit {
            changes: vec![rows.change],
            author: "huiliu".into(),
            message: format!("seal {seal_id} of {}", seal.metric),
        };
        let mut tx = store.begin().await?;
        tx.check_lease(lease).await?;
        if tx.next_seal().await? != seal_id {
            return Err(Error::new(
                ErrorKind::Conflict,
                "E-SEAL",
                "another figure was sealed at the same time",
            )
            .hint("try again"));
        }
        // A figure that counts nothing has no rows, and then there is no snapshot to make.
        if !commit.is_empty() {
            commit.write(&mut tx).await?;
        }
        tx.put_sealed_figure(&seal).await?;
        let object = format!("metrics.{}", seal.metric);
        let change = Change {
            action: "metric seal",
            object: &object,
            before: None,
            after: Some(json!(seal)),
        };
        self.note(&mut tx, deed, change).await?;
        tx.commit().await?;
        Ok(seal)
    }

    /// Counts sealed figures again: all, those of one metric, or one by its number.
    pub async fn verify_seals(&self, which: Option<&str>) -> Result<Vec<SealCheck>> {
        let seals = self.seals(which).await?;
        let session = self.engine.session(None).await?;
        let mut checks = Vec::with_capacity(seals.len());
        for seal in seals {
            checks.push(self.verify_seal(&session, seal).await?);
        }
        Ok(checks)
    }

    /// Sealed figures: all, those of one metric, or one by its number.
    pub async fn seals(&self, which: Option<&str>) -> Result<Vec<SealedFigure>> {
        let mut seals = self.lake().store().sealed_figures().await?;
        let Some(which) = which else { return Ok(seals) };
        seals.retain(|seal| seal.metric == which || seal.seal_id.to_string() == which);
        if seals.is_empty() {
            let message = format!("nothing is sealed as `{which}`");
            return Err(Error::new(ErrorKind::Config, "E-SEAL", message)
                .hint("name a metric or a seal's number; `huiliu metric seals` lists them"));
        }
        Ok(seals)
    }

    async fn verify_seal(
        &self,
        session: &huiliu_engine::Session,
        seal: SealedFigure,
    ) -> Result<SealCheck> {
        let mut faults = Vec::new();
        let sealed: SealedDefinition = match serde_json::from_str(&seal.definition) {
            Ok(sealed) => sealed,
            Err(_) => {
                faults.push("the definition cannot be read".to_owned());
                return Ok(SealCheck { seal, recounted: None, by_predicates: false, faults });
            }
        };
        if sealed.hash()? != seal.definition_hash {
            faults.push("the definition is not the one that was sealed".to_owned());
        }
        let again = session.recount(&sealed, seal.seal_id).await?;
        if again.content.rows != seal.row_count {
            faults.push(format!(
                "{} rows were kept, {} are there",
                seal.row_count, again.content.rows
            ));
        } else if format!("{:032x}", again.content.sum) != seal.row_sum {
            faults.push("the rows are not those that were kept".to_owned());
        }
        if (again.numerator, again.denominator) != (seal.numerator, seal.denominator) {
            faults.push("the rows do not count to the sealed figure".to_owned());
        }
        let recounted = again.value(&sealed);
        if recounted != seal.value {
            faults.push("the value is not the sealed one".to_owned());
        }
        Ok(SealCheck { seal, recounted, by_predicates: sealed.columns.is_some(), faults })
    }

    /// Whether a column of this name holds personal data in some system.
    fn is_personal(&self, column: &str) -> bool {
        self.project.systems.values().any(|system| system.is_personal(column))
    }
}
