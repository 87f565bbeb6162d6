//! Answers to changes that were asked for under a key, so that each is done once.

use huiliu_sdk::Result;

use crate::{Store, Tx, args};

const TABLE: &str = "create table if not exists huiliu_answer (
   key_hash text primary key,
   request_hash text not null,
   at text not null,
   status bigint,
   body text
 )";

/// What is kept under a key.
#[derive(Debug, Clone)]
pub struct KeptAnswer {
    /// The hash of what was asked.
    pub request_hash: String,
    /// When it was asked, UTC.
    pub at: String,
    /// The status of the answer; none while there is no answer.
    pub status: Option<i64>,
    /// The answer, sealed, as hexadecimal digits.
    pub body: Option<String>,
}

/// Makes the table if it is not there.
pub(crate) async fn prepare(tx: &mut Tx) -> Result<()> {
    tx.run("make its tables", TABLE, args![]).await.map(drop)
}

impl Store {
    /// What is kept under a key; nothing for a key that is new, which is taken then. What was
    /// asked before `old` is forgotten.
    pub async fn begin_answer(
        &self,
        key_hash: &str,
        request_hash: &str,
        now: &str,
        old: &str,
    ) -> Result<Option<KeptAnswer>> {
        let mut tx = self.begin().await?;
        tx.run("forget old answers", "delete from huiliu_answer where at < ?", args![old]).await?;
        let kept = tx
            .one(
                "read an answer",
                "select request_hash, at, status, body from huiliu_answer where key_hash = ?",
                args![key_hash],
            )
            .await?;
        if let Some(row) = kept {
            let kept = KeptAnswer {
                request_hash: row.get(0)?,
                at: row.get(1)?,
                status: row.get(2)?,
                body: row.get(3)?,
            };
            tx.commit().await?;
            return Ok(Some(kept));
        }
        tx.run(
            "take a key",
            "insert into huiliu_answer (key_hash, request_hash, at) values (?, ?, ?)",
            args![key_hash, request_hash, now],
        )
        .await?;
        tx.commit().await?;
        Ok(None)
    }

    /// Keeps the answer of a key.
    pub async fn keep_answer(&self, key_hash: &str, status: i64, body: &str) -> Result<()> {
        let sql = "update huiliu_answer set status = ?, body = ? where key_hash = ?";
        self.run("keep an answer", sql, args![status, body, key_hash]).await.map(drop)
    }

    /// Gives a key back.
    pub async fn forget_answer(&self, key_hash: &str) -> Result<()> {
        let sql = "delete from huiliu_answer where key_hash = ?";
        self.run("give a key back", sql, args![key_hash]).await.map(drop)
    }
}
