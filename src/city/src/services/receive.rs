//! Records that callers push: stored before they are answered, told apart by the caller's id, and
//! worked on by night.

use serde_json::Value;
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, Sqlite, Transaction};

use super::answer::Refusal;
use crate::seed::hash;

const MOST_RECORDS: usize = 2000;
const LONGEST_ID: usize = 128;

/// Who takes records: under which name, how they are told apart, why some are refused.
pub(super) struct Inbox {
    /// The push's name in the table of what was received.
    pub(super) push: &'static str,
    /// The field with the caller's id of a record.
    pub(super) id: &'static str,
    /// The field that says what a record is about.
    pub(super) key: &'static str,
    /// How many of a thousand are refused.
    pub(super) refused: u64,
    /// The code and the words of a refusal.
    pub(super) reason: (&'static str, &'static str),
}

/// What was decided about one record.
pub(super) struct Verdict {
    pub(super) id: String,
    pub(super) key: String,
    /// Code and words, if it was refused.
    pub(super) refusal: Option<(&'static str, &'static str)>,
}

impl Inbox {
    /// Whether a record is refused; decided by what it is about, so that it never changes.
    fn refuses(&self, key: &str) -> bool {
        key.is_empty() || hash(&format!("{}|{key}", self.push)) % 1000 < self.refused
    }

    /// Stores records and says what was decided; under an id that is known, what was decided then.
    pub(super) async fn take(
        &self,
        pool: &SqlitePool,
        records: &[Value],
    ) -> Result<Vec<Verdict>, Refusal> {
        if records.len() > MOST_RECORDS {
            return Err(Refusal::bad(format!("more than {MOST_RECORDS} records")));
        }
        let mut transaction = pool.begin_with("begin immediate").await.map_err(Refusal::failed)?;
        let mut verdicts = Vec::with_capacity(records.len());
        for record in records {
            let (id, key) = (text(record, self.id), text(record, self.key));
            if id.is_empty() || id.len() > LONGEST_ID {
                return Err(Refusal::bad(format!("{} is not usable", self.id)));
            }
            let result = if self.refuses(&key) { "rejected" } else { "accepted" };
            let key: String = sqlx::query_scalar(
                "insert into pushed (request_id, push, business_key, body, times_sent, result) \
                 values ($1, $2, $3, $4, 1, $5) on conflict (request_id) do update set \
                 times_sent = times_sent + 1 returning business_key",
            )
            .bind(&id)
            .bind(self.push)
            .bind(&key)
            .bind(record.to_string())
            .bind(result)
            .fetch_one(&mut *transaction)
            .await
            .map_err(Refusal::failed)?;
            let refusal = self.refuses(&key).then_some(self.reason);
            verdicts.push(Verdict { id, key, refusal });
        }
        transaction.commit().await.map_err(Refusal::failed)?;
        Ok(verdicts)
    }
}

/// A record that was stored and not worked on yet.
pub(super) struct Waiting {
    /// The caller's id.
    pub(super) id: String,
    /// What it is about.
    pub(super) key: String,
    /// What was decided when it came.
    pub(super) is_accepted: bool,
    body: Value,
}

impl Waiting {
    /// A field of it; the empty text where it has none.
    pub(super) fn text(&self, name: &str) -> String {
        text(&self.body, name)
    }
}

/// The records of a push that wait, in the order in which they came. With the transaction they are
/// done.
pub(super) async fn waiting(
    transaction: &mut Transaction<'_, Sqlite>,
    push: &str,
) -> Result<Vec<Waiting>, sqlx::Error> {
    let rows = sqlx::query(
        "select request_id, business_key, body, result from pushed \
         where push = $1 and is_done = 0 order by rowid",
    )
    .bind(push)
    .fetch_all(&mut **transaction)
    .await?;
    sqlx::query("update pushed set is_done = 1 where push = $1")
        .bind(push)
        .execute(&mut **transaction)
        .await?;
    let mut waiting = Vec::with_capacity(rows.len());
    for row in &rows {
        waiting.push(Waiting {
            id: row.try_get(0)?,
            key: row.try_get(1)?,
            is_accepted: row.try_get::<String, _>(3)? == "accepted",
            body: serde_json::from_str(row.try_get::<&str, _>(2)?).unwrap_or_default(),
        });
    }
    Ok(waiting)
}

/// A field as text; the empty text where there is none.
fn text(record: &Value, name: &str) -> String {
    match &record[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The records in a body: a list under `name`.
pub(super) fn records<'b>(body: &'b Value, name: &str) -> Result<&'b [Value], Refusal> {
    let list = body[name].as_array().map(Vec::as_slice);
    list.ok_or_else(|| Refusal::bad(format!("{name} is not a list")))
}
