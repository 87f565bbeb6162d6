//! Leaving out the deleted rows of files, by a bit for each position.
//!
//! The reader crate asks a hash set about every row, which takes as long as reading a few columns.
//! Its node is kept for all that a plan asks of it; only the work itself is done here.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Statistics};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use futures::TryStreamExt;
use tokio::sync::OnceCell;

use crate::file::read_deletes;
use crate::history::Superseded;

/// The node of the reader crate.
const MODEL: &str = "LazyDeleteFilterExec";

/// The delete files of a table at one snapshot, by the id of the data file; each is read once.
#[derive(Debug, Default)]
pub(crate) struct DeleteFiles(HashMap<i64, (PathBuf, OnceCell<Arc<Marks>>)>);

/// A bit for each position of a data file, up to the last deleted one.
#[derive(Debug)]
struct Marks(Vec<u64>);

impl Marks {
    fn new(positions: impl Iterator<Item = u64>) -> Self {
        let mut words: Vec<u64> = Vec::new();
        for position in positions {
            let word = usize::try_from(position / 64).unwrap_or(usize::MAX);
            if word >= words.len() {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (position % 64);
        }
        Self(words)
    }

    fn has(&self, position: i64) -> bool {
        let Ok(position) = usize::try_from(position) else { return false };
        self.0.get(position / 64).is_some_and(|word| (word >> (position % 64)) & 1 == 1)
    }
}

impl DeleteFiles {
    pub(crate) fn new(files: &[Superseded]) -> Self {
        let file = |file: &Superseded| (file.data_file_id, (file.deletes.clone(), OnceCell::new()));
        Self(files.iter().map(file).collect())
    }

    async fn marks(&self, data_file_id: i64) -> Result<Arc<Marks>> {
        let Some((path, marks)) = self.0.get(&data_file_id) else {
            // Rows that may be deleted are never shown.
            return Err(DataFusionError::Internal(format!(
                "the deletes of the data file {data_file_id} are not known"
            )));
        };
        let read = || async {
            let path = path.clone();
            let deleted = tokio::task::spawn_blocking(move || read_deletes(&path)).await;
            let deleted = deleted.map_err(|e| DataFusionError::External(Box::new(e)))?;
            let deleted = deleted.map_err(|e| DataFusionError::External(Box::new(e)))?;
            Ok(Arc::new(Marks::new(deleted.iter().map(|row| row.position))))
        };
        marks.get_or_try_init(read).await.cloned()
    }

    /// The rows of `batch` that are not deleted. Its last columns say of which file they are and
    /// where in it.
    async fn live(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let count = schema.fields().len();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns()[..count].to_vec();
        let rows = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
        let (files, positions) = (numbers(batch, count)?, numbers(batch, count + 1)?);
        let mut keep = Vec::with_capacity(1);
        let mut start = 0;
        // A batch is of one file, but nothing says that it stays so.
        while let Some(file) = files.values().get(start).copied() {
            let length = files.values()[start..].iter().take_while(|id| **id == file).count();
            let marks = self.marks(file).await?;
            let positions = &positions.values()[start..start + length];
            keep.push(BooleanBuffer::collect_bool(length, |row| !marks.has(positions[row])));
            start += length;
        }
        let keep = match keep.as_slice() {
            [] => return Ok(rows),
            [one] => one.clone(),
            several => several.iter().flat_map(BooleanBuffer::iter).collect(),
        };
        if keep.count_set_bits() == batch.num_rows() {
            return Ok(rows);
        }
        Ok(filter_record_batch(&rows, &BooleanArray::new(keep, None))?)
    }
}

fn numbers(batch: &RecordBatch, column: usize) -> Result<&Int64Array> {
    batch.column(column).as_primitive_opt::<Int64Type>().ok_or_else(|| {
        DataFusionError::Internal("a row's place in its file is not a number".into())
    })
}

/// `plan`, with the reader crate's nodes for deleted rows replaced.
pub(crate) fn with_marks(
    plan: Arc<dyn ExecutionPlan>,
    files: &Arc<DeleteFiles>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if files.0.is_empty() {
        return Ok(plan);
    }
    plan.transform_up(|node| {
        if is_model(&node) {
            let live = LiveRows { model: node, files: Arc::clone(files) };
            return Ok(Transformed::yes(Arc::new(live) as Arc<dyn ExecutionPlan>));
        }
        Ok(Transformed::no(node))
    })
    .data()
}

/// Whether a node is the one known: its input has its columns, and behind them file and position.
fn is_model(node: &Arc<dyn ExecutionPlan>) -> bool {
    let [input] = node.children()[..] else { return false };
    let (inner, outer) = (input.schema(), node.schema());
    let (inner, outer) = (inner.fields(), outer.fields());
    let is_number = |field: &arrow::datatypes::FieldRef| *field.data_type() == DataType::Int64;
    node.name() == MODEL
        && inner.len() == outer.len() + 2
        && inner.iter().zip(outer).all(|(inner, outer)| inner.name() == outer.name())
        && inner.iter().skip(outer.len()).all(is_number)
}

/// The node that takes the place of the crate's.
#[derive(Debug)]
struct LiveRows {
    model: Arc<dyn ExecutionPlan>,
    files: Arc<DeleteFiles>,
}

impl LiveRows {
    fn wrap(&self, model: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        if !is_model(&model) {
            return model;
        }
        Arc::new(Self { model, files: Arc::clone(&self.files) })
    }
}

impl DisplayAs for LiveRows {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveRows: files={}", self.files.0.len())
    }
}

impl ExecutionPlan for LiveRows {
    fn name(&self) -> &'static str {
        "LiveRows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.model.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.model.children()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let model = Arc::clone(&self.model).replace_children(children, options)?;
        Ok(self.wrap(model))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.model.apply_expressions(f)
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.model.maintains_input_order()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        self.model.benefits_from_input_partitioning()
    }

    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        self.model.gather_filters_for_pushdown(phase, parent_filters, config)
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        self.model.try_pushdown_sort(order)?.try_map(|model| Ok(self.wrap(model)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.model.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.model.statistics_from_inputs(inputs, args)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let [input] = self.model.children()[..] else {
            return Err(DataFusionError::Internal("deleted rows of no scan".into()));
        };
        let (schema, files) = (self.model.schema(), Arc::clone(&self.files));
        let input = input.execute(partition, context)?;
        let columns = Arc::clone(&schema);
        let stream = input.and_then(move |batch| {
            let (files, columns) = (Arc::clone(&files), Arc::clone(&columns));
            async move { files.live(&batch, &columns).await }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_where_they_were_put() {
        let positions = [0, 63, 64, 200];
        let marks = Marks::new(positions.into_iter());
        let found: Vec<i64> = (0..10_000).filter(|position| marks.has(*position)).collect();
        assert_eq!(found, [0, 63, 64, 200]);
        assert!(!marks.has(-1));
        assert!(!Marks::new(std::iter::empty()).has(0));
    }
}
