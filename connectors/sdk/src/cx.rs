//! Everything ambient a connector may use arrives in one context.

use std::sync::Arc;

use async_trait::async_trait;
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

/// Protects a source: whoever wants to bother it passes here first.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Waits until one more request (an HTTP request, a statement that reads or writes rows) may
    /// be sent.
    async fn request(&self) -> Result<()>;
}

/// A gate that lets everybody through.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

#[async_trait]
impl Gate for OpenGate {
    async fn request(&self) -> Result<()> {
        Ok(())
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
    /// The limits of the system, shared by all who use it.
    pub gate: Arc<dyn Gate>,
}

impl Cx {
    /// A context on the machine's clock that nobody has cancelled.
    pub fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            cancel: CancellationToken::new(),
            limits: BatchLimits::default(),
            gate: Arc::new(OpenGate),
        }
    }

    /// Waits until the system may be sent one more request; ends early when the caller asks to
    /// stop. Connectors call this before each request, and before each statement on rows.
    pub async fn request(&self) -> Result<()> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled()),
            passed = self.gate.request() => passed,
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
