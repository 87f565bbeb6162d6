//! The rows of a figure, a page at a time.

use arrow::record_batch::RecordBatch;
use huiliu_core::model::Metric;
use huiliu_sdk::Result;

use super::{definition, denominator_predicate, numerator_predicate};
use crate::session::{Engine, Session};

impl Engine {
    /// `limit` rows of what a metric counts after the first `offset`, in the order of their key.
    pub async fn figure_page(
        &self,
        session: &Session,
        metric: &Metric,
        day: &str,
        numerator: bool,
        (offset, limit): (u64, u64),
    ) -> Result<Vec<RecordBatch>> {
        let definition = definition(metric, day)?;
        let predicate = if numerator {
            numerator_predicate(definition)
        } else {
            denominator_predicate(definition)
        };
        let found = format!("select * from {} where {predicate}", metric.from);
        // Rows without a key are told apart by all they hold.
        let key = match self.row_key(metric) {
            Ok(key) => key.to_vec(),
            Err(_) => {
                let frame = session.query(&found).await?;
                let fields = frame.schema().fields();
                fields.iter().map(|field| field.name().clone()).collect()
            }
        };
        let order: Vec<String> =
            key.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
        let order = order.join(", ");
        let sql = format!("{found} order by {order} limit {limit} offset {offset}");
        let rows = session.collect(&sql, None).await;
        rows.map_err(|e| e.context(format!("metric {}", metric.key)))
    }
}
