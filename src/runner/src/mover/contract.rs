//! What the contract of a stream makes of the columns its source announces.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use huiliu_lake::storage_schema;
use huiliu_sdk::{Contract, Error, ErrorKind, Policy, Result, StreamSettings, type_word};

/// How rows of the source become rows of the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The columns rows are merged under: those the table has, then those it is given.
    pub(super) schema: SchemaRef,
    /// Columns the table gets.
    pub(super) added: Vec<String>,
    /// Columns of the table that get a wider type.
    pub(super) widened: Vec<String>,
    /// Columns of the table that the source no longer has; new rows are null there.
    pub(super) missing: Vec<String>,
    /// Columns of the source that the table does not get; a row with a value there is set aside.
    pub(super) unwanted: Vec<String>,
    /// Columns whose type differs; a row whose value does not fit the table's is set aside.
    pub(super) narrowed: Vec<String>,
}

/// A difference between what was agreed and what the source announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drift {
    /// The columns concerned.
    pub(super) columns: Vec<String>,
    /// What is different, column by column.
    pub(super) what: Vec<String>,
    /// Whether the lake could follow if somebody says so.
    pub(super) can_follow: bool,
}

impl Drift {
    fn note(&mut self, column: &str, what: String, can_follow: bool) {
        self.columns.push(column.to_owned());
        self.what.push(what);
        self.can_follow &= can_follow;
    }
}

/// Compares the columns the source announces with the table's own, `table` being those that are
/// not the hub's. The layout is the one that follows as far as the lake can.
pub(super) fn plan(
    contract: Contract,
    table: Option<&Schema>,
    incoming: &Schema,
) -> (Layout, Option<Drift>) {
    let incoming = storage_schema(incoming);
    let mut layout = Layout {
        schema: Arc::clone(&incoming),
        added: Vec::new(),
        widened: Vec::new(),
        missing: Vec::new(),
        unwanted: Vec::new(),
        narrowed: Vec::new(),
    };
    let Some(table) = table else { return (layout, None) };
    let mut drift = Drift { columns: Vec::new(), what: Vec::new(), can_follow: true };
    let mut fields: Vec<Field> = Vec::new();
    for held in table.fields() {
        let name = held.name();
        let Ok(field) = incoming.field_with_name(name) else {
            layout.missing.push(name.clone());
            if contract.columns == Policy::Freeze {
                drift.note(name, format!("{name} is gone"), true);
            }
            fields.push(held.as_ref().clone());
            continue;
        };
        let wide = changed_type(contract.types, held, field, &mut layout, &mut drift);
        let kind = if wide { field.data_type() } else { held.data_type() };
        fields.push(Field::new(name, kind.clone(), true));
    }
    for field in incoming.fields() {
        let name = field.name();
        if table.field_with_name(name).is_ok() {
            continue;
        }
        let is_same = |held: &&Arc<Field>| held.name().to_lowercase() == name.to_lowercase();
        if let Some(twin) = table.fields().iter().find(is_same) {
            drift.note(name, format!("{name} differs from {} only in case", twin.name()), false);
            continue;
        }
        if contract.columns == Policy::Quarantine {
            layout.unwanted.push(name.clone());
            continue;
        }
        if contract.columns == Policy::Freeze {
            drift.note(name, format!("{name} is new"), true);
        } else if let Some(old) = renamed(table, &layout.missing, field) {
            drift.note(name, format!("{name} is new and {old} is gone, as in a rename"), true);
        }
        layout.added.push(name.clone());
        fields.push(field.as_ref().clone());
    }
    layout.schema = Arc::new(Schema::new(fields));
    let drift = (!drift.columns.is_empty()).then_some(drift);
    (layout, drift)
}

/// Notes a change of type; says whether the column takes the new one.
fn changed_type(
    policy: Policy,
    held: &Field,
    field: &Field,
    layout: &mut Layout,
    drift: &mut Drift,
) -> bool {
    let (old, new) = (held.data_type(), field.data_type());
    if old == new {
        return false;
    }
    let name = field.name();
    if policy == Policy::Quarantine && arrow::compute::can_cast_types(new, old) {
        layout.narrowed.push(name.clone());
        return false;
    }
    let wider = is_wider(old, new);
    if !wider || policy != Policy::Evolve {
        let (old, new) = (type_word(old), type_word(new));
        drift.note(name, format!("{name} was {old} and is {new}"), wider);
    }
    if wider {
        layout.widened.push(name.clone());
    }
    wider
}

/// The column that a new one may be another name of.
fn renamed<'a>(table: &Schema, missing: &'a [String], new: &Field) -> Option<&'a String> {
    missing.iter().find(|name| {
        table.field_with_name(name).is_ok_and(|old| old.data_type() == new.data_type())
    })
}

/// Whether `new` holds every value of `old` unchanged.
fn is_wider(old: &DataType, new: &DataType) -> bool {
    use DataType::{
        Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64,
    };
    let rank = |kind: &DataType| match kind {
        Int8 => Some((0, 1)),
        Int16 => Some((0, 2)),
        Int32 => Some((0, 3)),
        Int64 => Some((0, 4)),
        UInt8 => Some((1, 1)),
        UInt16 => Some((1, 2)),
        UInt32 => Some((1, 3)),
        UInt64 => Some((1, 4)),
        Float32 => Some((2, 1)),
        Float64 => Some((2, 2)),
        _ => None,
    };
    match (old, new) {
        (Decimal128(precision, scale), Decimal128(wider, same)) => {
            scale == same && wider > precision
        }
        _ => match (rank(old), rank(new)) {
            (Some((family, from)), Some((other, to))) => family == other && from < to,
            _ => false,
        },
    }
}

/// Refuses columns that cannot do what the settings ask of them.
pub(super) fn check_columns(settings: &StreamSettings, incoming: &Schema) -> Result<()> {
    let named = (settings.key.iter())
        .chain(&settings.group)
        .chain(&settings.version)
        .chain(&settings.deleted);
    for column in named {
        if incoming.field_with_name(column).is_err() {
            return Err(Error::new(
                ErrorKind::Schema,
                "E-COLUMN-MISSING",
                format!("the source has no column {column}"),
            )
            .hint("check `key`, `group`, `version` and `deleted` in the system file against `huiliu discover`"));
        }
    }
    for column in &settings.key {
        let kind = incoming.field_with_name(column).map(Field::data_type);
        if let Ok(kind) = kind
            && kind.is_floating()
        {
            return Err(Error::new(
                ErrorKind::Config,
                "E-KEY-TYPE",
                format!(
                    "the key column {column} is {}, by which rows cannot be told apart reliably",
                    type_word(kind)
                ),
            )
            .hint("choose another `key`, or declare the column as text, int or decimal"));
        }
    }
    if let Some(column) = &settings.deleted
        && let Ok(field) = incoming.field_with_name(column)
        && !marks_deletes(field.data_type())
    {
        return Err(Error::new(
            ErrorKind::Config,
            "E-DELETED-TYPE",
            format!(
                "the column {column} is {}, which does not say whether a row is deleted",
                type_word(field.data_type())
            ),
        )
        .hint("declare it as bool, int, date or timestamp under `columns` in the system file"));
    }
    Ok(())
}

fn marks_deletes(kind: &DataType) -> bool {
    kind.is_numeric() || kind.is_temporal() || matches!(kind, DataType::Boolean | DataType::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
        Schema::new(columns.iter().map(field).collect::<Vec<_>>())
    }

    fn contract(columns: Policy, types: Policy) -> Contract {
        Contract { columns, types, rows: Policy::Quarantine }
    }

    const INT: DataType = DataType::Int64;
    const TEXT: DataType = DataType::Utf8;
    const EVOLVE: Policy = Policy::Evolve;
    const FREEZE: Policy = Policy::Freeze;
    const ASIDE: Policy = Policy::Quarantine;

    #[test]
    fn a_new_column_is_added_stopped_or_kept_out() {
        let table = schema(&[("id", INT)]);
        let wide = schema(&[("id", INT), ("note", TEXT)]);
        let (layout, drift) = plan(contract(EVOLVE, FREEZE), Some(&table), &wide);
        assert_eq!((layout.added, drift), (vec!["note".to_owned()], None));
        let (_, drift) = plan(contract(FREEZE, FREEZE), Some(&table), &wide);
        let drift = drift.unwrap();
        assert_eq!(drift.columns, ["note"]);
        assert!(drift.can_follow);
        let (layout, drift) = plan(contract(ASIDE, FREEZE), Some(&table), &wide);
        assert_eq!(layout.unwanted, ["note"]);
        assert_eq!((layout.schema.fields().len(), drift), (1, None));
    }

    #[test]
    fn a_column_that_is_gone_is_kept_and_a_rename_is_asked_about() {
        let table = schema(&[("id", INT), ("name", TEXT)]);
        let (layout, drift) = plan(contract(EVOLVE, FREEZE), Some(&table), &schema(&[("id", INT)]));
        assert_eq!((layout.missing, drift), (vec!["name".to_owned()], None));
        assert_eq!(layout.schema.fields().len(), 2);
        let other = schema(&[("id", INT), ("title", TEXT)]);
        let (_, drift) = plan(contract(EVOLVE, FREEZE), Some(&table), &other);
        assert!(drift.is_some_and(|drift| drift.can_follow && drift.columns == ["title"]));
        let unlike = schema(&[("id", INT), ("count", INT)]);
        assert_eq!(plan(contract(EVOLVE, FREEZE), Some(&table), &unlike).1, None);
    }

    #[test]
    fn a_rename_of_case_only_always_stops() {
        let table = schema(&[("id", INT), ("name", TEXT)]);
        for columns in [EVOLVE, FREEZE, ASIDE] {
            let other = schema(&[("id", INT), ("Name", TEXT)]);
            let (_, drift) = plan(contract(columns, EVOLVE), Some(&table), &other);
            assert!(drift.is_some_and(|drift| !drift.can_follow), "{columns:?}");
        }
    }

    #[test]
    fn only_wider_types_are_followed() {
        use DataType::{Date32, Decimal128, Float32, Float64, Int16, Int32, Timestamp};
        let wall = Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
        for (old, new, wider) in [
            (Int16, Int32, true),
            (Int32, INT, true),
            (Float32, Float64, true),
            (Decimal128(10, 2), Decimal128(12, 2), true),
            (Decimal128(10, 2), Decimal128(12, 3), false),
            (INT, Int32, false),
            (INT, Float64, false),
            (Date32, wall, false),
            (INT, TEXT, false),
        ] {
            let table = schema(&[("id", INT), ("v", old.clone())]);
            let next = schema(&[("id", INT), ("v", new.clone())]);
            let (layout, drift) = plan(contract(EVOLVE, EVOLVE), Some(&table), &next);
            assert_eq!(drift.is_none(), wider, "{old} -> {new}");
            assert_eq!(layout.widened.is_empty(), !wider, "{old} -> {new}");
            let (_, drift) = plan(contract(EVOLVE, FREEZE), Some(&table), &next);
            assert_eq!(drift.unwrap().can_follow, wider, "{old} -> {new}");
        }
    }

    #[test]
    fn under_quarantine_another_type_is_cast_row_by_row() {
        let table = schema(&[("id", INT), ("v", INT)]);
        let next = schema(&[("id", INT), ("v", TEXT)]);
        let (layout, drift) = plan(contract(EVOLVE, ASIDE), Some(&table), &next);
        assert_eq!((layout.narrowed, drift), (vec!["v".to_owned()], None));
        assert_eq!(layout.schema.field(1).data_type(), &INT);
    }

    #[test]
    fn keys_must_be_there_and_tell_rows_apart() {
        let settings = StreamSettings { key: vec!["id".into()], ..Default::default() };
        let code = |schema: &Schema| check_columns(&settings, schema).unwrap_err().code();
        assert_eq!(code(&schema(&[("other", INT)])), "E-COLUMN-MISSING");
        assert_eq!(code(&schema(&[("id", DataType::Float64)])), "E-KEY-TYPE");
        assert!(check_columns(&settings, &schema(&[("id", TEXT)])).is_ok());
        let soft = StreamSettings { deleted: Some("gone".into()), ..settings.clone() };
        let marked = |kind| schema(&[("id", INT), ("gone", kind)]);
        assert!(check_columns(&soft, &marked(DataType::Boolean)).is_ok());
        assert_eq!(check_columns(&soft, &marked(TEXT)).unwrap_err().code(), "E-DELETED-TYPE");
    }
}
