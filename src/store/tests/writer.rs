//! Many writers beside a long reader.

use huiliu_store::args;
use sqlx::Connection;

use crate::backend::{Backend, address, on_both, server};

on_both!(eight_writers_and_a_long_reader_never_meet_a_locked_database);

const WRITERS: usize = 8;
const ROUNDS: i64 = 20;

/// Keeps a transaction open that has read, until it is dropped.
enum LongReader {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

const COUNT: &str = "select count(*) from huiliu_run";

async fn long_reader(backend: &Backend) -> LongReader {
    match backend.schema() {
        None => {
            let url = format!("sqlite://{}", backend.data().join("huiliu.db").display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::query("begin").execute(&mut connection).await.unwrap();
            LongReader::Sqlite(connection)
        }
        Some(schema) => {
            let url = format!("{}?options[search_path]={schema}", server());
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            let begin = "begin isolation level repeatable read";
            sqlx::query(begin).execute(&mut connection).await.unwrap();
            LongReader::Postgres(connection)
        }
    }
}

impl LongReader {
    async fn runs(&mut self) -> i64 {
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(COUNT).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(COUNT).fetch_one(connection).await,
        }
        .unwrap()
    }
}

async fn eight_writers_and_a_long_reader_never_meet_a_locked_database(backend: Backend) {
    let store = backend.store().await;
    let mut reader = long_reader(&backend).await;
    assert_eq!(reader.runs().await, 0);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        // Each has connections of its own, as another process would.
        let address = address(backend.schema());
        let data = backend.data().to_owned();
        writers.spawn(async move {
            let file = data.join("huiliu.db");
            let store = huiliu_store::Store::open_at(&address, &file, &data).await?;
            for _ in 0..ROUNDS {
                let mut tx = store.begin().await?;
                let row = tx.one("test", "select max(run_id) from huiliu_run", args![]).await?;
                let seen: Option<i64> = row.map_or(Ok(None), |row| row.get(0))?;
                // Fails on a number that another writer took since it was read.
                tx.run(
                    "test",
                    "insert into huiliu_run (run_id, selector, state, holder, started_at)
                     values (?, '', '', '', '')",
                    args![seen.unwrap_or(0) + 1],
                )
                .await?;
                tx.commit().await?;
            }
            store.close().await;
            Ok::<_, huiliu_sdk::Error>(())
        });
    }
    for written in writers.join_all().await {
        written.unwrap();
    }
    assert_eq!(reader.runs().await, 0, "a reader keeps what it saw first");
    let row = store.one("test", "select count(*), max(run_id) from huiliu_run", args![]).await;
    let row = row.unwrap().unwrap();
    let all = i64::try_from(WRITERS).unwrap() * ROUNDS;
    assert_eq!((row.get::<i64>(0).unwrap(), row.get::<i64>(1).unwrap()), (all, all));
}
