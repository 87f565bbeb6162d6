//! Values as text, and whether two of them say the same.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// A value as text; none for no value.
pub type Text = Option<String>;

/// The value in `row` as text: numbers in decimal digits, bytes in hexadecimal ones, days and wall
/// times as `2018-06-12` and `2018-06-12T09:30:00.000001`.
pub(crate) fn text(array: &ArrayRef, row: usize) -> Text {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        // The shortest digits that give back the same number.
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => {
            let options = FormatOptions::new().with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.6f"));
            let formatter = ArrayFormatter::try_new(array, &options).expect("a value has a text");
            formatter.value(row).try_to_string().expect("a value has a text")
        }
    })
}

/// The rows of batches as text, the columns in the order of `names`. A column that is not there
/// has no values.
pub fn texts(batches: &[RecordBatch], names: &[String]) -> Vec<Vec<Text>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<Option<&ArrayRef>> =
            names.iter().map(|name| batch.column_by_name(name)).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|array| array.and_then(|a| text(a, row))).collect());
        }
    }
    rows
}

/// Whether `found` says what `expected` of type `kind` does: the same text, the same number whatever
/// its trailing zeros, or 0 and 1 for a truth value.
pub(crate) fn same(kind: &DataType, expected: &Text, found: &Text) -> bool {
    let (Some(expected), Some(found)) = (expected, found) else { return expected == found };
    if expected == found {
        return true;
    }
    match kind {
        DataType::Boolean => {
            matches!((expected.as_str(), found.as_str()), ("true", "1") | ("false", "0"))
        }
        DataType::Float32 | DataType::Float64 => {
            match (expected.parse::<f64>(), found.parse::<f64>()) {
                (Ok(expected), Ok(found)) => expected.to_bits() == found.to_bits(),
                _ => false,
            }
        }
        DataType::Int32 | DataType::Int64 | DataType::Decimal128(..) => {
            digits(expected) == digits(found)
        }
        _ => false,
    }
}

/// A number without what says nothing.
fn digits(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_by_what_they_say() {
        let some = |text: &str| Some(text.to_owned());
        let decimal = DataType::Decimal128(12, 2);
        assert!(same(&decimal, &some("12.50"), &some("12.5")));
        assert!(same(&decimal, &some("0.00"), &some("0")));
        assert!(!same(&decimal, &some("100"), &some("1")));
        assert!(!same(&DataType::Utf8, &some("12.50"), &some("12.5")));
        assert!(same(&DataType::Boolean, &some("true"), &some("1")));
        assert!(!same(&DataType::Utf8, &some(""), &None));
        assert!(same(&DataType::Float64, &some("1000000"), &some("1e6")));
    }
}
