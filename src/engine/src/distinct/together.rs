//! Counting where all rows of a group are.
//!
//! An aggregation in two steps would hand over all distinct values of each group from the first
//! step to the second, where they are met again. Rows are sent to where their group is instead.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

use super::accumulator::NAME;
use super::batches::Batches;

/// How many groups of a spilled run are in memory at once, with all their values.
const GROUPS_AT_ONCE: usize = 128;

/// The rule.
#[derive(Debug)]
pub(crate) struct CountWhereGroupsAre;

impl PhysicalOptimizerRule for CountWhereGroupsAre {
    fn name(&self) -> &str {
        "count_where_groups_are"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|plan| {
            Ok(match together(&plan, config.execution.batch_size.get())? {
                Some(single) => Transformed::yes(single),
                None => Transformed::no(plan),
            })
        })
        .data()
    }
}

/// One step in the place of two, if these count distinct values. Its rows come in batches of `rows`.
fn together(plan: &Arc<dyn ExecutionPlan>, rows: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(whole) = plan.downcast_ref::<AggregateExec>() else { return Ok(None) };
    let counts = whole.aggr_expr().iter().any(|call| call.fun().name() == NAME);
    if !counts || *whole.mode() != AggregateMode::FinalPartitioned {
        return Ok(None);
    }
    let Some(exchange) = whole.input().downcast_ref::<RepartitionExec>() else { return Ok(None) };
    let Some(part) = exchange.input().downcast_ref::<AggregateExec>() else { return Ok(None) };
    let groups = part.group_expr();
    if *part.mode() != AggregateMode::Partial || !groups.is_single() {
        return Ok(None);
    }
    let by_group =
        Partitioning::Hash(groups.input_exprs(), exchange.partitioning().partition_count());
    let input = Arc::new(RepartitionExec::try_new(Arc::clone(part.input()), by_group)?);
    let single = AggregateExec::try_new(
        AggregateMode::SinglePartitioned,
        groups.clone(),
        part.aggr_expr().to_vec(),
        part.filter_expr().to_vec(),
        Arc::new(Batches { input, rows }),
        part.input_schema(),
    )?;
    Ok(Some(Arc::new(Batches { input: Arc::new(single), rows: rows.min(GROUPS_AT_ONCE) })))
}
