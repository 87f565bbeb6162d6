//! What becomes of each key: whose values are taken, where it is missing, what differs.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use huiliu_core::calendar::Calendar;
use huiliu_core::reconcile::{Comparison, Reconciliation};
use huiliu_sdk::Result;

use super::agree::Agreement;
use super::plan::Layout;
use super::rows::{Entity, Loaded, NONE};

/// What a decision depends on beside the rows.
pub(super) struct Context {
    /// Now, in microseconds of wall time; none when no row has a time.
    pub(super) as_of: Option<i64>,
    /// For each system the values of its expected entities; none where all are.
    pub(super) expects: Vec<Option<HashSet<String>>>,
    pub(super) calendar: Arc<Calendar>,
}

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Its class, as a position in [`Reconciliation::classes`].
    pub(super) class: u8,
    /// For each field the system whose value is taken; none when no system has any.
    pub(super) sources: Vec<Option<u8>>,
    /// For each field the systems whose value does not agree with the one taken, as bits; none
    /// where nothing was compared.
    pub(super) deviating: Vec<Option<u8>>,
    /// Systems that should have it and do not, and are not given more time.
    pub(super) missing: u8,
    /// When a pending entity is no longer given more time.
    pub(super) due: Option<i64>,
}

impl Decision {
    /// Whether nothing is to be noted of it.
    pub(super) fn is_clean(&self, entity: &Entity) -> bool {
        self.missing == 0
            && self.deviating.iter().all(|systems| systems.unwrap_or(0) == 0)
            && entity.copies.iter().all(|copies| *copies < 2)
    }
}

/// How values are written in the ledger.
pub(crate) fn text_options() -> FormatOptions<'static> {
    FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
        .with_date_format(Some("%Y-%m-%d"))
}

/// The fields of loaded rows, ready to be compared and read.
pub(super) struct Judge<'a> {
    rec: &'a Reconciliation,
    context: &'a Context,
    values: Vec<Vec<Option<&'a ArrayRef>>>,
    texts: Vec<Vec<Option<ArrayFormatter<'a>>>>,
    agreements: Vec<Agreement>,
    times: Option<Vec<Option<ArrayRef>>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        rec: &'a Reconciliation,
        layout: &Layout,
        loaded: &'a Loaded,
        context: &'a Context,
        options: &'a FormatOptions<'a>,
    ) -> Result<Self> {
        let mut values = Vec::with_capacity(rec.fields.len());
        let mut texts = Vec::with_capacity(rec.fields.len());
        let mut agreements = Vec::with_capacity(rec.fields.len());
        for (number, field) in rec.fields.iter().enumerate() {
            let of = |places: fn(&super::plan::SystemLayout) -> &[Option<usize>]| {
                let systems = layout.systems.iter().zip(&loaded.systems);
                systems
                    .map(|(system, rows)| Some(rows.batch.column(places(system)[number]?)))
                    .collect::<Vec<Option<&'a ArrayRef>>>()
            };
            let own = of(|system| &system.values);
            let compared = of(|system| &system.compared);
            let mut formatters = Vec::with_capacity(own.len());
            for column in own.iter().copied() {
                formatters.push(match column {
                    Some(column) => Some(ArrayFormatter::try_new(column.as_ref(), options)?),
                    None => None,
                });
            }
            agreements.push(Agreement::new(&field.compare, &compared, &context.calendar)?);
            values.push(own);
            texts.push(formatters);
        }
        let mut times = None;
        if let Some(field) = rec.time.as_deref().and_then(|time| rec.field(time)) {
            let mut micros = Vec::new();
            for column in &values[field] {
                micros.push(match column {
                    Some(column) => {
                        let time = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                        Some(cast(&time, &DataType::Int64)?)
                    }
                    None => None,
                });
            }
            times = Some(micros);
        }
        Ok(Self { rec, context, values, texts, agreements, times })
    }

    /// Decides about one key.
    pub(super) fn decide(&self, entity: &Entity) -> Result<Decision> {
        let systems = self.rec.systems.len();
        let present = |system: usize| entity.rows[system] != NONE;
        let row = |system: usize| entity.rows[system] as usize;
        let mut sources = Vec::with_capacity(self.rec.fields.len());
        for (number, field) in self.rec.fields.iter().enumerate() {
            let has_value = |system: &&usize| {
                present(**system)
                    && self.values[number][**system].is_some_and(|c| c.is_valid(row(**system)))
            };
            let source = field.trust.iter().find(has_value);
            sources.push(source.and_then(|system| u8::try_from(*system).ok()));
        }
        let is_repeated = (0..systems).any(|system| entity.copies[system] > 1);
        let mut deviating = Vec::with_capacity(self.rec.fields.len());
        for (number, field) in self.rec.fields.iter().enumerate() {
            if field.compare == Comparison::None || is_repeated {
                deviating.push(None);
                continue;
            }
            let having = || field.trust.iter().copied().filter(|system| present(*system));
            // Without any value all that have the field agree.
            let reference = sources[number].map(usize::from).or_else(|| having().next());
            let mut deviates = 0_u8;
            for system in having() {
                let Some(reference) = reference.filter(|reference| *reference != system) else {
                    continue;
                };
                let agreement = &self.agreements[number];
                if !agreement.holds((reference, row(reference)), (system, row(system))) {
                    deviates |= 1 << system;
                }
            }
            deviating.push(Some(deviates));
        }
        let (missing, due) = self.missing(entity, &sources)?;
        // Where it may still arrive, it is too early to say anything.
        let is_pending = due.is_some();
        let first_missing = (0..systems).find(|system| missing & (1 << system) != 0);
        let differs = deviating.iter().flatten().any(|systems| *systems != 0);
        let class = match first_missing {
            _ if is_repeated => 0,
            _ if is_pending => 1,
            Some(system) => 2 + system,
            None => 2 + systems + usize::from(!differs),
        };
        Ok(Decision {
            class: u8::try_from(class).unwrap_or(u8::MAX),
            sources,
            deviating,
            missing: if is_pending { 0 } else { missing },
            due,
        })
    }

    /// The systems that should have it and do not; and until when one of them is given time.
    fn missing(&self, entity: &Entity, sources: &[Option<u8>]) -> Result<(u8, Option<i64>)> {
        let (mut missing, mut due): (u8, Option<i64>) = (0, None);
        for (number, system) in self.rec.systems.iter().enumerate() {
            if entity.rows[number] != NONE || !self.is_expected(entity, number, sources)? {
                continue;
            }
            missing |= 1 << number;
            let (Some(lag), Some(as_of)) = (system.lag_micros, self.context.as_of) else {
                continue;
            };
            let arrives = self.time(entity, sources).map(|time| time.saturating_add(lag));
            if let Some(arrives) = arrives.filter(|arrives| *arrives > as_of) {
                due = Some(due.map_or(arrives, |due| due.min(arrives)));
            }
        }
        Ok((missing, due))
    }

    fn is_expected(&self, entity: &Entity, system: usize, sources: &[Option<u8>]) -> Result<bool> {
        let Some(known) = &self.context.expects[system] else { return Ok(true) };
        let field = self.rec.systems[system].expects.as_ref();
        let Some(field) = field.and_then(|expects| self.rec.field(&expects.field)) else {
            return Ok(true);
        };
        let value = self.golden_text(entity, field, sources)?;
        Ok(value.is_some_and(|value| known.contains(&value)))
    }

    /// When the entity came to be.
    fn time(&self, entity: &Entity, sources: &[Option<u8>]) -> Option<i64> {
        let field = self.rec.time.as_deref().and_then(|time| self.rec.field(time))?;
        let system = usize::from(sources[field]?);
        let column = self.times.as_ref()?[system].as_ref()?.as_primitive::<Int64Type>();
        let row = entity.rows[system] as usize;
        column.is_valid(row).then(|| column.value(row))
    }

    /// The value taken for a field, as text.
    pub(super) fn golden_text(
        &self,
        entity: &Entity,
        field: usize,
        sources: &[Option<u8>],
    ) -> Result<Option<String>> {
        match sources[field] {
            Some(system) => self.text(entity, field, usize::from(system)),
            None => Ok(None),
        }
    }

    /// A system's own value of a field, as text.
    pub(super) fn text(
        &self,
        entity: &Entity,
        field: usize,
        system: usize,
    ) -> Result<Option<String>> {
        let row = entity.rows[system];
        let (Some(column), Some(text)) = (self.values[field][system], &self.texts[field][system])
        else {
            return Ok(None);
        };
        if row == NONE || column.is_null(row as usize) {
            return Ok(None);
        }
        Ok(Some(text.value(row as usize).try_to_string()?))
    }

    /// A system's column of a field.
    pub(super) fn column(&self, field: usize, system: usize) -> Option<&'a ArrayRef> {
        self.values[field][system]
    }
}
