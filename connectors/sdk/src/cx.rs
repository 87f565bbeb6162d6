//! Everything ambient a connector may use arrives in one context.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{Clock, Error, Result, SystemClock};

/// How large one batch of rows may grow, by whichever limit is reached first.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Rows in one batch.
    pub rows: usize,
    /// Bytes of Arrow memory in one batch.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { rows: 16_384, bytes: 16 << 20 }
    }
}

/// The context of one call into a connector.
#[derive(Clone)]
pub struct Cx {
    /// The clock to read; a connector never reads the machine's own.
    pub clock: Arc<dyn Clock>,
    /// Set when the caller wants the work to stop at the next await point.
    pub cancel: CancellationToken,
    /// The size of the batches the caller wants.
    pub limits: BatchLimits,
}

impl Cx {
    /// A context on the machine's clock that nobody has cancelled.
    pub fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            cancel: CancellationToken::new(),
            limits: BatchLimits::default(),
        }
    }

    /// Fails with [`crate::ErrorKind::Cancelled`] once the caller has asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        Ok(())
    }
}

impl Default for Cx {
    fn default() -> Self {
        Self::new()
    }
}
