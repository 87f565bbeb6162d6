//! How many records were handed to the outbox for each target, counted apart from the records
//! themselves, so that one that got lost or is there twice shows. Beside them the rows of whole
//! tables that were loaded: what left the lake, and what the target says it has taken.

use std::collections::BTreeMap;

use huiliu_sdk::Result;
use serde::Serialize;

use crate::args;
use crate::database::{Store, Tx};
use crate::load::LoadRow;

const TABLE: &str = "create table if not exists huiliu_dispatch (
   system text not null,
   push text not null,
   run_id bigint not null,
   at text not null,
   records bigint not null,
   primary key (system, push, run_id, at)
 )";
/// What an older program queued, which counted nothing.
const OLDER: &str = "insert into huiliu_dispatch (system, push, run_id, at, records)
   select system, push, run_id, created_at, count(*) from huiliu_outbox
   where not exists (select 1 from huiliu_dispatch)
   group by system, push, run_id, created_at";

/// Loads that arrived. One that did not has changed nothing at the target and is not in here.
const LOADS: &str = "create table if not exists huiliu_load_count (
   system text not null,
   push text not null,
   run_id bigint not null,
   at text not null,
   sent bigint not null,
   accepted bigint not null,
   primary key (system, push, run_id, at)
 )";

/// What became of the records that were handed over for one push on one day, or of the rows of its
/// loads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PushDay {
    /// The target system.
    pub system: String,
    /// The push.
    pub push: String,
    /// The day.
    pub day: String,
    /// Records handed over, as they were counted then.
    pub sent: i64,
    /// Records that the target has.
    pub accepted: i64,
    /// Records that it refused.
    pub rejected: i64,
    /// Records to be sent, or sent and not answered for yet.
    pub waiting: i64,
    /// Records of which nobody knows whether they arrived.
    pub unknown: i64,
}

impl PushDay {
    /// Records that were handed over and are not accounted for; below zero, records that nobody
    /// handed over. Anything but 0 is wrong.
    pub fn missing(&self) -> i64 {
        self.sent - self.accepted - self.rejected - self.waiting - self.unknown
    }
}

/// Makes the table if it is not there.
pub(crate) async fn prepare(tx: &mut Tx) -> Result<()> {
    tx.run("make its tables", TABLE, args![]).await?;
    tx.run("count what was queued before", OLDER, args![]).await?;
    tx.run("make its tables", LOADS, args![]).await?;
    Ok(())
}

impl Tx {
    /// Counts records that are handed over in this transaction.
    pub async fn count_dispatch(
        &mut self,
        run: i64,
        system: &str,
        push: &str,
        records: u64,
        now: &str,
    ) -> Result<()> {
        if records == 0 {
            return Ok(());
        }
        self.run(
            "count what is queued",
            "insert into huiliu_dispatch (system, push, run_id, at, records) values (?, ?, ?, ?, ?)
             on conflict (system, push, run_id, at) do update
               set records = huiliu_dispatch.records + excluded.records",
            args![system, push, run, now, i64::try_from(records).unwrap_or(i64::MAX)],
        )
        .await?;
        Ok(())
    }
}

impl Tx {
    /// Counts the rows of a load that arrived, with what the target says it has taken.
    pub async fn count_load(&mut self, load: &LoadRow, accepted: i64) -> Result<()> {
        self.run(
            "count what was loaded",
            "insert into huiliu_load_count (system, push, run_id, at, sent, accepted)
             values (?, ?, ?, ?, ?, ?)
             on conflict (system, push, run_id, at) do update
               set sent = excluded.sent, accepted = excluded.accepted",
            args![&load.system, &load.push, load.run_id, &load.at, load.rows, accepted],
        )
        .await?;
        Ok(())
    }
}

/// What was handed over and what became of it, in one statement, so that both are of one moment. Of
/// a load whose answer was lost nobody knows whether it arrived.
macro_rules! counts {
    ($of:literal, $and_open:literal) => {
        concat!(
            "select system, push, at, 'sent' as state, cast(sum(records) as bigint)
             from huiliu_dispatch",
            $of,
            " group by system, push, at
             union all
             select system, push, created_at, state, count(*) from huiliu_outbox",
            $of,
            " group by system, push, created_at, state
             union all
             select system, push, at, 'sent', cast(sum(sent) as bigint) from huiliu_load_count",
            $of,
            " group by system, push, at
             union all
             select system, push, at, 'accepted', cast(sum(accepted) as bigint)
             from huiliu_load_count",
            $of,
            " group by system, push, at
             union all
             select system, push, loaded_at, 'sent', cast(row_count as bigint)
             from huiliu_load",
            $of,
            $and_open,
            " union all
             select system, push, loaded_at, 'unknown', cast(row_count as bigint)
             from huiliu_load",
            $of,
            $and_open
        )
    };
}

impl Store {
    /// What became of all that was handed over, or of all for one push (its system and name), by
    /// target and day; `day_of` says on which day an instant lies.
    pub async fn push_days(
        &self,
        of: Option<(&str, &str)>,
        day_of: impl Fn(&str) -> String,
    ) -> Result<Vec<PushDay>> {
        let action = "count what was sent";
        let rows = match of {
            None => self.all(action, counts!("", " where arrived = false"), args![]).await?,
            Some((system, push)) => {
                let sql = counts!(" where system = ?1 and push = ?2", " and arrived = false");
                self.all(action, sql, args![system, push]).await?
            }
        };
        let mut days: BTreeMap<(String, String, String), PushDay> = BTreeMap::new();
        let mut on = |system: String, push: String, at: &str, count: &dyn Fn(&mut PushDay)| {
            let day = day_of(at);
            let key = (system, push, day);
            let (system, push, day) = key.clone();
            let entry =
                days.entry(key).or_insert(PushDay { system, push, day, ..PushDay::default() });
            count(entry);
        };
        for row in &rows {
            let (at, state, records): (String, String, i64) =
                (row.get(2)?, row.get(3)?, row.get(4)?);
            on(row.get(0)?, row.get(1)?, &at, &|day: &mut PushDay| match state.as_str() {
                "sent" => day.sent += records,
                "accepted" => day.accepted += records,
                "rejected" => day.rejected += records,
                "unknown" => day.unknown += records,
                _ => day.waiting += records,
            });
        }
        Ok(days.into_values().collect())
    }
}
