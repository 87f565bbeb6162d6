//! The tables behind the operator's verbs and the protections around a read: audit, commits of
//! streams, limits, connections, attempts. One text for every database.

use huiliu_sdk::Result;

use crate::Tx;
use crate::database::Dialect;

const TABLES: [&str; 6] = [
    "create table if not exists huiliu_audit (
       audit_id bigint primary key,
       at text not null,
       who text not null,
       action text not null,
       object text not null,
       reason text not null,
       before_json text,
       after_json text,
       hash text not null
     )",
    "create table if not exists huiliu_commit (
       system text not null,
       stream text not null,
       seq bigint not null,
       snapshot_id bigint not null,
       checkpoint text,
       run_id bigint not null,
       at text not null,
       primary key (system, stream, seq)
     )",
    "create table if not exists huiliu_limit (
       system text primary key,
       backlog_us bigint not null,
       at_us bigint not null
     )",
    "create table if not exists huiliu_slot (
       system text not null,
       slot bigint not null,
       holder text not null,
       expires_at_ms bigint not null,
       primary key (system, slot)
     )",
    "create table if not exists huiliu_attempt (
       system text not null,
       stream text not null,
       attempts bigint not null,
       run_id bigint not null,
       started_at text not null,
       primary key (system, stream)
     )",
    "create index if not exists huiliu_quarantine_by_stream
       on huiliu_quarantine (system, stream, origin, position)",
];

/// Which store took a connection, where several hubs share one Postgres (see `presence`).
const SLOT_INSTANCE: &str = "alter table huiliu_slot add column instance bigint
       default cast(current_setting('huiliu.instance', true) as bigint)";

/// Makes the tables and columns that are not there.
pub(crate) async fn prepare(tx: &mut Tx, dialect: Dialect) -> Result<()> {
    for table in TABLES {
        tx.run("make its tables", table, Vec::new()).await?;
    }
    if dialect == Dialect::Sqlite {
        return Ok(());
    }
    // Looked up first, because changing a table waits for everybody who uses it.
    let found = tx
        .one(
            "read its tables",
            "select 1 from information_schema.columns
             where table_schema = current_schema() and table_name = 'huiliu_slot'
               and column_name = 'instance'",
            Vec::new(),
        )
        .await?;
    if found.is_none() {
        tx.run("make its tables", SLOT_INSTANCE, Vec::new()).await?;
    }
    Ok(())
}
