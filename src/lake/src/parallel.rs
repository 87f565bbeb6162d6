//! Work in equal pieces on a few threads.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Threads that do it at once.
const THREADS: usize = 2;

/// Whether somebody waits for a piece of work, so that all threads should do it. As long as nobody
/// does, more threads than one only take the processor from what the next piece is waiting for.
#[derive(Debug, Clone)]
pub struct Haste(Arc<AtomicBool>);

impl Default for Haste {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Haste {
    /// Says whether somebody waits; also while the work is being done.
    pub fn set(&self, is_awaited: bool) {
        self.0.store(is_awaited, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Does `work` for each number below `count` on a few threads and gives the results in order.
pub(crate) fn side_by_side<T: Send, E: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    in_haste(&Haste::default(), count, work)
}

/// The same, on one thread until there is haste.
pub(crate) fn in_haste<T: Send, E: Send>(
    haste: &Haste,
    count: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let step = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        (number < count).then(|| Ok::<_, E>((number, work(number)?)))
    };
    let take = || std::iter::from_fn(step).collect::<Result<Vec<_>, E>>();
    let mut all = Vec::with_capacity(count);
    std::thread::scope(|scope| {
        let mut helpers = Vec::new();
        loop {
            let left = count.saturating_sub(next.load(Ordering::Relaxed));
            while helpers.len() + 1 < THREADS.min(left) && haste.is_on() {
                helpers.push(scope.spawn(take));
            }
            let Some(done) = step() else { break };
            all.push(done?);
        }
        for helper in helpers {
            all.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(())
    })?;
    all.sort_unstable_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_comes_through() {
        let squares = side_by_side(1000, |number| Ok::<_, ()>(number * number)).unwrap();
        assert_eq!(squares, (0..1000).map(|number| number * number).collect::<Vec<_>>());
        assert_eq!(side_by_side(0, Ok::<_, ()>), Ok(vec![]));
        let failed = side_by_side(1000, |number| if number == 777 { Err(number) } else { Ok(()) });
        assert_eq!(failed, Err(777));
    }

    #[test]
    fn one_thread_works_until_there_is_haste() {
        let haste = Haste::default();
        haste.set(false);
        let first = std::thread::current().id();
        let (met, until) = (AtomicUsize::new(0), Instant::now() + Duration::from_secs(60));
        let threads = in_haste(&haste, 100, |number| {
            if number == 50 {
                haste.set(true);
            }
            // Two threads get beyond this at once, or one of them after a minute.
            if number == 51 || number == 52 {
                met.fetch_add(1, Ordering::Relaxed);
                while met.load(Ordering::Relaxed) < 2 && Instant::now() < until {
                    std::thread::yield_now();
                }
            }
            Ok::<_, ()>(std::thread::current().id())
        });
        let threads = threads.unwrap();
        assert!(threads[..=50].iter().all(|thread| *thread == first));
        assert_ne!(threads[51], threads[52]);
    }
}
