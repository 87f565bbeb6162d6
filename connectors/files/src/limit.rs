//! Readers that break off before a hostile file has done harm.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Counts what is read, and breaks off where it is more than a limit.
pub(crate) struct Limited<R> {
    inner: R,
    read: u64,
    most: u64,
    /// The bytes that all of it comes from, if it was packed.
    packed: Option<u64>,
}

/// Unpacked bytes for each packed one that no honest file has; deflate itself ends at 1032.
const MAX_RATIO: u64 = 300;

/// Below this a ratio is no danger.
const RATIO_FROM: u64 = 16 << 20;

/// Why reading broke off.
#[derive(Debug)]
pub(crate) struct OverLimit(pub(crate) String);

impl std::fmt::Display for OverLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OverLimit {}

impl<R> Limited<R> {
    pub(crate) fn new(inner: R, most: u64, packed: Option<u64>) -> Self {
        Self { inner, read: 0, most, packed }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        if self.read > self.most {
            let most = self.most >> 20;
            return Err(io::Error::other(OverLimit(format!(
                "has more than {most} MiB once it is unpacked"
            ))));
        }
        let allowed = self.packed.map(|packed| packed.max(1).saturating_mul(MAX_RATIO));
        if self.read > RATIO_FROM && allowed.is_some_and(|allowed| self.read > allowed) {
            return Err(io::Error::other(OverLimit(format!(
                "unpacks to more than {MAX_RATIO} times its size"
            ))));
        }
        Ok(read)
    }
}

/// Gives no more than a record may have until it is told that the next one begins.
pub(crate) struct Budgeted<R> {
    inner: R,
    budget: Budget,
}

/// What is left of a budget.
#[derive(Clone)]
pub(crate) struct Budget(Rc<Cell<usize>>);

impl Budget {
    /// A reader that gives `bytes` at most until the budget is renewed.
    pub(crate) fn new<R: Read>(inner: R, bytes: usize) -> (Budgeted<R>, Self) {
        let budget = Self(Rc::new(Cell::new(bytes)));
        (Budgeted { inner, budget: budget.clone() }, budget)
    }

    /// Lets `bytes` more be read from here.
    pub(crate) fn renew(&self, bytes: usize) {
        self.0.set(bytes);
    }
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let Some(left) = self.budget.0.get().checked_sub(read) else {
            return Err(io::Error::other(OverLimit("has a record of more than 64 MiB".into())));
        };
        self.budget.0.set(left);
        Ok(read)
    }
}

/// An error that others hold as well.
pub(crate) fn shared(cause: &io::Error) -> io::Error {
    match over_limit_of(cause) {
        Some(over) => io::Error::other(OverLimit(over.0.clone())),
        None => cause.kind().into(),
    }
}

/// The limit that made reading break off, if one did. Libraries wrap errors of reading.
pub(crate) fn over_limit_of(cause: &io::Error) -> Option<&OverLimit> {
    let mut next: Option<&(dyn std::error::Error + 'static)> =
        cause.get_ref().map(|cause| cause as _);
    while let Some(cause) = next {
        if let Some(over) = cause.downcast_ref::<OverLimit>() {
            return Some(over);
        }
        if let Some(over) = cause.downcast_ref::<io::Error>().and_then(over_limit_of) {
            return Some(over);
        }
        next = cause.source();
    }
    None
}
