//! The statements of the flag protocol.

use huiliu_sdk::{Cx, Error, ErrorKind, Result};
use sqlx::PgConnection;

use crate::catalog::{Declared, Table};
use crate::config::Flag;
use crate::database::{column, get, quote, quote_table, rows, run};
use crate::decode::Note;

/// What is known of the table, and how a row's notes are laid out: its key, its version, what the
/// server calls it, whether it is to be marked, its case.
pub(super) struct Statements {
    table: String,
    flag: Declared,
    key: Vec<Declared>,
    case: Vec<Declared>,
    pub(super) notes: Vec<String>,
}

/// The three flags, as a statement with bound values sees them.
const BOUND: [&str; 2] = ["$2::text", "$3::text"];
/// The same, where nothing can be bound.
const SET: [&str; 2] =
    ["current_setting('huiliu.flag_new')", "current_setting('huiliu.flag_claimed')"];

impl Statements {
    pub(super) fn new(flag: &Flag, key: &[String], table: &Table) -> Result<Self> {
        let find = |name: &String| table.column(name).cloned();
        let mut statements = Self {
            table: quote_table(&table.name),
            flag: table.column(&flag.column)?.clone(),
            key: key.iter().map(find).collect::<Result<_>>()?,
            case: flag.case.iter().map(find).collect::<Result<_>>()?,
            notes: Vec::new(),
        };
        let text = |declared: &Declared| format!("{}::text", column(&declared.name));
        let mut notes: Vec<String> = statements.key.iter().map(text).collect();
        notes.push(match &flag.version {
            Some(version) => text(table.column(version)?),
            None => "null::text".to_owned(),
        });
        // Any change of a row gives it another transaction number, its mark included.
        notes.push("t.xmin::text".to_owned());
        notes.push(format!("coalesce({}, false)::text", statements.pending(flag, SET)));
        notes.extend(statements.case.iter().map(text));
        statements.notes = notes;
        Ok(statements)
    }

    /// Refuses to read what could not be marked: it would be read again for ever.
    pub(super) async fn check_right(
        &self,
        db: &mut PgConnection,
        cx: &Cx,
        flag: &Flag,
    ) -> Result<()> {
        let sql = "select has_column_privilege($1::text, $2::text, 'update'), current_user::text";
        let values = [Some(self.table.as_str()), Some(flag.column.as_str())];
        let found = rows(db, cx, "asking for the right to mark rows", sql, &values).await?;
        let Some(row) = found.first().filter(|row| get::<bool>(row, 0).is_ok_and(|may| !may))
        else {
            return Ok(());
        };
        let user: String = get(row, 1)?;
        let (table, column) = (&self.table, quote(&flag.column));
        let message = format!("{user} may not mark rows of {table} as fetched");
        Err(Error::new(ErrorKind::Permission, "E-PERMISSION", message).hint(format!(
            "ask the owner of the database for: grant update ({column}) on {table} to {}",
            quote(&user)
        )))
    }

    /// Rows that this read is to fetch and mark.
    fn pending(&self, flag: &Flag, [new, claimed]: [&str; 2]) -> String {
        match flag.claimed {
            Some(_) => self.is(claimed),
            None => self.new_rows(flag, new),
        }
    }

    fn new_rows(&self, flag: &Flag, new: &str) -> String {
        let is_new = self.is(new);
        if flag.null_is_new {
            format!("({is_new} or {} is null)", column(&self.flag.name))
        } else {
            is_new
        }
    }

    fn is(&self, value: &str) -> String {
        format!("{} = {value}::{}", column(&self.flag.name), self.flag.cast)
    }

    fn case_columns(&self) -> String {
        let columns: Vec<String> = self.case.iter().map(|case| column(&case.name)).collect();
        columns.join(", ")
    }

    fn in_a_case(&self, loose: bool) -> String {
        let terms: Vec<String> = self
            .case
            .iter()
            .map(|case| {
                format!("{} is {}null", column(&case.name), if loose { "" } else { "not " })
            })
            .collect();
        format!("({})", terms.join(if loose { " or " } else { " and " }))
    }

    /// Behind the case whose columns are `values`.
    fn behind(&self, values: impl Fn(usize) -> String) -> String {
        let values: Vec<String> = (self.case.iter().enumerate())
            .map(|(index, case)| format!("{}::{}", values(index), case.cast))
            .collect();
        format!(" and ({}) > ({})", self.case_columns(), values.join(", "))
    }

    /// Gives the next cases the claimed flag. Rows that somebody else is writing are left alone.
    pub(super) fn claim(
        &self,
        flag: &Flag,
        loose: bool,
        after: Option<&[String]>,
    ) -> (String, Vec<String>) {
        let mut values = vec![flag.claimed.clone().unwrap_or_default(), flag.new.clone()];
        let mut new = format!("{} and {}", self.new_rows(flag, BOUND[0]), self.in_a_case(loose));
        if let Some(after) = after {
            new += &self.behind(|index| format!("${}::text", index + 3));
            values.extend(after.iter().cloned());
        }
        let (table, case) = (&self.table, self.case_columns());
        let within = if loose {
            new
        } else {
            format!(
                "{} and ({case}) in (select distinct {case} from {table} as t where {new} \
                 order by {case} limit {})",
                self.new_rows(flag, BOUND[0]),
                flag.batch
            )
        };
        let sql = format!(
            "with locked as (select t.tableoid as part, t.ctid as place \
             from {table} as t where {within} for update skip locked) \
             update {table} as t set {} = $1::text::{} from locked \
             where t.tableoid = locked.part and t.ctid = locked.place",
            quote(&self.flag.name),
            self.flag.cast
        );
        (sql, values)
    }

    /// Lets the reading statement see the flags and the case to start behind.
    pub(super) async fn bind(
        &self,
        db: &mut PgConnection,
        cx: &Cx,
        flag: &Flag,
        after: Option<&[String]>,
    ) -> Result<()> {
        let what = "setting what to read";
        let claimed = flag.claimed.as_deref().unwrap_or_default();
        let sql = "select set_config('huiliu.flag_new', $1, true), \
                   set_config('huiliu.flag_claimed', $2, true)";
        run(db, cx, what, sql, &[&flag.new, claimed]).await?;
        for (index, value) in after.unwrap_or_default().iter().enumerate() {
            let sql = format!("select set_config('huiliu.case_{index}', $1, true)");
            run(db, cx, what, &sql, &[value]).await?;
        }
        Ok(())
    }

    /// What follows the table in the statement that reads all rows of the next cases.
    pub(super) fn rest(
        &self,
        flag: &Flag,
        loose: bool,
        has_after: bool,
        row_limit: Option<u64>,
    ) -> String {
        let mut pending = self.pending(flag, SET);
        if row_limit.is_some() && flag.claimed.is_some() {
            // A preview claims nothing, so it looks at what is to be claimed.
            pending = format!("({pending} or {})", self.new_rows(flag, SET[0]));
        }
        pending += &format!(" and {}", self.in_a_case(loose));
        if loose {
            return format!(" where {pending}");
        }
        if has_after {
            pending += &self.behind(|index| format!("current_setting('huiliu.case_{index}')"));
        }
        let (table, case) = (&self.table, self.case_columns());
        let limit =
            row_limit.map(|limit| format!(" limit {}", limit.min(i64::MAX.cast_unsigned())));
        format!(
            " where ({case}) in (select distinct {case} from {table} as t where {pending} \
             order by {case} limit {}) order by {case}{}",
            flag.batch,
            limit.unwrap_or_default()
        )
    }

    /// Marks rows that still are what was read.
    pub(super) fn mark(&self, flag: &Flag) -> String {
        let count = self.key.len();
        let lists: Vec<String> =
            (0..=count).map(|index| format!("${}::text[]", index + 4)).collect();
        let names: Vec<String> = (0..=count).map(|index| format!("c{index}")).collect();
        let same: Vec<String> = (self.key.iter().enumerate())
            .map(|(index, key)| format!("{} = u.c{index}::{}", column(&key.name), key.cast))
            .collect();
        format!(
            "update {} as t set {} = $1::text::{} from unnest({}) as u({}) \
             where {} and t.xmin::text = u.c{count} and {}",
            self.table,
            quote(&self.flag.name),
            self.flag.cast,
            lists.join(", "),
            names.join(", "),
            same.join(" and "),
            self.pending(flag, BOUND)
        )
    }

    /// How many lists [`Self::mark`] takes.
    pub(super) fn marks(&self) -> usize {
        self.key.len() + 1
    }

    /// The key and the server's version of a row that is to be marked.
    pub(super) fn mark_of(&self, note: &Note) -> Option<Vec<String>> {
        let keys = self.key.len();
        if note.get(keys + 2)?.as_deref() != Some("true") {
            return None;
        }
        let mut mark: Vec<String> = note[..keys].iter().cloned().collect::<Option<_>>()?;
        mark.push(note[keys + 1].clone()?);
        Some(mark)
    }

    pub(super) fn version(&self, note: &Note) -> Option<String> {
        note.get(self.key.len()).cloned().flatten()
    }

    pub(super) fn case_as_read(&self, note: &Note) -> Vec<Option<String>> {
        note.get(self.key.len() + 3..).unwrap_or_default().to_vec()
    }

    /// The row's case, if it belongs to one.
    pub(super) fn case(&self, note: &Note) -> Option<Vec<String>> {
        self.case_as_read(note).into_iter().collect()
    }
}
