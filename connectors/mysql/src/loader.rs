//! Writing a whole table in one transaction.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use huiliu_sdk::{Cx, Error, ErrorKind, LoadMode, LoadRequest, Loader, Result};
use sqlx::mysql::MySqlConnection;

use crate::config::{Push, Settings};
use crate::database::{Purpose, execute, open, query, quote, unless_cancelled};
use crate::fault::{fault, lost, of_row};
use crate::target::Target;

/// A table being written. Its connection ends with it, and with that an open transaction.
pub(crate) struct TableLoader {
    db: MySqlConnection,
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
        let mut db = open(settings, Purpose::Write).await?;
        let (schema, hub) = (&request.schema, settings.hub_zone);
        let target = Target::plan(&mut db, push, schema, request.mode, hub).await?;
        execute(&mut db, "start transaction").await?;
        if request.mode == LoadMode::Replace {
            cx.request().await?;
            // Emptying it in any other way would commit at once.
            let sql = format!("delete from {}", quote(&target.table));
            let emptied = query(sql).execute(&mut db).await;
            emptied.map_err(|cause| fault(format!("emptying table `{}`", target.table), cause))?;
        }
        Ok(Self { db, target, written: 0 })
    }

    async fn insert(&mut self, cx: &Cx, batch: &RecordBatch) -> Result<()> {
        let what = format!("writing table `{}`", self.target.table);
        let unfit = |complaint: String| {
            Error::new(ErrorKind::Data, "E-MYSQL-VALUE", format!("{what}: {complaint}"))
        };
        let mut rows = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let values = self.target.values(batch, row);
            rows.push(
                values.map_err(|(column, reason)| unfit(format!("column `{column}`: {reason}")))?,
            );
        }
        for part in self.target.parts(&rows) {
            cx.request().await?;
            let sent = self.target.insert(&mut self.db, &rows[part]).await;
            sent.map_err(|cause| match of_row(&cause) {
                true => unfit(self.target.complaint(&cause)),
                false => fault(&what, cause),
            })?;
        }
        self.written += u64::try_from(rows.len()).unwrap_or_default();
        Ok(())
    }
}

#[async_trait]
impl Loader for TableLoader {
    async fn write(&mut self, cx: &Cx, batch: RecordBatch) -> Result<()> {
        if !self.target.is_for(batch.schema_ref()) {
            return Err(Error::internal("a batch has other columns than the load"));
        }
        unless_cancelled(cx, self.insert(cx, &batch)).await
    }

    async fn finish(mut self: Box<Self>, cx: &Cx) -> Result<u64> {
        cx.check()?;
        let what = format!("committing table `{}`", self.target.table);
        match sqlx::raw_sql("commit").execute(&mut self.db).await {
            Ok(_) => Ok(self.written),
            Err(cause) if lost(&cause) => Err(Error::new(
                ErrorKind::Unreachable,
                "E-MYSQL-UNKNOWN",
                format!(
                    "{what}: the answer was lost, so the table is either the old or the new one"
                ),
            )
            .hint("run the push again; what it loads is the same")),
            Err(cause) => Err(fault(what, cause)),
        }
    }
}
