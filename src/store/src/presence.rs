//! Which hubs are connected to a Postgres store.
//!
//! Each open store has a number of its own, and its writing connection holds a session lock on
//! that number. The server drops the lock when the connection ends, however the hub ended, so
//! what a dead hub left is told from what a living one holds by no clock. A hub that was only cut
//! off is taken for dead as well; its lease's epoch then keeps it from committing.

/// First half of the lock's key: "huil". The second is the store's number.
pub(crate) const LOCK_CLASS: i32 = 0x6875_696c;

/// The setting of a connection that holds its store's number.
pub(crate) const SETTING: &str = "huiliu.instance";

/// A condition: the store that wrote the row of this table is not connected, or is our own.
macro_rules! gone {
    ($table:literal) => {
        concat!(
            "(",
            $table,
            ".instance = cast(current_setting('huiliu.instance') as bigint)
              or not exists (
                select 1 from pg_locks l join pg_database d on d.oid = l.database
                where l.locktype = 'advisory' and l.granted and d.datname = current_database()
                  and l.classid = 1752525164 and l.objsubid = 2
                  and cast(l.objid as bigint) = ",
            $table,
            ".instance))"
        )
    };
}

pub(crate) use gone;

/// A number for a store: what fits the second half of a lock's key.
pub(crate) fn number() -> i32 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    i32::try_from(high >> 33).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_names_the_locks_class_and_setting() {
        let condition = gone!("huiliu_run");
        assert!(condition.contains(&format!("l.classid = {LOCK_CLASS} ")));
        assert!(condition.contains(&format!("current_setting('{SETTING}')")));
    }
}
