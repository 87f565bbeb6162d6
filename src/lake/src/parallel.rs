//! Work in equal pieces on a few threads.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that do it at once.
const THREADS: usize = 2;

/// Does `work` for each number below `count` on a few threads and gives the results in order.
pub(crate) fn side_by_side<T: Send, E: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(done);
            }
            done.push((number, work(number)?));
        }
    };
    let mut all = Vec::with_capacity(count);
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..THREADS.min(count)).map(|_| scope.spawn(take)).collect();
        all.extend(take()?);
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
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_comes_through() {
        let squares = side_by_side(1000, |number| Ok::<_, ()>(number * number)).unwrap();
        assert_eq!(squares, (0..1000).map(|number| number * number).collect::<Vec<_>>());
        assert_eq!(side_by_side(0, Ok::<_, ()>), Ok(vec![]));
        let failed = side_by_side(1000, |number| if number == 777 { Err(number) } else { Ok(()) });
        assert_eq!(failed, Err(777));
    }
}
