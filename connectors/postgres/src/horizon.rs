//! How far the source had settled when a read began, and where its write-ahead log stood.
//!
//! All of it is looked up before the snapshot of the read is taken: a transaction that ends in
//! between is then in none of it and in the snapshot.

use huiliu_sdk::{Cx, Error, ErrorKind, Result};

use crate::database::{Session, get, rows};

/// What is known of transactions that were open when the read began.
#[derive(Debug, Clone)]
pub(crate) struct Horizon {
    /// The instant at which the oldest of them began, or the present: as far as this user can see,
    /// whatever the source held before was committed or given up.
    pub(crate) instant: String,
    /// The number below which all transactions of this database have ended. Everybody can see it.
    pub(crate) transaction: String,
    /// Where the write-ahead log stood, if the server says.
    pub(crate) position: Option<Position>,
    is_replica: bool,
}

/// A place in the write-ahead log of one database cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// The cluster's own number, which its replicas and its backups share.
    pub(crate) cluster: String,
    pub(crate) place: String,
}

/// The numbers of other databases' transactions, and of the server's own processes, are left out:
/// they may stay open for long and write nothing here. A replica does not know them one by one,
/// but what its snapshot lacks.
const OPEN: &str = "select \
    (select coalesce(min(a.xact_start), now())::text from pg_catalog.pg_stat_activity a \
      where a.datname = current_database() and a.pid <> pg_backend_pid() \
      and a.usename is not null and a.xact_start is not null), \
    (select x.number::text from ( \
      select ((case when pg_is_in_recovery() then txid_snapshot_xmin(s.now) \
        else txid_snapshot_xmax(s.now) end) % 4294967296)::text::xid as number \
      from (select txid_current_snapshot() as now) as s \
      union all \
      select l.transactionid from pg_catalog.pg_locks l \
      left join pg_catalog.pg_stat_activity a on a.pid = l.pid \
      where l.locktype = 'transactionid' and l.granted and l.mode = 'ExclusiveLock' \
      and coalesce(a.datname, current_database()) = current_database() \
      and (l.pid is null or a.usename is not null)) as x \
    order by age(x.number) desc limit 1), \
    pg_is_in_recovery()";

const POSITION: &str = "select (select c.system_identifier::text from pg_control_system() as c), \
    (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
      else pg_current_wal_flush_lsn() end)::text";

/// Looks it up. Must come before the snapshot of the read.
pub(crate) async fn look(session: &mut Session, cx: &Cx) -> Result<Horizon> {
    let found = rows(&mut session.db, cx, "looking for open transactions", OPEN, &[]).await?;
    let Some(row) = found.first() else {
        return Err(Error::internal("the database did not say which transactions are open"));
    };
    Ok(Horizon {
        instant: get(row, 0)?,
        transaction: get(row, 1)?,
        is_replica: get(row, 2)?,
        position: position(session, cx).await?,
    })
}

/// Servers before 10 and ones that do not let everybody ask have none.
async fn position(session: &mut Session, cx: &Cx) -> Result<Option<Position>> {
    if session.version < 100_000 {
        return Ok(None);
    }
    let Ok(found) = rows(&mut session.db, cx, "asking for the log", POSITION, &[]).await else {
        return cx.check().map(|()| None);
    };
    let Some(row) = found.first() else { return Ok(None) };
    let (cluster, place): (Option<String>, Option<String>) = (get(row, 0)?, get(row, 1)?);
    Ok(cluster.zip(place).map(|(cluster, place)| Position { cluster, place }))
}

impl Horizon {
    /// Refuses a server that is behind the one of the last read: a replica that lags, or a
    /// database that was restored.
    pub(crate) fn check(&self, held: Option<&Position>) -> Result<()> {
        let (Some(held), Some(now)) = (held, &self.position) else { return Ok(()) };
        let is_behind = held.cluster == now.cluster
            && matches!((number(&now.place), number(&held.place)), (Some(now), Some(held)) if now < held);
        if !is_behind {
            return Ok(());
        }
        let places =
            format!("its log stands at {}, and {} was read already", now.place, held.place);
        Err(if self.is_replica {
            let message = format!("the replica is behind what was read before: {places}");
            Error::new(ErrorKind::Unreachable, "E-REPLICA-BEHIND", message)
                .hint("wait until the replica has caught up, or read the primary server")
        } else {
            let message = format!("the database has gone back: {places}");
            Error::new(ErrorKind::Conflict, "E-SOURCE-REWOUND", message).hint(
                "the source was restored, or another server took over without its last \
                 transactions; ask its owner, then read the stream from the start: \
                 `huiliu state reset SYSTEM.STREAM --from-start --reason TEXT`",
            )
        })
    }

    /// Whether the row of the table `t` was written by a transaction below the horizon, which is
    /// bound as `place`. Numbers wrap around; those of old rows may seem to lie ahead.
    pub(crate) fn settled(place: &str) -> String {
        format!("(age(t.xmin) > age({place}::text::xid) or age(t.xmin) < 0)")
    }
}

/// `16/B374D848` as one number.
fn number(place: &str) -> Option<u64> {
    let (high, low) = place.split_once('/')?;
    let (high, low) = (u32::from_str_radix(high, 16).ok()?, u32::from_str_radix(low, 16).ok()?);
    Some((u64::from(high) << 32) | u64::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn horizon(place: &str, is_replica: bool) -> Horizon {
        let position = Some(Position { cluster: "7".into(), place: place.into() });
        Horizon { instant: String::new(), transaction: "9".into(), position, is_replica }
    }

    #[test]
    fn a_log_that_is_shorter_than_before_is_told() {
        let held = Position { cluster: "7".into(), place: "1/A0".into() };
        assert!(horizon("1/A0", false).check(Some(&held)).is_ok());
        assert!(horizon("2/0", false).check(Some(&held)).is_ok());
        assert!(horizon("0/FFFFFFFF", false).check(None).is_ok());
        let rewound = horizon("0/FFFFFFFF", false).check(Some(&held)).unwrap_err();
        assert_eq!((rewound.kind(), rewound.code()), (ErrorKind::Conflict, "E-SOURCE-REWOUND"));
        let behind = horizon("1/9F", true).check(Some(&held)).unwrap_err();
        assert_eq!((behind.kind(), behind.code()), (ErrorKind::Unreachable, "E-REPLICA-BEHIND"));
        let other = Position { cluster: "8".into(), place: "F/0".into() };
        assert!(horizon("1/A0", false).check(Some(&other)).is_ok());
    }
}
