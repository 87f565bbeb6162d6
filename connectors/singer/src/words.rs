//! What a program says on its standard error: read always, kept little of.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinSet;

use crate::redact::Redactor;

/// Lines that are kept.
const LINES: usize = 24;
/// Bytes of a line that are kept.
const LINE_BYTES: usize = 4096;
/// Lines that are told.
const TOLD: usize = 5;
/// Characters that are told.
const TOLD_CHARS: usize = 1000;
/// How long the pipe may stay open after the program has ended, as it does when others hold it.
const AFTER_THE_END: Duration = Duration::from_secs(2);

/// Listens to a program for as long as it speaks.
pub(crate) struct Words {
    tail: Arc<Mutex<Tail>>,
    /// Ended when this is dropped.
    listener: JoinSet<()>,
}

impl Words {
    pub(crate) fn listen(mut errors: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let mut listener = JoinSet::new();
        let heard = Arc::clone(&tail);
        listener.spawn(async move {
            let mut bytes = vec![0; 8 << 10];
            // A pipe that breaks has nothing more to say.
            while let Ok(count @ 1..) = errors.read(&mut bytes).await {
                lock(&heard).take(&bytes[..count]);
            }
            lock(&heard).end_line();
        });
        Self { tail, listener }
    }

    /// Hears what is left, after the program has ended.
    pub(crate) async fn finish(&mut self) {
        let rest = async { while self.listener.join_next().await.is_some() {} };
        if tokio::time::timeout(AFTER_THE_END, rest).await.is_err() {
            self.listener.abort_all();
        }
    }

    /// The last lines, cleaned.
    pub(crate) fn last(&self, redactor: &Redactor) -> String {
        let tail = lock(&self.tail);
        let from = tail.lines.len().saturating_sub(TOLD);
        let lines: Vec<String> =
            tail.lines.iter().skip(from).map(|line| redactor.clean(line)).collect();
        let text = lines.join(" | ");
        // The end of a trace says what went wrong.
        let surplus = text.chars().count().saturating_sub(TOLD_CHARS);
        if surplus == 0 { text } else { text.chars().skip(surplus).collect() }
    }

    /// How many warnings there were, and the last one, cleaned.
    pub(crate) fn warnings(&self, redactor: &Redactor) -> Option<(u64, String)> {
        let tail = lock(&self.tail);
        let last = tail.warning.as_ref()?;
        Some((tail.warnings, redactor.clean(last).chars().take(TOLD_CHARS).collect()))
    }
}

fn lock(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    line: Vec<u8>,
    is_cut: bool,
    warnings: u64,
    warning: Option<String>,
}

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        let first = parts.next();
        self.add(first.unwrap_or_default());
        for part in parts {
            self.end_line();
            self.add(part);
        }
    }

    fn add(&mut self, part: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.line.len());
        self.is_cut |= part.len() > room;
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let mut text = text.trim();
        if std::mem::take(&mut self.is_cut) {
            // Half a secret would not be known as one.
            text = text.rsplit_once(char::is_whitespace).map_or("", |(whole, _)| whole);
        }
        if text.is_empty() {
            return;
        }
        if ["WARN", "ERROR", "CRITICAL", "FATAL"].iter().any(|level| text.contains(level)) {
            self.warnings += 1;
            self.warning = Some(text.to_owned());
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_whatever_there_was_before() {
        let mut text = "INFO nothing\n".repeat(100_000);
        text.push_str("a WARNING\n");
        text.push_str(&"x".repeat(10 << 20));
        text.push_str(" tail\nKeyError: 'id'");
        let mut words = Words::listen(std::io::Cursor::new(text.into_bytes()));
        words.finish().await;
        let redactor = Redactor::new([].iter(), [].iter());
        let last = words.last(&redactor);
        assert!(last.ends_with("a WARNING | KeyError: 'id'"), "{last}");
        assert!(last.len() < 200);
        assert_eq!(words.warnings(&redactor), Some((1, "a WARNING".to_owned())));
    }
}
