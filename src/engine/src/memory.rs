//! How operators share the session's memory.
//!
//! DataFusion's `FairSpillPool` gives each operator that can spill the same part, used or not, so
//! that one large grouping among seven idle operators spills at an eighth of the limit. Here an
//! operator may have more than its part as long as that part of the memory which is lent out lasts;
//! beyond that the parts are what each is sure of.

use std::fmt::{self, Display, Formatter};
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::common::DataFusionError;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};

/// A pool with a limit, most of which is lent to whoever asks first.
#[derive(Debug)]
pub(crate) struct LendingPool {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Operators that can spill.
    spillers: usize,
    /// Bytes they have.
    spillable: usize,
    /// Bytes of all others.
    fixed: usize,
}

impl State {
    fn used(&self) -> usize {
        self.spillable + self.fixed
    }
}

impl LendingPool {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// What is lent beyond the parts: three quarters, so that a part is left for those that come
    /// later.
    fn lent(&self) -> usize {
        self.limit / 4 * 3
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(
        &self,
        reservation: &MemoryReservation,
        additional: usize,
        available: usize,
    ) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{} asked for {} beside the {} it has; {} of the limit of {} were left for it",
            reservation.consumer().name(),
            human_readable_size(additional),
            human_readable_size(reservation.size()),
            human_readable_size(available),
            human_readable_size(self.limit),
        ))
    }
}

impl MemoryPool for LendingPool {
    fn name(&self) -> &'static str {
        "lending"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.state().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = self.state();
        state.spillers = state.spillers.saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let mut state = self.state();
        if reservation.consumer().can_spill() {
            state.spillable += additional;
        } else {
            state.fixed += additional;
        }
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut state = self.state();
        if reservation.consumer().can_spill() {
            state.spillable = state.spillable.saturating_sub(shrink);
        } else {
            state.fixed = state.fixed.saturating_sub(shrink);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut state = self.state();
        if !reservation.consumer().can_spill() {
            let available = self.limit.saturating_sub(state.used());
            if additional > available {
                return Err(self.refusal(reservation, additional, available));
            }
            state.fixed += additional;
            return Ok(());
        }
        let part = self.limit.saturating_sub(state.fixed) / state.spillers.max(1);
        let within_part = reservation.size() + additional <= part;
        if !within_part && state.used() + additional > self.lent() {
            let available = part.saturating_sub(reservation.size());
            return Err(self.refusal(reservation, additional, available));
        }
        state.spillable += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.state().used()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

impl Display for LendingPool {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} (limit: {})", self.name(), human_readable_size(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LIMIT: usize = 1000;

    fn pool() -> Arc<dyn MemoryPool> {
        Arc::new(LendingPool::new(LIMIT))
    }

    fn spiller(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new("grouping").with_can_spill(true).register(pool)
    }

    #[test]
    fn one_operator_may_have_three_quarters_and_each_other_is_sure_of_its_part() {
        let pool = pool();
        let (large, small) = (spiller(&pool), spiller(&pool));
        let idle: Vec<MemoryReservation> = (0..6).map(|_| spiller(&pool)).collect();
        large.try_grow(750).unwrap();
        assert!(large.try_grow(1).is_err(), "beyond what is lent and beyond its part");
        small.try_grow(125).unwrap();
        assert!(small.try_grow(1).is_err(), "an eighth is its part");
        drop(idle);
        small.try_grow(300).unwrap();
        assert_eq!(pool.reserved(), 1175, "parts grow when operators end");
        large.free();
        small.try_grow(300).unwrap();
    }

    #[test]
    fn what_cannot_spill_has_what_is_left() {
        let pool = pool();
        let spilling = spiller(&pool);
        let join = MemoryConsumer::new("join").register(&pool);
        spilling.try_grow(750).unwrap();
        join.try_grow(250).unwrap();
        let refused = join.try_grow(1).unwrap_err().to_string();
        assert!(refused.contains("join asked for 1"), "{refused}");
        drop(spilling);
        join.try_grow(750).unwrap();
        assert_eq!(pool.reserved(), LIMIT);
    }
}
