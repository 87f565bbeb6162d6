//! Writing to a system, with an answer for each record.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Cx, Error, Result, StreamId};

/// How a whole table is written to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// Rows are added.
    Append,
    /// Rows replace those of the same key; others stay.
    Upsert,
    /// The target's table becomes what is sent.
    Replace,
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The target has it.
    Accepted,
    /// The target refuses it; sending it again unchanged is of no use.
    Rejected {
        /// The target's code.
        code: String,
        /// The target's words.
        message: String,
    },
    /// The target will say later.
    Pending {
        /// What to ask for.
        handle: String,
    },
    /// Nobody knows: the answer was lost.
    Unknown,
    /// It was not sent, because an earlier record of the batch met an error.
    Unsent,
}

/// The outcome of each record of a batch, in the batch's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// One outcome per record.
    pub outcomes: Vec<Outcome>,
}

/// Records to write.
#[derive(Debug, Clone)]
pub struct WriteBatch {
    /// The push stream they belong to.
    pub stream: StreamId,
    /// The records.
    pub batch: RecordBatch,
    /// One key per record that stays the same over all attempts.
    pub idempotency_keys: Vec<String>,
}

/// Writes records to one stream of a system.
#[async_trait]
pub trait Sink: Send {
    /// Whether a record that is sent again under its idempotency key has no second effect. What
    /// cannot be repeated is never sent again by itself once its outcome is unknown.
    fn is_repeatable(&self) -> bool;

    /// How many records share one answer. What cannot be repeated is handed over in such parts, so
    /// that no more than these are in doubt when the hub dies.
    fn at_once(&self) -> u32 {
        u32::MAX
    }

    /// Writes a batch and says what became of each record. An error means that the target has
    /// acted on none of them, except where the write was cancelled; a record that it may have
    /// acted on is [`Outcome::Unknown`].
    async fn write(&mut self, cx: &Cx, batch: WriteBatch) -> Result<Receipt>;

    /// Asks the target what it knows of records whose outcome is open, by their idempotency keys or
    /// by a business key in them. A record that the target certainly does not have, and will not
    /// get any more, is [`Outcome::Unsent`]; one for which it is to be asked again later is
    /// [`Outcome::Pending`].
    async fn lookup(&mut self, _cx: &Cx, _batch: &WriteBatch) -> Result<Receipt> {
        Err(Error::unsupported("looking up what the target has"))
    }
}

/// Writes one whole table to a system, in one transaction there. Dropped before
/// [`Loader::finish`], it leaves the target as it was.
#[async_trait]
pub trait Loader: Send {
    /// Sends rows; nothing of them is visible yet.
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()>;

    /// Makes all rows visible at once and says how many there were.
    async fn finish(self: Box<Self>, cx: &Cx) -> Result<u64>;
}
