//! The keys that are looked at, and a filter by which a scan decodes only their rows.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::{DataFrame, ident};
use huiliu_sdk::Result;

use crate::buckets::bucket;
use crate::failure::engine_error;
use crate::hash::{Identity, add_column};

/// Beyond one key in so many, decoding everything costs less than choosing.
const FEW: u64 = 8;

/// The keys whose rows are wanted.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// All of them.
    All,
    /// These, and whether they are few.
    Keys(Arc<HashSet<u128, Identity>>, bool),
}

impl Wanted {
    /// `keys` out of `all` there are.
    pub(super) fn of(keys: HashSet<u128, Identity>, all: u64) -> Self {
        let few = (keys.len() as u64).saturating_mul(FEW) <= all;
        Self::Keys(Arc::new(keys), few)
    }

    /// Whether `key` is wanted.
    pub(super) fn has(&self, key: u128) -> bool {
        match self {
            Self::All => true,
            Self::Keys(keys, _) => keys.contains(&key),
        }
    }

    /// `frame` without most of the rows that are not wanted. Its first columns, `k0` and so on,
    /// are the key; rows that lack one stay if `unkeyed` is set.
    pub(super) fn narrow(
        &self,
        frame: DataFrame,
        columns: usize,
        range: &Range<usize>,
        unkeyed: bool,
    ) -> Result<DataFrame> {
        let Self::Keys(keys, true) = self else { return Ok(frame) };
        let filter = HasWantedKey {
            keys: Arc::clone(keys),
            range: range.clone(),
            unkeyed,
            signature: Signature::any(columns, Volatility::Immutable),
        };
        let columns: Vec<Expr> = (0..columns).map(|number| ident(format!("k{number}"))).collect();
        let frame = frame
            .filter(ScalarUDF::from(filter).call(columns))
            .map_err(|e| engine_error("choosing a system's rows", e))?;
        let (mut state, plan) = frame.into_parts();
        // The scan itself decodes the key first, and the rest of wanted rows only.
        state.config_mut().options_mut().execution.parquet.pushdown_filters = true;
        Ok(DataFrame::new(state, plan))
    }
}

/// Whether a row has a wanted key, as a function of the key's columns.
#[derive(Debug)]
struct HasWantedKey {
    keys: Arc<HashSet<u128, Identity>>,
    range: Range<usize>,
    unkeyed: bool,
    signature: Signature,
}

impl PartialEq for HasWantedKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys)
            && self.range == other.range
            && self.unkeyed == other.unkeyed
    }
}

impl Eq for HasWantedKey {}

impl Hash for HasWantedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.range.hash(state);
    }
}

impl ScalarUDFImpl for HasWantedKey {
    fn name(&self) -> &'static str {
        "has_wanted_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = columns.first().map_or(0, |column| column.len());
        let mut keys = vec![0_u128; rows];
        let mut lacks = vec![false; rows];
        for (column, seed) in columns.iter().zip(1..) {
            add_column(&mut keys, column, seed)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            if let Some(nulls) = column.logical_nulls() {
                for (row, lacks) in lacks.iter_mut().enumerate() {
                    *lacks |= nulls.is_null(row);
                }
            }
        }
        let takes = |row: usize| {
            let key = keys[row];
            if lacks[row] {
                self.unkeyed
            } else {
                self.range.contains(&bucket(key)) && self.keys.contains(&key)
            }
        };
        let taken: BooleanArray = (0..rows).map(|row| Some(takes(row))).collect();
        Ok(ColumnarValue::Array(Arc::new(taken)))
    }
}
