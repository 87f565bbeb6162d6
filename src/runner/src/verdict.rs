//! Running the pipelines' audits and keeping what they found.

use huiliu_core::audit::Audit;
use huiliu_sdk::{Cx, Error, Result};
use huiliu_store::{StepRow, VerdictRow};
use serde_json::{Map, Value};

use crate::hub::Hub;
use crate::stop::until_stopped;

impl Hub {
    /// Runs an audit, or takes what it found last when nothing it reads has changed since; says
    /// whether it looked anew.
    pub(crate) async fn run_audit(
        &self,
        cx: &Cx,
        name: &str,
        step: &StepRow,
    ) -> Result<(VerdictRow, bool)> {
        let audit = self
            .engine
            .pipelines()
            .audits
            .get(name)
            .ok_or_else(|| Error::internal(format!("no audit is called {name}")))?;
        let store = self.lake().store();
        let severity = audit.header.severity.as_str().to_owned();
        let last = store.last_verdict(name).await?;
        let fingerprint = last.as_ref().map(|last| last.fingerprint.as_str());
        let looked = self.engine.audit(audit, fingerprint);
        let Some(outcome) = until_stopped(cx, looked).await? else {
            let last = last.ok_or_else(|| Error::internal(format!("{name} did not look")))?;
            return Ok((VerdictRow { severity, ..last }, false));
        };
        let examples: Vec<Value> = outcome
            .examples
            .into_iter()
            .map(|key| {
                let texts = key
                    .into_iter()
                    .map(|(name, text)| (name, text.map_or(Value::Null, Value::String)));
                Value::Object(texts.collect::<Map<String, Value>>())
            })
            .collect();
        let verdict = VerdictRow {
            audit: name.to_owned(),
            run_id: step.run_id,
            severity,
            fingerprint: outcome.fingerprint,
            row_count: outcome.row_count,
            examples: Value::Array(examples).to_string(),
            found_at: self.now(),
        };
        let mut tx = store.begin().await?;
        tx.put_verdict(&verdict).await?;
        tx.put_step(step).await?;
        tx.commit().await?;
        Ok((verdict, true))
    }
}

impl Hub {
    /// What the blocking audits of a metric's table found when they looked last; none if nothing.
    pub async fn held_back(&self, metric: &str) -> Result<Vec<VerdictRow>> {
        let audits = &self.engine.pipelines().audits;
        let mut verdicts = Vec::new();
        let node = format!("metrics.{metric}");
        let needs = self.project.graph.needs(&node);
        for name in needs.filter(|name| audits.contains_key(*name)) {
            let last = self.lake().store().last_verdict(name).await?;
            verdicts.extend(last.filter(|verdict| verdict.row_count > 0));
        }
        Ok(verdicts)
    }
}

/// The error of a blocking audit that found rows.
pub(crate) fn found(audit: &Audit, verdict: &VerdictRow) -> Error {
    let (name, header) = (&audit.name, &audit.header);
    Error::new(huiliu_sdk::ErrorKind::Data, "E-AUDIT-FOUND", verdict_text(verdict)).hint(format!(
        "the rule: {}; {} answers for the audit {name}; \
         see the rows with `huiliu query \"select * from {name}\"`",
        header.description, header.owner
    ))
}

/// What an audit found, in words.
pub fn verdict_text(verdict: &VerdictRow) -> String {
    let count = verdict.row_count;
    let mut text =
        if count == 1 { "1 row found".to_owned() } else { format!("{count} rows found") };
    let examples: Vec<Map<String, Value>> =
        serde_json::from_str(&verdict.examples).unwrap_or_default();
    let keys: Vec<String> = examples
        .iter()
        .map(|key| {
            let parts = key.iter().map(|(name, value)| match value {
                Value::String(text) => format!("{name} {text}"),
                other => format!("{name} {other}"),
            });
            parts.collect::<Vec<_>>().join(", ")
        })
        .collect();
    if !keys.is_empty() {
        let is_all = i64::try_from(keys.len()) == Ok(count);
        text.push_str(if is_all { ": " } else { ", such as " });
        text.push_str(&keys.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_said_with_its_examples() {
        let verdict = |row_count: i64, examples: &str| VerdictRow {
            audit: "audits.a".into(),
            run_id: 1,
            severity: "warn".into(),
            fingerprint: String::new(),
            row_count,
            examples: examples.into(),
            found_at: String::new(),
        };
        assert_eq!(verdict_text(&verdict(3, "[]")), "3 rows found");
        let one = r#"[{"code":"A","version":null}]"#;
        assert_eq!(verdict_text(&verdict(1, one)), "1 row found: code A, version null");
        let two = r#"[{"code":"A"},{"code":"B"}]"#;
        assert_eq!(verdict_text(&verdict(9, two)), "9 rows found, such as code A; code B");
    }
}
