//! Lists by page out of tables whose rows are numbered from 1 in `seq`.

use serde_json::{Map, Value};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row, TypeInfo, ValueRef};

use super::answer::Refusal;

/// A table and the columns that are given out, each with its name in the answer.
pub(super) struct Listing {
    pub(super) table: &'static str,
    pub(super) columns: &'static [(&'static str, &'static str)],
}

impl Listing {
    /// Of the rows that were changed at `since` or later, `size` after the first `skipped`, and
    /// how many there are. Rows are numbered in the order of their changes.
    pub(super) async fn page(
        &self,
        pool: &SqlitePool,
        since: Option<&str>,
        skipped: i64,
        size: i64,
    ) -> Result<(i64, Vec<Value>), Refusal> {
        let Self { table, columns } = self;
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(pool)
            .await
            .map_err(Refusal::failed)?;
        let before: i64 = match since {
            None => 0,
            Some(since) => {
                let sql = format!("select count(*) from {table} where update_time < $1");
                let count = sqlx::query_scalar(AssertSqlSafe(sql)).bind(since);
                count.fetch_one(pool).await.map_err(Refusal::failed)?
            }
        };
        let names: Vec<&str> = columns.iter().map(|(column, _)| *column).collect();
        let names = names.join(", ");
        let sql = format!("select {names} from {table} where seq > $1 order by seq limit $2");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(before + skipped)
            .bind(size)
            .fetch_all(pool)
            .await
            .map_err(Refusal::failed)?;
        let list = rows.iter().map(|row| self.object(row)).collect::<Result<_, _>>();
        Ok((all - before, list.map_err(Refusal::failed)?))
    }

    fn object(&self, row: &SqliteRow) -> Result<Value, sqlx::Error> {
        let mut object = Map::new();
        for (index, (_, name)) in self.columns.iter().enumerate() {
            let raw = row.try_get_raw(index)?;
            let value = if raw.is_null() {
                Value::Null
            } else if raw.type_info().name() == "INTEGER" {
                row.try_get::<i64, _>(index)?.into()
            } else {
                row.try_get::<String, _>(index)?.into()
            };
            object.insert((*name).to_owned(), value);
        }
        Ok(Value::Object(object))
    }
}
