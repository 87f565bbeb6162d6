//! Writing records: each batch is one run of the target.

use std::sync::Arc;

use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, Outcome, Receipt, Result, Sink, WriteBatch};

use crate::config::{Push, Settings};
use crate::encode::Encoder;
use crate::target::{Delivery, Spool, deliver};

/// Writes records to one stream of a target.
pub(crate) struct TargetSink {
    settings: Arc<Settings>,
    push: Push,
    /// Batches written so far.
    batches: u64,
    /// Why the outcome of the last batch is unknown.
    lost: Option<Error>,
}

impl TargetSink {
    pub(crate) fn new(settings: &Arc<Settings>, push: Push) -> Self {
        Self { settings: Arc::clone(settings), push, batches: 0, lost: None }
    }
}

#[async_trait]
impl Sink for TargetSink {
    fn is_repeatable(&self) -> bool {
        self.push.repeatable
    }

    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt> {
        cx.check()?;
        self.batches += 1;
        self.lost = None;
        let (settings, push) = (&self.settings, &self.push);
        let schema = batch.batch.schema();
        let encoder = Encoder::new(&push.stream, &push.key, schema, settings.hub_zone)?;
        let mut outcomes = vec![Outcome::Accepted; batch.batch.num_rows()];
        let mut spool = Spool::new()?;
        let mut is_empty = true;
        spool.add(&encoder.schema())?;
        encoder.rows(&batch.batch, None, |row, message| match message {
            Ok(message) => {
                is_empty = false;
                spool.add(&message)
            }
            Err(unfit) => {
                let message = format!("column `{}` {}", unfit.column, unfit.reason);
                outcomes[row] = Outcome::Rejected { code: "value".to_owned(), message };
                Ok(())
            }
        })?;
        if is_empty {
            return Ok(Receipt { outcomes });
        }
        let marker = format!("{}-{}", cx.clock.now().timestamp_micros(), self.batches);
        match deliver(settings, cx, &encoder, spool, &marker).await? {
            Delivery { is_confirmed: true, .. } => {}
            // Sent again it has no second effect, so the reason is worth more than an outcome.
            Delivery { error: Some(error), .. } if push.repeatable => return Err(error),
            Delivery { error, .. } => {
                for outcome in outcomes.iter_mut().filter(|outcome| **outcome == Outcome::Accepted)
                {
                    *outcome = Outcome::Unknown;
                }
                self.lost = error;
            }
        }
        Ok(Receipt { outcomes })
    }

    /// A target cannot be asked; why the last batch has no answer can be told.
    async fn lookup(&mut self, _cx: &Cx, _batch: &WriteBatch) -> Result<Receipt> {
        Err(self.lost.take().unwrap_or_else(|| Error::unsupported("looking up what a target has")))
    }
}
