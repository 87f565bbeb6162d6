//! The night of the systems: what was pushed to them by day becomes part of what they list, and what
//! they only took over is answered for. By day a push changes nothing that is read (but for
//! corrections, which a person wants to see), so that a city which is read twice is the same one.

use std::ops::AddAssign;
use std::path::Path;

use huiliu_sdk::{Error, ErrorKind, Result};
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Sqlite, Transaction};

use super::{app, investment, province, publish, push, supervision};
use crate::folder::{database_path, finished, publish_path};
use crate::servers::{self, Servers};
use crate::stores::database::{existing, failed};
use crate::stores::parallel;
use crate::world::now;

/// From the city's present, which is an evening, to two o'clock.
const SECONDS: i64 = 8 * 3600;
/// What is tried at approval in parallel.
const STATES: &str = "take in states of cases";

/// What a night has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Night {
    /// Records that were pushed and that their systems list from now on.
    pub taken_in: u64,
    /// Records of which a system has said what became of them: a state, a receipt, a refusal.
    pub answered: u64,
    /// Cards of electronic supervision for cases that were pushed to it.
    pub cards: u64,
}

impl AddAssign for Night {
    fn add_assign(&mut self, other: Self) {
        self.taken_in += other.taken_in;
        self.answered += other.answered;
        self.cards += other.cards;
    }
}

/// Lets a night pass in the finished city of `dir`, whether its services run or not. Another one has
/// only to do with what was pushed since.
pub async fn night(dir: &Path) -> Result<Night> {
    finished(dir)?;
    let at = now().plus(SECONDS).text();
    let mut province = open(dir, "province").await?;
    let mut transaction = begin(&mut province).await?;
    let cases = push::by_night(&mut transaction, &at).await.map_err(failed("take in cases"))?;
    let items =
        province::items_by_night(&mut transaction, &at).await.map_err(failed("take in items"))?;
    end(transaction).await?;

    let mut app = open(dir, "app").await?;
    let mut transaction = begin(&mut app).await?;
    let interfaces =
        app::by_night(&mut transaction, &at).await.map_err(failed("take in interfaces"))?;
    end(transaction).await?;

    let mut platform = open(dir, "investment").await?;
    let mut transaction = begin(&mut platform).await?;
    let (results, refused) = investment::by_night(&mut transaction, &at)
        .await
        .map_err(failed("take in results of approvals"))?;
    end(transaction).await?;

    let mut supervision = open(dir, "supervision").await?;
    let mut transaction = begin(&mut supervision).await?;
    let (messages, cards) =
        supervision::by_night(&mut transaction, &at).await.map_err(failed("supervise cases"))?;
    end(transaction).await?;

    let mut approval = open(dir, "parallel").await?;
    let mut transaction = begin(&mut approval).await?;
    let mut rows = [0; 5];
    for (rows, sql) in rows.iter_mut().zip(parallel::by_night("", &at)) {
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await;
        *rows = done.map_err(failed(STATES))?.rows_affected();
    }
    end(transaction).await?;
    let states = of_states(rows);

    for connection in [province, app, platform, supervision, approval] {
        connection.close().await.map_err(failed("close a database of the city"))?;
    }
    let receipts = publish::by_night(&publish_path(dir)).map_err(|error| {
        let message = "could not write receipts of what is published";
        Error::new(ErrorKind::Internal, "E-CITY-STORE", message).cause(error)
    })?;
    let mut night = Night {
        taken_in: cases + items + interfaces + results,
        answered: refused + messages + receipts,
        cards,
    };
    night += states;
    Ok(night)
}

/// Lets the same night pass in the front databases that [`crate::copy_to_servers`] has put on the
/// servers.
pub async fn night_on_servers(dir: &Path, servers: &Servers) -> Result<Night> {
    finished(dir)?;
    let at = now().plus(SECONDS).text();
    let mut server = servers::postgres(servers).await?;
    let mut transaction = server.begin().await.map_err(failed("begin a night"))?;
    let mut rows = [0; 5];
    let place = format!("{}.", servers::name(dir));
    for (rows, sql) in rows.iter_mut().zip(parallel::by_night(&place, &at)) {
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await;
        *rows = done.map_err(failed(STATES))?.rows_affected();
    }
    transaction.commit().await.map_err(failed("end a night"))?;
    server.close().await.map_err(failed("leave PostgreSQL"))?;
    Ok(of_states(rows))
}

/// What the night has brought by the rows of its statements in approval in parallel.
fn of_states([unknown, too_early, _, _, taken_in]: [u64; 5]) -> Night {
    Night { taken_in, answered: unknown + too_early + taken_in, cards: 0 }
}

async fn open(dir: &Path, name: &str) -> Result<SqliteConnection> {
    let options = existing(&database_path(dir, name))?;
    options.connect().await.map_err(failed("open a database of the city"))
}

async fn begin(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>> {
    connection.begin_with("begin immediate").await.map_err(failed("begin a night"))
}

async fn end(transaction: Transaction<'_, Sqlite>) -> Result<()> {
    transaction.commit().await.map_err(failed("end a night"))
}
