//! Writing a whole table in one transaction.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, ErrorKind, LoadMode, LoadRequest, Loader, Result};
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::config::{Push, Settings};
use crate::database::{Purpose, execute, fault, open, primary, quote, unless_cancelled};
use crate::target::{Target, of_row};

/// A table being written. Its connection ends with it, and with that an open transaction.
pub(crate) struct TableLoader {
    db: SqliteConnection,
    target: Target,
    written: u64,
}

impl TableLoader {
    pub(crate) async fn open(
        settings: &Settings,
        cx: &Cx,
        push: &Push,
        request: &LoadRequest,
    ) -> Result<Self> {
        unless_cancelled(cx, Self::begin(settings, cx, push, request)).await
    }

    async fn begin(
        settings: &Settings,
        cx: &Cx,
        push: &Push,
        request: &LoadRequest,
    ) -> Result<Self> {
        let mut db = open(&settings.path, Purpose::Write).await?;
        let (schema, hub) = (&request.schema, settings.hub_zone);
        let target = Target::plan(&mut db, push, schema, request.mode, hub).await?;
        cx.request().await?;
        execute(&mut db, "begin immediate").await?;
        if request.mode == LoadMode::Replace {
            let sql = format!("delete from main.{}", quote(&target.table));
            let emptied = sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut db).await;
            emptied.map_err(|cause| fault(format!("emptying table `{}`", target.table), cause))?;
        }
        Ok(Self { db, target, written: 0 })
    }

    async fn insert(&mut self, cx: &Cx, batch: &RecordBatch) -> Result<()> {
        let what = format!("writing table `{}`", self.target.table);
        let unfit = |complaint: String| {
            Error::new(ErrorKind::Data, "E-SQLITE-VALUE", format!("{what}: {complaint}"))
                .hint("look at the table's constraints, and cast what does not fit in the push")
        };
        for row in 0..batch.num_rows() {
            cx.check()?;
            let values = self.target.values(batch, row);
            let values =
                values.map_err(|(column, reason)| unfit(format!("column `{column}`: {reason}")))?;
            let written = self.target.insert(&mut self.db, &values).await;
            written.map_err(|cause| match of_row(&cause) {
                true => unfit(self.target.complaint(&cause)),
                false => fault(&what, cause),
            })?;
            self.written += 1;
        }
        Ok(())
    }
}

#[async_trait]
impl Loader for TableLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        if !self.target.is_for(batch.schema_ref()) {
            return Err(Error::internal("a batch has other columns than the load"));
        }
        cx.request().await?;
        unless_cancelled(cx, self.insert(cx, &batch)).await
    }

    async fn finish(mut self: Box<Self>, cx: &Cx) -> Result<u64> {
        cx.check()?;
        let what = format!("committing table `{}`", self.target.table);
        match sqlx::query("commit").execute(&mut self.db).await {
            Ok(_) => Ok(self.written),
            Err(cause) if primary(&cause) == Some(10) => Err(Error::new(
                ErrorKind::Unreachable,
                "E-SQLITE-UNKNOWN",
                format!("{what}: the disk failed, so the table is either the old or the new one"),
            )
            .hint("check the disk or the share that holds the database, then run the push again")),
            Err(cause) => Err(fault(what, cause)),
        }
    }
}
