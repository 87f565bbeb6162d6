//! A table of a front database (前置库) and the statements of the flag protocol over it.
//!
//! They are what every database takes: no limit, no row that a change gives back, no values of
//! several columns compared at once. All of a row's columns are named, so that a column that is
//! added meanwhile changes nothing.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use huiliu_sdk::{Error, ErrorKind, Result, StreamId};
use huiliu_sqlkit::Flags;
use odbc_api::{Connection, CursorRow};

use crate::config::{Settings, Stream};
use crate::connection::execute;
use crate::discover;
use crate::fault::fault;
use crate::layout::{self, CursorKind, Form, Layout};
use crate::source::in_digits;
use crate::statement::{self, Sql};
use crate::value::{Parts, Value};

/// A column by whose values rows are found again. They are kept as the driver gives them, and only
/// the database compares them.
struct Comparable {
    /// The column as it stands in a statement.
    column: String,
    /// Its place in the layout.
    index: usize,
    kind: CursorKind,
}

impl Comparable {
    fn of(settings: &Settings, layout: &Layout, name: &str) -> Result<Self> {
        let index = layout
            .place(name)
            .ok_or_else(|| Error::internal("a column of the protocol is not read"))?;
        if layout.forms[index] != Form::Text {
            let message = format!("column `{name}` holds floats or bytes and cannot be compared");
            return Err(Error::new(ErrorKind::Schema, "E-ODBC-COMPARE", message)
                .hint("name a column of whole numbers, decimals, times or text"));
        }
        let column = statement::quote(settings, name);
        Ok(Self { column, index, kind: layout.kinds[index] })
    }

    fn all(settings: &Settings, layout: &Layout, names: &[String]) -> Result<Vec<Self>> {
        names.iter().map(|name| Self::of(settings, layout, name)).collect()
    }

    /// The column has this value, or none.
    fn equals(&self, settings: &Settings, value: Option<&str>) -> Result<Sql> {
        let Some(value) = value else { return Ok(self.is_null()) };
        let bound = statement::bound(settings, self.kind, value).ok_or_else(|| {
            let message = format!("column {} holds a value that cannot be compared", self.column);
            Error::new(ErrorKind::Data, "E-ODBC-COMPARE", message)
                .hint("name a column of whole numbers, decimals, times or text")
        })?;
        Ok(self.is(&bound))
    }

    fn is(&self, bound: &Sql) -> Sql {
        let text = format!("{} = {}", self.column, bound.text);
        Sql { text, values: bound.values.clone() }
    }

    fn is_null(&self) -> Sql {
        Sql::plain(format!("{} is null", self.column))
    }
}

/// What tells two states of a row apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// Its version, which the database compares in the statement that marks the row.
    Version(Option<String>),
    /// A digest of all its columns but the flag.
    Content(u64),
}

/// A row as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) key: Vec<String>,
    flag: Option<String>,
    pub(crate) state: State,
}

impl Seen {
    /// By what a statement finds the row where nothing tells its version.
    pub(crate) fn place(&self) -> (&[String], Option<&str>) {
        (&self.key, self.flag.as_deref())
    }
}

/// A table as a read found it.
pub(crate) struct Front {
    pub(crate) stream: StreamId,
    /// All columns that are read, the flag among them.
    pub(crate) layout: Layout,
    settings: Arc<Settings>,
    table: String,
    columns: String,
    flag: Comparable,
    /// The values of the flag as they stand in a statement.
    new: Sql,
    claimed: Option<Sql>,
    done: Sql,
    null_is_new: bool,
    group: Vec<Comparable>,
    key: Vec<Comparable>,
    version: Option<Comparable>,
}

impl Front {
    pub(crate) fn open(
        settings: &Arc<Settings>,
        db: &Connection<'static>,
        stream: &Stream,
        flags: &Flags,
    ) -> Result<Self> {
        let declared = discover::declared(db, &stream.table);
        let describe = |stream: &Stream| -> Result<Layout> {
            let sql = statement::select(settings, stream, Some("1 = 0"), false, None);
            let found = execute(db, settings, &Sql::plain(sql));
            let found = found.map_err(|cause| fault("reading the columns", &cause))?;
            let mut cursor =
                found.ok_or_else(|| Error::internal("a query has given no rows and no end"))?;
            layout::layout(&mut cursor, stream, &declared)
        };
        let mut stream = stream.clone();
        let mut select = match stream.select.take() {
            Some(select) => select,
            None => describe(&stream)?.columns.into_iter().map(|(name, ..)| name).collect(),
        };
        if !select.contains(&flags.column) {
            select.push(flags.column.clone());
        }
        let columns: Vec<String> =
            select.iter().map(|name| statement::quote(settings, name)).collect();
        stream.select = Some(select);
        let layout = describe(&stream)?;
        let flag = Comparable::of(settings, &layout, &flags.column)?;
        let value = |text: &str| -> Result<Sql> {
            statement::bound(settings, flag.kind, text).ok_or_else(|| {
                let message = format!("`{text}` is no value of the flag `{}`", flags.column);
                Error::new(ErrorKind::Config, "E-ODBC-COMPARE", message)
                    .hint("correct `flag_new`, `flag_done` and `flag_claimed`")
            })
        };
        let (new, done) = (value(&flags.new)?, value(&flags.done)?);
        let claimed = flags.claimed.as_deref().map(value).transpose()?;
        // A version that a statement compares without doubt; times are written in too many ways.
        let version = flags.version.as_deref();
        let version = version.and_then(|name| Comparable::of(settings, &layout, name).ok());
        Ok(Self {
            stream: stream.id.clone(),
            settings: Arc::clone(settings),
            table: statement::table(settings, &stream.table),
            columns: columns.join(", "),
            new,
            claimed,
            done,
            null_is_new: flags.null_is_new,
            group: Comparable::all(settings, &layout, &flags.group)?,
            key: Comparable::all(settings, &layout, &stream.key)?,
            version: version.filter(|version| version.kind != CursorKind::Time),
            flag,
            layout,
        })
    }

    /// The place of the flag among the columns.
    pub(crate) fn flag(&self) -> usize {
        self.flag.index
    }

    /// The columns that the hub gets: all but the flag, which our own marks would change.
    pub(crate) fn shown(&self) -> Layout {
        let mut shown = self.layout.clone();
        shown.columns.remove(self.flag.index);
        shown.forms.remove(self.flag.index);
        shown.kinds.remove(self.flag.index);
        shown
    }

    /// Whether the statement that marks a row tells by its version that it is the one that was read.
    pub(crate) fn is_told_by_version(&self) -> bool {
        self.version.is_some()
    }

    /// Refuses to read what could not be marked: it would be read again for ever.
    pub(crate) fn check_right(&self, db: &Connection<'static>) -> Result<()> {
        execute(db, &self.settings, &self.touch())
            .map(drop)
            .map_err(|cause| fault("asking for the right to mark rows", &cause))
    }

    /// A change of no row.
    pub(crate) fn touch(&self) -> Sql {
        let (table, flag) = (&self.table, &self.flag.column);
        Sql::plain(format!("update {table} set {flag} = {flag} where 1 = 0"))
    }

    /// Whether nobody has fetched or claimed a row yet.
    fn unclaimed(&self) -> Vec<Sql> {
        let mut ways = vec![self.flag.is(&self.new)];
        if self.null_is_new {
            ways.push(self.flag.is_null());
        }
        ways
    }

    /// Whether a row was not fetched yet. What an earlier run claimed and did not mark counts.
    fn fresh(&self) -> Sql {
        let mut ways = self.unclaimed();
        ways.extend(self.claimed.as_ref().map(|claimed| self.flag.is(claimed)));
        Sql::joined(ways, " or ")
    }

    /// Asks for the cases that have fresh rows.
    pub(crate) fn cases(&self) -> Sql {
        let Sql { text: fresh, values } = self.fresh();
        let names: Vec<&str> = self.group.iter().map(|group| group.column.as_str()).collect();
        let named: Vec<String> = names.iter().map(|name| format!("{name} is not null")).collect();
        let (names, named) = (names.join(", "), named.join(" and "));
        let text = format!(
            "select {names} from {} where {fresh} and {named} group by {names} order by {names}",
            self.table
        );
        Sql { text, values }
    }

    /// The case in a row that [`Self::cases`] has asked for.
    pub(crate) fn case(&self, row: &mut CursorRow<'_>, parts: &mut Parts) -> Result<Vec<String>> {
        let mut case = Vec::with_capacity(self.group.len());
        for (column, group) in (1..).zip(&self.group) {
            match (parts.value(row, column, Form::Text, self.settings.text)?, group.kind) {
                (Value::Text(text), CursorKind::Number) => case.push(in_digits(text)),
                (Value::Text(text), _) => case.push(text),
                _ => {
                    let message = format!("column {} holds bytes that are no text", group.column);
                    return Err(Error::new(ErrorKind::Data, "E-ENCODING", message)
                        .hint("check `text`, which says how the driver hands over text"));
                }
            }
        }
        Ok(case)
    }

    /// Asks for fresh rows that name no case.
    pub(crate) fn loose(&self) -> Sql {
        let Sql { text: fresh, values } = self.fresh();
        let none = Sql::joined(self.group.iter().map(Comparable::is_null), " or ");
        let (columns, table) = (&self.columns, &self.table);
        Sql {
            text: format!("select {columns} from {table} where {fresh} and {}", none.text),
            values,
        }
    }

    /// Asks for all rows of `cases`, and last whether each is fresh.
    pub(crate) fn rows(&self, cases: &[Vec<String>]) -> Result<Sql> {
        let Sql { text: fresh, mut values } = self.fresh();
        let among = self.among(cases)?;
        let mut order: Vec<&str> = Vec::new();
        for column in self.group.iter().chain(&self.key).map(|column| column.column.as_str()) {
            // Some databases refuse to order by a column twice.
            if !order.contains(&column) {
                order.push(column);
            }
        }
        let text = format!(
            "select {}, case when {fresh} then 1 else 0 end from {} where {} order by {}",
            self.columns,
            self.table,
            among.text,
            order.join(", ")
        );
        values.extend(among.values);
        Ok(Sql { text, values })
    }

    /// Whether a row that [`Self::rows`] has asked for is fresh. Its own columns come before.
    pub(crate) fn is_fresh(&self, row: &mut CursorRow<'_>, parts: &mut Parts) -> Result<bool> {
        let column = u16::try_from(self.layout.forms.len() + 1).unwrap_or(u16::MAX);
        let value = parts.value(row, column, Form::Text, self.settings.text)?;
        Ok(matches!(value, Value::Text(text) if text.trim() == "1"))
    }

    /// Gives the fresh rows of `cases` the claimed flag; nothing where rows are not claimed.
    pub(crate) fn claim(&self, cases: &[Vec<String>]) -> Result<Option<Sql>> {
        let Some(claimed) = &self.claimed else { return Ok(None) };
        let (unclaimed, among) = (Sql::joined(self.unclaimed(), " or "), self.among(cases)?);
        Ok(Some(self.set(claimed, Sql::joined([unclaimed, among], " and "))))
    }

    fn among(&self, cases: &[Vec<String>]) -> Result<Sql> {
        let one = |case: &Vec<String>| self.all(&self.group, case);
        let ways = cases.iter().map(one).collect::<Result<Vec<Sql>>>()?;
        Ok(Sql::joined(ways, " or "))
    }

    fn all(&self, columns: &[Comparable], values: &[String]) -> Result<Sql> {
        let pairs = columns.iter().zip(values);
        let terms =
            pairs.map(|(column, value)| column.equals(&self.settings, Some(value.as_str())));
        Ok(Sql::joined(terms.collect::<Result<Vec<Sql>>>()?, " and "))
    }

    /// What has to be known of a row to mark it; nothing if it could not be found again.
    pub(crate) fn seen(&self, values: &[Value]) -> Option<Seen> {
        let key = self.key.iter().map(|column| known(&values[column.index]).flatten());
        let key: Option<Vec<String>> = key.collect();
        let state = match &self.version {
            Some(version) => State::Version(known(&values[version.index])?),
            None => State::Content(self.digest(values)),
        };
        Some(Seen { key: key?, flag: known(&values[self.flag.index])?, state })
    }

    fn digest(&self, values: &[Value]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (index, value) in values.iter().enumerate() {
            if index != self.flag.index {
                value.digest(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Asks for the rows that have the keys of `rows` now.
    pub(crate) fn current(&self, rows: &[Seen]) -> Result<Sql> {
        let ways = rows.iter().map(|row| self.all(&self.key, &row.key));
        let keys = Sql::joined(ways.collect::<Result<Vec<Sql>>>()?, " or ");
        let text = format!("select {} from {} where {}", self.columns, self.table, keys.text);
        Ok(Sql { text, values: keys.values })
    }

    /// Marks rows as fetched, each only with the flag and the version that it was read with.
    pub(crate) fn mark(&self, rows: &[&Seen]) -> Result<Sql> {
        let mut ways = Vec::with_capacity(rows.len());
        for row in rows {
            let mut terms = vec![
                self.all(&self.key, &row.key)?,
                self.flag.equals(&self.settings, row.flag.as_deref())?,
            ];
            if let (Some(version), State::Version(value)) = (&self.version, &row.state) {
                terms.push(version.equals(&self.settings, value.as_deref())?);
            }
            ways.push(Sql::joined(terms, " and "));
        }
        Ok(self.set(&self.done, Sql::joined(ways, " or ")))
    }

    /// Sets the flag of some rows.
    fn set(&self, flag: &Sql, rows: Sql) -> Sql {
        let (table, column) = (&self.table, &self.flag.column);
        let text = format!("update {table} set {column} = {} where {}", flag.text, rows.text);
        let mut values = flag.values.clone();
        values.extend(rows.values);
        Sql { text, values }
    }
}

/// A value as it is compared: text, or none; nothing for what cannot be.
fn known(value: &Value) -> Option<Option<String>> {
    match value {
        Value::Text(text) => Some(Some(text.clone())),
        Value::Null => Some(None),
        Value::Float(_) | Value::Bytes(_) | Value::Garbled(_) | Value::TooLarge => None,
    }
}
