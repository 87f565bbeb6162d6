//! Views of a ledger: how old each difference is, and what would have to change where.

use chrono_tz::Tz;
use huiliu_core::calendar::Calendar;
use huiliu_core::reconcile::Reconciliation;

/// The views of `rec`, as names and SELECTs.
pub(crate) fn ledger_views(
    rec: &Reconciliation,
    calendar: &Calendar,
    zone: Tz,
) -> [(String, String); 2] {
    [(rec.ledger(), ledger_sql(rec, calendar, zone)), (rec.repairs(), repairs_sql(rec))]
}

/// The present instant. `now()` alone has no zone, and would be taken for a wall time of any.
pub(super) const NOW: &str = r#"arrow_cast(now(), 'Timestamp(Nanosecond, Some("+00:00"))')"#;

/// The ledger with the age of each difference: working days from when it was first seen until it
/// closed, or until today. None in years without a calendar.
fn ledger_sql(rec: &Reconciliation, calendar: &Calendar, zone: Tz) -> String {
    let (first, last) = calendar.known_years();
    let known = |time: &str| format!("date_part('year', {time}) between {first} and {last}");
    format!(
        "select * exclude (until), case when {} and {} \
         then workdays_between(cast(first_seen as date), cast(until as date)) end as age_workdays \
         from (select *, coalesce(closed_at, to_local_time({NOW} at time zone '{zone}')) as until \
         from {})",
        known("first_seen"),
        known("until"),
        rec.differences(),
    )
}

/// What would have to change where, for the systems to agree: the open differences of systems
/// that take repairs. What a person explained is as it should be.
fn repairs_sql(rec: &Reconciliation) -> String {
    let mut systems: Vec<String> = rec
        .systems
        .iter()
        .filter(|system| system.repair)
        .map(|system| format!("'{}'", system.name))
        .collect();
    systems.push("''".into());
    format!(
        "select difference_id, entity_key, system, \
         case when field is null then 'insert' else 'update' end as action, \
         field, found, expected, expected_from, owner, first_seen from {} \
         where state = 'open' and (rule = 'mismatch' or starts_with(rule, 'missing_in_')) \
         and system in ({})",
        rec.differences(),
        systems.join(", ")
    )
}
