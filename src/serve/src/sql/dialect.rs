//! Statements as clients write them, changed into ones that the engine plans.
//!
//! Tools were written for PostgreSQL. What the engine says in another way is said so here (escapes
//! of LIKE, formats of times, products of intervals), and what drivers ask about keys and defaults
//! is answered (`nothing`). Only what reads catalogs alone is changed by rules that could change its
//! rows.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, TypedString, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::PG_CATALOG_TABLES;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_postgres::datafusion_pg_catalog::sql::rules::{
    AliasDuplicatedProjectionRewrite, CurrentUserVariableToSessionUserFunctionCall,
    FixArrayLiteral, FixVersionColumnName, PrependUnqualifiedPgTableName,
    ResolveUnqualifiedIdentifier, RewriteArrayAnyAllOperation, RewritePgCatalogOperator,
    RewriteRegCastToSubquery, SqlStatementRewriteRule, StripCallableQualifier, StripCollate,
};

use super::nothing;

/// Schemas that only tell what there is.
const CATALOGS: [&str; 2] = ["information_schema", "pg_catalog"];
/// How Postgres writes the parts of a time, longer ones first, and how the engine does.
const TIME_PARTS: [(&str, &str); 19] = [
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("YYYY", "%Y"),
    ("IYYY", "%G"),
    ("DDD", "%j"),
    ("MON", "%b"),
    ("AM", "%p"),
    ("DD", "%d"),
    ("DY", "%a"),
    ("HH", "%I"),
    ("IW", "%V"),
    ("MI", "%M"),
    ("MM", "%m"),
    ("MS", "%3f"),
    ("PM", "%p"),
    ("SS", "%S"),
    ("US", "%6f"),
    ("YY", "%y"),
    ("ID", "%u"),
];

/// The parser of all doors.
pub(super) struct ClientParser {
    catalog: PostgresCompatibilityParser,
    /// The rules of `catalog` for all other statements: all but the one that takes subqueries
    /// which look outward for null, and one row for all that a subquery gives.
    data: Vec<Box<dyn SqlStatementRewriteRule>>,
}

impl ClientParser {
    pub(super) fn new() -> Self {
        let data: Vec<Box<dyn SqlStatementRewriteRule>> = vec![
            Box::new(AliasDuplicatedProjectionRewrite),
            Box::new(ResolveUnqualifiedIdentifier),
            Box::new(RewriteArrayAnyAllOperation),
            Box::new(PrependUnqualifiedPgTableName),
            Box::new(StripCallableQualifier),
            Box::new(FixArrayLiteral),
            Box::new(CurrentUserVariableToSessionUserFunctionCall),
            Box::new(StripCollate),
            Box::new(RewritePgCatalogOperator),
            Box::new(RewriteRegCastToSubquery::new()),
            Box::new(FixVersionColumnName),
        ];
        Self { catalog: PostgresCompatibilityParser::new(), data }
    }

    /// The statements of a text.
    pub(super) fn parse(&self, sql: &str) -> Result<Vec<Statement>, ParserError> {
        let plain = Parser::parse_sql(&PostgreSqlDialect {}, sql);
        let mut statements: Vec<Statement> = match plain {
            Ok(statements) if !statements.iter().all(asks_catalog) => {
                let ruled = statements.into_iter().map(|statement| {
                    self.data.iter().fold(statement, |statement, rule| rule.rewrite(statement))
                });
                ruled.collect()
            }
            // The text itself, because some statements of clients are known by it.
            _ => self.catalog.parse(sql)?,
        };
        for statement in &mut statements {
            let mut translator = Translator { of_catalog: asks_catalog(statement) };
            let ControlFlow::Continue(()) = statement.visit(&mut translator);
        }
        Ok(statements)
    }
}

/// The tables of a statement, and the names it gives to queries of its own.
#[derive(Default)]
struct Named {
    tables: Vec<ObjectName>,
    queries: BTreeSet<String>,
}

impl Visitor for Named {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Infallible> {
        self.queries.extend(own_queries(query));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Infallible> {
        if let TableFactor::Table { name, args: None, .. } = factor {
            self.tables.push(name.clone());
        }
        ControlFlow::Continue(())
    }
}

/// The names that a query gives to queries of its own.
pub(super) fn own_queries(query: &Query) -> impl Iterator<Item = String> {
    let with = query.with.iter().flat_map(|with| &with.cte_tables);
    with.map(|table| table.alias.name.value.to_lowercase())
}

/// Whether a statement reads tables of catalogs and no others.
fn asks_catalog(statement: &Statement) -> bool {
    let mut named = Named::default();
    let ControlFlow::Continue(()) = statement.visit(&mut named);
    let is_catalog = |table: &ObjectName| match table.0.as_slice() {
        [.., schema, _] => schema
            .as_ident()
            .is_some_and(|schema| CATALOGS.contains(&schema.value.to_lowercase().as_str())),
        _ => last_name(table).is_some_and(|name| {
            PG_CATALOG_TABLES.contains(&name.as_str()) || named.queries.contains(&name)
        }),
    };
    !named.tables.is_empty() && named.tables.iter().all(is_catalog)
}

/// The last part of a name, in small letters.
pub(super) fn last_name(name: &ObjectName) -> Option<String> {
    Some(name.0.last()?.as_ident()?.value.to_lowercase())
}

struct Translator {
    of_catalog: bool,
}

impl VisitorMut for Translator {
    type Break = Infallible;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        // What it was ordered by is gone.
        if self.of_catalog && nothing::is_nothing(query) {
            query.order_by = None;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Infallible> {
        if self.of_catalog {
            nothing::settle(select);
        }
        name_repeated(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if self.of_catalog {
            compare_names(expr);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if self.of_catalog {
            nothing::settle_subquery(expr);
        }
        match expr {
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                escape_with_backslash(pattern, escape_char);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Multiply, right } => {
                if let Some(product) = product(left, right) {
                    *expr = product;
                }
            }
            Expr::TypedString(TypedString { value, .. }) => {
                if let Value::SingleQuotedString(text) = &mut value.value
                    && text.eq_ignore_ascii_case("epoch")
                {
                    "1970-01-01 00:00:00".clone_into(text);
                }
            }
            Expr::Function(function) => translate_format(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Names columns without an alias that are there twice, which the engine would refuse.
fn name_repeated(select: &mut Select) {
    let mut seen = BTreeSet::new();
    for (position, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(expr) = item
            && !seen.insert(expr.to_string())
        {
            let name = nothing::output_name(expr).value;
            let alias = Ident::with_quote('"', format!("{name}_{}", position + 1));
            let expr = mem::replace(expr, text(""));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// Columns of `pg_type` that tell functions hold their names, so that what they are compared with
/// must be a name too.
fn compare_names(expr: &mut Expr) {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expr else { return };
    let column = match &**left {
        Expr::Identifier(column) => Some(column),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    if let Some(column) = column
        && column.value.starts_with("typ")
        && let Expr::Subquery(query) = &**right
        && let Some(function) = name_of_function(query)
    {
        **right = text(&function);
    }
}

/// The name in `(select oid from pg_proc where proname = 'name')`, which was `'name'::regproc`.
fn name_of_function(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = &*query.body else { return None };
    let TableFactor::Table { name, .. } = &select.from.first()?.relation else { return None };
    let Some(Expr::BinaryOp { right, .. }) = &select.selection else { return None };
    let function = text_of(right)?;
    let is_function = last_name(name)? == "pg_proc";
    is_function.then(|| function.trim_start_matches("pg_catalog.").to_owned())
}

/// Has a pattern escape with a backslash, the only sign that the engine knows for it.
fn escape_with_backslash(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let Some(ValueWithSpan { value: Value::SingleQuotedString(sign), .. }) = escape else { return };
    let mut signs = sign.chars();
    let (Some(sign), None) = (signs.next(), signs.next()) else { return };
    if sign != '\\' {
        // The sign twice is the sign itself, whose place is kept meanwhile.
        let steps = [
            (r"\".to_owned(), r"\\"),
            (format!("{sign}{sign}"), "\u{1}"),
            (sign.to_string(), r"\"),
        ];
        let mut escaped = mem::replace(pattern, text(""));
        for (from, to) in steps {
            escaped = call("replace", vec![escaped, text(&from), text(to)]);
        }
        let sign = sign.to_string();
        *pattern = call("replace", vec![escaped, text("\u{1}"), text(&sign)]);
    }
    *escape = None;
}

/// An interval times a number, as a call.
fn product(left: &mut Expr, right: &mut Expr) -> Option<Expr> {
    let (interval, number) = if matches!(left, Expr::Interval(_)) {
        (left, right)
    } else if matches!(right, Expr::Interval(_)) {
        (right, left)
    } else {
        return None;
    };
    let taken = [mem::replace(interval, text("")), mem::replace(number, text(""))];
    Some(call("interval_times", taken.into()))
}

/// Has `to_char`, `to_date` and `to_timestamp` take a format as Postgres writes it.
fn translate_format(function: &mut Function) {
    let takes_format = last_name(&function.name)
        .is_some_and(|name| ["to_char", "to_date", "to_timestamp"].contains(&name.as_str()));
    if let FunctionArguments::List(FunctionArgumentList { args, .. }) = &mut function.args
        && let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(format))] = args.as_mut_slice()
        && takes_format
        && let Some(translated) = text_of(format).and_then(time_format)
    {
        *format = text(&translated);
    }
}

/// A format of Postgres in the engine's signs; none where it has a part that the engine does not
/// know, or is the engine's already.
fn time_format(format: &str) -> Option<String> {
    let (mut rest, mut translated) = (format, String::new());
    while let Some(next) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (literal, behind) = quoted.split_once('"')?;
            translated.push_str(literal);
            rest = behind;
        } else if next.is_ascii_alphabetic() {
            let starts = |part: &str| {
                rest.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part))
            };
            // The seconds of the whole day are not the seconds twice.
            if starts("SSSS") {
                return None;
            }
            let (part, sign) = TIME_PARTS.iter().find(|(part, _)| starts(part))?;
            translated.push_str(sign);
            rest = &rest[part.len()..];
        } else if next == '%' {
            return None;
        } else {
            translated.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    Some(translated)
}

fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).with_empty_span())
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        _ => None,
    }
}

/// A call of a function.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter();
    let args = arguments.map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    let list = FunctionArgumentList {
        duplicate_treatment: None,
        args: args.collect(),
        clauses: Vec::new(),
    };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sql: &str) -> String {
        let mut statements = ClientParser::new().parse(sql).unwrap();
        assert_eq!(statements.len(), 1, "{sql}");
        statements.remove(0).to_string()
    }

    #[test]
    fn a_subquery_over_data_keeps_its_meaning() {
        for sql in [
            "SELECT id, (SELECT count(*) FROM raw.cases AS r WHERE r.id = c.id) AS n FROM current.cases AS c",
            "SELECT (SELECT id FROM current.cases) AS n",
            "SELECT (SELECT count(*) FROM current.cases WHERE days > $1) AS n",
            "SELECT (SELECT value FROM generate_series(1, 3)) AS n",
        ] {
            assert_eq!(told(sql), sql);
        }
    }

    #[test]
    fn what_has_no_rows_is_not_planned_and_keeps_its_parameters() {
        for (sql, expected) in [
            (
                "select i.indexrelid, unnest(i.indkey) as attnum, generate_subscripts(i.indkey, $1::int) \
                 as ord from pg_class c join pg_index i on i.indrelid = c.oid where c.oid in ($2) \
                 order by i.indexrelid",
                "SELECT CAST(NULL AS TEXT) AS indexrelid, CAST(NULL AS TEXT) AS attnum, \
                 CAST(NULL AS TEXT) AS ord WHERE false AND $1::INT IS NULL AND $2 IS NULL",
            ),
            (
                "select c.relname, d.description from pg_class c left join pg_description d \
                 on d.objoid = c.oid and d.classoid = $1::regclass",
                "SELECT c.relname, d.description FROM pg_catalog.pg_class c LEFT JOIN \
                 pg_catalog.pg_description d ON false AND $1::TEXT IS NULL",
            ),
            (
                "select case when a.atthasdef then (select d.adbin from pg_attrdef d \
                 where d.adrelid = a.attrelid) end as x from pg_attribute a",
                "SELECT CASE WHEN a.atthasdef THEN NULL END AS x FROM pg_catalog.pg_attribute a",
            ),
            ("select count(*) from pg_index", "SELECT count(*) FROM pg_catalog.pg_index"),
            (
                "select relname from pg_class where not exists (select 1 from pg_trigger)",
                "SELECT relname FROM pg_catalog.pg_class WHERE NOT (false)",
            ),
            (
                "select x.a from (select con.oid as a from pg_constraint con) x group by x.a",
                "SELECT CAST(NULL AS TEXT) AS a WHERE false",
            ),
        ] {
            assert_eq!(told(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_looks_outward_in_the_catalog_gives_one_value() {
        let sql = "select t.oid from pg_type t where t.typrelid = 0 or \
                   (select c.relkind = 'c' from pg_class c where c.oid = t.typrelid)";
        let expected =
            "(SELECT max(c.relkind = 'c') FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)";
        assert!(told(sql).ends_with(expected), "{}", told(sql));
        let sql = "select typinput = 'pg_catalog.array_in'::regproc from pg_type";
        assert_eq!(told(sql), "SELECT typinput = 'array_in' FROM pg_catalog.pg_type");
    }

    #[test]
    fn patterns_intervals_and_formats_are_told_in_the_engines_way() {
        for (sql, expected) in [
            (
                "select a from t where a like 'x/_%' escape '/'",
                r"SELECT a FROM t WHERE a LIKE replace(replace(replace(replace('x/_%', '\', '\\'), '//', '~'), '/', '\'), '~', '/')",
            ),
            (
                "select interval '5 seconds' * floor(a), 2 * interval '1 day' from t",
                "SELECT interval_times(INTERVAL '5 seconds', FLOOR(a)), \
                 interval_times(INTERVAL '1 day', 2) FROM t",
            ),
            (
                "select TO_TIMESTAMP('2018-06-27', 'YYYY-MM-DD HH24:MI:SS.US'), to_char(a, 'YYYY\"年\"MM')",
                "SELECT TO_TIMESTAMP('2018-06-27', '%Y-%m-%d %H:%M:%S.%6f'), to_char(a, '%Y年%m')",
            ),
            (
                "select to_char(a, '%Y'), to_char(b, 'Q')",
                "SELECT to_char(a, '%Y'), to_char(b, 'Q')",
            ),
            ("select timestamp 'epoch'", "SELECT TIMESTAMP '1970-01-01 00:00:00'"),
            ("select 1, 1, a", "SELECT 1, 1 AS \"?column?_2\", a"),
        ] {
            assert_eq!(told(sql).replace('\u{1}', "~"), expected, "{sql}");
        }
    }
}
