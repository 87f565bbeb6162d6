//! An aggregate that counts the distinct values of each group exactly, in one pass.
//!
//! A value gets a number when it is first met, whatever its group; a group's values are then pairs
//! of two numbers for all groups together. That is smaller and quicker than a set of values for
//! each group.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, filter, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::cast::as_list_array;
use datafusion::common::hash_utils::RandomState;
use datafusion::common::{HashSet, Result, ScalarValue, exec_err, not_impl_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

/// The function's name, as plans show it.
pub(super) const NAME: &str = "count_distinct_pairs";

/// The function. Only grouped aggregations may call it.
pub(super) fn count_distinct_pairs() -> Arc<AggregateUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(AggregateUDF::from(CountDistinctPairs { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CountDistinctPairs {
    signature: Signature,
}

impl AggregateUDFImpl for CountDistinctPairs {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _kind: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("{NAME} counts by groups only")
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let item = item(arguments.input_fields[0].data_type());
        Ok(vec![Arc::new(Field::new_list(format!("{}[values]", arguments.name), item, false))])
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Pairs::new(arguments.expr_fields[0].data_type().clone())?))
    }
}

/// The type in which values are handed over: a part of an array of views would take along the text
/// of all.
fn state_kind(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

fn item(kind: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(state_kind(kind), true))
}

/// Stands where a value has no group.
const NO_GROUP: u32 = u32::MAX;

/// Which groups each value was met in, all by their numbers.
///
/// Most values are of one group only, a person's or a case's number say, and are met in it first. That
/// group stands at the value's number, where no other place has to be looked up; only the groups
/// after the first are in a set.
#[derive(Default)]
struct Met {
    first: Vec<u32>,
    /// Groups and values.
    later: HashSet<(u32, u32), RandomState>,
}

impl Met {
    /// Notes that `group` has `value`, and says whether that is new.
    fn insert(&mut self, group: u32, value: usize) -> bool {
        if value >= self.first.len() {
            self.first.resize(value + 1, NO_GROUP);
        }
        let first = &mut self.first[value];
        if *first == NO_GROUP {
            *first = group;
            return true;
        }
        *first != group && self.later.insert((group, value as u32))
    }

    /// How many groups and values go together.
    fn len(&self) -> usize {
        self.first.iter().filter(|group| **group != NO_GROUP).count() + self.later.len()
    }

    /// Takes the groups that are emitted with their values, in no order; the others stay, under the
    /// numbers that they have then.
    fn take(&mut self, emitted: usize) -> Vec<(u32, u32)> {
        let mut taken = Vec::new();
        for (value, group) in self.first.iter_mut().enumerate() {
            if *group == NO_GROUP {
                continue;
            }
            match (*group as usize).checked_sub(emitted) {
                None => {
                    taken.push((*group, value as u32));
                    *group = NO_GROUP;
                }
                Some(left) => *group = left as u32,
            }
        }
        for (group, value) in std::mem::take(&mut self.later) {
            match (group as usize).checked_sub(emitted) {
                None => taken.push((group, value)),
                // It may be the first one now.
                Some(left) => {
                    self.insert(left as u32, value as usize);
                }
            }
        }
        taken
    }

    fn size(&self) -> usize {
        self.first.capacity() * size_of::<u32>() + self.later.allocation_size()
    }
}

/// The values of all groups.
pub(super) struct Pairs {
    kind: DataType,
    /// Gives each value its number.
    values: Box<dyn GroupValues>,
    met: Met,
    /// How many values each group has.
    counts: Vec<i64>,
    /// The numbers of a batch's values.
    numbers: Vec<usize>,
}

impl Pairs {
    pub(super) fn new(kind: DataType) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![Field::new("value", kind.clone(), true)]));
        Ok(Self {
            kind,
            values: new_group_values(schema, &GroupOrdering::None)?,
            met: Met::default(),
            counts: Vec::new(),
            numbers: Vec::new(),
        })
    }

    /// Adds the value of each row to its group.
    fn add(
        &mut self,
        values: &ArrayRef,
        groups: impl Iterator<Item = Option<usize>>,
    ) -> Result<()> {
        self.values.intern(std::slice::from_ref(values), &mut self.numbers)?;
        // Numbers have no gaps, and groups have values.
        if u32::try_from(self.values.len()).is_err() || u32::try_from(self.counts.len()).is_err() {
            return exec_err!("more than 4,294,967,295 distinct values or groups");
        }
        let nulls = values.logical_nulls();
        for (row, (group, number)) in groups.zip(&self.numbers).enumerate() {
            let Some(group) = group else { continue };
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            self.counts[group] += i64::from(self.met.insert(group as u32, *number));
        }
        Ok(())
    }

    /// Gives the values of the groups that stay, of all there were, new numbers.
    fn number_again(&mut self, values: &ArrayRef) -> Result<()> {
        let stay = std::mem::take(&mut self.met).take(usize::MAX);
        let still = UInt32Array::from_iter_values(stay.iter().map(|(_, value)| *value));
        self.values.intern(&[take(values, &still, None)?], &mut self.numbers)?;
        for ((group, _), number) in stay.iter().zip(&self.numbers) {
            self.met.insert(*group, *number);
        }
        Ok(())
    }
}

impl GroupsAccumulator for Pairs {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.counts.resize(total_num_groups, 0);
        let groups = group_indices.iter().copied();
        match opt_filter {
            None => self.add(&values[0], groups.map(Some)),
            Some(filter) => {
                let kept = filter.iter().map(|kept| kept == Some(true));
                self.add(&values[0], groups.zip(kept).map(|(group, kept)| kept.then_some(group)))
            }
        }
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let counts = emit_to.take_needed(&mut self.counts);
        match emit_to {
            EmitTo::All => {
                self.met = Met::default();
                self.values.clear_shrink(0);
            }
            EmitTo::First(groups) => {
                drop(self.met.take(groups));
                // Values of groups that have left are forgotten when most are.
                if self.met.len() < self.values.len() / 2 {
                    let values = self.values.emit(EmitTo::All)?.remove(0);
                    self.number_again(&values)?;
                }
            }
        }
        Ok(Arc::new(Int64Array::from(counts)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let counts = emit_to.take_needed(&mut self.counts);
        let mut met = self.met.take(counts.len());
        met.sort_unstable();
        let values = self.values.emit(EmitTo::All)?.remove(0);
        let emitted = UInt32Array::from_iter_values(met.iter().map(|(_, value)| *value));
        let emitted = cast(&take(&values, &emitted, None)?, &state_kind(&self.kind))?;
        self.number_again(&values)?;
        let lengths = OffsetBuffer::from_lengths(counts.iter().map(|count| *count as usize));
        Ok(vec![Arc::new(ListArray::try_new(item(&self.kind), lengths, emitted, None)?)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.counts.resize(total_num_groups, 0);
        let lists = as_list_array(&values[0])?;
        let (first, last) = (lists.value_offsets()[0], lists.value_offsets()[lists.len()]);
        let inner = lists.values().slice(first as usize, (last - first) as usize);
        let inner = cast(&inner, &self.kind)?;
        let lengths = lists.value_offsets().windows(2).map(|ends| (ends[1] - ends[0]) as usize);
        let groups = group_indices.iter().zip(lengths);
        self.add(
            &inner,
            groups.flat_map(|(group, length)| std::iter::repeat_n(Some(*group), length)),
        )
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let nulls = values[0].logical_nulls();
        let kept: BooleanArray = (0..values[0].len())
            .map(|row| {
                let passes = opt_filter.is_none_or(|f| f.is_valid(row) && f.value(row));
                Some(passes && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)))
            })
            .collect();
        let lengths = kept.values().iter().map(usize::from);
        let offsets = OffsetBuffer::from_lengths(lengths);
        let kept = cast(&filter(&values[0], &kept)?, &state_kind(&self.kind))?;
        Ok(vec![Arc::new(ListArray::try_new(item(&self.kind), offsets, kept, None)?)])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self.values.size()
            + self.met.size()
            + self.counts.capacity() * size_of::<i64>()
            + self.numbers.capacity() * size_of::<usize>()
    }
}
