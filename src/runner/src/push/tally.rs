//! Sent = accepted + rejected + waiting + unknown, for every target and day.

use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::PushDay;

use crate::hub::Hub;

/// Days that a fault names.
const NAMED: usize = 3;

impl Hub {
    /// What became of all records that were handed over, by target and day in the hub's zone.
    pub async fn push_days(&self) -> Result<Vec<PushDay>> {
        self.lake().store().push_days(None, |at| self.day_at(at)).await
    }

    /// The day of a stored instant in the hub's zone.
    fn day_at(&self, stored: &str) -> String {
        huiliu_engine::day_in(stored, self.project.zone)
    }

    /// Fails unless every record that was handed over for a push is accounted for, once.
    pub(crate) async fn check_sent(&self, system: &str, push: &str) -> Result<()> {
        let store = self.lake().store();
        check(store.push_days(Some((system, push)), |at| self.day_at(at)).await?.iter())
    }

    /// The same of all pushes.
    pub async fn check_all_sent(&self) -> Result<()> {
        check(self.push_days().await?.iter())
    }
}

fn check<'a>(days: impl Iterator<Item = &'a PushDay>) -> Result<()> {
    let wrong: Vec<&PushDay> = days.filter(|day| day.missing() != 0).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = wrong
        .iter()
        .take(NAMED)
        .map(|day| {
            format!(
                "{}.{} on {}: sent {}, but accepted {} + rejected {} + waiting {} + unknown {}",
                day.system,
                day.push,
                day.day,
                day.sent,
                day.accepted,
                day.rejected,
                day.waiting,
                day.unknown
            )
        })
        .collect();
    let message = format!("records sent do not add up: {}", named.join("; "));
    Err(Error::new(ErrorKind::Data, "E-PUSH-BALANCE", message).hint(
        "somebody changed the hub's database by hand, or it is damaged; compare it with the last \
         backup, and what the target has with `huiliu push show`",
    ))
}
