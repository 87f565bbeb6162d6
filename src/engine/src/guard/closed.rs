//! A plan of which nothing is known but the columns it gives.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, SendableRecordBatchStream,
};
use futures::TryStreamExt;
use huiliu_sdk::{Error, ErrorKind};

/// Shows no children, so that no rule moves a predicate below the masks and nobody is told of what
/// lies there, and no statistics, from which counts and bounds of hidden rows would be answered.
/// What fails below is told without its message.
#[derive(Debug)]
pub(super) struct ClosedExec {
    inner: Arc<dyn ExecutionPlan>,
    errors: Errors,
    properties: Arc<PlanProperties>,
}

impl ClosedExec {
    pub(super) fn new(inner: Arc<dyn ExecutionPlan>, errors: Errors) -> Self {
        let partitions = inner.output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(inner.schema()),
            Partitioning::UnknownPartitioning(partitions),
            inner.pipeline_behavior(),
            inner.boundedness(),
        ));
        Self { inner, errors, properties }
    }
}

impl DisplayAs for ClosedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedTable: {}", self.errors.table)
    }
}

impl ExecutionPlan for ClosedExec {
    fn name(&self) -> &'static str {
        "GuardedTable"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let errors = self.errors.clone();
        let stream = self.inner.execute(partition, context).map_err(|e| errors.told(e))?;
        let stream = stream.map_err(move |e| errors.told(e));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    // A recursive query reads it again and again, and its children are shown to nobody who would
    // reset them.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = reset_plan_states(Arc::clone(&self.inner))?;
        Ok(Arc::new(Self::new(inner, self.errors.clone())))
    }
}

/// How errors below a guarded table are told.
#[derive(Debug, Clone)]
pub(super) struct Errors {
    /// The table.
    pub(super) table: String,
    /// Whether they are told as they are, which is for a viewer of whom nothing is hidden.
    pub(super) are_told: bool,
}

impl Errors {
    /// The error as it is told. Messages quote the values that they are about, so only the table is
    /// named; what is wrong with the hub and not with rows keeps its kind.
    pub(super) fn told(&self, error: DataFusionError) -> DataFusionError {
        if self.are_told {
            return error;
        }
        let table = &self.table;
        let ours = match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => {
                return DataFusionError::ResourcesExhausted(format!("reading {table}"));
            }
            DataFusionError::External(inner) => inner.downcast_ref::<Error>(),
            _ => None,
        };
        let stopped =
            ours.filter(|e| matches!(e.kind(), ErrorKind::Cancelled | ErrorKind::Conflict));
        let error = match stopped {
            Some(e) => Error::new(e.kind(), e.code(), format!("reading {table} was stopped")),
            None => Error::new(ErrorKind::Data, "E-QUERY", format!("{table} cannot be read"))
                .hint("who may see all of its rows and columns is told why"),
        };
        DataFusionError::External(Box::new(error))
    }
}
