//! Parts of a table by the values of one column, cut where its statistics say.
//!
//! `copy` takes no bound values, so the ends of a range are put into settings of the transaction
//! and read back in the statement; no value is ever written into SQL.

use huiliu_sdk::{Cx, Result};
use serde_json::Value;
use sqlx::PgConnection;

use crate::catalog::{Declared, Table};
use crate::database::{column, get, quote_table, rows, run};

/// Rows a sample should have to cut by it.
const SAMPLE_ROWS: f64 = 20_000.0;

/// Values from `low` on and below `high`, in the source's own text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: Option<String>,
    pub(crate) high: Option<String>,
    /// Whether rows without a value belong to it.
    pub(crate) with_nulls: bool,
}

impl Range {
    /// Lets the statements of the transaction see the ends.
    pub(crate) async fn bind(&self, db: &mut PgConnection, cx: &Cx) -> Result<()> {
        if self.low.is_none() && self.high.is_none() {
            return Ok(());
        }
        let ends = [self.low.as_deref(), self.high.as_deref()].map(Option::unwrap_or_default);
        let sql = "select set_config('huiliu.low', $1, true), set_config('huiliu.high', $2, true)";
        run(db, cx, "setting the ends of a range", sql, &ends).await.map(drop)
    }

    /// What follows the table, which is called `t`.
    pub(crate) fn filter(&self, by: &Declared) -> String {
        let name = column(&by.name);
        let mut terms = Vec::new();
        if self.low.is_some() {
            terms.push(format!("{name} >= current_setting('huiliu.low')::{}", by.cast));
        }
        if self.high.is_some() {
            terms.push(format!("{name} < current_setting('huiliu.high')::{}", by.cast));
        }
        if terms.is_empty() {
            return String::new();
        }
        let terms = terms.join(" and ");
        // Views do not say that a column has no nulls, so the question is cheap to leave in.
        if self.with_nulls && !by.not_null {
            format!(" where ({terms} or {name} is null)")
        } else {
            format!(" where {terms}")
        }
    }
}

/// The ranges between `bounds`, from `low` on.
pub(crate) fn between(low: Option<String>, bounds: Vec<String>, with_nulls: bool) -> Vec<Range> {
    let mut ranges = Vec::with_capacity(bounds.len() + 1);
    let mut low = low;
    for bound in bounds {
        let high = Some(bound.clone());
        ranges.push(Range { low, high, with_nulls: with_nulls && ranges.is_empty() });
        low = Some(bound);
    }
    ranges.push(Range { low, high: None, with_nulls: with_nulls && ranges.is_empty() });
    ranges
}

/// About how many rows the planner expects behind `filter`.
pub(crate) async fn estimate(
    db: &mut PgConnection,
    cx: &Cx,
    table: &Table,
    filter: &str,
) -> Result<u64> {
    let sql =
        format!("explain (format json) select 1 from {} as t{filter}", quote_table(&table.name));
    let plan = rows(db, cx, "estimating the rows", &sql, &[]).await?;
    let Some(plan) = plan.first() else { return Ok(0) };
    // The answer is of the type json, which is read as the text it is.
    let text = sqlx::Row::try_get_raw(plan, 0)
        .ok()
        .and_then(|value| value.as_str().ok().map(str::to_owned))
        .unwrap_or_default();
    let plan: Value = serde_json::from_str(&text).unwrap_or_default();
    let expected = plan.pointer("/0/Plan/Plan Rows");
    Ok(expected
        .and_then(|rows| rows.as_u64().or_else(|| format!("{rows}").parse().ok()))
        .unwrap_or(0))
}

/// Up to `count - 1` values that cut the column into parts of about the same size: distinct, in
/// the source's order, above `low` and below `high`.
pub(crate) async fn bounds(
    db: &mut PgConnection,
    cx: &Cx,
    table: &Table,
    by: &Declared,
    (count, expected): (u64, u64),
    (low, high): (Option<&str>, Option<&str>),
) -> Result<Vec<String>> {
    if count < 2 {
        return Ok(Vec::new());
    }
    let mut known = histogram(db, cx, table, by).await?;
    if known.is_empty() && table.is_plain {
        known = sample(db, cx, table, by, expected).await?;
    }
    let Some(gaps) = known.len().checked_sub(1).filter(|gaps| *gaps > 0) else {
        return Ok(Vec::new());
    };
    let gaps = gaps as u64;
    let chosen: Vec<&String> = (1..count.min(gaps + 1))
        .filter_map(|part| known.get(usize::try_from(part * gaps / count.min(gaps + 1)).ok()?))
        .collect();
    // The empty half of the union gives the values the column's own order.
    let (cast, table) = (&by.cast, quote_table(&table.name));
    let sql = format!(
        "select s.v::text from (select {} as v from {table} as t where false \
         union select u.v::{cast} from unnest($1::text[]) as u(v)) as s \
         where ($2::text is null or s.v > $2::text::{cast}) \
         and ($3::text is null or s.v < $3::text::{cast}) order by s.v",
        column(&by.name)
    );
    let chosen = array_literal(&chosen);
    let values = [Some(chosen.as_str()), low, high];
    let found = rows(db, cx, "cutting the table into ranges", &sql, &values).await?;
    found.iter().map(|row| get(row, 0)).collect()
}

async fn histogram(
    db: &mut PgConnection,
    cx: &Cx,
    table: &Table,
    by: &Declared,
) -> Result<Vec<String>> {
    let sql = "select unnest(s.histogram_bounds::text::text[]) from pg_catalog.pg_stats s \
               where s.schemaname = $1 and s.tablename = $2 and s.attname = $3 and not s.inherited";
    let names = [&table.name.schema, &table.name.name, &by.name].map(|name| Some(name.as_str()));
    let found = rows(db, cx, "reading the table's statistics", sql, &names).await?;
    found.iter().map(|row| get(row, 0)).collect()
}

async fn sample(
    db: &mut PgConnection,
    cx: &Cx,
    table: &Table,
    by: &Declared,
    expected: u64,
) -> Result<Vec<String>> {
    #[allow(clippy::cast_precision_loss)] // a share of a sample needs no exact count
    let percent = (SAMPLE_ROWS * 100.0 / expected.max(1) as f64).clamp(0.001, 100.0);
    // Blocks are cheap to sample, but a few blocks of a small table say little.
    let method = if percent < 10.0 { "system" } else { "bernoulli" };
    let name = column(&by.name);
    let sql = format!(
        "select distinct on (s.part) s.v::text \
         from (select {name} as v, ntile(100) over (order by {name}) as part \
         from {} as t tablesample {method} ($1::float4) where {name} is not null) as s \
         order by s.part, s.v",
        quote_table(&table.name)
    );
    let percent = percent.to_string();
    let found = rows(db, cx, "sampling the table", &sql, &[Some(&percent)]).await?;
    found.iter().map(|row| get(row, 0)).collect()
}

/// A list of texts as the server reads it.
pub(crate) fn array_literal<T: AsRef<str>>(values: &[T]) -> String {
    let mut literal = String::from("{");
    for (index, value) in values.iter().enumerate() {
        literal.push_str(if index == 0 { "\"" } else { ",\"" });
        for c in value.as_ref().chars() {
            if matches!(c, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(c);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_without_a_gap() {
        let some = |text: &str| Some(text.to_owned());
        let ranges = between(None, vec!["b".into(), "d".into()], true);
        assert_eq!(ranges.len(), 3);
        assert_eq!((&ranges[0].low, &ranges[0].high), (&None, &some("b")));
        assert_eq!((&ranges[1].low, &ranges[1].high), (&some("b"), &some("d")));
        assert_eq!((&ranges[2].low, &ranges[2].high), (&some("d"), &None));
        assert_eq!(ranges.iter().filter(|range| range.with_nulls).count(), 1);
        assert_eq!(between(some("c"), vec![], false)[0].low, some("c"));
    }

    #[test]
    fn texts_stay_texts_in_a_list() {
        assert_eq!(array_literal(&["a", "b\"c\\", "{},"]), r#"{"a","b\"c\\","{},"}"#);
        assert_eq!(array_literal::<&str>(&[]), "{}");
    }
}
