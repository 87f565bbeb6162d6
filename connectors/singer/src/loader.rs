//! Writing a whole table: one run of the target.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, LoadMode, LoadRequest, Loader, Result};

use crate::config::{Push, Settings};
use crate::encode::Encoder;
use crate::target::{Spool, deliver};

/// A table that is collected until it is whole, so that a target never has a part of one that was
/// given up.
pub(crate) struct TargetLoader {
    settings: Arc<Settings>,
    encoder: Arc<Encoder>,
    /// Under which all rows are sent where they replace those that are there.
    version: Option<i64>,
    marker: String,
    spool: Option<Spool>,
    rows: u64,
}

impl TargetLoader {
    pub(crate) fn new(
        settings: &Arc<Settings>,
        cx: &Cx,
        push: Push,
        request: &LoadRequest,
    ) -> Result<Self> {
        let now = cx.clock.now();
        // With a key a target would replace rows where they are to be added.
        let key = if request.mode == LoadMode::Append { Vec::new() } else { push.key };
        let schema = Arc::clone(&request.schema);
        let encoder = Encoder::new(&push.stream, &key, schema, settings.hub_zone)?;
        let mut spool = Spool::new()?;
        spool.add(&encoder.schema())?;
        Ok(Self {
            settings: Arc::clone(settings),
            encoder: Arc::new(encoder),
            version: (request.mode == LoadMode::Replace).then(|| now.timestamp_millis()),
            marker: now.timestamp_micros().to_string(),
            spool: Some(spool),
            rows: 0,
        })
    }

    fn take_spool(&mut self) -> Result<Spool> {
        self.spool.take().ok_or_else(|| Error::internal("the load has already failed"))
    }
}

#[async_trait]
impl Loader for TargetLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        cx.check()?;
        let mut spool = self.take_spool()?;
        let (encoder, version, rows) = (Arc::clone(&self.encoder), self.version, batch.num_rows());
        let written = tokio::task::spawn_blocking(move || {
            encoder
                .rows(&batch, version, |_, message| spool.add(&message.map_err(Error::from)?))?;
            Ok::<_, Error>(spool)
        });
        let written = written
            .await
            .map_err(|cause| Error::internal("the writing of a batch broke off").cause(cause))?;
        self.spool = Some(written?);
        self.rows += rows as u64;
        Ok(())
    }

    async fn finish(mut self: Box<Self>, cx: &Cx) -> Result<u64> {
        cx.check()?;
        let mut spool = self.take_spool()?;
        if let Some(version) = self.version {
            spool.add(&self.encoder.activate(version))?;
        }
        let delivery = deliver(&self.settings, cx, &self.encoder, spool, &self.marker).await?;
        match delivery.error {
            Some(error) => Err(error),
            None => Ok(self.rows),
        }
    }
}
