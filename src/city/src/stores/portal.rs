//! `portal.db`: accounts and visits behind the portal's service.

use std::path::Path;
use std::sync::Arc;

use huiliu_sdk::Result;

use super::database::{Table, close, create, execute, whole};
use crate::truth::{Expected, Witness};
use crate::world::{Moment, World, date_text, day_of, now};

/// `seq` numbers the rows by update time, so that a page is a range of it.
const ACCOUNTS: Table = Table {
    name: "accounts",
    columns: &[
        "seq integer primary key",
        "account_id text not null",
        "user_type text not null",
        "user_name text not null",
        "cert_no text not null",
        "mobile text",
        "register_time text not null",
        "cancel_time text",
        "status text not null",
        "update_time text not null",
    ],
};

const VISITS: Table = Table {
    name: "visits",
    columns: &[
        "seq integer primary key",
        "visit_date text not null",
        "channel text not null",
        "visits integer not null",
        "update_time text not null",
    ],
};

/// Writes the file.
pub(crate) async fn write(path: &Path, world: &World) -> Result<Witness> {
    let mut connection = create(path).await?;
    let portal = &world.portal;
    let mut witness = Witness::default();

    let changed = |index: usize| {
        let account = &portal.accounts[index];
        account.cancelled.unwrap_or(account.registered).plus(5).min(now())
    };
    let mut order: Vec<usize> = (0..portal.accounts.len()).collect();
    order.sort_by_key(|index| (changed(*index), *index));
    let mut duplicates = Vec::new();
    let mut loader = ACCOUNTS.fill(&mut connection).await?;
    for (seq, index) in (1_i64..).zip(order) {
        let account = &portal.accounts[index];
        let owner = &world.applicants[account.applicant];
        let id = format!("MAS{:09}", index + 1);
        if account.is_duplicate {
            duplicates.push(id.clone());
        }
        loader.cell(seq);
        loader.cell(id);
        loader.cell(owner.kind());
        loader.cells([&owner.name, &owner.number]);
        loader.cell(Arc::clone(&owner.mobile));
        loader.cell(account.registered.text());
        loader.cell(account.cancelled.map(Moment::text));
        loader.cell(if account.cancelled.is_some() { "9" } else { "1" });
        loader.cell(changed(index).text());
        loader.end_row().await?;
    }
    witness.rows.push(("portal.accounts".to_owned(), loader.finish().await?));

    let mut loader = VISITS.fill(&mut connection).await?;
    let mut seq = 0_i64;
    for visits in &portal.visits {
        for (channel, count) in [("web", visits.web), ("mobile", visits.mobile)] {
            seq += 1;
            loader.cell(seq);
            loader.cell(date_text(visits.day));
            loader.cell(channel);
            loader.cell(whole(count));
            // Counted in the night after it.
            loader.cell(format!("{} 01:10:00", date_text(visits.day + 1)));
            loader.end_row().await?;
        }
    }
    witness.rows.push(("portal.visits".to_owned(), loader.finish().await?));
    for table in ["accounts", "visits"] {
        let index = format!("create index {table}_update_time on {table} (update_time)");
        execute(&mut connection, index).await?;
    }
    close(connection).await?;

    let in_months = portal.visits_between(day_of("2018-01-01"), day_of("2018-11-30"));
    witness.figures.extend([
        ("new_users", Expected::Count(portal.new_in_2018())),
        ("monthly_active", Expected::Ratio { numerator: whole(in_months), denominator: 11 }),
    ]);
    witness.planted.push(("duplicate_accounts", duplicates));
    Ok(witness)
}
