//! Leaving out the deleted rows of files, by a bit for each position.
//!
//! The reader crate asks a hash set about every row, which takes as long as reading a few columns.
//! Its node is kept for all that a plan asks of it; only the work itself is done here.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, Int64Array};
use arrow::buffer::{BooleanBuffer, Buffer};
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

use crate::file::read_positions;
use crate::history::Superseded;

/// The node of the reader crate.
const MODEL: &str = "LazyDeleteFilterExec";

/// The delete files of a table at one snapshot, by the id of the data file; each is read once.
#[derive(Debug, Default)]
pub(crate) struct DeleteFiles(HashMap<i64, (PathBuf, OnceCell<Arc<Marks>>)>);

/// A bit for each position of a data file, up to the last deleted one: whether its row is alive.
#[derive(Debug)]
struct Marks(BooleanBuffer);

impl Marks {
    fn new(positions: impl Iterator<Item = u64>) -> Self {
        let mut words: Vec<u64> = Vec::new();
        for position in positions {
            let word = usize::try_from(position / 64).unwrap_or(usize::MAX);
            if word >= words.len() {
                words.resize(word + 1, u64::MAX);
            }
            words[word] &= !(1 << (position % 64));
        }
        let length = words.len() * 64;
        // The bits of a word are in the order of its bytes from the least one on.
        let words: Vec<u64> = words.into_iter().map(u64::to_le).collect();
        Self(BooleanBuffer::new(Buffer::from_vec(words), 0, length))
    }

    fn is_alive(&self, position: i64) -> bool {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        position >= self.0.len() || self.0.value(position)
    }

    /// Which of the rows at `positions` are alive.
    fn alive(&self, positions: &[i64]) -> BooleanBuffer {
        let first = positions.first().and_then(|first| usize::try_from(*first).ok());
        let is_run = positions.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(1));
        match first {
            Some(first) if is_run && first + positions.len() <= self.0.len() => {
                self.0.slice(first, positions.len())
            }
            _ => BooleanBuffer::collect_bool(positions.len(), |row| self.is_alive(positions[row])),
        }
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
            let deleted = tokio::task::spawn_blocking(move || read_positions(&path)).await;
            let deleted = deleted.map_err(|e| DataFusionError::External(Box::new(e)))?;
            let deleted = deleted.map_err(|e| DataFusionError::External(Box::new(e)))?;
            Ok(Arc::new(Marks::new(deleted.into_iter())))
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
            keep.push(marks.alive(&positions.values()[start..start + length]));
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
        let deleted = [0, 63, 64, 200];
        let marks = Marks::new(deleted.into_iter());
        let found: Vec<i64> = (0..10_000).filter(|position| !marks.is_alive(*position)).collect();
        assert_eq!(found, [0, 63, 64, 200]);
        assert!(Marks::new(std::iter::empty()).is_alive(0));
        // Runs within the marks and beyond them, and rows in any order, are answered alike.
        let runs = (0..260_i64).flat_map(|from| [1, 2, 64, 65].map(|count| from..from + count));
        let odd = [vec![], vec![64, 63, 200], vec![0, 2, 1, 3], vec![-1], vec![i64::MAX, i64::MIN]];
        for positions in runs.map(Iterator::collect::<Vec<i64>>).chain(odd) {
            let alive: Vec<bool> = marks.alive(&positions).iter().collect();
            let expected: Vec<bool> =
                positions.iter().map(|position| !found.contains(position)).collect();
            assert_eq!(alive, expected, "{positions:?}");
        }
    }
}
