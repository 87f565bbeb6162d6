//! Columns that are compared: values are kept as the server's own text, and only the server
//! compares them, by the column's own collation.

use huiliu_sdk::{Error, ErrorKind, Result};
use sqlx::mysql::MySqlRow;

use crate::batch::text_of;
use crate::database::column;
use crate::schema::{Column, Table};
use crate::wire::Wire;

/// A column whose values can be kept as text and compared again later.
#[derive(Debug, Clone)]
pub(crate) struct Comparable {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    /// How the column is written where it is compared or ordered by.
    pub(crate) side: String,
    /// How its value is written as text.
    pub(crate) shown: String,
    /// How such text is written as a value, around one bound `?`.
    pub(crate) bound: String,
}

impl Comparable {
    /// Such a column, or nothing for types whose text is not their value.
    pub(crate) fn of(declared: &Column) -> Option<Self> {
        let wire = declared.wire?;
        let name = column(&declared.name);
        let mut side = name.clone();
        let mut shown = format!("cast({name} as char)");
        let bound = match wire {
            Wire::Int { unsigned: false, .. } => "cast(? as signed)".to_owned(),
            Wire::Int { .. } | Wire::Year => "cast(? as unsigned)".to_owned(),
            Wire::Decimal { precision, scale } => {
                format!("cast(? as decimal({precision},{scale}))")
            }
            Wire::Date | Wire::Datetime { .. } | Wire::Timestamp { .. } => {
                "cast(? as datetime(6))".to_owned()
            }
            Wire::Time { .. } => "cast(? as time(6))".to_owned(),
            Wire::Text if declared.data_type == "json" => return None,
            Wire::Text => {
                // They are ordered by the place of their value in the declaration, and compared
                // with text as text.
                if matches!(declared.data_type.as_str(), "enum" | "set") {
                    side.clone_from(&shown);
                }
                "?".to_owned()
            }
            Wire::Bytes => {
                shown = format!("hex({name})");
                "unhex(?)".to_owned()
            }
            Wire::Float | Wire::Double | Wire::Bit { .. } => return None,
        };
        Some(Self { name: declared.name.clone(), wire, side, shown, bound })
    }

    /// The column `name` of `table`, which has to be comparable.
    pub(crate) fn required(table: &Table, name: &str) -> Result<Self> {
        let declared = table.column(name)?;
        Self::of(declared).ok_or_else(|| {
            Error::new(
                ErrorKind::Schema,
                "E-MYSQL-COMPARE",
                format!("column `{name}` of type `{}` cannot be compared", declared.data_type),
            )
            .hint("name a column of whole numbers, decimals, times or text")
        })
    }
}

/// A condition with the texts to bind to it, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    pub(crate) sql: String,
    pub(crate) binds: Vec<String>,
}

/// Rows behind `values` in the order of `key`. Fewer values than columns mean: behind all rows
/// that begin with them.
pub(crate) fn behind(key: &[Comparable], values: &[String]) -> Condition {
    let pairs: Vec<(&Comparable, &String)> = key.iter().zip(values).collect();
    let mut condition = Condition::default();
    let Some((first, value)) = pairs.first() else { return condition };
    // Said by itself, this bound is a range of the index for every server.
    condition.sql = format!("{} >= {}", first.side, first.bound);
    condition.binds.push((*value).clone());
    let mut ways = Vec::new();
    for last in 0..pairs.len() {
        let mut terms = Vec::new();
        for (index, (column, value)) in pairs[..=last].iter().enumerate() {
            let sign = if index == last { ">" } else { "=" };
            terms.push(format!("{} {sign} {}", column.side, column.bound));
            condition.binds.push((*value).clone());
        }
        ways.push(format!("({})", terms.join(" and ")));
    }
    condition.sql += &format!(" and ({})", ways.join(" or "));
    condition
}

/// Rows whose `key` is one of `values`.
pub(crate) fn among(key: &[Comparable], values: &[Vec<String>]) -> Condition {
    let sides: Vec<&str> = key.iter().map(|column| column.side.as_str()).collect();
    let bounds: Vec<&str> = key.iter().map(|column| column.bound.as_str()).collect();
    let one = format!("({})", bounds.join(", "));
    Condition {
        sql: format!("({}) in ({})", sides.join(", "), vec![one; values.len()].join(", ")),
        binds: values.iter().flatten().cloned().collect(),
    }
}

/// `a, b` of the comparable sides.
pub(crate) fn order(key: &[Comparable]) -> String {
    key.iter().map(|column| column.side.as_str()).collect::<Vec<_>>().join(", ")
}

/// The texts of `key` that stand in `row` from column `from` on; nothing if one is null.
pub(crate) fn texts(
    key: &[Comparable],
    row: &MySqlRow,
    from: usize,
) -> Result<Option<Vec<String>>> {
    (0..key.len()).map(|index| text_of(row, from + index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Vec<Comparable> {
        ["a", "b"]
            .map(|name| {
                let wire = Some(Wire::Int { width: 8, unsigned: false });
                let declared = Column {
                    name: name.into(),
                    data_type: "bigint".into(),
                    wire,
                    nullable: false,
                    extra: String::new(),
                };
                Comparable::of(&declared).unwrap()
            })
            .into()
    }

    #[test]
    fn rows_behind_a_key_are_a_range() {
        let behind = behind(&key(), &["1".into(), "2".into()]);
        let one = "cast(? as signed)";
        assert_eq!(
            behind.sql,
            format!("t.`a` >= {one} and ((t.`a` > {one}) or (t.`a` = {one} and t.`b` > {one}))")
        );
        assert_eq!(behind.binds, ["1", "1", "1", "2"]);
    }

    #[test]
    fn a_prefix_means_all_that_begin_with_it() {
        let behind = behind(&key(), &["7".into()]);
        assert_eq!(behind.sql, "t.`a` >= cast(? as signed) and ((t.`a` > cast(? as signed)))");
    }
}
