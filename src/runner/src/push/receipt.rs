//! Receipts that come later: flags that the target sets, files it writes, lists of what it refused.
//! A stream reads them; here they are matched with the records that they are about.

use chrono::DateTime;
use huiliu_core::config::ReceiptKeys;
use huiliu_engine::Session;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::{OutboxState, Receipted, StepRow};

use super::Push;
use crate::repair::{Image, images_with};

/// When the lake received a row.
const RECEIVED: &str = "_received_at";
/// The same in microseconds.
const RECEIVED_MICROS: &str = "_received_micros";

/// What a receipt says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Accepted,
    Rejected { code: String, message: String },
    Nothing,
}

impl Push<'_> {
    /// Matches receipts with records that the target took over, and with those of which nobody knows
    /// whether they arrived; says whether there were any.
    pub(super) async fn take_receipts(&self, step: &mut StepRow) -> Result<bool> {
        let Some(receipts) = self.receipts else { return Ok(false) };
        let store = self.hub.lake().store();
        let system = &self.system.config.id;
        let open = store.without_receipt(system, self.name).await?;
        if open.is_empty() {
            return Ok(false);
        }
        let session = self.hub.engine.session(None).await?;
        let (columns, says_when) = self.columns(&session, receipts).await?;
        let when = format!(", arrow_cast(\"{RECEIVED}\", 'Int64') as \"{RECEIVED_MICROS}\"");
        let further = if says_when { when.as_str() } else { "" };
        let by_id = receipts.id.is_some();
        let key = |record: &Receipted| {
            let key = if by_id { &record.idempotency_key } else { &record.record_key };
            key.clone()
        };
        let keys: Vec<String> = open.iter().map(key).collect();
        let mut wanted: Vec<&str> = keys.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = images_with(&session, &receipts.from, &columns, &wanted, further).await?;
        let mut settled = Vec::new();
        for (record, key) in open.iter().zip(&keys) {
            let Some(row) = found.get(key) else { continue };
            // A key may stand there from an earlier record of it.
            if !by_id && !is_later(row, &record.delivered_at) {
                continue;
            }
            match said(receipts, row) {
                Said::Nothing => {}
                said => settled.push((record.outbox_id, said)),
            }
        }
        if settled.is_empty() {
            return Ok(false);
        }
        let now = self.hub.now();
        let mut balance = step.balance;
        let mut tx = store.begin().await?;
        for (id, said) in &settled {
            balance.read += 1;
            match said {
                Said::Rejected { code, message } => {
                    let (code, message) = (Some(code.as_str()), Some(message.as_str()));
                    tx.settle(*id, OutboxState::Rejected, code, message, &now).await?;
                    balance.filtered += 1;
                }
                _ => {
                    tx.settle(*id, OutboxState::Accepted, None, None, &now).await?;
                    balance.written += 1;
                }
            }
        }
        let mut kept = step.clone();
        kept.balance = balance;
        tx.put_step(&kept).await?;
        tx.commit().await?;
        *step = kept;
        Ok(true)
    }

    /// The columns of the receipts that say which record they are about, and whether they say when
    /// they came.
    async fn columns(
        &self,
        session: &Session,
        receipts: &ReceiptKeys,
    ) -> Result<(Vec<String>, bool)> {
        let mut pushes = self.system.config.pushes.iter();
        let own = pushes.find(|push| push.name == self.name).map(|push| push.key.clone());
        let columns = match &receipts.id {
            Some(id) => vec![id.clone()],
            None if receipts.key.is_empty() => own.unwrap_or_default(),
            None => receipts.key.clone(),
        };
        let sql = format!("select * from {} limit 0", crate::repair::quoted(&receipts.from));
        let frame = session.query(&sql).await?;
        let known: Vec<String> =
            frame.schema().as_arrow().fields().iter().map(|field| field.name().clone()).collect();
        let asked =
            columns.iter().chain(&receipts.result).chain(&receipts.code).chain(&receipts.message);
        for column in asked {
            if !known.contains(column) {
                let message = format!("{} has no column `{column}` for receipts", receipts.from);
                return Err(Error::new(ErrorKind::Config, "E-RECEIPT-COLUMN", message).hint(
                    format!("it has: {}; correct `receipts` of the push", known.join(", ")),
                ));
            }
        }
        let says_when = known.iter().any(|column| column == RECEIVED);
        Ok((columns, says_when))
    }
}

/// Whether the lake received a receipt after the record was taken over, or queued if that is not
/// known. Rows that do not say so are believed.
fn is_later(row: &Image, delivered_at: &str) -> bool {
    let Some(received) = row.0.get(RECEIVED_MICROS).and_then(Option::as_deref) else {
        return true;
    };
    match (received.parse::<i64>(), DateTime::parse_from_rfc3339(delivered_at)) {
        (Ok(received), Ok(delivered)) => received > delivered.timestamp_micros(),
        _ => false,
    }
}

fn said(receipts: &ReceiptKeys, row: &Image) -> Said {
    let text = |column: &Option<String>| -> String {
        let value = column.as_ref().and_then(|column| row.0.get(column)).cloned().flatten();
        value.unwrap_or_default()
    };
    let refused =
        || Said::Rejected { code: text(&receipts.code), message: text(&receipts.message) };
    if receipts.result.is_none() {
        return refused();
    }
    let result = text(&receipts.result);
    if receipts.accepted.contains(&result) {
        Said::Accepted
    } else if receipts.rejected.contains(&result) {
        refused()
    } else {
        Said::Nothing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(pairs: &[(&str, &str)]) -> Image {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), Some((*value).to_owned()));
        Image(pairs.iter().map(pair).collect::<BTreeMap<_, _>>())
    }

    fn keys(result: Option<&str>) -> ReceiptKeys {
        ReceiptKeys {
            from: "current.t".into(),
            key: Vec::new(),
            id: None,
            result: result.map(str::to_owned),
            accepted: vec!["1".into()],
            rejected: vec!["2".into()],
            code: Some("code".into()),
            message: Some("words".into()),
        }
    }

    #[test]
    fn a_receipt_says_yes_no_or_nothing_yet() {
        let flag = |flag: &str| said(&keys(Some("flag")), &row(&[("flag", flag), ("code", "D7")]));
        assert_eq!(flag("1"), Said::Accepted);
        assert_eq!(flag("0"), Said::Nothing);
        assert_eq!(flag("2"), Said::Rejected { code: "D7".into(), message: String::new() });
        let refused = said(&keys(None), &row(&[("words", "no such item")]));
        let words = Said::Rejected { code: String::new(), message: "no such item".into() };
        assert_eq!(refused, words, "every row of a table of refused records is a refusal");
    }

    #[test]
    fn a_receipt_from_before_the_record_is_of_another_one() {
        let received =
            |at: &str| is_later(&row(&[(RECEIVED_MICROS, at)]), "2018-12-13T02:00:00.250Z");
        assert!(received("1544666400250001"));
        assert!(!received("1544666400250000"));
        assert!(is_later(&row(&[]), "2018-12-13T02:00:00.250Z"));
    }
}
