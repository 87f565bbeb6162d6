//! The tables of jobs.

use huiliu_sdk::Result;

use crate::args;
use crate::database::{Dialect, Tx};

const JOBS: [&str; 1] = ["create table if not exists huiliu_job (
       job text primary key,
       last_at text,
       deaths bigint not null default 0,
       parked_at text
     )"];

/// What was added to the table of occurrences since its first layout.
const COLUMNS: [&str; 13] = [
    "state text not null default 'done'",
    "attempts bigint not null default 0",
    "missed bigint not null default 0",
    "stop boolean not null default false",
    "not_before text",
    "exit_code bigint",
    "code text",
    "message text",
    "holder text",
    "queued_at text",
    "started_at text",
    "finished_at text",
    "epoch bigint",
];

const INDEX: &str = "create index if not exists huiliu_occurrence_open on huiliu_occurrence (job)
                     where state in ('queued', 'running')";

/// Makes the tables and columns that are not there.
pub(crate) async fn prepare(tx: &mut Tx, dialect: Dialect) -> Result<()> {
    for table in JOBS {
        tx.run("make its tables", table, args![]).await?;
    }
    let found = match dialect {
        Dialect::Sqlite => {
            "select 1 from pragma_table_info('huiliu_occurrence') where name = 'state'"
        }
        Dialect::Postgres => {
            "select 1 from information_schema.columns
             where table_schema = current_schema() and table_name = 'huiliu_occurrence'
               and column_name = 'state'"
        }
    };
    if tx.one("read its tables", found, args![]).await?.is_some() {
        return Ok(());
    }
    for column in COLUMNS {
        let sql = format!("alter table huiliu_occurrence add column {column}");
        tx.run("make its tables", crate::AssertSqlSafe(sql), args![]).await?;
    }
    tx.run("make its tables", INDEX, args![]).await?;
    Ok(())
}
